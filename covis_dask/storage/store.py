"""The product store with its atomic commit.

A product is whole when its manifest is there (docs/architecture.md#a-product). So files go up first, each of
them whole or not at all, and the manifest last, on condition that there is none yet.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from covis_dask.config import Location
from covis_dask.storage.locations import open_location, storage_errors

__all__ = ["ProductStore"]

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class ProductStore:
    """The store of products: small JSON documents and whole files below one root.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    root : str
        Path of the store on `fs`; every path below is relative to it.
    url : str
        How the configuration names it.
    conditional : bool
        Whether the store itself lets only one of several writers of a manifest win; see `probed`.
    """

    fs: Any
    root: str
    url: str
    conditional: bool = True

    @classmethod
    def open(cls, location: Location) -> "ProductStore":
        """Open the store at a location."""
        fs, root = open_location(location)
        return cls(fs, root, location.url)

    def full(self, path: str) -> str:
        """Return the path on the file system."""
        return f"{self.root}/{path}"

    def check_writable(self) -> None:
        """Write and remove a small object, so that a refusal is known before anything is computed."""
        path = f".probe-{uuid.uuid4().hex}"
        self.put_bytes(path, b"covis-dask looks whether it may write here\n")
        self.remove(path)

    def probed(self) -> "ProductStore":
        """Make sure that the store takes writes, and find out whether it honours conditional ones.

        Some S3 servers ignore ``If-None-Match: *``: then all racers would believe that they have won.
        """
        self.check_writable()
        path = f".probe-{uuid.uuid4().hex}"
        try:
            won = [self.put_new_json(path, {"by": racer}) for racer in (1, 2)]
        finally:
            self.remove(path)
        return replace(self, conditional=won == [True, False])

    def read_json(self, path: str) -> Any:
        """Return a JSON document, or None when there is none (or none that can be read)."""
        data = self.read_bytes(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

    def read_jsons(self, paths: Iterable[str]) -> list[Any]:
        """Return several documents, as `read_json` does, many requests at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(self.read_json, paths))

    def read_bytes(self, path: str) -> bytes | None:
        """Return an object's bytes, or None when it is not there."""
        with storage_errors(f"reading {self.url}/{path}"):
            try:
                return bytes(self.fs.cat_file(self.full(path)))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def put_bytes(self, path: str, data: bytes) -> None:
        """Store an object, whole or not at all, over what was there."""
        with storage_errors(f"writing {self.url}/{path}"):
            if isinstance(self.fs, LocalFileSystem):
                target = Path(self.full(path))
                part = _part(target)
                part.write_bytes(data)
                part.replace(target)
            else:
                self.fs.pipe_file(self.full(path), data)

    def put_file(self, local: Path, path: str) -> None:
        """Upload a file, or a folder of files, each whole or not at all."""
        if local.is_dir():
            for file in sorted(local.rglob("*")):
                if file.is_file():
                    self.put_file(file, f"{path}/{file.relative_to(local).as_posix()}")
            return
        with storage_errors(f"writing {self.url}/{path}"):
            if isinstance(self.fs, LocalFileSystem):
                target = Path(self.full(path))
                part = _part(target)
                shutil.copyfile(local, part)
                part.replace(target)
            else:
                self.fs.put_file(os.fspath(local), self.full(path))

    def put_new_json(self, path: str, document: Mapping[str, Any]) -> bool:
        """Store a document unless one is there already; says whether ours is the one.

        The condition is kept by the store itself (link(2), or ``If-None-Match: *`` on S3). Where it does not
        (`conditional` is false), we look first, and the catalogue's claims keep two batches apart.
        """
        data = json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode()
        with storage_errors(f"writing {self.url}/{path}"):
            if isinstance(self.fs, LocalFileSystem):
                target = Path(self.full(path))
                part = _part(target)
                part.write_bytes(data)
                try:
                    target.hardlink_to(part)
                except FileExistsError:
                    return False
                finally:
                    part.unlink()
                return True
            if not self.conditional and (stored := self.read_bytes(path)) is not None:
                return stored == data
            return self._pipe_new(path, data)

    def _pipe_new(self, path: str, data: bytes) -> bool:
        try:
            self.fs.pipe_file(self.full(path), data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            # A 412 may come as EINVAL; and an answer may be lost after the object was stored.
            stored = self.read_bytes(path)
            if stored is None:
                raise error from error.__cause__
            return stored == data
        return True

    def remove(self, path: str) -> None:
        """Remove an object; one that is not there is no error. Folders are no objects: empty ones go too."""
        with storage_errors(f"removing {self.url}/{path}"):
            try:
                self.fs.rm_file(self.full(path))
            except (FileNotFoundError, NotADirectoryError):
                return
            if isinstance(self.fs, LocalFileSystem):
                for folder in list(Path(path).parents)[:-1]:
                    try:
                        Path(self.full(str(folder))).rmdir()
                    except OSError:
                        return


def _part(target: Path) -> Path:
    """Name a file beside the target that nobody takes for the real thing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
