"""Where a raw archive lies: any fsspec file system and a path. Opened as often as needed, never copied."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

__all__ = ["ArchiveSource"]


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A raw archive, or an unpacked run directory, on some file system.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        Local, S3, SFTP, memory ...
    path : str
        Path on `fs`.
    """

    fs: Any
    path: str

    @property
    def name(self) -> str:
        """File name, which tells the kind of archive."""
        return PurePosixPath(self.path).name

    def open(self) -> BinaryIO:
        """Open for reading from the start."""
        stream: BinaryIO = self.fs.open(self.path, "rb")
        return stream
