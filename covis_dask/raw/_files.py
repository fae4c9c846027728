"""The seam between a run and the archive it comes from: small files by name, pings in table order."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from covis_dask.errors import ArchiveTruncated, ArchiveUnsafe, SweepIncomplete
from covis_dask.raw._member import Limits, Member

__all__ = [
    "BIN",
    "INDEX",
    "SWEEP",
    "Blob",
    "Disorder",
    "Litter",
    "Placed",
    "RunFiles",
    "TextKeeper",
    "is_text",
    "run_folder",
    "split",
]

INDEX = "index.csv"
SWEEP = "sweep.json"
_LITTER = re.compile(
    r"(?:^|/)(?:\._[^/]*|__MACOSX|\.AppleDouble|\.DS_Store|@eaDir|\.@__thumb|#recycle|Thumbs\.db|desktop\.ini)(?:/|$)",
    re.IGNORECASE,
)
BIN = re.compile(r"rec_7038_([0-9]{6,10})\.bin")
"""Name of a ping's data; the number joins to index.csv."""


class Disorder(BaseException):
    """The archive's order contradicts an answer that was given before all of it had been read.

    It passes through mode programs on its way to `with_sweep`, so ``except Exception`` must not stop it.
    """


class Blob(Protocol):
    """The data of a ping, not yet read. A `Member` is one."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, limit: int | None = None) -> bytes:
        """Return them, or the first of them; once."""


@runtime_checkable
class Placed(Protocol):
    """A `Blob` that lies in a file of its own or at a place in one."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def place(self) -> tuple[str | None, int]:
        """Path, None for the archive's own file, and first byte."""


class RunFiles(Protocol):
    """The files of one run.

    Attributes
    ----------
    complete : bool
        All of the archive has been read, so what is not there will not come. Until then every answer is about
        what has come so far.
    marked : bool
        Once complete: nothing can be missing from the archive's end.
    """

    @property
    def complete(self) -> bool:
        """See above."""

    @property
    def marked(self) -> bool:
        """See above."""

    @property
    def notes(self) -> Sequence[str]:
        """What was odd about the archive so far, for the log."""

    def text(self, name: str) -> bytes | None:
        """Return index.csv or a json file."""

    def names(self) -> Sequence[str]:
        """Return the names of these files, sorted."""

    def bins(self, rows: Mapping[int, int]) -> Iterator[tuple[int, Blob]]:
        """Yield number and data of each ping that has a row, ascending by row.

        Raises
        ------
        Disorder
            When the archive has them otherwise.
        """

    @property
    def numbers(self) -> Collection[int]:
        """Numbers of the pings that have come so far, with a row or without."""

    def finish(self) -> None:
        """Read what is left.

        Raises
        ------
        Disorder
            When it contradicts what `bins` yielded, or the run turns out to lie in another folder.
        SweepIncomplete
            When there is no run.
        """


class TextKeeper:
    """Keeps the small files in memory, up to a limit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0

    def read(self, member: Member) -> bytes:
        """Read one, if there is room."""
        self._bytes += member.size
        if member.size > self._limits.max_text_bytes:
            raise ArchiveUnsafe(
                f"{member.name} has {member.size} bytes; {self._limits.max_text_bytes} are allowed "
                "(max_text_bytes)"
            )
        if self._bytes > self._limits.max_texts_bytes:
            raise ArchiveUnsafe(
                f"index.csv and the json files have more than {self._limits.max_texts_bytes} bytes "
                "(max_texts_bytes)"
            )
        return member.read()


def split(name: str) -> tuple[str, str]:
    """Return a member's folder and its name within, in lower case (some file systems know no other)."""
    folder, _, base = name.rpartition("/")
    return folder, base.lower()


class Litter:
    """Counts what Macs and storage boxes leave beside the files of a run."""

    def __init__(self) -> None:
        self._first = ""
        self._count = 0

    def takes(self, name: str) -> bool:
        """Say whether a member is such a thing, and count it."""
        if not _LITTER.search(name):
            return False
        self._first = self._first or name
        self._count += 1
        return True

    @property
    def notes(self) -> list[str]:
        """One line about all of it, or none."""
        if self._count == 0:
            return []
        more = f" and {self._count - 1} more" if self._count > 1 else ""
        return [f"left out, litter of a Mac or a storage box: {self._first}{more}"]


def is_text(base: str) -> bool:
    """Say whether it is one of the small files that are kept."""
    return base == INDEX or base.endswith(".json")


def run_folder(folders: set[str], *, marked: bool) -> str:
    """Return the only folder with a sweep.json, whatever its name (docs/method.md#archives).

    Raises
    ------
    ArchiveTruncated
        When there is none in an archive that has no end mark: it was the last file.
    SweepIncomplete
        When there is none, or more than one.
    """
    if len(folders) == 1:
        return next(iter(folders))
    if folders:
        raise SweepIncomplete(f"the archive holds {len(folders)} folders with a sweep.json; a run has one")
    if not marked:
        raise ArchiveTruncated("the archive ends before sweep.json, without an end mark: download it again")
    raise SweepIncomplete("sweep.json is missing")
