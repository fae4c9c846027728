"""What every kind of archive yields, and the gate each member passes: how large, how many, called what."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Protocol

from covis_dask.errors import ArchiveUnsafe

__all__ = ["Archive", "Gate", "Limits", "Member"]

_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a raw archive may hold. The largest real run has 11 GB in some 4,200 members of 3.6 MB.

    Parameters
    ----------
    max_members : int
        Files and folders.
    max_member_bytes : int
        Unpacked size of one file.
    max_total_bytes : int
        Unpacked size of all files.
    max_spool_bytes : int
        Bytes kept in the scratch folder when an archive has to be sorted.
    max_text_bytes : int
        One of the small files that are kept in memory: index.csv and the json files.
    max_texts_bytes : int
        All of them.
    """

    max_members: int = 100_000
    max_member_bytes: int = 64 * _MIB
    max_total_bytes: int = 64 * _GIB
    max_spool_bytes: int = 16 * _GIB
    max_text_bytes: int = 2 * _MIB
    max_texts_bytes: int = 64 * _MIB


class Member(Protocol):
    """One regular file of an archive."""

    @property
    def name(self) -> str:
        """Path inside the archive: relative, POSIX style, without ``.`` and ``..``."""

    @property
    def size(self) -> int:
        """Bytes, unpacked."""

    def read(self, limit: int | None = None) -> bytes:
        """Return the contents, or at most the first `limit` bytes.

        Unless the archive is `lasting`, this works once, and only until the next member is asked for; a
        member that is not read is skipped.
        """


class Archive(AbstractContextManager["Archive"], Protocol):
    """An open archive, iterated over once.

    Attributes
    ----------
    lasting : bool
        Members may be read at any time and in any order, as long as the archive is open.
    marked : bool
        Once iterated over: the archive has an end mark (or is of a kind that needs none), so nothing can be
        missing from its end.
    """

    lasting: bool
    marked: bool

    @property
    def notes(self) -> Sequence[str]:
        """What was odd about the archive so far, for the log."""

    def __iter__(self) -> Iterator[Member]:
        """Yield the regular files, in the order of the archive."""


class Gate:
    """Lets through what a raw run needs; for everything else the whole archive is refused.

    Parameters
    ----------
    limits : Limits
        Counted over all calls.

    Attributes
    ----------
    notes : list of str
        What was odd about the archive, for the log.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.notes: list[str] = []
        self._members = 0
        self._bytes = 0

    def admit(self, name: str, size: int) -> str:
        """Check one file or folder, and return its name without ``./``.

        Raises
        ------
        ArchiveUnsafe
            For a path out of the archive, or too many or too large members.
        """
        limits = self.limits
        self._members += 1
        if self._members > limits.max_members:
            raise ArchiveUnsafe(f"the archive has more than {limits.max_members} members (max_members)")
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or "\0" in name:
            raise ArchiveUnsafe(f"the archive has a member that points out of it: {name!r}")
        if not 0 <= size <= limits.max_member_bytes:
            raise ArchiveUnsafe(
                f"the archive's member {name!r} says it has {size} bytes; "
                f"{limits.max_member_bytes} are allowed (max_member_bytes)"
            )
        self._bytes += size
        if self._bytes > limits.max_total_bytes:
            raise ArchiveUnsafe(
                f"the archive holds more than {limits.max_total_bytes} bytes (max_total_bytes)"
            )
        return path.as_posix()

    def note(self, note: str) -> None:
        """Keep what was odd."""
        self.notes.append(note)

    @property
    def room(self) -> int:
        """Bytes that may still come."""
        return self.limits.max_total_bytes - self._bytes

    def refuse(self, name: str, what: str) -> ArchiveUnsafe:
        """Make the error for something that is neither a file nor a folder."""
        return ArchiveUnsafe(f"the archive's member {name!r} is {what}; a raw run has only files and folders")
