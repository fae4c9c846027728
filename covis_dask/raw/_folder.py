"""A run that lies unpacked in a folder of a file system."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, Self

from covis_dask.raw._member import Gate
from covis_dask.raw._store import store_errors
from covis_dask.raw.source import ArchiveSource

__all__ = ["FolderArchive"]

_DEPTH = 5
_Listing = tuple[str, dict[str, Any], dict[str, Any]]


class FolderArchive:
    """The files of a folder (an `Archive`), in the order of their names; nothing is ever changed in it.

    Parameters
    ----------
    source : ArchiveSource
        The run's own folder, or one that holds it.
    gate : Gate
        Judges the files.
    """

    lasting = True
    marked = True

    def __init__(self, source: ArchiveSource, gate: Gate) -> None:
        self._source = source
        self._gate = gate
        self._root = PurePosixPath(source.fs._strip_protocol(source.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @property
    def notes(self) -> Sequence[str]:
        return self._gate.notes

    def __iter__(self) -> Iterator["_File"]:
        fs, path = self._source.fs, self._source.path
        with store_errors(path):
            # Its default is to pass over what cannot be listed.
            folders = fs.walk(path, maxdepth=_DEPTH, detail=True, on_error="raise")
        while (listing := self._next(folders)) is not None:
            folder, inner, files = listing
            within = PurePosixPath(folder).relative_to(self._root)
            for base in inner:
                self._gate.admit((within / base).as_posix(), 0)
            for base, info in sorted(files.items()):
                name = (within / base).as_posix()
                if info["type"] != "file" or info.get("islink"):
                    raise self._gate.refuse(name, "a link or something else that is not a regular file")
                size = int(info["size"] or 0)
                yield _File(self._gate.admit(name, size), size, info["name"], fs)

    def _next(self, folders: Iterator[_Listing]) -> _Listing | None:
        with store_errors(self._source.path):
            return next(folders, None)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size: int
    _path: str
    _fs: Any

    @property
    def place(self) -> tuple[str, int]:
        """Path of the file, and where its contents begin in it."""
        return self._path, 0

    def read(self, limit: int | None = None) -> bytes:
        size = self.size if limit is None else min(limit, self.size)
        if size == 0:
            return b""
        with store_errors(self._path):
            data: bytes = self._fs.cat_file(self._path, start=0, end=size)
        return data
