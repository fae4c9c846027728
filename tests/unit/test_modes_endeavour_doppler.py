"""Doppler of 2010-15: known velocities, and the original's oddities in both profiles.

See docs/method.md#doppler-2010-15.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from covis_dask.modes.endeavour import doppler
from covis_dask.modes.endeavour._bursts import Attitude, grid_axes
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.endeavour._reach import Part, part_within, whole
from covis_dask.modes.endeavour.doppler import DopplerBurst, Series, doppler_burst
from covis_dask.modes.parameters import Parameters
from covis_dask.sonar.geometry import directions_endeavour
from covis_dask.sonar.windows import window_ranges
from tests._stepwise import series
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
    noise,
    run,
    settings,
    steps,
    transmission,
)

N = 400
PROFILES = ("matlab", "corrected")
Samples = Callable[[Row], NDArray[np.complex128]]
G = 100 * C * FS / (4 * np.pi * 396_000.0) / 8
"""cm/s per radian."""
BOX = {"xmin": -12, "xmax": -0.5, "ymin": -10, "ymax": 0.5, "zmin": 4, "zmax": 12}
SMALL = {f"grids__*__{name}": value for name, value in BOX.items()}


def _operators(parameters: Parameters, nsamps: int = N) -> PingOperators:
    return OperatorCache(parameters, print).open(make_ping(1, transmission(nsamps)))[1]


def _receding(speed: float, nsamps: int = N, drift: float = 0.0) -> Samples:
    """Return a signal whose scatterers recede at `speed`, m/s; the clocks add `drift`, m/s."""
    turn = 2 * 2 * np.pi * 396_000.0 / C / FS
    samples = np.arange(nsamps)

    def signal(row: Row) -> NDArray[np.complex128]:
        strength = 20 * (-1) ** row.ping * np.exp(-1j * turn * (speed + drift) * samples)
        data: NDArray[np.complex128] = strength[:, None] * elements(0.0)[None, :]
        data[:, -1] = 0
        monitor = round(3 * FS * 0.0005) + 1
        data[:monitor, -1] = 500 * np.exp(-1j * turn * drift * samples[:monitor] + 1j * row.ping)
        return data

    return signal


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("speed", [0.5, -1.5])
def test_known_velocity(profile: str, speed: float) -> None:
    """A scatterer that recedes at v has vr = v within 2 %; the sign is positive away from the sonar."""
    ds = make(run(steps([30.0, 40.0, 50.0]), _receding(speed)), settings("doppler", profile, **SMALL))
    for name in ("radial_velocity", "radial_velocity_mean_phase"):
        assert np.nanmedian(ds[name]) == pytest.approx(100 * speed, rel=0.02)
    assert ds["radial_velocity"].attrs["units"] == "cm s-1"


@pytest.mark.parametrize("profile", PROFILES)
def test_velocity_wraps(profile: str) -> None:
    """Beyond 4 m/s the velocity wraps."""
    ds = make(run(steps([30.0, 40.0, 50.0]), _receding(4.5)), settings("doppler", profile, **SMALL))
    assert np.nanmedian(ds["radial_velocity"]) == pytest.approx(450 - 2 * np.pi * G, rel=0.02)


@pytest.mark.parametrize("profile", PROFILES)
def test_clock_offset(profile: str) -> None:
    """The monitor channel gives the velocity that the clocks feign; what is left after it is the truth."""
    sweep = run(steps([30.0, 40.0, 50.0]), _receding(0.5, drift=0.2))
    ds = make(sweep, settings("doppler", profile, **SMALL))
    offset = float(ds["offset_velocity"])
    assert offset == pytest.approx(20.0, rel=1e-6)
    assert np.nanmedian(ds["radial_velocity"]) - offset == pytest.approx(50.0, rel=0.03)
    assert ds["offset_velocity"].attrs["original_name"] == "vr_offset"


def _burst(parameters: Parameters, found: list[Series] | None = None, elevation: float = 0.5) -> DopplerBurst:
    operators = _operators(parameters)
    return doppler_burst(found or _found(parameters), operators, Attitude(elevation, 0.0, 1.0), parameters)


def _found(parameters: Parameters, count: int = 3) -> list[Series]:
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(count, N, 256, 2)) @ np.array([1, 1j]) * 1e-5
    return [series(one, _operators(parameters), parameters) for one in drawn]


@pytest.mark.parametrize("profile", PROFILES)
def test_q28_elevation_for_vertical_velocity(profile: str) -> None:
    """The elevation for vz is seen from the foot of the tower, or from the head (Q28)."""
    parameters = settings("doppler", profile)
    made = _burst(parameters)
    up = made.z - (4.2 if profile == "corrected" else 0.0)
    sine = up / np.sqrt(made.x**2 + made.y**2 + up**2)
    np.testing.assert_allclose(made.vz, made.vr / sine, rtol=1e-12)


def test_q28_vertical_flow_is_recovered() -> None:
    """Of a flow w straight up, seen as w sin(elevation), only the corrected profile finds w again (Q28)."""
    recovered = {}
    for profile in PROFILES:
        parameters = settings("doppler", profile, ping_combination__mode="intensity")
        elevation, w = 0.6, 30.0
        operators = _operators(parameters)
        phase = w * np.sin(elevation) * np.cos(operators.beamformer.angles) / G
        one = Series(np.ones((23, 256)), np.ones((23, 1)) * np.exp(1j * phase))
        made = doppler_burst([one], operators, Attitude(elevation, 0.0, 1.0), parameters)
        recovered[profile] = made.vz
    np.testing.assert_allclose(recovered["corrected"], 30.0, rtol=1e-9)
    assert np.abs(recovered["matlab"] - 30.0).max() > 5


@pytest.mark.parametrize("profile", PROFILES)
def test_q29_autocovariance_is_divided_by_the_weight(profile: str) -> None:
    """The gridded autocovariance is the weighted sum, or the weighted mean (Q29)."""
    ds = make(run(steps([30.0, 40.0, 50.0]), _receding(0.5)), settings("doppler", profile, **SMALL))
    covariance = np.hypot(ds["autocovariance_real"], ds["autocovariance_imag"])
    ratio = covariance / ds["backscatter"]
    # One series of a pair: the covariance of this noiseless signal is as strong as its power.
    per_weight = ratio / (ds["doppler_velocity_weight"] if profile == "matlab" else 1)
    assert np.nanmedian(per_weight) == pytest.approx(1.0, rel=0.1)
    for part in ("real", "imag"):
        values = ds[f"autocovariance_{part}"]
        assert np.isnan(values.values[ds["doppler_velocity_weight"].values == 0]).all()


@pytest.mark.parametrize(("profile", "factor"), [("matlab", 0.707), ("corrected", np.sqrt(0.5))])
def test_q48_ping_differences(profile: str, factor: float) -> None:
    """Ping differences are scaled by 0.707, or by the root of 1/2 (Q48)."""
    parameters = settings("doppler", profile, **SMALL)
    rows, signal = steps([30.0, 40.0, 50.0]), noise(N)
    got = np.nanmax(make(run(rows, signal), parameters)["backscatter"])
    single = settings("doppler", profile, **SMALL, ping_combination__mode="intensity")

    def difference(row: Row) -> NDArray[np.complex128]:
        first = 2 * ((row.ping - 1) // 2) + 1
        ref, later = (signal(replace(row, ping=number)) for number in (first, first + 1))
        phi = np.angle(np.vdot(ref[:52, -1], later[:52, -1]))
        made: NDArray[np.complex128] = factor * (later * np.exp(-1j * phi) - ref)
        return made

    want = np.nanmax(make(run(rows, difference), single)["backscatter"])
    # The backscatter of this noise is as small as the absolute tolerance that approx has of its own.
    assert got == pytest.approx(float(want), rel=1e-9, abs=0)


@pytest.mark.parametrize(("profile", "reduction"), [("matlab", np.sqrt(2)), ("corrected", 1.0)])
def test_q48_standard_deviations(profile: str, reduction: float) -> None:
    """Standard deviations are divided by the root of 2 for an average made later, or not (Q48)."""
    parameters = settings("doppler", profile)
    found = _found(parameters)
    made = _burst(parameters, found)
    theta = np.angle([one.covariance for one in found])
    power = np.array([one.power for one in found])
    np.testing.assert_allclose(made.vr_std, G * theta.std(axis=0, ddof=1) / reduction, rtol=1e-12)
    np.testing.assert_allclose(made.intensity_std, power.std(axis=0, ddof=1) / reduction, rtol=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
def test_single_series_has_no_deviation(profile: str) -> None:
    """The deviation of a single series is 0, as Matlab has it, not NaN."""
    parameters = settings("doppler", profile)
    made = _burst(parameters, _found(parameters, 1))
    assert not made.vr_std.any()
    assert not made.intensity_std.any()


@pytest.mark.parametrize("profile", PROFILES)
def test_intensity_window(profile: str) -> None:
    """Backscatter far below the threshold is blanked in the windowed variable, far above it is kept."""
    parameters = settings("doppler", profile)
    power = np.full((23, 256), 1e-12)
    power[:, 128:] = 1e-7
    made = _burst(parameters, [Series(power, power.astype(np.complex128))])
    assert made.intensity_filt[:, :128].max() < 1e-20
    np.testing.assert_allclose(made.intensity_filt[:, 128:], 1e-7, rtol=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
def test_q54_first_burst_within_the_bounds(profile: str) -> None:
    """A run whose first burst already lies within the bounds is processed (Q54)."""
    ds = make(run(steps([22.0, 30.0, 40.0]), noise(N)), settings("doppler", profile, **SMALL))
    assert ds["burst_used"].values.tolist()[:2] == [1, 1]


@pytest.mark.parametrize(("profile", "used"), [("matlab", 2), ("corrected", 3)])
def test_q6_q56_bursts(profile: str, used: int) -> None:
    """The last burst is lost, or kept; a wobble of the sensor splits bursts, or not (Q6, Q56)."""
    rows = [Row(1, 30.0), Row(2, 30.0), Row(3, 40.0), Row(4, 40.0), Row(5, 50.0), Row(6, 50.0)]
    ds = make(run(rows, noise(N)), settings("doppler", profile, **SMALL))
    assert ds.attrs["bursts_used"] == used
    wobbling = [*rows[:2], Row(3, 40.0), Row(4, 40.1), *rows[4:]]
    ds = make(run(wobbling, noise(N)), settings("doppler", profile, **SMALL))
    assert ds.attrs["bursts_used"] == (1 if profile == "matlab" else 3)


@pytest.mark.parametrize("profile", PROFILES)
def test_q10_q13_axes_and_absorption(profile: str) -> None:
    """Ranges start at dr or at 0; absorption is a constant or the formula (Q10, Q13)."""
    parameters = settings("doppler", profile, filter__decimation=4)
    operators, dr = _operators(parameters), C / (2 * FS)
    # The Doppler program of 2010-15 ignores the configured decimation.
    assert len(operators.ranges) == N
    assert operators.ranges[0] == pytest.approx(dr if profile == "matlab" else 0.0)
    gain = operators.calibration.range_gain[[100, 200]] / operators.ranges[[100, 200]]
    slope = 1000 * 20 * np.log10(gain[1] / gain[0]) / (2 * 100 * dr)
    assert slope == pytest.approx(34.6 if profile == "matlab" else 80.5, rel=5e-3)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("number", [3, 4, 5])
def test_q21_q22_bad_pings_are_left_out(profile: str, number: int) -> None:
    """The product of a run with a bad ping is that of the run without it, offset included (Q21, Q22)."""
    rows = [*steps([22.0]), *(Row(n, 30.0, 1 + n / 10, 210 + n) for n in (3, 4, 5)), *steps([40.0, 50.0])]
    rows = [replace(row, ping=index + 1) for index, row in enumerate(rows)]
    signal = noise(N)
    parameters = settings("doppler", profile, **SMALL)
    want = make(run([row for row in rows if row.ping != number], signal), parameters)
    sound = run(rows, signal)
    for broken in (
        bad_ping(number),
        replace(make_ping(number, signal(rows[number - 1])), header=None),
        make_ping(number, signal(rows[number - 1]), header(sound_speed=0.0)),
    ):
        got = make(MemorySweep(rows, {**sound.files, number: broken}), parameters)
        assert got.attrs["bad_ping"] == [number]
        for name in want.data_vars:
            if want[name].ndim in {0, 3}:
                np.testing.assert_array_equal(got[name], want[name])


@pytest.mark.parametrize("profile", PROFILES)
def test_products_name_the_originals_variables(profile: str) -> None:
    """Every gridded variable has the original's name, complex ones as two (Q55: no wrong name)."""
    ds = make(run(steps([30.0, 40.0, 50.0]), noise(N)), settings("doppler", profile, **SMALL))
    names = {v.attrs["original_name"] for v in ds.data_vars.values() if v.ndim == 3}
    fields = ("v", "v_filt", "vr", "std", "covar_real", "covar_imag", "w")
    assert names == {f"{grid}_{name}" for grid in ("doppler_velocity", "intensity") for name in fields}
    assert all(v.attrs["long_name"] and v.attrs["units"] for v in ds.data_vars.values())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("combination", ["diff", "intensity"])
def test_what_lies_in_no_grid_is_left_out(
    profile: str, combination: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Computing only the windows and beams that can lie in the grids gives the grids of all of them."""
    near = {**SMALL, "grids__*__xmax": -2, "grids__*__xmin": -4, "grids__*__ymin": -3, "grids__*__zmax": 8}
    parameters = settings("doppler", profile, ping_combination__mode=combination, **near)
    # Roll and heading change within a burst, and its last ping counts.
    rows = [Row(n + 1, (30.0, 40.0, 50.0)[n // 3], 1 + n / 10, 210 + n / 5) for n in range(9)]
    sweep, parts = run(rows, noise(N)), []

    def watched(*words: Any) -> Part:
        parts.append(part_within(*words))
        return parts[-1]

    monkeypatch.setattr(doppler, "part_within", watched)
    found = make(sweep, parameters)
    assert len(parts) == found.attrs["bursts_used"]
    assert all(0 < len(part.power) < N // 17 and part.beams.start > 0 for part in parts)
    monkeypatch.setattr(
        doppler, "part_within", lambda _grids, operators, _where, given: whole(operators, given)
    )
    wanted = make(sweep, parameters)
    assert wanted["intensity_weight"].values.any()
    for name in wanted.data_vars:
        if wanted[name].ndim == 3:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_attitude_of_the_last_ping_counts(profile: str) -> None:
    """Where roll and heading change within a burst, it lies where the last of its good pings looked."""
    turning = [
        Row(index * 3 + n + 1, pitch, 1.0 + 2 * n, 212.0 + 4 * n)
        for index, pitch in enumerate([30.0, 40.0, 50.0])
        for n in range(3)
    ]
    signal, parameters = noise(N), settings("doppler", profile, **SMALL)

    def still(place: int, rows: list[Row]) -> list[Row]:
        """Give every ping of a burst the attitude of one of them."""
        burst = {row.pitch: [one for one in rows if one.pitch == row.pitch][place] for row in rows}
        return [replace(row, roll=burst[row.pitch].roll, heading=burst[row.pitch].heading) for row in rows]

    for rows in (turning, [*turning[:5], *turning[6:]]):
        got, last, first = (
            make(run(each, signal), parameters) for each in (rows, still(-1, rows), still(0, rows))
        )
        for name in last.data_vars:
            if last[name].ndim == 3:
                np.testing.assert_allclose(got[name], last[name], rtol=1e-9, atol=1e-15)
        assert not np.allclose(got["backscatter"], first["backscatter"], rtol=1e-3, atol=0, equal_nan=True)


@pytest.mark.parametrize("profile", PROFILES)
def test_one_ping_has_no_difference(profile: str) -> None:
    """A burst of one ping is left out of ping differences, even where min_pings is 1; alone it counts."""
    rows, signal = [Row(1, 30.0), *steps([40.0, 50.0])], noise(N)
    rows = [replace(row, ping=number) for number, row in enumerate(rows, 1)]
    difference = settings("doppler", profile, **SMALL, bursts__min_pings=1)
    got, want = (make(run(some, signal), difference) for some in (rows, rows[1:]))
    assert got["burst_used"].values.tolist()[:2] == [0, 1]
    assert "fewer than 2 valid pings" in str(got.attrs["bursts_skipped_reasons"])
    for name in want.data_vars:
        if want[name].ndim == 3:
            np.testing.assert_array_equal(got[name], want[name])
    single = settings("doppler", profile, **SMALL, ping_combination__mode="intensity")
    assert make(run(rows, signal), single)["burst_used"].values.tolist()[:2] == [1, 1]


@pytest.mark.parametrize("profile", PROFILES)
def test_windows_left_out_lie_in_no_grid(profile: str) -> None:
    """No window beyond the part lies in the grid, whichever attitude counts, also of a slower sound."""
    parameters = settings("doppler", profile)
    axes, operators = grid_axes(parameters.grids[0]), _operators(parameters, 3000)
    everything = whole(operators, parameters)
    attitudes = [Attitude(0.6, roll, heading) for roll in (0.0, 0.03) for heading in (4.2, 4.25)]
    part = part_within([axes], operators, attitudes, parameters)
    assert 0 < len(part.power) < len(everything.power)
    for where in attitudes:
        for stretch in (0.985, 1.0, 1.015):
            directions = directions_endeavour(
                operators.beamformer.angles,
                where.compass,
                where.roll,
                where.elevation,
                unrotated_x=parameters.fixes.unrotated_x,
            )
            places = directions.at(stretch * window_ranges(operators.ranges, everything.lagged))
            inside = np.logical_and.reduce(
                [(at >= axis[0]) & (at <= axis[-1]) for at, axis in zip(places, axes.axes, strict=True)]
            )
            assert inside.any()
            inside[part.bins, part.beams] = False
            assert not inside.any()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_burst_that_misses_the_grid(profile: str) -> None:
    """A burst that no grid holds anything of leaves the grids empty, and counts for the clock offset."""
    away = {**SMALL, "grids__*__ymin": 200, "grids__*__ymax": 210}
    sweep = run(steps([30.0, 40.0, 50.0]), _receding(0.5, drift=0.2))
    ds = make(sweep, settings("doppler", profile, **away))
    assert not ds["intensity_weight"].values.any()
    assert float(ds["offset_velocity"]) == pytest.approx(20.0, rel=1e-6)
    assert ds.attrs["bursts_used"] == (2 if profile == "matlab" else 3)


@pytest.mark.parametrize("profile", PROFILES)
def test_pings_of_a_burst_agree_on_their_ranges(profile: str) -> None:
    """A ping whose samples lie elsewhere than those of the first is a bad one; by a little they may."""
    rows, signal = steps([30.0, 40.0, 50.0], pings=3), noise(N)
    sound = run(rows, signal)
    for c, bad in ((C * 1.01, []), (C * 1.06, [3])):
        files = {**sound.files, 3: make_ping(3, signal(rows[2]), header(sound_speed=c))}
        ds = make(MemorySweep(rows, files), settings("doppler", profile, **SMALL))
        assert ds.attrs["bad_ping"] == bad
