"""Locations as fsspec file systems, what their errors mean, and the product store with its atomic commit.

A product is whole when its manifest is there (design.md 3). So files go up first, each of them whole or not
at all, and the manifest last, on condition that there is none yet.
"""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from covis_dask.config import Location, expand
from covis_dask.errors import ConfigurationError, StorageRefused, StorageUnavailable

__all__ = ["ProductStore", "open_location", "storage_errors"]

_TIMEOUTS = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 4, "mode": "standard"}}
_REFUSALS = frozenset({
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR,
    errno.EEXIST,
})  # fmt: skip


def open_location(location: Location) -> tuple[Any, str]:
    """Open the file system of a location.

    Returns
    -------
    tuple
        fsspec file system, and the root path on it.

    Raises
    ------
    ConfigurationError
        When the URL has an unknown protocol, or a secret is not in the environment.
    """
    options: dict[str, Any] = dict(location.options)
    if location.url.startswith(("s3://", "s3a://")):
        options.setdefault("config_kwargs", _TIMEOUTS)
        options.setdefault("use_listings_cache", False)  # other workers write to the same store
        if location.endpoint:
            options["endpoint_url"] = expand(location.endpoint)
        if location.key:
            options["key"] = expand(location.key)
        if location.secret:
            options["secret"] = expand(location.secret)
    try:
        fs, root = fsspec.core.url_to_fs(expand(location.url), **options)
    except (ImportError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{location.url} cannot be opened: {error}") from error
    return fs, str(root).rstrip("/")


def _is_transport(error: BaseException) -> bool:
    """Tell the errors that say 'no answer' among libraries that share no base class."""
    return type(error).__module__.split(".")[0] in {
        "aiohttp",
        "aiobotocore",
        "botocore",
        "paramiko",
        "urllib3",
    }


@contextmanager
def storage_errors(what: str, *, missing: type[Exception] | None = None) -> Iterator[None]:
    """Turn a store's errors into ours: refused (stop the batch) or unavailable (try again).

    Parameters
    ----------
    what : str
        What was being done to which place, for the sentence.
    missing : type, optional
        Error for a file that is not there; without it that is a refusal (no such bucket or folder).

    Raises
    ------
    StorageRefused, StorageUnavailable
    """
    try:
        yield
    except FileNotFoundError as error:
        if missing is not None:
            raise missing(f"{what}: not there") from error
        raise StorageRefused(
            f"{what}: the store has no such bucket or folder ({error}); create it, or correct the url"
        ) from error
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno in _REFUSALS:
            reason = error.strerror or str(error)
            raise StorageRefused(
                f"{what}: the store refuses ({reason}); check its permissions, credentials and free space"
            ) from error
        raise StorageUnavailable(f"{what}: {error or type(error).__name__}") from error
    except Exception as error:
        if _is_transport(error):
            raise StorageUnavailable(f"{what}: {error or type(error).__name__}") from error
        raise


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
    """

    fs: Any
    root: str
    url: str

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

    def read_json(self, path: str) -> Any:
        """Return a JSON document, or None when there is none (or none that can be read)."""
        data = self.read_bytes(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

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

        The condition is kept by the store itself (link(2), or ``If-None-Match: *`` on S3). Some S3 servers
        ignore it; there the catalogue's claims keep two batches apart.
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
            return self._pipe_new(path, data)

    def _pipe_new(self, path: str, data: bytes) -> bool:
        try:
            self.fs.pipe_file(self.full(path), data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            # A 412 may come as EINVAL; and an answer may be lost after the object was stored.
            found = self.read_bytes(path)
            if found is None:
                raise error from error.__cause__
            return found == data
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
