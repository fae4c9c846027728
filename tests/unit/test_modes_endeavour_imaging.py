"""Imaging of 2010-15: the original's oddities in both profiles, and runs with faults.

See docs/method.md#imaging-2010-15.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from covis_dask.errors import NoValidPings
from covis_dask.modes.endeavour._bursts import Attitude, grid_axes
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.endeavour.imaging import image_burst
from covis_dask.modes.parameters import Parameters
from covis_dask.sonar.reference import ping_stages
from tests.unit._endeavour_runs import (
    FS,
    C,
    MemorySweep,
    Row,
    bad_ping,
    elements,
    header,
    make,
    make_ping,
    naive_grid,
    noise,
    run,
    settings,
    steps,
    transmission,
)

N = 320
SMALL = {"grids__0__dx": 2.0, "grids__0__dy": 2.0, "grids__0__dz": 2.0}
PROFILES = ("matlab", "corrected")


def _operators(parameters: Parameters, nsamps: int = N, first_samp: int = 0) -> PingOperators:
    cache = OperatorCache(parameters, print, parameters.filter.decimation)
    return cache.open(make_ping(1, transmission(nsamps), first_samp=first_samp))[1]


def _pages(sweep: MemorySweep, numbers: list[int], parameters: Parameters) -> list[np.ndarray]:
    """Process pings of a burst as the chain does."""
    cache = OperatorCache(parameters, print, parameters.filter.decimation)
    reference = cache.open(sweep.files[numbers[0]])[0]
    pages = []
    for number in numbers:
        data, operators = cache.open(sweep.files[number])
        pages.append(
            ping_stages(
                cache.phased(data, reference, operators),
                operators.filter,
                operators.beamformer,
                operators.calibration,
            ).calibrated
        )
    return pages


@pytest.mark.parametrize("profile", PROFILES)
def test_q1_q3_q4_gridding(profile: str) -> None:
    """Weights as the original has them and the last sample, or true ones and all samples (Q1, Q3, Q4)."""
    bounds = {"xmin": -6, "xmax": -2, "ymin": -4, "ymax": -1, "zmin": 5, "zmax": 8}
    box = {f"grids__0__{name}": value for name, value in bounds.items()}
    spacing = {f"grids__0__d{axis}": 0.5 for axis in "xyz"}
    parameters = settings("imaging", profile, **box, **spacing)
    sweep = run(steps([30.0, 40.0, 50.0]), noise(N))
    ds = make(sweep, parameters)
    bursts = []
    for index in range(3 if profile == "corrected" else 2):
        numbers = [2 * index + 1, 2 * index + 2]
        where = Attitude(*np.deg2rad([30.0 + 10 * index, 1.0, 212.0 + 18.0]))
        made = image_burst(_pages(sweep, numbers, parameters), _operators(parameters), where, parameters)
        bursts.append(((made.x, made.y, made.z), made.v))
    axes = grid_axes(parameters.grids[0])
    value, weight = naive_grid(axes.axes, bursts, corrected=profile == "corrected")
    assert np.count_nonzero(weight) > 100
    np.testing.assert_allclose(ds["weight"], weight, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ds["backscatter"], value, rtol=1e-8)
    assert np.isnan(ds["backscatter"].values[weight == 0]).all()


@pytest.mark.parametrize(("profile", "bursts"), [("matlab", 2), ("corrected", 3)])
def test_q6_last_burst(profile: str, bursts: int) -> None:
    """The last burst of a run is lost, or kept (Q6)."""
    ds = make(run(steps([30.0, 40.0, 50.0]), noise(N)), settings("imaging", profile, **SMALL))
    assert ds.attrs["bursts_used"] == bursts
    assert ds.sizes["burst"] == bursts
    assert ("Q6" in ds.attrs["bursts_skipped_reasons"]) == (profile == "matlab")


def test_q6_constant_pitch() -> None:
    """A run of one elevation has no burst at all in the original; corrected has one (Q6)."""
    sweep = run(steps([30.0]), noise(N))
    with pytest.raises(NoValidPings, match="never changes"):
        make(sweep, settings("imaging", "matlab", **SMALL))
    assert make(sweep, settings("imaging", "corrected", **SMALL)).attrs["bursts_used"] == 1


@pytest.mark.parametrize(("profile", "bursts"), [("matlab", [1, 2, 2]), ("corrected", [4, 2])])
def test_q56_jitter_of_the_pitch_sensor(profile: str, bursts: list[int]) -> None:
    """A wobble of 0.1 degree splits a burst, or not (Q56, as Q5)."""
    pitches = [30.0, 30.1, 30.1, 30.0, 40.0, 40.0]
    rows = [Row(index + 1, pitch) for index, pitch in enumerate(pitches)]
    rows += [Row(7, 50.0), Row(8, 50.0)]
    ds = make(run(rows, noise(N)), settings("imaging", profile, **SMALL))
    found = ds["burst_npings"].values.tolist()
    assert found == ([1, 2, 1, 2] if profile == "matlab" else [*bursts, 2])


@pytest.mark.parametrize("profile", PROFILES)
def test_q8_monitor_channel(profile: str) -> None:
    """The monitor channel is summed into the beams with weight 0.08, or not at all (Q8)."""
    parameters = settings("imaging", profile)
    data = np.zeros((N, 256), np.complex128)
    data[:, -1] = 100.0
    largest = np.abs(_operators(parameters).beamformer(data)).max()
    assert largest == pytest.approx(0 if profile == "corrected" else 8.0)


@pytest.mark.parametrize("profile", PROFILES)
def test_q10_range_axis(profile: str) -> None:
    """Sample s lies at 4 (s + 1) dr, or at (4 s + first_samp) dr (Q10)."""
    dr = C / (2 * FS)
    parameters = settings("imaging", profile)
    if profile == "matlab":
        np.testing.assert_allclose(_operators(parameters).ranges, 4 * dr * np.arange(1, N // 4 + 1))
        with pytest.raises(ValueError, match="first stored sample"):
            _operators(parameters, first_samp=7)
    else:
        np.testing.assert_allclose(_operators(parameters).ranges, 4 * dr * np.arange(N // 4))
        shifted = _operators(parameters, first_samp=7).ranges
        np.testing.assert_allclose(shifted, dr * (7 + 4 * np.arange(N // 4)))


@pytest.mark.parametrize("profile", PROFILES)
def test_q10_first_sample_not_zero(profile: str) -> None:
    """Where the original fails (first_samp > 0) every ping is bad; corrected goes on (Q10)."""
    rows = steps([30.0, 40.0, 50.0])
    signal = noise(N)
    sweep = MemorySweep(rows, {row.ping: make_ping(row.ping, signal(row), first_samp=8) for row in rows})
    parameters = settings("imaging", profile, **SMALL)
    if profile == "matlab":
        with pytest.raises(NoValidPings, match="first stored sample"):
            make(sweep, parameters)
    else:
        assert make(sweep, parameters).attrs["bursts_used"] == 3


@pytest.mark.parametrize("profile", PROFILES)
def test_q11_roll(profile: str) -> None:
    """Height after roll is made with the rolled x, or with the x before (Q11)."""
    parameters = settings("imaging", profile)
    operators, el, rho = _operators(parameters), 0.4, 0.2
    made = image_burst(
        [np.ones((N // 4, 256), np.complex128)] * 2, operators, Attitude(el, rho, 1.1), parameters
    )
    xs = operators.ranges[:, None] * np.sin(operators.beamformer.angles)
    zs = operators.ranges[:, None] * np.cos(operators.beamformer.angles) * np.sin(el)
    rolled = xs * np.cos(rho) + zs * np.sin(rho)
    used = rolled if profile == "matlab" else xs
    np.testing.assert_allclose(made.z, 4.2 - used * np.sin(rho) + zs * np.cos(rho), rtol=1e-12)


@pytest.mark.parametrize(("profile", "db_per_km"), [("matlab", 34.6), ("corrected", 80.5)])
def test_q13_q14_absorption(profile: str, db_per_km: float) -> None:
    """Absorption is the original's constant, or Francois and Garrison at 273.15 K (Q13, Q14)."""
    operators = _operators(settings("imaging", profile, filter__decimation=1))
    ranges, gain = operators.ranges[[100, 300]], operators.calibration.range_gain[[100, 300]]
    spread = 20 * np.log10(ranges[1] / ranges[0])
    slope = (20 * np.log10(gain[1] / gain[0]) - spread) / (2 * (ranges[1] - ranges[0]))
    assert 1000 * slope == pytest.approx(db_per_km, rel=1e-9 if profile == "matlab" else 5e-3)


@pytest.mark.parametrize("profile", PROFILES)
def test_q19_left_over_pings(profile: str) -> None:
    """A burst shorter than one before it averages over left-over pings too, or over its own only (Q19)."""
    rows = [Row(n, 20.0) for n in (1, 2, 3)] + [Row(n, 50.0) for n in (4, 5)] + [Row(n, 55.0) for n in (6, 7)]
    # Only the second burst reaches this grid; the third lies outside the bounds.
    above = {**SMALL, "grids__0__zmin": 8.5, "bounds__pitch__stop": 54.0}
    parameters = settings("imaging", profile, **above)
    sweep = run(rows, noise(N))
    ds = make(sweep, parameters)
    assert ds.attrs["bursts_used"] == 2
    pages = _pages(sweep, [4, 5], parameters)
    if profile == "matlab":
        pages.append(_pages(sweep, [1, 2, 3], parameters)[2])
    made = image_burst(pages, _operators(parameters), Attitude(*np.deg2rad([50.0, 1.0, 230.0])), parameters)
    value, weight = naive_grid(
        grid_axes(parameters.grids[0]).axes,
        [((made.x, made.y, made.z), made.v)],
        corrected=profile == "corrected",
    )
    assert weight.any()
    np.testing.assert_allclose(ds["backscatter"], value, rtol=1e-8)


@pytest.mark.parametrize("profile", PROFILES)
def test_q22_missing_file_shifts_nothing(profile: str) -> None:
    """Attitudes are joined by ping number: a missing .bin changes nothing for the pings after it (Q22)."""
    rows = [Row(1, 20.0), *(Row(n, 30.0) for n in (2, 3, 4)), Row(5, 40.0), Row(6, 40.0), Row(7, 50.0)]
    parameters = settings("imaging", profile, **SMALL)
    without = run(rows, noise(N))
    del without.files[1]  # type: ignore[attr-defined]
    ds = make(without, parameters)
    assert ds.attrs["missing_ping"] == [1]
    assert ds.attrs["bad_ping"] == []
    whole = make(run(rows, noise(N)), parameters)
    np.testing.assert_array_equal(ds["backscatter"], whole["backscatter"])


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("number", [3, 4, 5])
def test_q21_q22_bad_pings_are_left_out(profile: str, number: int) -> None:
    """The product of a run with a bad ping is that of the run without it (Q21, Q22)."""
    rows = [*steps([20.0]), *(Row(n, 30.0, 1 + n / 10, 210 + n) for n in (3, 4, 5)), *steps([40.0, 50.0])]
    rows = [replace(row, ping=index + 1) for index, row in enumerate(rows)]
    signal = noise(N)
    parameters = settings("imaging", profile, **SMALL)
    want = make(run([row for row in rows if row.ping != number], signal), parameters)
    sound = run(rows, signal)
    for broken in (
        bad_ping(number),
        replace(make_ping(number, signal(rows[number - 1])), header=None),
        make_ping(number, signal(rows[number - 1]), header(pulse_width=0.0)),
        make_ping(number, signal(rows[number - 1]), header(sample_rate=FS / 2)),
        make_ping(number, signal(rows[number - 1])[:, :128]),
    ):
        got = make(MemorySweep(rows, {**sound.files, number: broken}), parameters)
        assert got.attrs["bad_ping"] == [number]
        np.testing.assert_array_equal(got["backscatter"], want["backscatter"])
        np.testing.assert_array_equal(got["weight"], want["weight"])


@pytest.mark.parametrize("profile", PROFILES)
def test_burst_with_one_valid_ping_is_skipped(profile: str) -> None:
    """A burst whose pings are bad but one has no difference; it is skipped, with a reason."""
    rows = steps([20.0, 30.0, 40.0])
    sweep = run(rows, noise(N))
    sweep.files = {**sweep.files, 3: bad_ping(3)}
    ds = make(sweep, settings("imaging", profile, **SMALL))
    assert "fewer than 2 valid pings" in ds.attrs["bursts_skipped_reasons"]
    assert ds.attrs["bad_ping"] == [3]
    assert ds["burst_used"].values.tolist()[:2] == [1, 0]


@pytest.mark.parametrize("profile", PROFILES)
def test_no_valid_ping_is_an_input_error(profile: str) -> None:
    """When nothing is left, the run fails with the most frequent reason."""
    rows = steps([20.0, 30.0, 40.0])
    parameters = settings("imaging", profile, **SMALL)
    bad = {row.ping: bad_ping(row.ping) for row in rows}
    with pytest.raises(NoValidPings, match="the file is cut off"):
        make(MemorySweep(rows, bad), parameters)
    with pytest.raises(NoValidPings, match="none of its pings has a file"):
        make(MemorySweep(rows, {}), parameters)
    with pytest.raises(NoValidPings, match="pitch outside"):
        make(run(steps([-20.0, -10.0, 0.0]), noise(N)), parameters)


@pytest.mark.parametrize("profile", PROFILES)
def test_q44_source_level_outside_the_table(profile: str) -> None:
    """An uncalibrated power setting gives NaN, as in the original, and says so (Q44)."""
    rows, signal = steps([20.0, 30.0, 40.0]), noise(N)
    files = {row.ping: make_ping(row.ping, signal(row), header(power_sel=100.0)) for row in rows}
    log: list[str] = []
    ds = make(MemorySweep(rows, files), settings("imaging", profile, **SMALL), log.append)
    assert not np.isfinite(ds["backscatter"]).any()
    assert ds.attrs["calibration_valid"] == 0
    assert any("warning: power setting 100 dB" in line for line in log)


@pytest.mark.parametrize("profile", PROFILES)
def test_q45_filter_off_passes_through(profile: str) -> None:
    """With the filter off, the data go on as they are, undecimated (Q45)."""
    parameters = settings("imaging", profile, filter__status="off")
    operators = _operators(parameters)
    data = noise(N)(Row(1, 30.0))
    np.testing.assert_array_equal(operators.filter(data), data)
    assert len(operators.ranges) == N


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mode", ["diff", "intensity"])
def test_ping_combination(profile: str, mode: str) -> None:
    """Backscatter is the mean square of half the ping differences, or of the pings."""
    parameters = settings("imaging", profile, ping_combination__mode=mode)
    pages = [np.full((N // 4, 256), value, np.complex128) for value in (1.0, 3.0, 3.0 + 4.0j)]
    made = image_burst(pages, _operators(parameters), Attitude(0.5, 0.0, 0.0), parameters)
    want = (
        np.mean([abs(0.5 * (b - a)) ** 2 for a, b in pairwise((1, 3, 3 + 4j))])
        if mode == "diff"
        else np.mean([1.0, 9.0, 25.0])
    )
    np.testing.assert_allclose(made.v, want)


@pytest.mark.parametrize("profile", PROFILES)
def test_changing_scatterer_appears_in_the_right_cell(profile: str) -> None:
    """A scatterer that changes from ping to ping peaks within a cell of where it is."""
    beam, sample, pitch = 100, 240, 40.0
    angle = np.deg2rad(-64 + 128 * beam / 255)

    def signal(row: Row) -> np.ndarray:
        data = transmission(N)
        data[sample : sample + 17] += (-1) ** row.ping * 50 * elements(angle)
        return data

    # One burst: beside it the original's weights, not centred on the samples (Q3), would smear the peak.
    rows = [*steps([pitch]), Row(3, 70.0), Row(4, 70.0)]
    ds = make(run(rows, signal), settings("imaging", profile, filter__zero_phase=True, filter__decimation=1))
    at = np.unravel_index(np.nanargmax(ds["backscatter"].values), ds["backscatter"].shape)
    found = np.array([float(ds[axis][at[n]]) for axis, n in (("x", 1), ("y", 0), ("z", 2))])
    r, el, roll, phi = (sample + 8.5) * C / (2 * FS), np.deg2rad(pitch), np.deg2rad(1.0), np.deg2rad(230.0)
    xs, ys, zs = r * np.sin(angle), r * np.cos(angle) * np.cos(el), r * np.cos(angle) * np.sin(el)
    right, up = xs * np.cos(roll) + zs * np.sin(roll), zs * np.cos(roll) - xs * np.sin(roll)
    true = (
        right * np.cos(phi) + ys * np.sin(phi),
        ys * np.cos(phi) - right * np.sin(phi),
        4.2 + up,
    )
    assert np.linalg.norm(found - true) < 0.45
