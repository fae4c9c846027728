"""Bzip2, xz and Zstandard read from front to back: all parts, and what may stand behind the last of them.

As of gzip (`_gunzip`), a file may be several parts in a row, as parallel packers write it, padded with zeros,
and followed by what is no part of it. A packer may also ask for any amount of memory to unpack what it wrote;
here it gets as much as the packers' own highest settings need.
"""

import bz2
import io
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from covis_dask.errors import ArchiveUnsafe

__all__ = ["CODECS", "MARKS", "MOST_MEMORY", "Codec", "DamagedData", "Unpack"]

MOST_MEMORY: Final = 512 << 20
"""Bytes that unpacking may take, whatever the kind."""

_CHUNK: Final = 1 << 18
_WINDOW: Final = 27  # log2 of bytes: Zstandard's own limit, and what its --ultra levels use
_MARK: Final = 8


class DamagedData(Exception):
    """The packed data are not as their packer wrote them."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One way of packing.

    Parameters
    ----------
    name : str
        For messages.
    is_part : callable
        Says whether bytes begin a part.
    decompressor : callable
        Makes what unpacks one part; it knows `eof`, `needs_input` and `unused_data`.
    """

    name: str
    is_part: Callable[[bytes], bool]
    decompressor: Callable[[], Any]


class Unpack(io.RawIOBase):
    """The unpacked bytes of a packed file.

    Parameters
    ----------
    file : binary file
        Packed, at its start.
    codec : Codec
        Its way of packing.

    Attributes
    ----------
    trailing : bool
        Once read to the end: something else stands behind the last part, and was left out.
    """

    def __init__(self, file: BinaryIO, codec: Codec) -> None:
        self.trailing = False
        self._file = file
        self._codec = codec
        self._part: Any = codec.decompressor()
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or some of it.

        Raises
        ------
        EOFError
            When the file ends before its last part does.
        DamagedData
            When it is damaged.
        ArchiveUnsafe
            When unpacking takes more memory than allowed.
        """
        view = memoryview(buffer).cast("B")
        while len(view) and not self._ended:
            if self._part.eof:
                self._next_part(self._part.unused_data)
            elif data := self._unpacked(self._packed(), len(view)):
                view[: len(data)] = data
                return len(data)
        return 0

    def _packed(self) -> bytes:
        if not self._part.needs_input:
            return b""
        data: bytes = self._file.read(_CHUNK)
        if not data:
            raise EOFError("the file ends before its end mark")
        return data

    def _unpacked(self, packed: bytes, most: int) -> bytes:
        try:
            data: bytes = self._part.decompress(packed, most)
        except MemoryError:
            raise
        except Exception as error:  # each library has its own, one of them OSError
            if "memory" in str(error).lower():
                raise ArchiveUnsafe(
                    f"the {self._codec.name} data take more memory to unpack than they are given here: pack "
                    "them again with a smaller window"
                ) from error
            raise DamagedData(str(error)) from error
        return data

    def _next_part(self, rest: bytes) -> None:
        """Begin another part if there is one; zeros between parts, and behind the last, are padding."""
        rest = rest.lstrip(b"\0")
        while len(rest) < _MARK and (more := self._file.read(_CHUNK)):
            rest = (rest + more).lstrip(b"\0")
        if self._codec.is_part(rest):
            self._part = self._codec.decompressor()
            self._unpacked(rest, 0)  # taken over, not unpacked yet
        else:
            self._ended = True
            self.trailing = bool(rest)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY)


def _zstandard() -> Any:
    from backports import zstd  # few archives need it

    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW})


MARKS: Final = (b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
"""First bytes of bzip2, xz and Zstandard data."""


def _is_zstandard(start: bytes) -> bool:
    skippable = start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50
    return skippable or start.startswith(MARKS[2])


def _is_bzip2(start: bytes) -> bool:
    return start.startswith(MARKS[0]) and start[3:4].isdigit() and start[4:5] in (b"1", b"\x17", b"")


CODECS: Final = (
    Codec("bzip2", _is_bzip2, bz2.BZ2Decompressor),
    Codec("xz", lambda start: start.startswith(MARKS[1]), _xz),
    Codec("Zstandard", _is_zstandard, _zstandard),
)
"""The ways of packing that a tar file may come in, beside gzip."""
