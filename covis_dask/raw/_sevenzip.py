"""7-zip archives. py7zr pushes members at whoever wants them; here they are pulled.

It therefore runs in a thread of its own that stays at most a few members ahead.
"""

import io
import queue
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import py7zr
from py7zr import archiveinfo
from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError
from py7zr.io import Py7zIO, WriterFactory

from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable, ArchiveUnsafe, CovisError
from covis_dask.raw._codecs import MOST_MEMORY
from covis_dask.raw._member import Gate

__all__ = ["SevenZipArchive"]

_AHEAD = 2
_SIP = 1 << 15
_SIGNATURE = struct.Struct("<12xQQ4x")  # where the header lies, counted from here, and its length
_LZMA, _LZMA2, _PPMD = b"\3\1\1", b"\x21", b"\3\4\1"

# By itself py7zr stands for tables of 8 million members, which take gigabytes; a raw run has thousands.
archiveinfo.MAX_NUMFILES = archiveinfo.MAX_SUBSTREAMS = 1 << 20
archiveinfo.MAX_HEADER_SIZE = 1 << 26


class SevenZipArchive:
    """An open 7-zip archive (an `Archive`).

    Parameters
    ----------
    file : io.BufferedReader
        A file that can seek; closed with the archive.
    gate : Gate
        Judges the members, before any is unpacked.
    """

    lasting = False
    marked = True

    def __init__(self, file: io.BufferedReader, gate: Gate) -> None:
        self._file = file
        self._gate = gate
        self._members: queue.Queue[_Whole | BaseException | None] = queue.Queue(_AHEAD)
        self._stopped = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        if self._thread is not None:
            # Room for the one member it may be about to hand over; at the next it sees that it shall stop.
            while not self._members.empty():
                self._members.get_nowait()
            self._thread.join()
        self._file.close()

    @property
    def notes(self) -> Sequence[str]:
        return self._gate.notes

    def __iter__(self) -> Iterator["_Whole"]:
        if _check_whole(self._file):
            self._gate.note("left out: bytes behind the end of the 7-zip archive, which are no part of it")
        sips = _Sips(self._file)
        try:
            archive = py7zr.SevenZipFile(cast(IO[bytes], sips))
            wanted = self._list(archive)
        except (CovisError, MemoryError):
            raise
        except Exception as error:
            raise _unreadable(error) from error
        sips.most = _SIP
        self._thread = threading.Thread(
            target=self._unpack, args=(archive, wanted), name="covis-7z", daemon=True
        )
        self._thread.start()
        while (member := self._members.get()) is not None:
            if isinstance(member, CovisError | MemoryError):
                raise member
            if isinstance(member, BaseException):
                raise _unreadable(member) from member
            yield member

    def _list(self, archive: py7zr.SevenZipFile) -> dict[str, str]:
        """Return the name of each file by the name that py7zr will hand to the factory."""
        names: dict[str, str] = {}
        count: dict[str, int] = {}
        if not hasattr(archive, "files"):  # nothing at all was packed
            return names
        if archive.password_protected:
            raise PasswordRequired
        if (memory := _memory(archive)) > MOST_MEMORY:
            raise ArchiveUnsafe(
                f"the 7-zip archive takes {memory >> 20} MiB of memory to unpack, {MOST_MEMORY >> 20} are "
                "allowed: pack it again with a smaller dictionary"
            )
        for entry in archive.list():
            if entry.is_directory:
                self._gate.admit(entry.filename, 0)
                continue
            if not entry.is_file:
                raise self._gate.refuse(entry.filename, "a link or something else that is not a regular file")
            name = self._gate.admit(entry.filename, entry.uncompressed)
            # py7zr numbers files of the same name, so that none overwrites another.
            seen = count.get(entry.filename, 0)
            count[entry.filename] = seen + 1
            names[f"{name}_{seen - 1}" if seen else name] = name
        return names

    def _unpack(self, archive: py7zr.SevenZipFile, names: dict[str, str]) -> None:
        outcome: BaseException | None = None
        try:
            if names:
                # Nothing is written there; any other path would be compared with what this machine has.
                archive.extract(_ROOT, factory=_Factory(self, names))
        except BaseException as error:  # carried over to the other thread
            outcome = error
        if not self._stopped:
            self._members.put(outcome)

    def hand_over(self, member: "_Whole") -> None:
        """Take a member that has been unpacked and checked; wait until there is room."""
        self.go_on()
        self._members.put(member)

    def go_on(self) -> None:
        """Stop unpacking when nobody wants more."""
        if self._stopped:
            raise _StoppedError


def _memory(archive: py7zr.SevenZipFile) -> int:
    """Return how many bytes unpacking takes, as the packer asks for."""
    streams = archive.header.main_streams
    folders = [] if streams is None or streams.unpackinfo is None else streams.unpackinfo.folders
    coders = (coder for folder in folders for coder in folder.coders)
    return max((_dictionary(coder["method"], coder["properties"] or b"") for coder in coders), default=0)


def _dictionary(method: bytes, properties: bytes) -> int:
    if method == _LZMA2 and properties:
        size = properties[0] & 0x3F
        return (2 | size & 1) << (size // 2 + 11)
    if method in (_LZMA, _PPMD):
        return int.from_bytes(properties[1:5], "little")
    return 0


def _unreadable(error: BaseException) -> ArchiveUnreadable:
    """Say what is the matter with an archive: a password or a foreign method is no damage."""
    if isinstance(error, PasswordRequired):
        return ArchiveUnreadable("the 7-zip archive needs a password: pack it again without one")
    if isinstance(error, UnsupportedCompressionMethodError):
        return ArchiveUnreadable(
            f"the 7-zip archive is packed by a method that cannot be read here ({_method(error)}): "
            "pack it again with LZMA2"
        )
    return ArchiveUnreadable(f"the 7-zip archive is damaged: {error!r}")


def _method(error: UnsupportedCompressionMethodError) -> str:
    """Name the method by py7zr's sentence, and by its number where there is one."""
    coder = error.data
    number = coder.get("method") if isinstance(coder, dict) else coder
    named = f", method {number.hex()}" if isinstance(number, bytes) and number else ""
    return f"{str(error.message).split('. ')[0].rstrip('.')}{named}"


_ROOT = Path("/")


class _StoppedError(Exception):
    """The archive was closed while it was being unpacked."""


class _Sips(io.RawIOBase):
    """A file that can be made to give out little at a time.

    For every member, however small, py7zr feeds the decompressor as much as one read gives; of thousands of
    json files most of the archive would pile up in there.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self.most: int | None = None
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size if self.most is None else min(size, self.most))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _check_whole(file: io.BufferedReader) -> bool:
    """See whether the file is as long as its first bytes say: its table of contents is at the end.

    Returns
    -------
    bool
        Whether something stands behind that end.
    """
    start = file.read(_SIGNATURE.size)
    size = file.seek(0, 2)
    file.seek(0)
    offset, length = _SIGNATURE.unpack(start) if len(start) == _SIGNATURE.size else (0, 1)
    expected = _SIGNATURE.size + offset + length
    if size < expected or (length == 0 and size > _SIGNATURE.size):
        raise ArchiveTruncated(
            f"the 7-zip archive has {size} bytes, and lacks its table of contents: download it again"
        )
    file.seek(expected)
    behind = file.read(_SIP).strip(b"\0")
    file.seek(0)
    return bool(behind)


@dataclass(frozen=True, slots=True)
class _Whole:
    name: str
    _data: bytearray

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, limit: int | None = None) -> bytes:
        return bytes(self._data if limit is None else self._data[:limit])


class _Factory(WriterFactory):
    def __init__(self, archive: SevenZipArchive, names: dict[str, str]) -> None:
        self._archive = archive
        self._names = names

    def create(self, filename: str) -> "_Writer":
        return _Writer(self._archive, self._names[Path(filename).relative_to(_ROOT).as_posix()])


class _Writer(Py7zIO):
    """Gathers one member, and hands it over when py7zr has checked it."""

    def __init__(self, archive: SevenZipArchive, name: str) -> None:
        self._archive = archive
        self._name = name
        self._data = bytearray()

    def write(self, s: bytes | bytearray) -> int:
        self._archive.go_on()
        self._data += s
        return len(s)

    def close(self) -> None:
        data, self._data = self._data, bytearray()  # py7zr keeps its writers to the end
        self._archive.hand_over(_Whole(self._name, data))

    def size(self) -> int:
        return len(self._data)

    def read(self, size: int | None = None) -> bytes:  # noqa: ARG002 (asked of every writer; never called)
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002
        return offset

    def flush(self) -> None:
        return None
