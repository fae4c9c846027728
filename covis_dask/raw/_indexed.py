"""The files of a run in any order: read where they lie, or from a spool (see `sweep`)."""

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from covis_dask.errors import ArchiveUnsafe
from covis_dask.raw._files import BIN, SWEEP, Blob, Litter, Placed, TextKeeper, is_text, run_folder, split
from covis_dask.raw._member import Archive, Limits, Member
from covis_dask.raw.scratch import scratch_errors

__all__ = ["IndexedFiles", "NoPlace", "indexed_files"]


class NoPlace(Exception):
    """A ping cannot be read where it lies."""


class IndexedFiles:
    """All files of a run, at hand (a `RunFiles`); of files with one name the last counts, as in unpacking.

    Parameters
    ----------
    texts : mapping of str to Member or bytes
        The small files: where they lie, or what is in them.
    bins : mapping of int to Blob
        Pings by number.
    keeper : TextKeeper
        Reads the small files.
    marked : bool
        The archive has its end mark.
    notes : sequence of str
        What was odd about the archive.
    """

    complete = True

    def __init__(
        self,
        texts: Mapping[str, Member | bytes],
        bins: Mapping[int, Blob],
        keeper: TextKeeper,
        *,
        marked: bool,
        notes: Sequence[str],
    ) -> None:
        self.marked = marked
        self.notes = notes
        self._texts = dict(texts)
        self._bins = bins
        self._keeper = keeper

    def text(self, name: str) -> bytes | None:
        text = self._texts.get(name)
        if text is None or isinstance(text, bytes):
            return text
        self._texts[name] = read = self._keeper.read(text)
        return read

    def names(self) -> Sequence[str]:
        return sorted(self._texts)

    def bins(self, rows: Mapping[int, int]) -> Iterator[tuple[int, Blob]]:
        for number in sorted(self._bins.keys() & rows.keys(), key=rows.__getitem__):
            yield number, self._bins[number]

    def place(self, number: int) -> tuple[str | None, int, int]:
        """Return where a ping lies: path (None in the archive's own file), first byte, number of bytes.

        Raises
        ------
        NoPlace
            When it lies nowhere as it is: in a stream, or with holes.
        """
        blob = self._bins[number]
        if not isinstance(blob, Placed):
            raise NoPlace(number)
        return *blob.place, blob.size

    @property
    def numbers(self) -> Collection[int]:
        return self._bins.keys()

    def finish(self) -> None:
        return None


@contextmanager
def indexed_files(archive: Archive, limits: Limits, scratch: Path | None) -> Iterator[IndexedFiles]:
    """Go through an archive once and keep what a run needs of it: the places if they last, else the contents.

    Parameters
    ----------
    archive : Archive
        Open, not yet iterated over; must stay open meanwhile.
    limits : Limits
        For what is kept in memory and in scratch.
    scratch : Path, optional
        Folder of the spool, a file without a name that vanishes with this process; the system's own when not
        given.

    Raises
    ------
    SweepIncomplete
        When the archive holds no run, or more than one.
    """
    keeper, litter = TextKeeper(limits), Litter()
    texts: dict[str, dict[str, Member | bytes]] = defaultdict(dict)
    bins: dict[str, dict[int, Blob]] = defaultdict(dict)
    with _Spool(limits, scratch) as spool:
        for member in archive:
            if litter.takes(member.name):
                continue
            folder, base = split(member.name)
            if number := BIN.fullmatch(base):
                bins[folder][int(number[1])] = member if archive.lasting else spool.keep(member)
            elif is_text(base):
                texts[folder][base] = member if archive.lasting else keeper.read(member)
        run = run_folder({folder for folder in texts if SWEEP in texts[folder]}, marked=archive.marked)
        yield IndexedFiles(
            texts[run], bins[run], keeper, marked=archive.marked, notes=(*archive.notes, *litter.notes)
        )


class _Spool:
    """An anonymous file in scratch, made when first needed."""

    def __init__(self, limits: Limits, scratch: Path | None) -> None:
        self._limits = limits
        self._scratch = scratch
        self._file: IO[bytes] | None = None
        self._end = 0

    def __enter__(self) -> "_Spool":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def keep(self, member: Member) -> "_Spooled":
        begin, self._end = self._end, self._end + member.size
        if self._end > self._limits.max_spool_bytes:
            raise ArchiveUnsafe(
                f"sorting the archive takes more than {self._limits.max_spool_bytes} bytes of scratch "
                "(max_spool_bytes)"
            )
        with scratch_errors(self._scratch):
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 (closed by __exit__)
        data = member.read()
        with scratch_errors(self._scratch):
            self._file.seek(begin)
            self._file.write(data)
        return _Spooled(self, begin, member.size)

    def read(self, begin: int, size: int) -> bytes:
        if self._file is None:
            return b""
        with scratch_errors(self._scratch):
            self._file.seek(begin)
            return self._file.read(size)


@dataclass(frozen=True, slots=True)
class _Spooled:
    _spool: _Spool
    _begin: int
    size: int

    def read(self, limit: int | None = None) -> bytes:
        return self._spool.read(self._begin, self.size if limit is None else min(limit, self.size))
