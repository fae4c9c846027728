"""Why a header was not used is part of the reason; what can be read beyond doubt is read."""

import json
from collections.abc import Callable

import pytest

from covis_dask.errors import InputError, NoValidPings, SweepIncomplete
from covis_dask.modes import parameters_for
from covis_dask.raw.ping import PingHeader
from tests.field._runs import SOUND, process, read, report
from tests.unit._rawruns import header, pack, run_files, store
from tests.unit._small_runs import MODES, in_tar, reworded
from tests.unit._small_runs import process as process_small

FAULTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "missing": (lambda: header(max_ping_rate=None), "its max_ping_rate is missing"),
    "words": (lambda: header(gain_sel="loud"), "its gain_sel is no number"),
    "nothing": (lambda: b"", "Expecting value"),
    "zeros": (lambda: bytes(1447), "it is nothing but zero bytes"),
    "cut off": (lambda: header()[:40], "Expecting|Unterminated|delimiter"),
    "no hdr": (lambda: b"{}", "it has no object hdr"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "7z"])
def test_reason_and_log_say_why(fault: str, kind: str) -> None:
    """If no header can be used, the reason says what is wrong with them, and so does the log, in one line."""
    make, why = FAULTS[fault]
    files = [(name, make() if "7000" in name else data) for name, data in run_files()]
    log: list[str] = []
    with pytest.raises(SweepIncomplete, match=f"rec_7000_000001.json.* and 3 more: not used, .*({why})"):
        read(store(pack(kind, files), kind), log)
    assert sum("not used" in line for line in log) == 1


def test_another_rate_is_no_fault() -> None:
    """Sound headers of another sample rate are not called unusable."""
    files = [(name, header(sample_rate=9) if "7000" in name else data) for name, data in run_files()]
    with pytest.raises(SweepIncomplete, match=r"no rec_7000 header has a sample_rate within 1 of 34482$"):
        read(store(pack("tar", files), "tar"), [])


def test_run_of_old_says_why() -> None:
    """A 2010-15 run, each ping of which needs its own header, says it too."""
    mode = next(mode for mode in MODES if str(mode) == "Endeavour-diffuse")
    members = {
        name: reworded(data, max_ping_rate=...) if name.startswith("rec_7000") else data
        for name, data in mode.members.items()
    }
    with pytest.raises(NoValidPings, match=r"rec_7000_.* more: not used, its max_ping_rate is missing"):
        process_small(mode, in_tar(mode, members.items()), parameters_for("diffuse", "Endeavour"))


@pytest.mark.parametrize("behind", [b"\0", bytes(4000), b"\n\0\0", b"\r\n" + bytes(9)])
def test_zeros_behind_the_json(behind: bytes) -> None:
    """Zero bytes behind the JSON of a header or of sweep.json change nothing."""
    files = [(name, data + behind if name.endswith(".json") else data) for name, data in run_files()]
    log: list[str] = []
    assert read(store(pack("tar.gz", files), "tar.gz"), log) == SOUND
    assert log == []
    assert PingHeader.from_json(header() + behind) == PingHeader.from_json(header())


@pytest.mark.parametrize("text", ["34482.758", " 34482.758 ", "3.4482758e4", "+34482.758"])
def test_numbers_as_text(text: str) -> None:
    """A number in quotes is that number, also in what the product copies of the header."""
    found = PingHeader.from_json(header(sample_rate=text))
    assert found.sample_rate == found.fields["sample_rate"] == 34482.758
    assert json.loads(header())["hdr"] == PingHeader.from_json(header()).fields


@pytest.mark.parametrize("text", ["", "fast", "34482,758", "0x10", "1_000", "nan", "inf", "34 482"])
def test_other_texts_are_no_numbers(text: str) -> None:
    """Text that is not plainly a number is no number."""
    with pytest.raises(ValueError, match="its sample_rate is no"):
        PingHeader.from_json(header(sample_rate=text))


def test_reported_archive() -> None:
    """The archive of the report says what its headers lack."""
    (path,) = (report("05-header-reason-lost") / "no-max-ping-rate").iterdir()
    with pytest.raises(InputError, match="its max_ping_rate is missing"):
        process(path)


@pytest.mark.parametrize("kind", ["nul", "strings"])
def test_reported_headers(kind: str) -> None:
    """The two headers of the report are read."""
    (path,) = (report("05-header-reason-lost") / kind).iterdir()
    assert PingHeader.from_json(path.read_bytes()).sample_rate == 34482.758
