"""Bursts, bad and missing pings, attitude and set-up of a run, 2018+: the method and the quirks.

See docs/method.md#bad-and-missing-pings.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covis_dask.errors import NoValidPings, SweepIncomplete
from covis_dask.modes.ashes import imaging
from covis_dask.modes.ashes._bursts import group, sweeps_in_yaw
from covis_dask.modes.ashes._setup import SonarSetup, run_start
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.record import RecordHeader, pack_record
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from covis_dask.sonar._types import Complex
from tests.unit._ashes import (
    CUBE,
    FS,
    PROFILES,
    C,
    Row,
    fake,
    header,
    named,
    parameters,
    record_of,
    table,
    transmission,
)

N = 110
COARSE = replace(CUBE, xmin=-3, xmax=3, ymin=-3, ymax=3, dx=1, dy=1, dz=1)


def _ping(seed: int, nsamps: int = N) -> Complex:
    random = np.random.default_rng(seed)
    noise = 20 * (random.standard_normal((nsamps, 256)) + 1j * random.standard_normal((nsamps, 256)))
    ping: Complex = transmission(nsamps) + noise
    return ping


PINGS = {number: _ping(number) for number in range(1, 8)}


def _chosen(profile: str, **overrides: Any) -> Parameters:
    return parameters("imaging", profile, "PP2", COARSE, noise__snr_thresh=0.0, **overrides)


def _rows(*bursts: int, pitch: float = 10.0) -> list[Row]:
    """Make rows of bursts with so many pings each, the motor turning down as the head rises."""
    rows: list[Row] = []
    for index, pings in enumerate(bursts):
        for _ in range(pings):
            rows.append(Row(len(rows) + 1, 200.0 - index, pitch + index))
    return rows


def _process(rows: list[Row], data: Mapping[int, Complex | str], profile: str, **others: Any) -> xr.Dataset:
    return imaging.process(fake(rows, data, **others), _chosen(profile), Context())


def _same(got: xr.Dataset, want: xr.Dataset) -> None:
    for original in ("Ia", "Id", "Ia_filt", "Id_filt", "Kp", "w"):
        np.testing.assert_array_equal(named(got, original).values, named(want, original).values)


def test_q5_bursts_by_first_occurrence_or_by_change() -> None:
    """Q5, 7.2.17: a a b b a a c gives (a a)(b b a a)(c) in matlab, and four bursts in corrected."""
    rows = [Row(n, pitch) for n, pitch in enumerate([9.0, 9.0, 8.0, 8.0, 9.0, 9.0, 7.0], 1)]
    sizes = [[len(burst) for burst in group(table(rows), _chosen(profile))] for profile in PROFILES]
    assert sizes == [[2, 4, 1], [2, 2, 2, 1]]


def test_q5_a_wobble_of_the_motor_opens_bursts_in_matlab_only() -> None:
    """Q5: readings 0.1 degrees apart are bursts of one ping in matlab, one burst in corrected."""
    rows = [Row(n, pitch) for n, pitch in enumerate([200.0, 200.1, 200.0, 190.0, 190.1], 1)]
    sizes = [[len(burst) for burst in group(table(rows), _chosen(profile))] for profile in PROFILES]
    assert sizes == [[1, 2, 1, 1], [3, 2]]


@pytest.mark.parametrize("profile", PROFILES)
def test_q7_a_sweep_in_yaw(profile: str) -> None:
    """Q7: a sweep in yaw is one burst in matlab, one per yaw in corrected; both say: not comparable."""
    rows = [Row(n, 200.0, 10.0, yaw=100.0 + 5 * ((n - 1) // 2)) for n in range(1, 7)]
    assert sweeps_in_yaw(table(rows))
    ds = _process(rows, PINGS, profile)
    assert ds.sizes["burst"] == (1 if profile == "matlab" else 3)
    assert ds.attrs["comparable"] == 0
    assert "yaw" in ds.attrs["comparable_comment"]


def test_q7_an_elevation_sweep_is_comparable() -> None:
    """Q7: a run that sweeps in elevation, its yaw wobbling, is comparable."""
    rows = [replace(row, yaw=135.0 + 0.1 * (row.ping % 2)) for row in _rows(2, 2)]
    assert _process(rows, PINGS, "matlab").attrs["comparable"] == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_q8_the_monitor_channel_is_heard_in_matlab_only(profile: str) -> None:
    """Q8: what the monitor channel records enters the beams with weight 0.08, in corrected not at all."""
    setup = SonarSetup.of(fake(_rows(2), {}), _chosen(profile), 256, 34483, decimates=True)
    x = np.zeros((20, 256), np.complex128)
    x[:, -1] = 1
    beams = np.abs(setup.beams(x))
    np.testing.assert_allclose(beams, 0.08 if profile == "matlab" else 0, atol=1e-12)


def test_q9_gains_go_by_beam_number_in_both_profiles() -> None:
    """Q9: receiver sensitivity and beam width go by beam number, whatever the sector."""
    gains = [_scale(profile, sector).calibration.beam_gain for profile in PROFILES for sector in (54.0, 50.0)]
    np.testing.assert_array_equal(gains[0], gains[2])
    # The sensitivity's shape over beam numbers stays when the sector changes; only the pattern moves.
    assert np.abs(20 * np.log10(gains[0] / gains[1])).max() < 1.5


def _scale(profile: str, sector: float = 54.0, first_samp: int = 0, **overrides: Any) -> Any:
    chosen = _chosen(profile, beamformer__start_angle=-sector, beamformer__end_angle=sector, **overrides)
    setup = SonarSetup.of(fake(_rows(2), {}), chosen, 256, 34483, decimates=True)
    return setup.range_calibration(N, record_of(PINGS[1], first_samp=first_samp))


def test_q10_range_of_the_first_sample() -> None:
    """Q10: the first sample lies at one sample distance in matlab, at first_samp distances in corrected."""
    matlab, corrected = (_scale(profile, first_samp=7).ranges for profile in PROFILES)
    assert matlab[0] == pytest.approx(C / (2 * FS), rel=1e-12)
    assert corrected[0] == pytest.approx(7 * C / (2 * FS), rel=1e-3)  # its sound speed is another (Q14)
    assert np.diff(corrected) == pytest.approx(np.diff(matlab), rel=1e-3)


@pytest.mark.parametrize("profile", PROFILES)
def test_q12_wide_calibration_is_not_available_at_396_khz(profile: str) -> None:
    """Q12: TS-Wide at 396 kHz ends the run with a sentence, in both profiles."""
    chosen = _chosen(profile, calibrate__mode="TS-Wide")
    with pytest.raises(NoValidPings, match=r"TS-Wide .* not available at 396000 Hz"):
        imaging.process(fake(_rows(2), PINGS), chosen, Context())


def test_q14_sound_speeds() -> None:
    """Q14: matlab mixes two sound speeds, one of practical salinity; corrected has only the right one."""
    matlab, corrected = (
        SonarSetup.of(fake(_rows(2), {}), _chosen(profile), 256, 34483, decimates=True)
        for profile in PROFILES
    )
    assert (matlab.c, matlab.c_scale) == (C, 1468.0)
    assert corrected.c == corrected.c_scale
    assert corrected.c == pytest.approx(C + 0.2, abs=0.1)
    assert matlab.alpha == pytest.approx(84.82824655124602e-3, rel=1e-12)
    assert corrected.alpha != matlab.alpha


@pytest.mark.parametrize("profile", PROFILES)
def test_q15_attitude_of_a_burst(profile: str) -> None:
    """Q15: matlab has the attitude of the last ping with a file, be it bad; corrected their mean."""
    rows = [Row(1, 200.0, 10.0), Row(2, 200.0, 12.0), Row(3, 200.0, 14.0), Row(4, 200.0, 30.0)]
    data: dict[int, Complex | str] = {1: PINGS[1], 2: PINGS[2], 3: "cut off"}
    ds = _process(rows, data, profile)
    pitch = 14.0 if profile == "matlab" else 11.0
    level = [replace(row, pitch=pitch) for row in rows[:2]]
    _same(ds, _process(level, {1: PINGS[1], 2: PINGS[2]}, profile))


@pytest.mark.parametrize(("profile", "used"), [("matlab", 0), ("corrected", 1)])
def test_q15_pitch_that_is_tested(profile: str, used: int) -> None:
    """Q15: the pitch bounds hold for the first ping in matlab, for the valid ones' mean in corrected."""
    rows = [
        Row(1, 300.0, -21.0),
        Row(2, 300.0, -18.0),
        *(replace(row, ping=row.ping + 2) for row in _rows(2)),
    ]
    ds = _process(rows, PINGS, profile)
    assert ds.attrs["bursts_used"] == 1 + used
    assert list(ds["burst_used"].values) == [used, 1]


@pytest.mark.parametrize("profile", PROFILES)
def test_q20_a_burst_without_valid_pings_is_skipped(profile: str) -> None:
    """Q20: a burst of bad or missing pings leaves nothing, first or not; the run is as without it."""
    data: dict[int, Complex | str] = {1: "cut off", 3: PINGS[3], 4: PINGS[4], 7: PINGS[7], 8: _ping(8)}
    rows = _rows(2, 2, 2, 2)
    ds = _process(rows, data, profile)
    _same(ds, _process([*rows[2:4], *rows[6:]], data, profile))
    assert ds.attrs["bursts_used"] == 2
    reasons = [burst["reason"] for burst in json.loads(ds.attrs["bursts_skipped_reasons"])]
    assert sorted(reasons) == ["none of its pings has a file", "none of its pings is valid"]


@pytest.mark.parametrize("profile", PROFILES)
def test_bad_pings_are_listed_and_missing_ones_are_not(profile: str) -> None:
    """4.0.2: a ping without .bin is skipped, one that cannot be read is bad; the rest is as without them."""
    rows = _rows(4)
    data: dict[int, Complex | str] = {1: PINGS[1], 3: "128 channels, not 256", 4: PINGS[4]}
    ds = _process(rows, data, profile)
    assert list(ds.attrs["bad_ping"]) == [3]
    assert list(ds.attrs["missing_ping"]) == [2]
    assert (ds.attrs["pings_total"], ds.attrs["pings_used"]) == (4, 2)
    _same(ds, _process([rows[0], rows[3]], data, profile))


@pytest.mark.parametrize("profile", PROFILES)
def test_pings_of_skipped_bursts_are_not_judged(profile: str) -> None:
    """4.0.2: the original never reads a burst it skips, so its bad pings are not listed."""
    rows = [Row(1, 201.0, 80.0), Row(2, 201.0, 80.0), Row(3, 202.0, 20.0), *_rows(0, 2)]
    rows[3:] = [replace(row, ping=row.ping + 3) for row in rows[3:]]
    data: dict[int, Complex | str] = {1: "empty", 3: "empty", 4: PINGS[4], 5: PINGS[5]}
    ds = _process(rows, data, profile)
    assert list(ds.attrs["bad_ping"]) == []
    reasons = [burst["reason"] for burst in json.loads(ds.attrs["bursts_skipped_reasons"])]
    assert reasons == ["pitch outside -20 ... 62 degrees", "fewer than 2 pings"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_ping_shorter_than_the_transmission_is_bad(profile: str) -> None:
    """4.0.2 item 5: a ping that fails in phase correction is bad, and no run is made of such pings alone."""
    with pytest.raises(NoValidPings, match="transmission lasts 86 samples"):
        _process(_rows(2), {1: _ping(1, 60), 2: _ping(2, 60)}, profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_valid_ping_at_all_fails_the_run(profile: str) -> None:
    """4.0.2: a run of which nothing is left ends with the reasons, and no product."""
    with pytest.raises(NoValidPings, match="empty"):
        _process(_rows(2), {1: "empty", 2: "empty"}, profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"xmit_freq": 300000.0}, "300000 Hz"),
        ({"pulse_width": 0.0}, "pulse of 0 s"),
        ({"pulse_width": 1e-6}, "filtered"),
        ({"sound_speed": -1.0}, "sound speed of -1 m/s"),
    ],
)
def test_a_header_with_which_every_ping_fails(profile: str, changes: dict[str, float], sentence: str) -> None:
    """A header of impossible numbers ends the run with a sentence that names them."""
    with pytest.raises(NoValidPings, match=sentence):
        _process(_rows(2), PINGS, profile, common=header(**changes))


@pytest.mark.parametrize("profile", PROFILES)
def test_q44_a_setting_outside_the_source_level_table(profile: str) -> None:
    """Q44: the product is NaN as in the original, but the log and the attributes say so."""
    lines: list[str] = []
    sweep = fake(_rows(2), PINGS, common=header(power_sel=230.0))
    ds = imaging.process(sweep, _chosen(profile), Context(log=lines.append))
    assert np.isnan(named(ds, "Ia").values).all()
    assert ds.attrs["calibration_valid"] == 0
    assert "230" in ds.attrs["calibration_fault"]
    assert sum("warning" in line for line in lines) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_q53_sample_numbers_are_those_of_the_record(profile: str) -> None:
    """Q53: first and last sample are told as they stand in the record."""
    ds = _process(_rows(2), PINGS, profile, first_samp=7)
    assert (ds.attrs["first_samp"], ds.attrs["last_samp"]) == (7, 7 + N - 1)


@pytest.mark.parametrize("profile", PROFILES)
def test_q45_filter_off_passes_the_data_through(profile: str) -> None:
    """Q45: status off leaves the samples as they are, also with a decimation; the type has a default."""
    chosen = _chosen(profile, filter__status="off", filter__decimation=2)
    setup = SonarSetup.of(fake(_rows(2), {}), chosen, 256, 34483, decimates=True)
    signal = setup.signal(PINGS[1], PINGS[1])
    np.testing.assert_array_equal(signal.filtered, signal.corrected)
    assert setup.fs == FS
    assert chosen.filter.type == "butterworth"


@pytest.mark.parametrize("profile", PROFILES)
def test_q46_the_sample_rate_is_divided_once(profile: str) -> None:
    """Q46: with decimation 2 the range step is twice as long, however many pings there are."""
    for pings in (2, 5):
        ds = imaging.process(fake(_rows(pings), PINGS), _chosen(profile, filter__decimation=2), Context())
        ranges = ds["beam_range"].values
        assert len(ranges) == N // 2
        assert np.diff(ranges) == pytest.approx(2 * C / (2 * FS), rel=1e-3)
        assert ds.attrs["sample_rate"] == FS / 2


def _write_run(folder: Path, **changes: float) -> Path:
    """Write a run of two pings as the instrument does."""
    run = folder / "COVIS-20190820T120001-imaging1"
    run.mkdir()
    (run / "sweep.json").write_text(json.dumps({"mode": "imaging1"}))
    (run / "index.csv").write_text(
        "ping,seconds,usecs,pitch,roll,yaw,kPAngle,kRAngle,kHeading\n"
        "0,1500000000,0,0,0,0,0,0,0\n1,1500000001,0,200,0,135,10,0,280\n2,1500000002,0,200,0,135,10,0,280\n"
    )
    fields = dict(header(**changes).fields)
    for number in (1, 2):
        (run / f"rec_7000_{number:06d}.json").write_text(json.dumps({"hdr": fields}))
        data = np.stack([PINGS[number].real, PINGS[number].imag], axis=-1)
        record = RecordHeader(0, number, 256, N, 256, 0, N - 1, 0)
        (run / f"rec_7038_{number:06d}.bin").write_bytes(pack_record(record, np.round(data).astype(np.int16)))
    return run


def _read(run: Path, profile: str) -> xr.Dataset:
    source = ArchiveSource(fsspec.filesystem("file"), str(run))

    def consume(sweep: RawSweep) -> xr.Dataset:
        return imaging.process(sweep, _chosen(profile), Context())

    return with_sweep(source, run.name, consume)


@pytest.mark.parametrize("profile", PROFILES)
def test_q37_no_header_with_the_sample_rate(profile: str, tmp_path: Path) -> None:
    """Q37: without a header of about 34483 Hz the run fails with a sentence, not a crash."""
    with pytest.raises(SweepIncomplete, match="34483"):
        _read(_write_run(tmp_path, sample_rate=48000.0), profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_q47_a_users_folder_stays_as_it_is(profile: str, tmp_path: Path) -> None:
    """Q47: an unpacked run is read where it lies, and nothing in it is changed or deleted."""
    run = _write_run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert _read(run, profile).attrs["pings_used"] == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("profile", PROFILES)
def test_q21_a_ping_of_another_length_is_bad(profile: str, tmp_path: Path) -> None:
    """Q21: a ping that is shorter than the run's first is bad; the run goes on without it."""
    run = _write_run(tmp_path)
    want = _read(run, profile)
    with (run / "index.csv").open("a") as file:
        file.write("3,1500000003,0,200,0,135,10,0,280\n")
    data = np.zeros((N - 10, 256, 2), np.int16)
    record = RecordHeader(0, 3, 256, N - 10, 256, 0, N - 11, 0)
    (run / "rec_7038_000003.bin").write_bytes(pack_record(record, data))
    ds = _read(run, profile)
    assert list(ds.attrs["bad_ping"]) == [3]
    _same(ds, want)


def test_the_central_heading_goes_by_year() -> None:
    """Q39: the centred head points to 289 degrees in 2018, to 279 in other years, or where the user says."""
    for year, want in ((2017, 279.0), (2018, 289.0), (2019, 279.0), (2020, 279.0)):
        name = f"COVIS-{year}0820T120001-imaging1"
        sweep = fake(_rows(2), {}, basename=name)
        assert SonarSetup.of(sweep, _chosen("matlab"), 256, 34483, decimates=True).heading == want
        chosen = _chosen("matlab", attitude__central_heading=200.0)
        assert SonarSetup.of(sweep, chosen, 256, 34483, decimates=True).heading == 200.0


def test_a_run_without_a_proper_name_starts_with_its_first_ping() -> None:
    """Where the name tells no time, index.csv does; where neither does, the run fails with a sentence."""
    rows = _rows(2)
    assert run_start(fake(rows, {}, basename="my run")).year == 2017
    odd = [replace(row, time=1e30) for row in rows]
    with pytest.raises(SweepIncomplete, match="my run"):
        run_start(fake(odd, {}, basename="my run"))


def test_a_yaw_reading_of_zero_means_centred() -> None:
    """2.4: the rotator yaw is the reading less 135 degrees, but 0 where the reading is 0."""
    setup = SonarSetup.of(fake(_rows(2), {}), _chosen("matlab"), 256, 34483, decimates=True)
    rows = table([Row(1, yaw=145.0), Row(2, yaw=0.0)])
    assert setup.attitude(rows, [0]).yaw == pytest.approx(np.radians(10))
    assert setup.attitude(rows, [1]).yaw == 0


def test_progress_is_told_for_every_ping_with_a_file() -> None:
    """The run tells how far it is after each ping, of so many in all."""
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    imaging.process(fake(_rows(3), {1: PINGS[1], 3: PINGS[3]}), _chosen("matlab"), Context(progress=progress))
    assert told == [(1, 3), (2, 3)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    fates=st.lists(st.sampled_from(["good", "missing", "bad", "unlisted"]), min_size=7, max_size=7),
    breaks=st.sets(st.integers(1, 6)),
    profile=st.sampled_from(PROFILES),
)
def test_a_run_equals_itself_without_its_faulty_pings(
    fates: list[str], breaks: set[int], profile: str
) -> None:
    """Whatever pings are missing, bad or not in index.csv, the rest counts as if they had never been."""
    bursts = np.searchsorted(sorted(breaks), np.arange(7), side="right")
    rows = [Row(number, 200.0 - bursts[number - 1], 10.0 + bursts[number - 1]) for number in range(1, 8)]
    listed = [row for row, fate in zip(rows, fates, strict=True) if fate != "unlisted"]
    good = [row for row, fate in zip(rows, fates, strict=True) if fate == "good"]
    data: dict[int, Complex | str] = {
        row.ping: "cut off" if fate == "bad" else PINGS[row.ping]
        for row, fate in zip(rows, fates, strict=True)
        if fate != "missing"
    }
    # A burst must have two pings in index.csv (4.0.2): with one allowed, listed or not makes no difference.
    chosen = replace(_chosen(profile), bursts=replace(_chosen(profile).bursts, min_pings=1))
    if not listed:
        return
    if not good:
        with pytest.raises(NoValidPings):
            imaging.process(fake(listed, data), chosen, Context())
        return
    ds = imaging.process(fake(listed, data), chosen, Context())
    _same(ds, imaging.process(fake(good, {row.ping: PINGS[row.ping] for row in good}), chosen, Context()))
    bad = [row.ping for row, fate in zip(rows, fates, strict=True) if fate == "bad"]
    assert list(ds.attrs["bad_ping"]) == bad
