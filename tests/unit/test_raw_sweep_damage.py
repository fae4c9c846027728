"""Runs out of archives that are cut off, damaged or hostile: nothing is hidden, kept or left behind."""

import io
import tarfile
import threading
import tracemalloc
import weakref
from pathlib import Path

import fsspec
import numpy as np
import pytest

from covis_dask.errors import (
    ArchiveTruncated,
    ArchiveUnreadable,
    ArchiveUnsafe,
    NoValidPings,
    RunTimeout,
    StorageUnavailable,
)
from covis_dask.raw.archive import Limits
from covis_dask.raw.record import RecordHeader, pack_record
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from tests.unit._rawruns import (
    CHANNELS,
    KINDS,
    LASTING,
    NAME,
    Files,
    header,
    pack,
    run_files,
    store,
    stored,
    table,
    tar_bytes,
)
from tests.unit._sweeps import BIN, EXPECTED, JSON, NUMBERS, ordered, replaced, see


def test_truncated_tar_is_noticed_anywhere() -> None:
    """A plain tar cut off anywhere is truncated, also between members, where the missing files tell."""
    data = tar_bytes(run_files(NUMBERS))
    content_end = len(data.rstrip(b"\0"))
    for cut in range(0, len(data), 64):
        if cut < content_end:
            with pytest.raises(ArchiveTruncated):
                see(store(data[:cut], "tar"))
        else:
            assert see(store(data[:cut], "tar")) == EXPECTED
    early = ordered(run_files(NUMBERS), lambda base: base.endswith(".bin"))
    cut = len(tar_bytes(early[:-1]).rstrip(b"\0"))
    with pytest.raises(ArchiveTruncated, match="1 of 5 pings"):
        see(store(tar_bytes(early)[: cut + -cut % 512], "tar"))


def test_result_of_a_damaged_archive_is_thrown_away() -> None:
    """A checksum that fails at the very end counts, though all pings have been seen."""
    data = pack("tar.gz", run_files(NUMBERS))
    with pytest.raises(ArchiveUnreadable):
        see(store(data[:-7] + bytes([data[-7] ^ 1]) + data[-6:], "tar.gz"))


def _fail_without_header(sweep: RawSweep) -> int:
    if any(ping.header is None for ping in sweep.pings(CHANNELS)):
        raise NoValidPings("no ping has a header")
    return 1


def test_failures_are_verified() -> None:
    """A failure that a wrong bet led to is not the run's: the archive is read again."""
    files = ordered(run_files(NUMBERS), lambda base: base.startswith("rec_7000"))
    assert with_sweep(stored("tar.gz", files), NAME, _fail_without_header) == 1
    with pytest.raises(NoValidPings):
        with_sweep(stored("tar.gz", replaced(JSON.format(6), None)), NAME, _fail_without_header)


def test_empty_table_may_be_followed_by_the_real_one() -> None:
    """A first index.csv without rows is no verdict when a second one follows."""
    files = run_files(NUMBERS)
    for kind in ("tar", "tar.gz", "7z"):
        assert see(stored(kind, [(f"{NAME}/index.csv", b"ping\n"), *files[1:], files[0]])) == EXPECTED


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst", "7z"])
def test_a_broken_archive_stays_broken(kind: str) -> None:
    """A program that reads on after a failure, or makes another error of it, does not hide it."""

    def read_on(sweep: RawSweep) -> None:
        try:
            for _ in sweep.pings(CHANNELS):
                pass
        except ArchiveTruncated:
            sweep.finish()

    def disguise(sweep: RawSweep) -> None:
        try:
            for _ in sweep.pings(CHANNELS):
                pass
        except ArchiveTruncated:
            raise NoValidPings("nothing came") from None

    data = pack(kind, run_files(NUMBERS))
    for consume in (read_on, disguise):
        with pytest.raises(ArchiveTruncated):
            with_sweep(store(data[:-20], kind), NAME, consume)


def test_stopping_is_not_delayed() -> None:
    """A time limit stops at once: the rest of the archive is not read for its sake."""
    calls = []

    def consume(sweep: RawSweep) -> None:
        calls.append(next(iter(sweep.pings(CHANNELS))).number)
        raise RunTimeout("too long")

    data = pack("tar.gz", run_files(NUMBERS))
    with pytest.raises(RunTimeout):
        with_sweep(store(data[:-7] + b"\xff" + data[-6:], "tar.gz"), NAME, consume)
    assert calls == [1]


def test_input_folder_is_left_alone(tmp_path: Path) -> None:
    """A user's folder is never changed or deleted (Q47)."""
    root = tmp_path / NAME
    root.mkdir()
    for name, data in run_files(NUMBERS):
        (tmp_path / name).write_bytes(data)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert see(ArchiveSource(fsspec.filesystem("file"), str(root))) == EXPECTED
    assert see(ArchiveSource(fsspec.filesystem("file"), str(tmp_path))) == EXPECTED
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "7z"])
def test_spool_is_anonymous_and_limited(kind: str, tmp_path: Path) -> None:
    """Sorting uses the scratch folder, leaves nothing in it, and stays below its limit."""
    source = stored(kind, run_files(NUMBERS)[::-1])
    assert see(source, scratch=tmp_path) == EXPECTED
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ArchiveUnsafe, match="max_spool_bytes"):
        see(source, scratch=tmp_path, limits=Limits(max_spool_bytes=200))
    with pytest.raises(StorageUnavailable, match="scratch"):
        see(source, scratch=tmp_path / "gone")


def test_tar_and_folder_need_no_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files can be read in place, nothing is copied."""
    monkeypatch.setattr("covis_dask.raw._indexed.tempfile.TemporaryFile", None)
    for kind in LASTING:
        assert see(stored(kind, run_files(NUMBERS)[::-1])) == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_limited(kind: str) -> None:
    """What is kept in memory has limits of its own: one file, and all of them."""
    for limits in (Limits(max_text_bytes=100), Limits(max_texts_bytes=600)):
        with pytest.raises(ArchiveUnsafe, match="max_text"):
            see(stored(kind, run_files(NUMBERS)), limits=limits)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "7z"])
def test_hostile_member_anywhere_refuses_the_run(kind: str) -> None:
    """One evil member at the very end, and the whole run is refused."""
    files = run_files(NUMBERS)
    with pytest.raises(ArchiveUnsafe):
        see(stored(kind, files), limits=Limits(max_members=len(files) - 1))
    if kind != "7z":
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/"
        with pytest.raises(ArchiveUnsafe):
            see(store(tar_bytes([*files, (link, b"")]), kind))


def _big_run(pings: int, nsamps: int, nelems: int) -> Files:
    data = np.zeros((nsamps, nelems, 2), np.int16)
    numbers = range(1, pings + 1)
    files = [(f"{NAME}/index.csv", table(numbers))]
    files += [(f"{NAME}/{JSON.format(n)}", header()) for n in numbers]
    for n in numbers:
        fixed = RecordHeader(n, n, nelems, nsamps, nelems, 0, nsamps - 1, 16)
        files.append((f"{NAME}/{BIN.format(n)}", pack_record(fixed, data)))
    return [*files, (f"{NAME}/sweep.json", b"{}")]


def _peak(source: ArchiveSource, scratch: Path) -> int:
    """Return the most memory that a look at all pings has taken, bytes."""
    tracemalloc.start()
    try:
        with_sweep(source, NAME, lambda sweep: sum(1 for _ in sweep.pings(128)), scratch=scratch)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "7z"])
@pytest.mark.parametrize("backwards", [False, True])
def test_memory_is_bounded(kind: str, backwards: bool, tmp_path: Path) -> None:
    """Memory does not grow with the number of pings, in one pass or two."""
    nsamps, nelems = 250, 128  # 128 kB in the file, 512 kB decoded
    peaks = []
    for pings in (12, 48):
        files = _big_run(pings, nsamps, nelems)
        path = tmp_path / f"run{pings}.{kind}"
        path.write_bytes(pack(kind, files[::-1] if backwards else files))
        source = ArchiveSource(fsspec.filesystem("file"), str(path))
        # Threads that earlier tests have left, and first imports, count as well; not three times.
        peaks.append(min(_peak(source, tmp_path) for _ in range(3)))
    ping = 16 * nsamps * nelems
    # 36 pings more; a few of their buffers may differ, but not all of them stay.
    assert peaks[1] < peaks[0] + 4 * ping


def test_no_decoded_ping_is_kept() -> None:
    """Nothing here holds on to a ping that has been given out."""

    def consume(sweep: RawSweep) -> int:
        pings = iter(sweep.pings(CHANNELS))
        ping = next(pings)
        assert ping.samples is not None
        alive = [weakref.ref(ping.samples.values)]
        for number in NUMBERS[1:]:
            del ping
            assert alive[-1]() is None
            ping = next(pings)
            assert ping.samples is not None
            alive.append(weakref.ref(ping.samples.values))
            assert ping.number == number
        return len(alive)

    for kind in KINDS:
        assert with_sweep(stored(kind, run_files(NUMBERS)), NAME, consume) == len(NUMBERS)


def test_no_thread_stays() -> None:
    """Neither a failing program nor a second pass leaves a thread of a 7z behind."""

    def fail(sweep: RawSweep) -> None:
        next(iter(sweep.pings(CHANNELS)))
        raise KeyError

    for files in (run_files(NUMBERS), run_files(NUMBERS)[::-1]):
        with pytest.raises(KeyError):
            with_sweep(stored("7z", files), NAME, fail)
        assert see(stored("7z", files)) == EXPECTED
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("covis")]


def test_store_that_breaks_off_is_not_read_again() -> None:
    """A store that breaks off in the middle ends the run as unavailable; nothing is computed twice."""
    calls = []

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 4000:
                raise OSError("reset")
            return super().read(min(size or 0, 2000))

    class Store:
        def isdir(self, _: str) -> bool:
            return False

        def open(self, _: str, __: str) -> io.BytesIO:
            calls.append(1)
            return Breaking(tar_bytes(run_files(NUMBERS)))

    with pytest.raises(StorageUnavailable):
        see(ArchiveSource(Store(), "run.tar"))
    assert calls == [1]
