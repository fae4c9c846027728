"""The product store: small documents and whole files below one root, and two writes on condition.

A product is whole when its manifest names it (docs/architecture.md#a-product). The manifest changes by
compare-and-swap alone (`put_if_absent`, `put_if_match`); what the swap means is in
`covis_dask.products.commit`.
"""

import datetime as dt
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from catalog.answers import NotOfProtocol
from covis_dask.config import Location
from covis_dask.errors import ProductDamaged, StorageRefused, StorageUnavailable
from covis_dask.storage import _disk
from covis_dask.storage._conditions import Tagged, condition_failed, get_object
from covis_dask.storage._listed import Listed
from covis_dask.storage.locations import open_location, storage_errors

__all__ = ["MARK", "Listed", "ProductStore", "Tagged"]

MARK = ".covis-store.json"
"""Says in the root which store it is; a root without it is a disk that is not mounted."""

_MARK_SCHEMA = "covis-dask/store/1"
_AT_ONCE = 16
_PIECE = 8 << 20


@dataclass(frozen=True, slots=True)
class ProductStore:
    """The store of products.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    root : str
        Path of the store on `fs`; every path below is relative to it.
    url : str
        How the configuration names it.
    conditional : bool
        Whether the store itself keeps the conditions of writes; see `probed`. Where it does not, we look
        before we write, which is enough for one writer alone.
    id : str, optional
        What the mark in the root has to say; see `expecting`. Without it the mark is not looked at.
    """

    fs: Any
    root: str
    url: str
    conditional: bool = True
    id: str | None = None

    @classmethod
    def open(cls, location: Location) -> "ProductStore":
        """Open the store at a location; nothing is asked of it yet."""
        fs, root = open_location(location)
        return cls(fs, root, location.url)

    def full(self, path: str) -> str:
        """Return the path on the file system."""
        return f"{self.root}/{path}" if path else self.root

    def address(self, path: str) -> str:
        """Return where a file lies for other programs: an absolute path, or a URL without any account."""
        full = self.full(path)
        return full if self._local else str(self.fs.unstrip_protocol(full))

    @property
    def _local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    # The mark of the root.

    def mark(self) -> str | None:
        """Return the store's identity, None when its root has none."""
        document = self._read_mark()
        return None if document is None else str(document.get("id"))

    def marked(self) -> "ProductStore":
        """Make sure that the root has a mark; a local root is made with it.

        Not for workers: what they are told to write to exists.
        """
        found = self.mark()
        if found is None:
            self.make_root()
            document = {"schema": _MARK_SCHEMA, "id": uuid.uuid4().hex}
            self.probed()._put_if(MARK, json.dumps(document).encode(), None)
            found = self.mark()
        return replace(self, id=found)

    def make_root(self) -> None:
        """Make the folder of a local store; buckets are made by their owners."""
        if self._local:
            with storage_errors(f"making {self.url}"):
                Path(self.root).mkdir(parents=True, exist_ok=True)

    def expecting(self, identity: str | None) -> "ProductStore":
        """Make sure that this is the store that is meant.

        Parameters
        ----------
        identity : str, optional
            Of the store; when not given, nothing is compared.

        Raises
        ------
        StorageUnavailable
            When the mark is not there, or is another store's: its disk is away.
        """
        if identity is None:
            return self
        found = self.mark()
        if found != identity:
            lacks = "has no mark" if found is None else "has the mark of another store"
            raise StorageUnavailable(
                f"the store at {self.url} {lacks} ({MARK}): is its disk mounted? Nothing is made anew there"
            )
        return replace(self, id=identity)

    def _read_mark(self) -> Mapping[str, Any] | None:
        with storage_errors(f"reading {self.url}/{MARK}"):
            try:
                document = json.loads(self.fs.cat_file(self.full(MARK)))
            except (FileNotFoundError, NotADirectoryError):
                return None
            except ValueError:
                document = None
        return document if isinstance(document, Mapping) else {}

    # What the store can do.

    def check_writable(self) -> None:
        """Write and remove a small object, so that a refusal is known before anything is computed."""
        path, data = f".probe-{uuid.uuid4().hex}", b"covis-dask looks whether it may write here\n"
        self.put_bytes(path, data)
        with storage_errors(f"writing {self.url}/{path}"):
            if self.read_bytes(path) != data:
                raise NotOfProtocol("it takes what is written, and does not give it back: is this the store?")
        self.remove(path)

    def probed(self) -> "ProductStore":
        """Make sure that the store takes writes, and find out whether it honours both conditions.

        Some S3 servers ignore ``If-None-Match`` or ``If-Match``: then all racers would believe that they have
        won.
        """
        self.check_writable()
        if self._local:
            return replace(self, conditional=_disk.lock_supported(self.root))
        store, path = replace(self, conditional=True), f".probe-{uuid.uuid4().hex}"
        try:
            first = [store.put_if_absent(path, racer) for racer in (b"1", b"2")]
            held = store.read_tagged(path)
            tag = "" if held is None else held.tag
            then = [store.put_if_match(path, racer, tag) for racer in (b"3", b"4")]
        except StorageRefused:  # it takes writes, but none with a condition
            first = then = []
        finally:
            self.remove(path)
        return replace(self, conditional=first == then == [True, False])

    # Reading.

    def read_json(self, path: str) -> Any:
        """Return a JSON document, or None when there is none (or none that can be read)."""
        data = self.read_bytes(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

    def read_jsons(self, paths: Iterable[str]) -> list[Any]:
        """Return several documents, as `read_json` does, many requests at a time."""
        return self.at_once(self.read_json, paths)

    @staticmethod
    def at_once(call: "Callable[[Any], Any]", values: "Iterable[Any]") -> list[Any]:
        """Return what a call says of each value, many requests at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(call, values))

    def read_bytes(self, path: str) -> bytes | None:
        """Return an object's bytes, or None when it is not there."""
        with storage_errors(f"reading {self.url}/{path}"):
            try:
                if self._local:
                    _disk.inside(self.root, path)
                return bytes(self.fs.cat_file(self.full(path)))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._check_mark()
                return None

    def read_tagged(self, path: str) -> Tagged | None:
        """Return an object's bytes with the tag that `put_if_match` takes, or None when it is not there."""
        if not hasattr(self.fs, "_call_s3"):
            data = self.read_bytes(path)
            return None if data is None else Tagged(data, _disk.tag_of(data))
        with storage_errors(f"reading {self.url}/{path}"):
            try:
                return get_object(self.fs, self.full(path))
            except FileNotFoundError:
                return None

    def pieces(self, path: str, start: int = 0, size: int = _PIECE) -> Iterator[bytes]:
        """Yield the contents of an object from a byte on, piece by piece.

        Raises
        ------
        ProductDamaged
            When it is not there, or is a link that leads out of the store.
        """
        with storage_errors(f"reading {self.url}/{path}", missing=ProductDamaged):
            if self._local:
                _disk.inside(self.root, path)
            with self.fs.open(self.full(path), "rb", block_size=size) as file:
                file.seek(start)
                while piece := file.read(size):
                    yield piece

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of every file below a folder, by its path below the store."""
        with storage_errors(f"listing {self.url}/{folder}"):
            if self._local:
                found = dict(_disk.files(self.root, folder))
            else:
                below = len(self.full("")) + 1
                listed = self.fs.find(self.full(folder), detail=True)
                found = {name[below:]: int(info["size"]) for name, info in listed.items()}
        if not found:
            self._check_mark()
        return found

    def listed(self, folder: str, *, deep: bool = True) -> list[Listed]:
        """List a folder with sizes and times of the last change: every file below it, or its own entries.

        Links are no files of ours. A folder that is not there has none.
        """
        with storage_errors(f"listing {self.url}/{folder}"):
            if self._local:
                return list(_disk.listed(self.root, folder, deep=deep))
            below = len(self.root) + 1 if self.root else 0
            try:
                full = self.full(folder)
                found = self.fs.find(full, detail=True).values() if deep else self.fs.ls(full, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return [Listed.of(info, str(info["name"]).rstrip("/")[below:]) for info in found]

    def clock(self) -> dt.datetime:
        """Return what time it is by the store, whatever our own clock says: that of a file written now.

        Raises
        ------
        StorageUnavailable, StorageRefused
            When it cannot be written, or does not say when its files were.
        """
        path = f".probe-{uuid.uuid4().hex}"
        self.put_bytes(path, b"covis-dask asks for the time\n")
        try:
            moments = [one.modified for one in self.listed("", deep=False) if one.path == path]
        finally:
            self.remove(path)
        if not moments or moments[0] is None:
            raise StorageRefused(f"the store at {self.url} does not say when its files were written")
        return moments[0]

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; none when it is not there."""
        with storage_errors(f"listing {self.url}/{folder}"):
            try:
                if self._local:
                    _disk.inside(self.root, folder)
                listed = self.fs.ls(self.full(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(
            str(one["name"]).rstrip("/").rsplit("/", 1)[-1] for one in listed if one["type"] == "directory"
        )

    # Writing.

    def put_bytes(self, path: str, data: bytes) -> None:
        """Store an object, whole or not at all, over what was there."""
        with self._writing(path):
            if self._local:
                _disk.write(self.root, path, lambda part: part.write_bytes(data))
            else:
                self.fs.pipe_file(self.full(path), data)

    def put_file(self, local: Path, path: str) -> None:
        """Upload a file, or a folder of files, each whole or not at all."""
        if local.is_dir():
            for file in sorted(local.rglob("*")):
                if file.is_file():
                    self.put_file(file, f"{path}/{file.relative_to(local).as_posix()}")
            return
        local.stat()  # a file that is not there is no fault of the store
        with self._writing(path):
            if self._local:
                _disk.write(self.root, path, lambda part: shutil.copyfile(local, part))
            else:
                self.fs.put_file(os.fspath(local), self.full(path))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Store an object on condition that there is none; says whether ours is the one.

        A server may have stored it although the answer is no: when the first answer was lost, the client asks
        again. Who must know reads the object.
        """
        return self._put_if(path, data, None)

    def put_if_match(self, path: str, data: bytes, tag: str) -> bool:
        """Replace an object on condition that it is the one we have read; see `put_if_absent`.

        Parameters
        ----------
        path : str
        data : bytes
        tag : str
            As `read_tagged` gave it.
        """
        return self._put_if(path, data, tag)

    def _put_if(self, path: str, data: bytes, tag: str | None) -> bool:
        with self._writing(path):
            if not self.conditional:
                held = self.read_tagged(path)
                if (None if held is None else held.tag) != tag:
                    return False
                self.put_bytes(path, data)
                return True
            if self._local:
                return _disk.swap(self.root, path, data, tag)
            condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
            try:
                self.fs.pipe_file(self.full(path), data, **condition)
            except Exception as error:
                if condition_failed(error, replacing=tag is not None):
                    return False
                raise
            return True

    def remove(self, path: str) -> None:
        """Remove an object; one that is not there is no error. Folders are no objects: empty ones go too."""
        with storage_errors(f"removing {self.url}/{path}"):
            if self._local:
                _disk.remove(self.root, path)
                return
            try:
                self.fs.rm_file(self.full(path))
            except FileNotFoundError:
                return

    def remove_folder(self, folder: str) -> None:
        """Remove every file below a folder."""
        for path in self.sizes(folder):
            self.remove(path)

    @contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        """Write only where the store is, and name what a missing folder means."""
        self._check_mark()
        with storage_errors(f"writing {self.url}/{path}"):
            try:
                yield
            except FileNotFoundError as error:
                if not self._local:
                    raise
                raise StorageUnavailable(
                    f"writing {self.url}/{path}: the folder of the store went away ({error}); "
                    "is its disk mounted?"
                ) from error

    def _check_mark(self) -> None:
        """Tell a file that is not there from a disk that is not there; free of charge on a local one only."""
        if self._local and self.id is not None and not Path(self.root, MARK).is_file():
            raise StorageUnavailable(
                f"the store at {self.url} has gone away (no {MARK} there): is its disk mounted? "
                "Nothing is made anew there"
            )
