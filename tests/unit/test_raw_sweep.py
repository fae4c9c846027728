"""Runs as mode programs see them: the same pings from every archive in every order, and bad pings named."""

from collections.abc import Callable, Container
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covis_dask.errors import (
    ArchiveTruncated,
    SweepIncomplete,
)
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from tests.unit._rawruns import (
    CHANNELS,
    KINDS,
    NAME,
    NSAMPS,
    Files,
    header,
    pack,
    record,
    run_files,
    store,
    stored,
    table,
)
from tests.unit._sweeps import BIN, EXPECTED, JSON, NUMBERS, ordered, replaced, see


def _faults(files: Files, wanted: Container[int] | None = None) -> dict[int, str | None]:
    def consume(sweep: RawSweep) -> dict[int, str | None]:
        assert all(
            (ping.data is None)
            == (ping.fault is not None or (wanted is not None and ping.number not in wanted))
            for ping in sweep.pings(CHANNELS, wanted)
        )
        return {}

    def faults(sweep: RawSweep) -> dict[int, str | None]:
        return {ping.number: ping.fault for ping in sweep.pings(CHANNELS, wanted)}

    with_sweep(stored("tar", files), NAME, consume)
    return with_sweep(stored("tar", files), NAME, faults)


def test_what_a_run_shows() -> None:
    """Pings come in the order of the table with their data and headers, and json without bin is no ping."""
    assert [ping[0] for ping in EXPECTED["pings"]] == list(NUMBERS)
    number, fault, data, own, fixed = EXPECTED["pings"][3]
    assert (number, fault, fixed.number) == (5, None, 5)
    assert np.shape(data) == (NSAMPS, CHANNELS)
    assert data[0][0] == 500 + 501j
    assert own.fields["ping_num"] == 5
    assert EXPECTED["common"].fields["ping_num"] == 1
    assert EXPECTED["rows"] == list(NUMBERS)
    assert EXPECTED["sweep"] == {"mode": "imaging1"}
    assert EXPECTED["notes"] == ()


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_agree(kind: str) -> None:
    """Every kind of archive shows the same run, in one pass when it is in the usual order."""
    lines: list[str] = []
    assert see(stored(kind, run_files(NUMBERS)), log=lines.append) == EXPECTED
    assert lines == []


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.permutations(run_files(NUMBERS)))
def test_member_order_never_matters(kind: str, files: Files) -> None:
    """Any order of the members shows the same run, bit by bit."""
    assert see(stored(kind, files)) == EXPECTED


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (lambda base: base == "index.csv", "index.csv comes after"),
        (lambda base: base.startswith("rec_7000"), "no usable header comes before"),
        (lambda base: 100 - int(base[9:15]) if base.endswith(".bin") else 0, "ping 5 comes after"),
        (lambda base: base == JSON.format(1), "the common header"),
        (lambda base: base == JSON.format(5), "rec_7000_000005.json comes late"),
    ],
    ids=["table late", "headers late", "pings backwards", "first header late", "own header late"],
)
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "7z"])
def test_reads_again_when_it_bet_wrong(kind: str, order: Callable[[str], int], reason: str) -> None:
    """Each wrong bet is noticed, said in the log, and mended by reading again."""
    files = ordered(run_files(NUMBERS), order)
    lines: list[str] = []
    assert see(stored(kind, files), log=lines.append) == EXPECTED
    (line,) = lines
    assert reason in line


def test_one_pass_for_interleaved_files() -> None:
    """Header and data of each ping in turn, metadata first: one pass is enough."""
    files = ordered(
        run_files(NUMBERS), lambda base: 2 * int(base[9:15]) + base.endswith(".bin") if "rec" in base else 0
    )
    lines: list[str] = []
    assert see(stored("tar.gz", files), log=lines.append) == EXPECTED
    assert lines == []


def test_sweep_json_asked_for_early() -> None:
    """sweep.json asked for before the pings is found all the same, at the price of a second pass."""
    calls = []

    def consume(sweep: RawSweep) -> Any:
        calls.append(dict(sweep.sweep))
        return sweep.sweep["mode"] if sweep.sweep else None

    assert with_sweep(stored("tar.gz", run_files()), NAME, consume) == "imaging1"
    assert calls == [{}, {"mode": "imaging1"}]


def test_pings_asked_for_twice() -> None:
    """A program may go through the pings twice; a stream is then read again."""

    def consume(sweep: RawSweep) -> list[int]:
        return [ping.number for _ in range(2) for ping in sweep.pings(CHANNELS)]

    for kind in KINDS:
        assert with_sweep(stored(kind, run_files(NUMBERS)), NAME, consume) == [*NUMBERS, *NUMBERS]


def test_pings_left_early() -> None:
    """A program may stop before the last ping; the rest of the archive is still checked."""

    def consume(sweep: RawSweep) -> int:
        return next(iter(sweep.pings(CHANNELS))).number

    for kind in KINDS:
        assert with_sweep(stored(kind, run_files(NUMBERS)), NAME, consume) == 1
        assert with_sweep(stored(kind, run_files(NUMBERS)[::-1]), NAME, consume) == 1
    data = pack("tar.gz", run_files(NUMBERS))
    with pytest.raises(ArchiveTruncated):
        with_sweep(store(data[:-20], "tar.gz"), NAME, consume)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "7z"])
@pytest.mark.parametrize("name", ["index.csv", BIN.format(3), JSON.format(1), JSON.format(3)])
def test_last_of_equal_names_counts(kind: str, name: str) -> None:
    """Of two files with one name the last counts, as in unpacking."""
    stale = {"index.csv": table([9]), BIN.format(3): record(7)}.get(name, header(sample_rate=1))
    path, _ = next(item for item in run_files(NUMBERS) if item[0].endswith(name))
    files = run_files(NUMBERS)
    fresh = files.index((path, dict(files)[path]))
    assert see(stored(kind, [*files[:fresh], (path, stale), *files[fresh:]])) == EXPECTED
    assert see(stored(kind, [*replaced(name, stale), files[fresh]])) == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "folder",
    [
        "APLUWCOVISMBSONAR001_20111001T210757.973Z_20111001T212101.112Z-IMAGING",
        "deep/er/run",
        "",
    ],
)
def test_folder_of_any_name(kind: str, folder: str) -> None:
    """The run's folder may be called anything (docs/method.md#known-answers), or be missing."""
    assert see(stored(kind, run_files(NUMBERS, folder))) == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
def test_other_files_are_ignored(kind: str) -> None:
    """Files beside the run, and files of other names in it, do not count."""
    others = [
        ("README", b"x"),
        ("aaa/rec_7038_000001.bin", b"x"),
        ("aaa/index.csv", table([1, 2])),
        (f"{NAME}/._rec_7038_000001.bin", b"x"),
        (f"{NAME}/transducer.xml", b"<x/>"),
        (f"{NAME}/rotator.csv", b"1,2"),
        (f"{NAME}/old/index.csv", table([3])),
        ("zzz/index.csv", b""),
    ]
    source = stored(kind, others + run_files(NUMBERS))
    if kind == "folder":
        source = ArchiveSource(source.fs, str(Path(source.path).parent))
    note = f"left out, litter of a Mac or a storage box: {NAME}/._rec_7038_000001.bin"
    assert see(source) == EXPECTED | {"notes": (note,)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (replaced("index.csv", None), "index.csv is missing"),
        (replaced("index.csv", b"ping,seconds\n"), "lists no ping"),
        (replaced("index.csv", table([0])), "lists no ping"),
        (replaced("sweep.json", None), "sweep.json is missing"),
        ([("README", b"x")], "sweep.json is missing"),
        (run_files(NUMBERS) + run_files(NUMBERS, "again"), "2 folders"),
        ([(n, header(sample_rate=9) if "7000" in n else d) for n, d in run_files()], "no rec_7000 header"),
        ([(n, d) for n, d in run_files() if "7000" not in n], "no rec_7000 header"),
    ],
    ids=["no table", "no rows", "only ping 0", "no sweep", "no run", "two runs", "wrong rate", "no headers"],
)
def test_incomplete_runs(kind: str, files: Files, sentence: str) -> None:
    """What no run can do without is named when it is missing (Q37)."""
    source = stored(kind, files)
    if kind == "folder" and len(files) > 20:
        source = ArchiveSource(source.fs, str(Path(source.path).parent))
    with pytest.raises(SweepIncomplete, match=sentence):
        see(source)


def test_incomplete_runs_are_noticed_unasked() -> None:
    """A program that asks for nothing learns of a missing file too."""
    for name in ("index.csv", "sweep.json"):
        for kind in KINDS:
            with pytest.raises(SweepIncomplete, match=name):
                with_sweep(stored(kind, replaced(name, None)), NAME, lambda _: None)


def test_common_header_is_the_first_that_fits() -> None:
    """Headers that cannot be used, or have another rate, are passed over in the order of names (3.1)."""
    files = replaced(JSON.format(1), b"{")
    files = replaced(JSON.format(2), header(sample_rate=34485), files)
    files = replaced(JSON.format(3), header(sample_rate=34482, ping_num=33), files)
    for kind in KINDS:
        seen = see(stored(kind, files))
        assert seen["common"].fields["ping_num"] == 33
        assert [ping[3] is None for ping in seen["pings"]] == [True, False, False, False, False]
        (note,) = seen["notes"]
        assert note.startswith("rec_7000_000001.json: not used, ")


def test_missing_json_leaves_the_ping() -> None:
    """A ping without its json comes without a header: whether it is bad is up to the mode (Q22)."""
    for kind in KINDS:
        seen = see(stored(kind, replaced(JSON.format(3), None)))
        assert [ping[0] for ping in seen["pings"] if ping[3] is None] == [3]
        assert all(ping[1] is None for ping in seen["pings"])


def test_missing_bin_is_no_ping() -> None:
    """A row without a bin is passed over; the others keep their own rows (Q22, Q38)."""
    for kind in KINDS:
        seen = see(stored(kind, replaced(BIN.format(2), None)))
        assert seen["pings"] == [ping for ping in EXPECTED["pings"] if ping[0] != 2]
        assert seen["notes"] == ()


def test_bin_without_row_is_left_out() -> None:
    """A bin that the table does not list is left out, with a note in the log."""
    for kind in KINDS:
        lines: list[str] = []
        seen = see(stored(kind, replaced("index.csv", table([0, 1, 3, 6]))), log=lines.append)
        assert [ping[0] for ping in seen["pings"]] == [1, 3, 6]
        assert lines == ["left out, not in index.csv: pings 2, 5"]


def test_unlisted_pings() -> None:
    """A program can ask which pings have no row."""

    def consume(sweep: RawSweep) -> tuple[int, ...]:
        assert len(list(sweep.pings(CHANNELS))) == 3
        return sweep.unlisted

    files = replaced("index.csv", table([0, 1, 3, 6]))
    for kind in KINDS:
        assert with_sweep(stored(kind, files), NAME, consume) == (2, 5)


def test_table_out_of_order_rules() -> None:
    """Pings come in the order of the table, also where that is not the order of numbers."""
    files = replaced("index.csv", table([3, 1, 6, 5, 2]))
    for kind in KINDS:
        assert [ping[0] for ping in see(stored(kind, files))["pings"]] == [3, 1, 6, 5, 2]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "0 of 60 bytes"),
        (record(2, keep=31), "31 of 60 bytes"),
        (record(2, keep=62), "0 of 4 samples are complete"),
        (record(2, keep=-1), "3 of 4 samples are complete"),
        (record(2, nsamps=0), "no samples"),
        (record(2, nelems=3), "3 channels, not 2"),
        (record(2, nsamps=5), "5 samples, but the run's first good ping has 4"),
    ],
    ids=["empty", "header cut", "header only", "cut", "no samples", "channels", "length"],
)
def test_bad_pings(data: bytes, sentence: str) -> None:
    """A faulty ping says what is wrong, has no data, and does not touch the others (4.0.2, Q21)."""
    for wanted in (None, {1, 2}, ()):
        faults = _faults(replaced(BIN.format(2), data), wanted)
        assert sentence in str(faults.pop(2))
        assert faults == dict.fromkeys((1, 3, 5, 6))


def test_first_sound_ping_sets_the_length() -> None:
    """The run's length is that of its first sound ping, wanted or not, not that of a faulty one before it."""
    files = replaced(BIN.format(1), record(1, nsamps=9, keep=-1))
    files = replaced(BIN.format(2), record(2, nsamps=7), files)
    for wanted in (None, {5}):
        faults = _faults(files, wanted)
        assert "8 of 9" in str(faults[1])
        assert faults[2] is None
        assert all("4 samples, but" in str(faults[number]) for number in (3, 5, 6))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(NUMBERS),
        st.sampled_from(["missing", "empty", "cut", "channels", "length", "no json", "odd json"]),
    ),
    st.sampled_from(KINDS),
    st.randoms(use_true_random=False),
)
def test_faults_do_not_spread(faults: dict[int, str], kind: str, random: Any) -> None:
    """Whatever befalls some pings, in whatever order they lie, the others are as without them."""
    files = run_files(NUMBERS)
    for number, fault in faults.items():
        if fault.endswith("json"):
            files = replaced(JSON.format(number), None if fault == "no json" else b"[]", files)
        else:
            changed = {
                "missing": None,
                "empty": b"",
                "cut": record(number, keep=70),
                "channels": record(number, nelems=3),
                "length": record(number, nsamps=5),
            }[fault]
            files = replaced(BIN.format(number), changed, files)
    random.shuffle(files)
    good = [number for number in NUMBERS if faults.get(number, "json").endswith("json")]
    pings = {ping[0]: ping for ping in see(stored(kind, files))["pings"]}
    lengths = [number for number in NUMBERS if faults.get(number) == "length"]
    if lengths and lengths[0] < min(good, default=9):
        return  # then the odd one sets the length, which has its own test
    for number in good:
        expected = EXPECTED["pings"][NUMBERS.index(number)]
        assert pings[number][:3] == expected[:3]
        assert pings[number][3] == (expected[3] if number not in faults else None)


def _bad_pings(channels: int, sweep: RawSweep) -> tuple[list[int], int]:
    return [ping.number for ping in sweep.pings(channels) if ping.fault], len(sweep.table)


@pytest.mark.golden
def test_golden_runs_show_their_pings(shared: Path) -> None:
    """Every golden run shows its pings in one pass, bad ones only where its case says so."""
    for path in sorted((shared / "golden").glob("*/*.tar.gz")):
        channels = 128 if "diffuse" in path.parent.name else 256
        lines: list[str] = []
        source = ArchiveSource(fsspec.filesystem("file"), str(path))
        bad, count = with_sweep(source, path.name, partial(_bad_pings, channels), log=lines.append)
        with np.load(path.parent / "expected.npz") as expected:
            known = expected["bad_ping"].tolist() if "bad_ping" in expected else []
        assert bad == known, path.name
        assert count >= 8
        assert lines == []
