"""Diffuse flow of 2010-15: known answers, the original's oddities in both profiles.

See docs/method.md#diffuse-flow-2010-15.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from covis_dask.errors import NoValidPings, SweepIncomplete
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.endeavour.diffuse import diffuse_maps, pair_stages
from covis_dask.modes.parameters import Parameters
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
    transmission,
)

N = 700
E = 128
FREQ = 200_000.0
WINDOW = (34, 17)
PROFILES = ("matlab", "corrected")
ROWS = [Row(n, -18.0, -1.0, 212.0) for n in range(1, 9)]

Samples = Callable[[Row], NDArray[np.complex128]]


def _operators(parameters: Parameters) -> PingOperators:
    return OperatorCache(parameters, print).open(make_ping(1, transmission(N, E)))[1]


def _steady(row: Row) -> NDArray[np.complex128]:
    """Return the same seafloor in every ping, under another transmit phase."""
    seafloor = noise(N, E)(replace(row, ping=1))
    made: NDArray[np.complex128] = seafloor * np.exp(1j * row.ping)
    return made


def _jittered(row: Row) -> NDArray[np.complex128]:
    """Return a steady seafloor whose samples' phases jitter from ping to ping."""
    data = noise(N, E)(replace(row, ping=1))
    rng = np.random.default_rng(row.ping)
    jitter = np.repeat(rng.normal(scale=0.5, size=N // 35 + 1), 35)[:N]
    data[60:] *= np.exp(1j * jitter[60:, None])
    return data


@pytest.mark.parametrize("profile", PROFILES)
def test_identical_pings_do_not_decorrelate(profile: str) -> None:
    """Pings that differ in their transmit phase only have correlation 1, and decorrelation 0."""
    ds = make(run(ROWS, _steady), settings("diffuse", profile))
    assert np.nanmax(np.abs(ds["decorrelation"])) < 1e-12
    assert ds.attrs["pairs"] == 4


@pytest.mark.parametrize("profile", PROFILES)
def test_independent_pings_decorrelate(profile: str) -> None:
    """Independent pings have a small correlation."""
    ds = make(run(ROWS, noise(N, E)), settings("diffuse", profile, correlation__windthresh=1e-9))
    assert np.nanmedian(ds["decorrelation"]) > 0.5


@pytest.mark.parametrize("profile", PROFILES)
def test_maps_are_relative_to_their_maximum(profile: str) -> None:
    """Intensity and decorrelation intensity are divided by their maximum over all bins and beams."""
    parameters = settings("diffuse", profile)
    operators = _operators(parameters)
    bins = N // 17
    rng = np.random.default_rng(0)
    averages = tuple(rng.uniform(0.1, 0.9, size=(bins, E)) for _ in range(3))
    maps = diffuse_maps((averages[0], averages[1], averages[2]), operators, WINDOW, 1.0, parameters)
    assert (maps.rc > 4.2).all()
    assert maps.values["intensity"].max() == 1
    assert maps.values["decorrelation_intensity"].max() == 1
    window = 1 - np.exp(-((maps.values["intensity"] / 0.001 + 0.0001) ** 4))
    np.testing.assert_allclose(maps.values["decorrelation"], (1 - maps.correlation) * window)


@pytest.mark.parametrize("profile", PROFILES)
def test_q2_q3_q4_gridding_of_maps(profile: str) -> None:
    """Corner weights are exchanged and taken from xmin, last sample wins; or all are true (Q2, Q3, Q4)."""
    parameters = settings("diffuse", profile)
    ds = make(run(ROWS, _jittered), parameters)
    operators = _operators(parameters)
    cache = OperatorCache(parameters, print)
    samples = [_jittered(row) for row in ROWS]
    correlation, intensity, decorrelated = [], [], []
    for earlier, later in zip(samples[:-4], samples[4:], strict=True):
        a, b = (
            pair_stages(x, operators, parameters).samples
            for x in (earlier, cache.phased(later, earlier, operators))
        )
        starts = range(0, N // 17 * 17, 17)
        power = [[np.sum(np.abs(x[s : s + 34]) ** 2, axis=0) for s in starts] for x in (a, b)]
        energy = np.sqrt(np.array(power[0]) * np.array(power[1])) / 34
        cov = np.array([np.sum((a * b.conj())[s : s + 34], axis=0) / 34 for s in starts])
        correlation.append(np.abs(cov / energy))
        intensity.append(energy)
        decorrelated.append(energy * (1 - np.abs(cov / energy)))
    averages = tuple(np.mean(stack, axis=0) for stack in (correlation, intensity, decorrelated))
    compass = np.deg2rad(230.0)
    roll = np.deg2rad(ROWS[0].roll) if profile == "corrected" else 0.0
    maps = diffuse_maps((averages[0], averages[1], averages[2]), operators, WINDOW, compass, parameters, roll)
    for name, values in maps.values.items():
        value, weight = naive_grid(
            (np.arange(-35, 5.1, 0.5), np.arange(-25, 5.1, 0.5)),
            [((maps.x, maps.y), values)],
            corrected=profile == "corrected",
        )
        np.testing.assert_allclose(ds[f"{name}_weight"], weight, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(ds[name], value, rtol=1e-8, atol=1e-12)


def _echo(parameters: Parameters, sample: int = 400) -> NDArray[np.float64]:
    """Return the power of a pulse that starts at a sample, after the chain, in its beam."""
    data = transmission(N, E)
    data[sample : sample + 17] += 100 * elements(0.2, E, FREQ)
    made = pair_stages(data, _operators(parameters), parameters).samples
    power: NDArray[np.float64] = (np.abs(made[300:]) ** 2).sum(axis=1)
    return power


@pytest.mark.parametrize(("profile", "delay"), [("matlab", True), ("corrected", False)])
def test_q23_filter_delays_echoes(profile: str, delay: bool) -> None:
    """The causal filter after calibration delays an echo; the zero-phase one before beams does not (Q23)."""
    power = _echo(settings("diffuse", profile))
    centre = 300 + (np.arange(len(power)) * power).sum() / power.sum()
    true = 400 + 8
    assert (centre - true > 2.5) == delay
    assert abs(centre - true) < (9 if delay else 0.5)


@pytest.mark.parametrize("profile", PROFILES)
def test_q24_positions(profile: str) -> None:
    """Compass taken for a mathematical angle and slant for ground range; or a proper map (Q24)."""
    parameters = settings("diffuse", profile)
    operators = _operators(parameters)
    ones = np.ones((N // 17, E))
    maps = diffuse_maps((ones, ones, ones), operators, WINDOW, np.deg2rad(230.0), parameters)
    a, phi, rc = operators.beamformer.angles, np.deg2rad(230.0), maps.rc[:, None]
    if profile == "matlab":
        np.testing.assert_allclose(maps.x, rc * np.cos(phi - a))
        np.testing.assert_allclose(maps.y, rc * np.sin(phi - a))
    else:
        ground = np.sqrt(rc**2 - 4.2**2)
        with np.errstate(invalid="ignore"):  # a cone at the side meets no seafloor near by
            bearing = phi + np.arcsin(rc * np.sin(a) / ground)
        np.testing.assert_allclose(maps.x, ground * np.sin(bearing))
        np.testing.assert_allclose(maps.y, ground * np.cos(bearing))
    assert rc.min() > 4.2


def test_q24_target_lies_where_it_is() -> None:
    """In the corrected profile a target on the seafloor peaks in its own cell (Q24, Q10, Q23)."""
    sample, angle = 420, 0.2
    r = (sample + 8.5) * C / (2 * FS)

    def signal(row: Row) -> NDArray[np.complex128]:
        data = noise(N, E, level=0.1)(row)
        data[sample : sample + 17] += 100 * elements(angle, E, FREQ)
        return data

    ds = make(run(ROWS, signal), settings("diffuse", "corrected"))
    peak = np.unravel_index(np.nanargmax(ds["intensity"].values), ds["intensity"].shape)
    ground, bearing = np.sqrt(r**2 - 4.2**2), np.deg2rad(230.0) + angle
    assert abs(float(ds["x"][peak[1]]) - ground * np.sin(bearing)) < 0.5
    assert abs(float(ds["y"][peak[0]]) - ground * np.cos(bearing)) < 0.5


@pytest.mark.parametrize(("profile", "heading"), [("matlab", 233.0), ("corrected", 233.5)])
def test_q24_heading_of_the_run(profile: str, heading: float) -> None:
    """The heading is that of the last pair's first ping, or the mean of all valid pings (Q24)."""
    rows = [replace(row, heading=211.0 + row.ping) for row in ROWS]
    ds = make(run(rows, _steady), settings("diffuse", profile))
    assert ds.attrs["heading"] == pytest.approx(heading)


@pytest.mark.parametrize(("profile", "step"), [("matlab", 1.0), ("corrected", 0.0)])
def test_q8_q10_q13_chain(profile: str, step: float) -> None:
    """Monitor channel, range of the first sample and absorption, each in both profiles (Q8, Q10, Q13)."""
    operators = _operators(settings("diffuse", profile))
    dr = C / (2 * FS)
    assert operators.ranges[0] == pytest.approx(step * dr)
    assert operators.beamformer.weights[-1] == pytest.approx(0.08 * step)
    gain = operators.calibration.range_gain[[200, 600]] / operators.ranges[[200, 600]] ** 2
    slope = 1000 * 20 * np.log10(gain[1] / gain[0]) / (2 * 400 * dr)
    assert slope == pytest.approx(8.8 if profile == "matlab" else 32.95, rel=1e-3)


def test_missing_file_rejects_the_run_or_not() -> None:
    """With a row and no file the original rejects the run; corrected joins by number (4.4, Q22)."""
    sweep = run(ROWS, _steady)
    sweep.files = {number: ping for number, ping in sweep.files.items() if number != 3}
    with pytest.raises(SweepIncomplete, match="lists 8 pings; the archive holds 7 of them"):
        make(sweep, settings("diffuse", "matlab"))
    ds = make(sweep, settings("diffuse", "corrected"))
    assert ds.attrs["missing_ping"] == [3]
    assert ds.attrs["pairs"] == 3


def test_file_without_row_rejects_the_run_or_not() -> None:
    """With a file and no row the original rejects the run too (docs/method.md#diffuse-flow-2010-15)."""
    sweep = run(ROWS, _steady, strangers=(99,))
    with pytest.raises(SweepIncomplete, match="8 of them, and 1 others"):
        make(sweep, settings("diffuse", "matlab"))
    assert make(sweep, settings("diffuse", "corrected")).attrs["pairs"] == 4


@pytest.mark.parametrize("profile", PROFILES)
def test_too_few_pings(profile: str) -> None:
    """Four pings have no pair at a lag of four; nor have eight of which too many are bad."""
    with pytest.raises(NoValidPings, match="no two of them are 4 pings apart"):
        make(run(ROWS[:4], _steady), settings("diffuse", profile))
    sweep = run(ROWS, _steady)
    sweep.files = {n: bad_ping(n, FREQ) if n > 2 else ping for n, ping in sweep.files.items()}
    with pytest.raises(NoValidPings, match="Only 2 of 8"):
        make(sweep, settings("diffuse", profile))
    sweep.files = {n: bad_ping(n, FREQ) for n in sweep.files}
    with pytest.raises(NoValidPings, match="the file is cut off"):
        make(sweep, settings("diffuse", profile))


@pytest.mark.parametrize("profile", PROFILES)
def test_pings_too_short_for_the_seafloor(profile: str) -> None:
    """Pings that end before the seafloor give no map."""
    with pytest.raises(NoValidPings, match="do not reach the seafloor"):
        make(run(ROWS, noise(120, E)), settings("diffuse", profile))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("number", [1, 4, 8])
def test_q21_q22_bad_pings_are_left_out(profile: str, number: int) -> None:
    """The product of a run with a bad ping is that of the run without it (Q21, Q22)."""
    parameters = settings("diffuse", profile)
    want = make(run([row for row in ROWS if row.ping != number], _jittered), parameters)
    sound = run(ROWS, _jittered)
    data = _jittered(ROWS[number - 1])
    for broken in (
        bad_ping(number, FREQ),
        replace(make_ping(number, data), header=None),
        make_ping(number, data, header(396_000.0)),
        make_ping(number, data, header(FREQ, gain_sel=1e6)),
        make_ping(number, data, header(FREQ, pulse_width=0.01)),
    ):
        got = make(MemorySweep(ROWS, {**sound.files, number: broken}), parameters)
        assert got.attrs["bad_ping"] == [number]
        for name in ("intensity", "decorrelation", "decorrelation_intensity"):
            np.testing.assert_array_equal(got[name], want[name])


def test_pairs_across_a_gap() -> None:
    """The original counts the pings that are there; corrected keeps the lag in time (Q22)."""
    rows = [row for row in ROWS if row.ping != 4]
    assert make(run(rows, _steady), settings("diffuse", "matlab")).attrs["pairs"] == 3
    # 1-5, 2-6, 3-7; ping 8 has lost its partner.
    assert make(run(rows, _steady), settings("diffuse", "corrected")).attrs["pairs"] == 3
    assert make(run(rows[:4], _steady), settings("diffuse", "corrected")).attrs["pairs"] == 1
