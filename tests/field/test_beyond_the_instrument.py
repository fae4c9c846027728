"""Values that no instrument gave make a bad ping or a note, in log, reason, product, report and page."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pytest

from catalog.model import Batch
from covis_dask.batches.report import Report, final_table
from covis_dask.batches.status import BatchStatus
from covis_dask.errors import NoValidPings, SweepIncomplete
from covis_dask.monitor.page.sections import section
from covis_dask.raw.lazy import open_run
from covis_dask.raw.ping import PingHeader, PingTable
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.provenance import notes_of, oddities_of
from covis_dask.simulate.faults import break_run
from tests.field._runs import SOUND, read
from tests.unit._rawruns import header, pack, record, run_files, store, table
from tests.unit._small_runs import MODES, Mode, gridded, in_folder, process, reworded

ASHES = next(mode for mode in MODES if str(mode) == "Ashes-imaging")
_START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DIFFUSE = next(mode for mode in MODES if str(mode) == "Ashes-diffuse")
OLD = next(mode for mode in MODES if str(mode) == "Endeavour-imaging")


def _table(change: Callable[[list[list[str]]], None]) -> PingTable:
    rows = [line.split(",") for line in table([0, *SOUND]).decode().splitlines()]
    change(rows)
    return PingTable.from_csv("\n".join(map(",".join, rows)).encode())


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("fault", ["wild_row", "other_type"])
def test_bad_ping_with_a_reason(mode: Mode, fault: str) -> None:
    """A pitch of 1e308, or samples of another type in mid-run, cost that ping, which is listed with why."""
    members, number = mode.members, mode.numbers[1]
    break_run(members, [f"{fault}:{number}"])
    product = process(mode, in_folder(mode, members), mode.parameters("matlab"))
    assert number in product.attrs["bad_ping"]
    why = product.attrs["bad_ping_reasons"]
    assert ("sensor pitch of 1e+308 degrees is beyond the instrument's -90 to 90" in why) == (
        fault == "wild_row"
    )
    assert product.attrs["pings_total"] == len(mode.numbers)
    assert float(product.attrs["pings_used"]) < len(mode.numbers)


def test_unused_readings_are_noted() -> None:
    """A compass that nobody asks costs nothing but a line: the numbers are those of the sound run."""
    members = ASHES.members
    sound = process(ASHES, in_folder(ASHES, members), ASHES.parameters("matlab"))
    lines = members["index.csv"].splitlines()
    wild = [line.rpartition(b",")[0] + b",9999" if line[:1].isdigit() else line for line in lines]
    odd = process(
        ASHES, in_folder(ASHES, members | {"index.csv": b"\n".join(wild)}), ASHES.parameters("matlab")
    )
    left, right = gridded(odd), gridded(sound)
    for name, values in left.items():
        np.testing.assert_array_equal(values, right[name], err_msg=name)
    assert odd.attrs["bad_ping"] == []
    assert "sensor heading of 9999 degrees" in odd.attrs["raw_notes"]
    assert "raw_notes" not in sound.attrs


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gain_sel": 1e11}, "its gain_sel of 1e\\+11 dB"),
        ({"sound_speed": 1e-9}, "its sound_speed of 1e-09 m/s"),
        ({"pulse_width": 1e9}, "its pulse_width of 1e\\+09 s"),
        ({"power_sel": -1e6}, "its power_sel of -1e\\+06 dB"),
        ({"xmit_freq": 1.0}, "its xmit_freq of 1 Hz"),
    ],
)
def test_headers_beyond_the_sonar(changes: dict[str, float], why: str) -> None:
    """A header with such a value is passed over; where all have it, the reason and the log say so."""
    files = [
        (name, header(**changes) if name.endswith("7000_000001.json") else data) for name, data in run_files()
    ]
    log: list[str] = []
    assert read(store(pack("tar", files), "tar"), log) == SOUND
    assert [line for line in log if "beyond the instrument" in line]
    every = [(name, header(**changes) if "7000" in name else data) for name, data in run_files()]
    with pytest.raises(SweepIncomplete, match=f"not used, {why} is beyond the instrument's"):
        read(store(pack("tar", every), "tar"), [])


def test_headers_of_old() -> None:
    """In 2010-15 each ping has its own header: one beyond the sonar is a bad ping, with why."""
    members, number = OLD.members, OLD.numbers[2]
    name = f"rec_7000_{number:06d}.json"
    members[name] = reworded(members[name], gain_sel=1e11)
    product = process(OLD, in_folder(OLD, members), OLD.parameters("matlab"))
    assert number in product.attrs["bad_ping"]
    assert "its gain_sel of 1e+11 dB is beyond" in product.attrs["bad_ping_reasons"]


def test_everything_the_instrument_says_is_within() -> None:
    """Headers and readings as they are known, at their ends, are not held against a run."""
    for changes in ({"power_sel": 0}, {"gain_sel": 83}, {"max_ping_rate": 0}, {"xmit_freq": 200000}):
        assert PingHeader.from_json(header(**changes)).fault is None

    def widest(rows: list[list[str]]) -> None:
        rows[2][3:] = ["275.4", "-2160", "0", "-90", "180", "359.9"]
        rows[3][3:] = ["-10", "360", "405", "90", "-180", "-0.1"]

    judged = _table(widest).judged(("pitch", "roll", "yaw", "sensor_pitch", "sensor_roll", "sensor_heading"))
    assert judged.ping.tolist() == SOUND
    assert judged.notes == ()


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda rows: rows[4].__setitem__(1, "1500000000"), "clock goes back by 6.63024e+07 s after ping 2"),
        (lambda rows: rows[4].__setitem__(1, "1e300"), "the time of ping 3 is in no year from 1970 to 2099"),
        (lambda rows: rows[2].__setitem__(1, "-5"), "the time of ping 1 is in no year"),
        (lambda rows: rows[4].__setitem__(2, "-3e6"), "goes back by 2.25 s after ping 2"),
    ],
)
def test_clock(change: Callable[[list[list[str]]], None], note: str) -> None:
    """A clock that goes back, or tells no year of COVIS, is a note that names the ping."""
    (said,) = _table(change).judged(()).notes
    assert note in said


def test_clock_reaches_the_product() -> None:
    """A clock that goes back is flagged in attributes, manifest, report and page."""
    members = DIFFUSE.members
    break_run(members, [f"clock_back:{DIFFUSE.numbers[-1]}"])
    product = process(DIFFUSE, in_folder(DIFFUSE, members), DIFFUSE.parameters("matlab"))
    assert "the clock goes back" in product.attrs["raw_notes"]
    assert any("the clock goes back" in note for note in notes_of(product))
    outcome = RunOutcome(DIFFUSE.basename, "done", "some/path", notes=oddities_of(product))
    assert RunOutcome.from_plain(outcome.to_plain()) == outcome
    batch = Batch("b", {}, {"prefix": "p"}, {}, {}, _START)
    report = Report(batch, "p", (outcome,), _START, 1.0)
    assert f"odd data: {DIFFUSE.basename}: index.csv: the clock goes back" in final_table(report)
    status = BatchStatus("b", 1)
    status.add(outcome)
    assert "the clock goes back" in section("failures", status, "store")
    assert status.to_document()["odd"]["count"] == 1


def test_reason_of_a_failed_run() -> None:
    """What was odd about the data is part of the reason of a run that fails for want of pings."""
    members = DIFFUSE.members
    break_run(members, [f"clock_back:{DIFFUSE.numbers[3]}", "no_bins"])
    with pytest.raises(NoValidPings, match="the clock goes back"):
        process(DIFFUSE, in_folder(DIFFUSE, members), DIFFUSE.parameters("matlab"))


def test_every_ping_beyond() -> None:
    """A run none of whose pings has a reading is incomplete, and the reason names one of them."""
    members = ASHES.members
    break_run(members, [f"wild_row:{number}" for number in ASHES.numbers])
    with pytest.raises(SweepIncomplete, match=r"no ping that can be used; ping 1: sensor pitch of 1e\+308"):
        process(ASHES, in_folder(ASHES, members), ASHES.parameters("matlab"))


def test_raw_data_stay_visible() -> None:
    """Whoever opens the raw run sees every ping, the odd ones too, with a note."""
    members = ASHES.members
    break_run(members, [f"wild_row:{ASHES.numbers[1]}"])
    raw = open_run(in_folder(ASHES, members), ASHES.basename)
    assert raw.sizes["ping"] == len(ASHES.numbers)
    assert "sensor pitch of 1e+308" in raw.attrs["notes"]


def test_flipped_type() -> None:
    """A ping whose samples are of another type than the first's is bad, and the log says which."""
    files = [
        (name, record(3, samp_type=0) if name.endswith("7038_000003.bin") else data)
        for name, data in run_files()
    ]
    assert read(store(pack("tar", files), "tar"), []) == [1, 2, 5, 6]
