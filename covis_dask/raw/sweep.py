"""A run as a mode program sees it, and how to show one from an archive that only reads from front to back.

A mode program wants the ping table and a header before the first ping, and the pings in the order of the
table. Archives as the instrument wrote them are in that order, so one pass over them will do, with one
ping in memory: `with_sweep` reads on only as far as needed and answers every question from what has come
so far. That is a bet. Every answer is therefore kept, and when the archive has been read to its end each
question is asked again: if an answer has changed (a header that came late, a file that came twice), if a
ping came out of turn, or if the run turns out to lie in another folder, the result is thrown away and
computed once more, this time from an index of the whole archive: where the files lie in a folder or a
plain tar, a spool in scratch for the rest. So the order of an archive decides how long a run takes, never
what comes out.
"""

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from covis_dask.errors import ArchiveTruncated, CovisError, InputError, NoValidPings, SweepIncomplete
from covis_dask.raw._files import INDEX, SWEEP, Blob, Disorder, RunFiles
from covis_dask.raw._indexed import indexed_files
from covis_dask.raw._stream import StreamedFiles
from covis_dask.raw.archive import Archive, Limits, open_archive
from covis_dask.raw.ping import Ping, PingHeader, PingTable, name_some, parse_object
from covis_dask.raw.record import (
    HEADER_BYTES,
    BadRecord,
    RecordHeader,
    check_record,
    parse_record_header,
    read_samples,
)
from covis_dask.raw.source import ArchiveSource

__all__ = ["Ping", "PingHeader", "PingTable", "RawSweep", "with_sweep"]

A = TypeVar("A")
T = TypeVar("T")


def with_sweep(
    source: ArchiveSource,
    basename: str,
    consume: Callable[["RawSweep"], T],
    *,
    limits: Limits = Limits(),  # noqa: B008 (a frozen value)
    scratch: Path | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> T:
    """Let `consume` work on the run in an archive, in one pass if the archive's order allows.

    Parameters
    ----------
    source : ArchiveSource
        The archive, or a folder, which is never changed (Q47).
    basename : str
        Name of the run; the folder in the archive may be called otherwise (docs/method.md#archives).
    consume : callable
        Takes a `RawSweep`, which is of no use after it has returned. It may be called twice, and the
        first result thrown away, so it must have no effect but its result.
    limits : Limits
        What the archive may hold, and how much of it may be kept.
    scratch : Path, optional
        Folder for the spool; the system's own when not given.
    log : callable
        Takes a line when the archive is read again, and in the end, also when it fails, one for every
        oddity of the run's files.

    Returns
    -------
    object
        What `consume` returned.

    Raises
    ------
    SweepIncomplete
        When index.csv, its rows, sweep.json or a usable header are missing.
    ArchiveTruncated, ArchiveUnreadable, ArchiveUnsafe
        When the archive is at fault, also when this shows only after `consume` had all it wanted.
    RawMissing, StorageUnavailable
        When the store is.
    Exception
        Whatever `consume` raises, after making sure that the archive's order is not to blame.
    """
    with open_archive(source, limits) as archive:
        if archive.lasting:
            return _consume_indexed(archive, basename, consume, limits, scratch, log)
        try:
            return _attempt(RawSweep(basename, StreamedFiles(archive, limits)), consume, log)
        except Disorder as reason:
            log(f"the archive is not in ping order ({reason}): reading it again")
    with open_archive(source, limits, lasting=True) as archive:
        return _consume_indexed(archive, basename, consume, limits, scratch, log)


def _consume_indexed(
    archive: Archive,
    basename: str,
    consume: Callable[["RawSweep"], T],
    limits: Limits,
    scratch: Path | None,
    log: Callable[[str], None],
) -> T:
    with indexed_files(archive, limits, scratch) as files:
        return _attempt(RawSweep(basename, files), consume, log)


def _attempt(sweep: "RawSweep", consume: Callable[["RawSweep"], T], log: Callable[[str], None]) -> T:
    try:
        result = consume(sweep)
    except Exception as error:
        # A time limit, a lost store or a full memory are nobody's wrong answer. All else may be owed to one.
        if isinstance(error, InputError) or not isinstance(error, CovisError | MemoryError):
            _finish(sweep, log)
        _tell(sweep, log)
        if isinstance(error, NoValidPings) and (reasons := sweep.oddities):
            raise NoValidPings(f"{str(error).rstrip('.')}; {'; '.join(reasons)}") from error
        raise
    _finish(sweep, log)
    _tell(sweep, log)
    return result


def _finish(sweep: "RawSweep", log: Callable[[str], None]) -> None:
    try:
        sweep.finish()
    except CovisError:
        _tell(sweep, log)
        raise


def _tell(sweep: "RawSweep", log: Callable[[str], None]) -> None:
    for note in sweep.notes:
        log(note)


class RawSweep:
    """One run: its metadata, and its pings one at a time.

    Parameters
    ----------
    basename : str
        Name of the run.
    files : RunFiles
        Where they come from.
    """

    def __init__(self, basename: str, files: RunFiles) -> None:
        self.basename = basename
        self._files = files
        self._notes: dict[str, None] = {}
        self._unused: dict[str, dict[str, None]] = {}
        self._table: PingTable | None = None
        self._answers: dict[str, tuple[Callable[[], object], object]] = {}
        self._failure: BaseException | None = None
        self.attitude: Collection[str] = ()
        """Columns of the ping table by which a ping is placed: with one of these beyond the instrument it is
        a bad ping. To be set before the table is asked for."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the files, each thing once, for the log."""
        return tuple(dict.fromkeys((*self._files.notes, *self.oddities)))

    @property
    def oddities(self) -> tuple[str, ...]:
        """What was odd about the data themselves, however they were packed."""
        return (*self._notes, *self.unused_headers)

    @property
    def unused_headers(self) -> list[str]:
        """Why headers cannot be used, those with one fault together."""
        return [f"{_name_first(list(names))}: not used, {fault}" for fault, names in self._unused.items()]

    @property
    def unlisted(self) -> tuple[int, ...]:
        """Numbers of the pings that have a .bin, but no row in the table; known after the pings."""
        return tuple(sorted(set(self._files.numbers) - set(self.table.rows) - set(self.table.strange)))

    @property
    def sweep(self) -> Mapping[str, Any]:
        """sweep.json, empty when it cannot be read.

        It is the last file of most archives, so ask for it after the pings: asked before, it is found
        empty, and the archive is read again.
        """
        text = self._answer(SWEEP, lambda: self._files.text(SWEEP))
        try:
            return {} if text is None else parse_object(text)
        except ValueError as error:
            self._note(f"{SWEEP}: not used, {error}")
            return {}

    @property
    def table(self) -> PingTable:
        """The ping table.

        Raises
        ------
        SweepIncomplete
            When there is no index.csv, or no ping in it.
        """
        if self._table is None:
            text = self._answer(INDEX, lambda: self._files.text(INDEX))
            if text is None:
                raise self._missing("index.csv is missing", "index.csv comes after the first ping")
            table = PingTable.from_csv(text).judged(self.attitude)
            for note in table.notes:
                self._note(note)
            if len(table) == 0:
                strange = (f"ping {number}: {fault}" for number, fault in islice(table.strange.items(), 1))
                what = (
                    "index.csv lists no ping that can be used" if table.strange else "index.csv lists no ping"
                )
                raise SweepIncomplete("; ".join((*table.notes, what, *strange)))
            self._table = table
        return self._table

    def header(self, number: int) -> PingHeader | None:
        """Return a ping's own rec_7000 header (2010-15), None when it is missing or cannot be used."""
        name = f"rec_7000_{number:06d}.json"
        return self._parse_header(name, self._answer(name, lambda: self._files.text(name)))

    def common_header(self, target_rate: float) -> PingHeader:
        """Return the header that serves all pings of a 2018+ run (docs/method.md#ping-headers, Q37).

        Parameters
        ----------
        target_rate : float
            34483 or 34482; the first header in the order of names that is within 1 of it is chosen.

        Raises
        ------
        SweepIncomplete
            When there is none.
        """
        located = self._answer(f"the common header ({target_rate:g})", lambda: self._find_header(target_rate))
        header = None if located is None else self._parse_header(*located)
        if header is None:
            sentence = f"no rec_7000 header has a sample_rate within 1 of {target_rate:g}"
            if reasons := self.unused_headers:
                sentence = f"no rec_7000 header of {target_rate:g} Hz can be used: {'; '.join(reasons)}"
            raise self._missing(sentence, "no usable header comes before the first ping")
        return header

    def pings(self, channels: int, wanted: Container[int] | None = None) -> Iterator[Ping]:
        """Yield the pings that have a .bin and a row in the table, in the order of the table (Q22, Q38).

        Each is checked (docs/method.md#element-data-record, #bad-and-missing-pings): one whose file is empty,
        cut off or of the wrong number of channels, or whose number or type of samples differs from that of
        the run's first sound ping (Q21), has a `fault` and no data. One ping is read at a time, and forgotten
        here before the next.

        Parameters
        ----------
        channels : int
            E of the mode.
        wanted : container of int, optional
            Decode only these; all when not given.
        """
        reader, rows = _PingReader(channels, wanted), self.table.rows
        with self._remembered():
            for number, blob in self._files.bins(rows):
                # Given out without a name, so that it lives no longer than the caller wants.
                yield reader.read(number, blob, self.header(number))
        self.finish()

    def finish(self) -> None:
        """Read to the end of the archive, and ask every question again.

        Called when the pings are exhausted, and by `with_sweep` in any case; calling it again does no harm.

        Raises
        ------
        Disorder
            When an answer has changed.
        SweepIncomplete
            When sweep.json or index.csv is missing.
        ArchiveTruncated
            When the archive has no end mark, and lacks a ping that the table lists.
        CovisError
            What ended the reading before, if anything did.
        """
        if self._failure is not None:
            raise self._failure
        with self._remembered():
            self._finish()

    def _finish(self) -> None:
        self._files.finish()
        for question, (find, answer) in self._answers.items():
            if find() != answer:
                raise Disorder(f"{question} comes late, or twice")
        self._answers.clear()
        listed, present = set(self.table.rows), set(self._files.numbers)
        if listed - present and not self._files.marked:
            raise ArchiveTruncated(
                f"the archive has no end mark, and {len(listed - present)} of {len(listed)} pings "
                "are not in it: download it again"
            )
        if self.unlisted:
            self._note(f"left out, not in index.csv: {name_some('ping', self.unlisted)}")

    def _answer(self, question: str, find: Callable[[], A]) -> A:
        """Find out from what has come so far; as long as more may come, keep the answer for `finish`."""
        with self._remembered():
            answer = find()
        if not self._files.complete:
            self._answers.setdefault(question, (find, answer))
        return answer

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        """Keep what ends the reading: an archive that broke off must not look complete afterwards."""
        try:
            yield
        except (CovisError, Disorder) as error:
            self._failure = error
            raise

    def _missing(self, sentence: str, reason: str) -> SweepIncomplete | Disorder:
        """Make the error for what is not there, which only a complete archive can tell."""
        return SweepIncomplete(sentence) if self._files.complete else Disorder(reason)

    def _find_header(self, target_rate: float) -> tuple[str, bytes] | None:
        for name in self._files.names():
            if name in (INDEX, SWEEP) or (text := self._files.text(name)) is None:
                continue
            header = self._parse_header(name, text)
            if header is None or abs(header.sample_rate - target_rate) > 1:
                continue
            if header.fault is None:
                return name, text
            self._unused.setdefault(header.fault, {})[name] = None
        return None

    def _parse_header(self, name: str, text: bytes | None) -> PingHeader | None:
        try:
            return None if text is None else PingHeader.from_json(text)
        except ValueError as error:
            self._unused.setdefault(str(error), {})[name] = None
            return None

    def _note(self, note: str) -> None:
        self._notes[note] = None


def _name_first(names: Sequence[str], most: int = 3) -> str:
    """Name the first of some files."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class _PingReader:
    """Checks pings, and decodes those that are sound and wanted."""

    def __init__(self, channels: int, wanted: Container[int] | None) -> None:
        self._channels = channels
        self._wanted = wanted
        self._first: RecordHeader | None = None

    def read(self, number: int, blob: Blob, header: PingHeader | None) -> Ping:
        decode = self._wanted is None or number in self._wanted
        buf = blob.read(None if decode else HEADER_BYTES)
        record = None
        try:
            record = parse_record_header(buf)
            check_record(record, blob.size)
            self._compare(record)
            samples = read_samples(buf)[1] if decode else None
        except BadRecord as error:
            return Ping(number, None, str(error), header, record)
        return Ping(number, samples, None, header, record)

    def _compare(self, record: RecordHeader) -> None:
        """See whether the ping is like the others; the first sound one sets their length (Q21)."""
        if record.nelems != self._channels:
            raise BadRecord(f"{record.nelems} channels, not {self._channels}")
        first = self._first = self._first or record
        if record.nsamps != first.nsamps:
            raise BadRecord(f"{record.nsamps} samples, but the run's first good ping has {first.nsamps}")
        if record.samp_type != first.samp_type:
            raise BadRecord(
                f"samples of type {record.samp_type}; those of the run's first good ping are of type "
                f"{first.samp_type}"
            )
