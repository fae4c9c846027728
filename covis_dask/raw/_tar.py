"""Tar archives, plain or packed, read from front to back; plain ones also at any place.

`tarfile` reads the headers. It takes a damaged or cut-off header for the end of the archive, and believes any
length a header states, so the stream below it keeps watch: it remembers how each read went, and gives out
only so much for the sake of one header.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self

from isal import isal_zlib

from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable, ArchiveUnsafe, CovisError
from covis_dask.raw._codecs import DamagedData, Unpack
from covis_dask.raw._gunzip import Gunzip
from covis_dask.raw._member import Gate
from covis_dask.raw._signatures import foreign
from covis_dask.raw._sparse import Extents, check_extents, fill_holes, first_bytes

__all__ = ["TarArchive"]

_PIECE = 1 << 20
_HEADER_ROOM = 1 << 17  # a name or a set of attributes longer than this has no business in a raw run

_DAMAGE: Any = (DamagedData, gzip.BadGzipFile, isal_zlib.error, zlib.error)
_FOLDERS = (tarfile.DIRTYPE, b"D")  # the latter, of GNU tar's incremental archives, with a list of its files
_LABEL = b"V"
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    b"M": "the rest of a file that begins in another volume",
}


class TarArchive:
    """An open tar archive (an `Archive`).

    Parameters
    ----------
    file : binary file
        Where it is read from; closed with the archive.
    gate : Gate
        Judges the members.
    packed : Gunzip or Unpack, optional
        What unpacks `file`.
    lasting : bool
        Members can be read at any time; needs a plain tar in a file that can seek.
    """

    def __init__(
        self, file: BinaryIO, gate: Gate, *, packed: Gunzip | Unpack | None = None, lasting: bool = False
    ) -> None:
        self.lasting = lasting
        self.marked = False
        self._file = file
        self._gate = gate
        self._packed = packed
        unpacked: Any = file if packed is None else io.BufferedReader(packed)
        self._stream = _Stream(unpacked, seekable=lasting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def notes(self) -> Sequence[str]:
        return self._gate.notes

    def __iter__(self) -> Iterator["_TarMember | _SparseMember"]:
        stream = self._stream
        for info, end in self._headers():
            if info.type in _FOLDERS or info.type == _LABEL:
                self._gate.admit(info.name, 0)
                stream.skip_to(end)
                continue
            if not info.isreg():
                raise self._gate.refuse(info.name, _KINDS.get(info.type, "not a regular file"))
            name = self._gate.admit(info.name, info.size)
            begin = stream.tell()
            packed = info.size
            if info.sparse is not None:
                extents = check_extents(_pairs(info), info.size, end - begin, name)
                packed = sum(count for _, count in extents)
                yield _SparseMember(name, info.size, extents, begin, self)
            else:
                yield _TarMember(name, info.size, begin, self)
            stream.skip_to(begin + packed)
            if stream.ended:
                raise self._truncated(name)
            # Blocks are filled up with zeros; where they are missing at the very end, nothing is lost.
            stream.skip_to(end)
            if stream.ended:
                return

    def read(self, begin: int, size: int, name: str) -> bytes:
        """Return `size` bytes of a member's data."""
        if self.lasting:
            self._stream.seek(begin)
        elif self._stream.tell() != begin:
            raise ValueError(f"{name}: a member of a stream is read once, before the next one is asked for")
        data = self._stream.read(size)
        if len(data) < size:
            raise self._truncated(name)
        return data

    def _headers(self) -> Iterator[tuple[tarfile.TarInfo, int]]:
        """Yield each header and where the next one begins, and at the end make sure that it is one."""
        stream = self._stream
        tar: tarfile.TarFile | None = None
        while True:
            stream.room = _HEADER_ROOM
            try:
                if tar is None:
                    tar = tarfile.TarFile(fileobj=stream, encoding="utf-8")  # type: ignore[arg-type]
                info = tar.next()
            except (CovisError, MemoryError):
                raise
            except Exception as error:  # headers made to hurt raise all sorts of things
                if stream.ended:
                    raise self._truncated("a header") from error
                if tar is None and (what := foreign(stream.last)):
                    raise ArchiveUnreadable(
                        f"what is packed here is no tar archive but {what}: unpack it once"
                    ) from error
                raise ArchiveUnreadable(f"the file is not a tar archive, or is damaged: {error}") from error
            if info is None:
                break
            tar.members = []  # type: ignore[attr-defined]  # or it would remember them all
            stream.room = None
            yield info, tar.offset
        self._check_end()

    def _check_end(self) -> None:
        stream = self._stream
        if any(stream.last):
            if stream.ended:
                raise self._truncated("a header")
            raise ArchiveUnreadable("a header in the middle of the archive is damaged")
        stream.room = None
        self.marked = len(stream.last) == tarfile.BLOCKSIZE
        if self._packed is not None:
            # The checksum of the compressed stream is at its end, and what is cut off there is cut off.
            room = self._gate.room
            while padding := stream.read(_PIECE):
                room -= len(padding)
                if room < 0:
                    raise ArchiveUnsafe("the archive continues endlessly after its end mark")
            if self._packed.trailing:
                self._gate.note(
                    "left out: bytes behind the end of the packed data, which are no part of the archive"
                )

    def _truncated(self, where: str) -> ArchiveTruncated:
        return ArchiveTruncated(f"the archive ends in the middle of {where}: download the file again")


def _pairs(info: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Return first byte and length of a sparse member's pieces."""
    pairs: Any = info.sparse  # the stubs think of the raw header
    return list(pairs)


@dataclass(frozen=True, slots=True)
class _TarMember:
    name: str
    size: int
    _begin: int
    _archive: TarArchive

    @property
    def place(self) -> tuple[None, int]:
        """Where it begins in the archive's own file."""
        return None, self._begin

    def read(self, limit: int | None = None) -> bytes:
        size = self.size if limit is None else min(limit, self.size)
        return self._archive.read(self._begin, size, self.name)


@dataclass(frozen=True, slots=True)
class _SparseMember:
    """A file with holes; it lies nowhere as it is, so it has no `place`."""

    name: str
    size: int
    _extents: Extents
    _begin: int
    _archive: TarArchive

    def read(self, limit: int | None = None) -> bytes:
        size = self.size if limit is None else min(limit, self.size)
        extents = first_bytes(self._extents, size)
        packed = self._archive.read(self._begin, sum(count for _, count in extents), self.name)
        return fill_holes(packed, extents, size)


class _Stream:
    """A file that only goes forward, as `tarfile` sees it; where it can seek, skipping is cheap.

    Attributes
    ----------
    ended : bool
        Some read got less than it asked for: the end was reached.
    last : bytes
        What the last read got.
    room : int or None
        Bytes that may still be read, None for no limit.
    """

    def __init__(self, source: BinaryIO, *, seekable: bool) -> None:
        self.ended = False
        self.last = b""
        self.room: int | None = None
        self._source = source
        self._seekable = seekable
        self._at = 0

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        if size < 0:
            raise ArchiveUnreadable("a header states a negative length")
        if self.room is not None:
            self.room -= size
            if self.room < 0:
                raise ArchiveUnsafe(f"the archive has a header of more than {_HEADER_ROOM} bytes")
        try:
            self.last = self._source.read(size)
        except EOFError as error:
            raise ArchiveTruncated(
                f"the compressed data are cut off: {error}; download the file again"
            ) from error
        except _DAMAGE as error:
            raise ArchiveUnreadable(f"the compressed data are damaged: {error}") from error
        self._at += len(self.last)
        self.ended |= len(self.last) < size
        return self.last

    def seek(self, position: int) -> int:
        if not self._seekable:
            raise ArchiveUnreadable("a header points back into the archive")
        self._at = self._source.seek(position)
        return self._at

    def skip_to(self, position: int) -> None:
        """Go on to `position`; `ended` tells whether it exists."""
        if self._seekable and position > 0:
            self.seek(position - 1)  # a file lets one seek beyond its end, so the last byte is read
            self.read(1)
        while self._at < position and not self.ended:
            self.read(min(_PIECE, position - self._at))
