"""ZIP archives: members anywhere in a file, listed at its end."""

import io
import stat
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable, ArchiveUnsafe, CovisError
from covis_dask.raw._member import Gate

__all__ = ["ZipArchive"]

_END: Final = struct.Struct("<12xI4xH")  # length of the list of members, of the comment behind all
_END_MARK: Final = b"PK\5\6"
_ELSEWHERE: Final = 0xFFFFFFFF
_SEARCHED: Final = (1 << 17, 1 << 24)  # bytes from the end: of almost every file, of one with much behind it
_PER_MEMBER: Final = 160  # bytes of the list of members: names of raw runs are short
_ENCRYPTED: Final = 0x1
_UNIX: Final = 3
_READ: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_METHODS: Final = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack", 98: "PPMd",
}  # fmt: skip


class ZipArchive:
    """An open ZIP archive (an `Archive`); its members can be read at any time.

    Parameters
    ----------
    file : io.BufferedReader
        A file that can seek; closed with the archive.
    gate : Gate
        Judges the members, before any is unpacked.
    """

    lasting = True
    marked = True

    def __init__(self, file: io.BufferedReader, gate: Gate) -> None:
        self._file = file
        self._gate = gate

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def notes(self) -> Sequence[str]:
        return self._gate.notes

    def __iter__(self) -> Iterator["_ZipMember"]:
        limit = self._gate.limits.max_members
        window = _Window(self._file, self._end(), limit * _PER_MEMBER)
        try:
            archive = zipfile.ZipFile(window)
        except (CovisError, MemoryError):
            raise
        except Exception as error:  # lists made to hurt raise all sorts of things
            raise _unreadable(error) from error
        window.most = None
        for info in archive.infolist():
            if info.is_dir():
                self._gate.admit(info.filename, 0)
                continue
            kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
            if kind not in (0, stat.S_IFREG):
                raise self._gate.refuse(info.filename, "a link or something else that is not a regular file")
            name = self._gate.admit(info.filename, info.file_size)
            if info.flag_bits & _ENCRYPTED:
                raise ArchiveUnreadable("the ZIP archive needs a password: pack it again without one")
            if info.compress_type not in _READ:
                method = _METHODS.get(info.compress_type, "unknown")
                raise ArchiveUnreadable(
                    f"the ZIP archive is packed by a method that cannot be read here ({method}, method "
                    f"{info.compress_type}): pack it again with Deflate"
                )
            yield _ZipMember(name, info.file_size, info, archive)

    def _end(self) -> int:
        """Return where the archive ends, which may be before the file does: its list of members is there."""
        size = self._file.seek(0, io.SEEK_END)
        for searched in _SEARCHED:
            start = max(0, size - searched)
            self._file.seek(start)
            tail = self._file.read(size - start)
            at = len(tail)
            while (at := tail.rfind(_END_MARK, 0, at)) >= 0:
                stop = _stop(tail, at, start)
                if stop is None:
                    continue
                if tail[stop:].strip(b"\0"):
                    self._gate.note(
                        "left out: bytes behind the end of the ZIP archive, which are no part of it"
                    )
                return start + stop
        raise ArchiveTruncated(
            f"the ZIP archive has {size} bytes, and lacks its list of members: download it again"
        )


def _stop(tail: bytes, at: int, start: int) -> int | None:
    """Return where the end record in `tail` ends, with its comment; None when it cannot be one."""
    if at + _END.size > len(tail):
        return None
    length, comment = _END.unpack_from(tail, at)
    stop: int = at + _END.size + comment
    # A list that is longer than what precedes it is none, unless another record has its length.
    return stop if stop <= len(tail) and (length <= start + at or length == _ELSEWHERE) else None


def _unreadable(error: BaseException) -> ArchiveUnreadable:
    return ArchiveUnreadable(f"the ZIP archive is damaged: {error}")


@dataclass(frozen=True, slots=True)
class _ZipMember:
    name: str
    size: int
    _info: zipfile.ZipInfo
    _archive: zipfile.ZipFile

    def read(self, limit: int | None = None) -> bytes:
        size = self.size if limit is None else min(limit, self.size)
        try:
            with self._archive.open(self._info) as member:
                data = member.read(size)
                if size == self.size:
                    member.read(1)  # the checksum is looked at where the member ends
        except (CovisError, MemoryError):
            raise
        except Exception as error:
            raise _unreadable(error) from error
        if len(data) < size:
            raise _unreadable(ValueError(f"{self.name} has {len(data)} bytes, not {size}"))
        return data


class _Window(io.RawIOBase):
    """A file up to where the archive in it ends.

    Attributes
    ----------
    most : int or None
        Bytes that one read may ask for: `zipfile` reads the whole list of members at once.
    """

    def __init__(self, file: BinaryIO, end: int, most: int) -> None:
        self.most: int | None = most
        self._file = file
        self._stop = end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_END:
            offset, whence = self._stop + offset, io.SEEK_SET
        if whence == io.SEEK_SET and offset < 0:
            raise OSError("it points to a place before its start")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> Any:
        left = max(0, self._stop - self._file.tell())
        size = left if size < 0 else min(size, left)
        if self.most is not None and size > self.most:
            raise ArchiveUnsafe(
                f"the list of members of the ZIP archive has more than {self.most} bytes (max_members)"
            )
        return self._file.read(size)
