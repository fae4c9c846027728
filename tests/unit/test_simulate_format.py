"""The files of simulated runs: lengths, fields, rows, joins, faults (docs/method.md#raw-data)."""

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pytest

from catalog.names import mode_family, parse_basename
from covis_dask.raw.record import BadRecord, parse_record, parse_record_header
from covis_dask.simulate import PointScatterers, RunSpec, Scene, instrument, simulate
from covis_dask.simulate.faults import PING_FAULTS, RUN_FAULTS
from covis_dask.simulate.geometry import Era
from covis_dask.simulate.specs import run_spec

MODES: list[tuple[Era, str]] = [
    ("END", "imaging"),
    ("END", "diffuse"),
    ("END", "doppler"),
    ("ASHES", "imaging"),
    ("ASHES", "diffuse"),
    ("ASHES", "doppler"),
    ("ASHES", "bathy"),
    ("ASHES", "fullimaging"),
]
FIELDS = """sonar_id ping_num multi_ping xmit_freq sample_rate rcvr_bandwidth pulse_width pulse_type
envelope_type envelope_param pulse_extra max_ping_rate ping_period range_sel power_sel gain_sel control prj
transmit hydrophone_id recv bd absorption sound_speed spreading_loss"""
COLUMNS = "ping,seconds,usecs,pitch,roll,yaw,kPAngle,kRAngle,kHeading"
SCENE = Scene((PointScatterers(((-4.0, -3.0, 6.0),), (-20.0,)),))


def small(era: Era, family: str, **changes: object) -> RunSpec:
    """Three short bursts (one of three pings for diffuse flow)."""
    pitches = (-20.0,) if family == "diffuse" else (4.0, 6.0, 8.0)
    return run_spec(era, family, **{"samples": 60, "pitches": pitches, "pings": 2, **changes})  # type: ignore[arg-type]


def rows_of(members: dict[str, bytes]) -> list[list[str]]:
    """Fields of the rows of index.csv, without its header line."""
    return [line.split(",") for line in members["index.csv"].decode().splitlines()[1:]]


def numbers(members: dict[str, bytes], kind: str) -> list[int]:
    """Ping numbers of the files of a kind."""
    return [int(name[9:15]) for name in members if name.startswith(kind)]


@pytest.mark.parametrize(("era", "family"), MODES)
def test_record_lengths(era: Era, family: str) -> None:
    """Every record is 60 + 2E + 4EN bytes long, with E, N and the sample type of its mode in its header."""
    members = simulate(small(era, family), SCENE)
    channels = 128 if family == "diffuse" else 256
    for name, data in members.items():
        if name.endswith(".bin"):
            header = parse_record_header(data)
            assert len(data) == 60 + 2 * channels + 4 * channels * 60
            assert (header.nsamps, header.nelems, header.samp_type) == (60, channels, 16)
            assert (header.first_samp, header.last_samp, header.number) == (0, 59, int(name[9:15]))
            assert not np.any(np.frombuffer(data, "<i2", offset=header.data_offset) & 15)


def test_real_record_lengths() -> None:
    """Runs of real size have records of exactly the real lengths."""
    for era, family, samples, length in (
        ("ASHES", "imaging", 3523, 3_608_124),
        ("ASHES", "diffuse", 1644, 842_044),
        ("END", "imaging", 3460, 3_543_612),
    ):
        spec = run_spec(era, family, samples=samples, pitches=(10.0,), pings=1)  # type: ignore[arg-type]
        assert len(simulate(spec, Scene())["rec_7038_000001.bin"]) == length


@pytest.mark.parametrize(("era", "family"), MODES)
def test_names_and_headers(era: Era, family: str) -> None:
    """Basename, sweep.json and every field of the ping headers say what the run is."""
    spec = small(era, family)
    members = simulate(spec, SCENE)
    name = parse_basename(spec.basename)
    assert name.fault is None
    assert name.datetime == spec.start
    assert mode_family(name.mode, name.site) == family
    sweep = json.loads(members["sweep.json"])
    assert sweep["mode"] == spec.mode.lower()
    assert sweep["_id"] == spec.basename
    seconds, usecs = sweep["starttime"]
    assert dt.datetime.fromtimestamp(seconds, dt.UTC).replace(microsecond=usecs) == spec.start
    assert ("timestamp" in sweep) is (era == "END")
    header = json.loads(members["rec_7000_000001.json"])["hdr"]
    assert header["xmit_freq"] == (200_000 if family == "diffuse" else 396_000)
    assert header["sample_rate"] == 34482.758
    assert header["pulse_width"] == (0.001 if family == "doppler" else 0.0005)
    assert header["sound_speed"] == (1480 if era == "END" else 1468)
    assert sorted(header) == sorted(FIELDS.split())


def test_ashes_rows() -> None:
    """The table opens with ping 0; the ping fired while moving has a header, but neither record nor row."""
    members = simulate(small("ASHES", "imaging", heading=300.0, roll=-1.2), SCENE)
    assert members["index.csv"].decode().splitlines()[0] == COLUMNS
    rows = rows_of(members)
    assert [int(row[0]) for row in rows] == [0, 1, 2, 4, 5, 7, 8]
    assert numbers(members, "rec_7038") == [1, 2, 4, 5, 7, 8]
    assert numbers(members, "rec_7000") == list(range(1, 10))
    # The yaw motor reads 135 with the head centred at 279 degrees magnetic, 295 true.
    assert rows[1][3:] == ["216.0", "-7.2", "140.0", "4.0", "-1.2", "284.0"]
    assert [row[3] for row in rows[1:]] == ["216.0", "216.0", "214.0", "214.0", "212.0", "212.0"]
    assert "transducer.xml" in members


def test_central_heading_of_2018() -> None:
    """In 2018 the centred head looked to 289 degrees magnetic."""
    start = dt.datetime(2018, 8, 1, tzinfo=dt.UTC)
    rows = rows_of(simulate(small("ASHES", "imaging", start=start, heading=305.0), Scene()))
    assert rows[1][5] == "135.0"


def test_endeavour_rows() -> None:
    """Pings are numbered without gaps, and the heading is magnetic, 18 degrees less than the true one."""
    members = simulate(small("END", "imaging", heading=230.04), SCENE)
    rows = rows_of(members)
    assert [int(row[0]) for row in rows] == numbers(members, "rec_7038") == [1, 2, 3, 4, 5, 6]
    assert {row[8] for row in rows} == {"212.0"}
    assert [row[6] for row in rows] == ["4.0", "4.0", "6.0", "6.0", "8.0", "8.0"]
    assert {"rotator.csv", "position.csv"} < set(members)


def test_times_of_rows() -> None:
    """Rows follow each other at the ping interval, and burst after burst."""
    rows = rows_of(simulate(small("END", "imaging", interval=0.25, pause=3.0), Scene()))
    times = np.array([int(row[1]) + int(row[2]) / 1e6 for row in rows])
    np.testing.assert_allclose(np.diff(times), [0.25, 3.25, 0.25, 3.25, 0.25], atol=1e-5)


def test_attitude_is_what_the_files_say() -> None:
    """The scene is seen with angles rounded as in the files."""
    spec = small("ASHES", "imaging", pitches=(4.04, 6.0), heading=295.26, roll=0.55)
    attitude = spec.attitude(0)
    assert (attitude.pitch, attitude.roll) == (4.0, 0.6)
    assert attitude.heading == pytest.approx(295.3)


def test_same_seed_same_bytes() -> None:
    """A seed decides every byte; another seed gives other noise."""
    spec = small("ASHES", "diffuse")
    first = simulate(spec, SCENE)
    assert simulate(spec, SCENE) == first
    other = simulate(replace(spec, seed=1), SCENE)
    assert other["rec_7038_000001.bin"] != first["rec_7038_000001.bin"]
    assert other["index.csv"] == first["index.csv"]


def test_plain_samples() -> None:
    """With sample type 0 the numbers are not shifted, and read the same."""
    spec = small("END", "imaging")
    shifted = parse_record(simulate(spec, SCENE)["rec_7038_000002.bin"])[1]
    plain = replace(spec, instrument=replace(spec.instrument, samp_type=0))
    np.testing.assert_array_equal(parse_record(simulate(plain, SCENE)["rec_7038_000002.bin"])[1], shifted)


def test_clipping() -> None:
    """What exceeds the 12 bits is clipped, not wrapped."""
    spec = small("END", "imaging", settings=instrument("END", "imaging", monitor=5000.0))
    monitor = parse_record(simulate(spec, Scene())["rec_7038_000001.bin"])[1][:, -1]
    assert np.abs(monitor.real).max() <= 2047
    assert max(np.abs(monitor.real).max(), np.abs(monitor.imag).max()) == 2047


@pytest.mark.parametrize(
    ("fault", "length"),
    [("empty_bin", 0), ("header_only_bin", 60 + 512), ("garbage_bin", 256), ("truncated_bin", None)],
)
def test_unreadable_records(fault: str, length: int | None) -> None:
    """These faults leave a file that is no whole record, and all other files as they were."""
    spec = small("ASHES", "imaging")
    sound, broken = simulate(spec, SCENE), simulate(replace(spec, faults=(f"{fault}:4",)), SCENE)
    name = "rec_7038_000004.bin"
    with pytest.raises(BadRecord):
        parse_record(broken[name])
    if length is not None:
        assert len(broken[name]) == length
    assert {key for key in sound if sound[key] != broken.get(key)} == {name}


def test_odd_records() -> None:
    """Wrong channels and other lengths are whole records that hold part of the samples."""
    spec = small("ASHES", "imaging")
    sound = parse_record(simulate(spec, SCENE)["rec_7038_000004.bin"])[1]
    half = simulate(replace(spec, faults=("wrong_channels:4",)), SCENE)["rec_7038_000004.bin"]
    short = simulate(replace(spec, faults=("other_samples:4",)), SCENE)["rec_7038_000004.bin"]
    np.testing.assert_array_equal(parse_record(half)[1], sound[:, :128])
    np.testing.assert_array_equal(parse_record(short)[1], sound[:45])


def test_missing_and_double() -> None:
    """Files and rows that are asked away are away; a double row is there twice."""
    faults = ("missing_bin:1", "missing_json:2", "missing_row:4", "duplicate_row:5")
    members = simulate(small("ASHES", "imaging", faults=faults), SCENE)
    assert numbers(members, "rec_7038") == [2, 4, 5, 7, 8]
    assert 2 not in numbers(members, "rec_7000")
    assert [int(row[0]) for row in rows_of(members)] == [0, 1, 2, 5, 5, 7, 8]


@pytest.mark.parametrize("fault", RUN_FAULTS)
def test_faults_of_runs(fault: str) -> None:
    """A fault of the run takes away just the files it names."""
    spec = small("END", "imaging")
    whole, left = set(simulate(spec, Scene())), set(simulate(replace(spec, faults=(fault,)), Scene()))
    assert whole - left == {name for name in whole if name.startswith(RUN_FAULTS[fault])} != set()


@pytest.mark.parametrize("fault", ["no_such", "missing_bin", "missing_bin:99", "missing_bin:x"])
def test_unknown_faults(fault: str) -> None:
    """A fault that cannot be is refused with its name."""
    with pytest.raises(ValueError, match=fault):
        simulate(small("END", "imaging", faults=(fault,)), Scene())


def test_every_ping_fault_is_described() -> None:
    """The kinds of faults promised to tests of broken runs exist."""
    assert {"missing_bin", "header_only_bin", "truncated_bin", "missing_json", "wrong_channels"} <= set(
        PING_FAULTS
    )
