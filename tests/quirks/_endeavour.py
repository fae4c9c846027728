"""Known answers of 2010-15: small runs made in memory."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from covis_dask.errors import SweepIncomplete
from covis_dask.modes import parameters_for
from covis_dask.modes.endeavour._bursts import Attitude
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.endeavour.diffuse import diffuse_maps, pair_stages
from covis_dask.modes.endeavour.doppler import DopplerBurst, Series, doppler_burst
from covis_dask.modes.endeavour.imaging import image_burst
from covis_dask.modes.parameters import Parameters
from tests._stepwise import series
from tests.quirks._registry import known_answer
from tests.unit._endeavour_runs import (
    FS,
    C,
    Row,
    elements,
    make,
    make_ping,
    noise,
    run,
    steps,
    transmission,
)

Fixed = tuple[str, ...]
DR = C / (2 * FS)
N = 320
SMALL = {"dx": 2.0, "dy": 2.0, "dz": 2.0}
FAMILIES = {"imaging": 256, "doppler": 256, "diffuse": 128}
ROWS = [Row(n, -18.0, -1.0, 211.0 + n) for n in range(1, 9)]
BOX = {
    f"grids__*__{name}": value
    for name, value in {"xmin": -12, "xmax": -0.5, "ymin": -10, "ymax": 0.5, "zmin": 4, "zmax": 12}.items()
}
"""A volume near the head."""
G = 100 * C * FS / (4 * np.pi * 396_000.0) / 8
"""cm/s per radian."""


def _parameters(family: str, fixes: Fixed, **overrides: Any) -> Parameters:
    changed = {key.replace("__", "."): value for key, value in overrides.items()}
    if family != "diffuse":
        changed |= {f"grids.*.{name}": value for name, value in SMALL.items()}
    return parameters_for(family, "Endeavour", fixes=fixes, overrides=changed)


def _operators(family: str, fixes: Fixed, **overrides: Any) -> PingOperators:
    parameters = _parameters(family, fixes, **overrides)
    cache = OperatorCache(parameters, print, parameters.filter.decimation if family == "imaging" else 1)
    return cache.open(make_ping(1, transmission(N, FAMILIES[family])))[1]


def _imaged(rows: list[Row], fixes: Fixed, seed: int = 0, **overrides: Any) -> xr.Dataset:
    return make(run(rows, noise(N, seed=seed)), _parameters("imaging", fixes, **overrides))


@known_answer("Q6")
def bursts_of_a_run(mended: bool, fixes: Fixed) -> None:
    assert _imaged(steps([30.0, 40.0, 50.0]), fixes).sizes["burst"] == (3 if mended else 2)


@known_answer("Q56")
def bursts_of_a_jittering_sensor(mended: bool, fixes: Fixed) -> None:
    rows = [Row(n, pitch) for n, pitch in enumerate([30.0, 30.0, 30.1, 30.1, 40.0, 40.0, 50.0], 1)]
    sizes = _imaged(rows, fixes)["burst_npings"].values.tolist()
    assert sizes == ([4, 2] if mended else [2, 2, 2])


@known_answer("Q8")
def weight_of_the_monitor(mended: bool, fixes: Fixed) -> None:
    for family in FAMILIES:
        assert _operators(family, fixes).beamformer.weights[-1] == pytest.approx(0 if mended else 0.08)


@known_answer("Q10")
def range_of_the_first_sample(mended: bool, fixes: Fixed) -> None:
    for family in FAMILIES:
        step = 4 * DR if family == "imaging" else DR
        ranges = _operators(family, fixes).ranges
        np.testing.assert_allclose(ranges[:2], [0, step] if mended else [step, 2 * step], rtol=1e-12)


@known_answer("Q13")
def absorption_of_the_gains(mended: bool, fixes: Fixed) -> None:
    for family, spread, original, formula in (("doppler", 1, 34.6, 80.5), ("diffuse", 2, 8.8, 32.6)):
        operators = _operators(family, fixes)
        gain = operators.calibration.range_gain[[100, 300]] / operators.ranges[[100, 300]] ** spread
        slope = 1000 * 20 * np.log10(gain[1] / gain[0]) / (2 * 200 * DR)
        assert slope == pytest.approx(formula if mended else original, rel=0.015 if mended else 1e-9)


@known_answer("Q11")
def height_under_roll(mended: bool, fixes: Fixed) -> None:
    el, rho = 0.4, 0.2
    where = Attitude(el, rho, 1.1)
    operators = _operators("imaging", fixes)
    image = image_burst(
        [np.ones((N // 4, 256), np.complex128)] * 2, operators, where, _parameters("imaging", fixes)
    )
    burst = _doppler_burst(fixes, where)
    a = operators.beamformer.angles
    for made, ranges in ((image, operators.ranges), (burst, burst.rc)):
        xs, zs = ranges[:, None] * np.sin(a), ranges[:, None] * np.cos(a) * np.sin(el)
        used = xs if mended else xs * np.cos(rho) + zs * np.sin(rho)
        np.testing.assert_allclose(made.z, 4.2 - used * np.sin(rho) + zs * np.cos(rho), rtol=1e-12)


def _doppler_burst(fixes: Fixed, where: Attitude, found: list[Series] | None = None) -> DopplerBurst:
    parameters, operators = _parameters("doppler", fixes), _operators("doppler", fixes)
    return doppler_burst(found or _series(fixes), operators, where, parameters)


def _series(fixes: Fixed) -> list[Series]:
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(3, N, 256, 2)) @ np.array([1, 1j]) * 1e-5
    return [series(one, _operators("doppler", fixes), _parameters("doppler", fixes)) for one in drawn]


@known_answer("Q19")
def burst_after_a_longer_one(mended: bool, fixes: Fixed) -> None:
    rows = [Row(n, 20.0) for n in (1, 2, 3)] + [Row(n, 50.0) for n in (4, 5)] + [Row(6, 55.0)]
    above = {"grids__0__zmin": 8.5, "grids__0__zmax": 50.5, "bounds__pitch__stop": 54.0}
    parameters = _parameters("imaging", fixes, **above)
    products = []
    for left_over in (1.0, 5.0):
        sound = run(rows, noise(N))
        other = make_ping(3, transmission(N) + left_over * noise(N, seed=9)(rows[2]))
        sound.files = {**sound.files, 3: other}
        products.append(make(sound, parameters)["backscatter"].values)
    assert np.isfinite(products[0]).any()
    assert np.array_equal(products[0], products[1], equal_nan=True) == mended


@known_answer("Q23")
def delay_of_an_echo(mended: bool, fixes: Fixed) -> None:
    parameters = _parameters("diffuse", fixes)
    data = transmission(700, 128)
    data[400:417] += 100 * elements(0.2, 128, 200_000.0)
    operators = OperatorCache(parameters, print).open(make_ping(1, transmission(700, 128)))[1]
    samples = pair_stages(data, operators, parameters).samples[300:]
    power = (np.abs(samples) ** 2).sum(axis=1)
    centre = 300 + (np.arange(len(power)) * power).sum() / power.sum()
    assert centre - 408 == pytest.approx(0 if mended else 5, abs=0.5 if mended else 3)


@known_answer("Q23")
def beams_of_filtered_elements(mended: bool, fixes: Fixed) -> None:
    parameters, operators = _parameters("diffuse", fixes), _operators("diffuse", fixes)
    elements_ = noise(N, 128)(ROWS[0])
    stages = pair_stages(elements_, operators, parameters)
    first = operators.filter(elements_) if mended else elements_
    np.testing.assert_allclose(stages.beams, operators.beamformer(first), rtol=1e-12)
    # Zero-phase means that a pulse stays symmetric, causal that nothing comes before it.
    pulse = np.zeros((101, 1), np.complex128)
    pulse[50] = 1
    before = np.abs(operators.filter(pulse)[:50]).max()
    assert (before > 1e-3) == mended


@known_answer("Q24")
def positions_on_the_seafloor(mended: bool, fixes: Fixed) -> None:
    parameters, operators = _parameters("diffuse", fixes), _operators("diffuse", fixes)
    ones, phi = np.ones((N // 17, 128)), np.deg2rad(230.0)
    maps = diffuse_maps((ones, ones, ones), operators, (34, 17), phi, parameters)
    a, rc = operators.beamformer.angles[None, :], maps.rc[:, None]
    middle = slice(58, 70)  # cones that meet the seafloor at every range
    ground = np.sqrt(rc**2 - 4.2**2)
    off = np.arcsin(np.clip(rc * np.sin(a) / ground, -1, 1))
    x = ground * np.sin(phi + off) if mended else rc * np.cos(phi - a)
    np.testing.assert_allclose(maps.x[:, middle], x[:, middle], rtol=1e-4)


@known_answer("Q24")
def heading_of_a_run(mended: bool, fixes: Fixed) -> None:
    ds = make(run(ROWS, _steady), _parameters("diffuse", fixes))
    assert ds.attrs["heading"] == pytest.approx(211 + 18 + (4.5 if mended else 4))


def _steady(row: Row) -> NDArray[np.complex128]:
    """Return the same seafloor in every ping, under another transmit phase."""
    seafloor: NDArray[np.complex128] = noise(N, 128)(replace(row, ping=1)) * np.exp(1j * row.ping)
    return seafloor


@known_answer("Q17")
def pairs_across_a_gap(mended: bool, fixes: Fixed) -> None:
    rows = [row for row in ROWS[:6] if row.ping != 4]
    # 1-5 and 2-6 are four pings apart; the first and the last of the five that are there are 1 and 6.
    ds = make(run(rows, _steady), _parameters("diffuse", fixes))
    assert ds.attrs["pairs"] == (2 if mended else 1)


@known_answer("Q17")
def run_that_lacks_a_file(mended: bool, fixes: Fixed) -> None:
    sweep = run(ROWS, _steady)
    sweep.files = {number: ping for number, ping in sweep.files.items() if number != 3}
    try:
        pairs = make(sweep, _parameters("diffuse", fixes)).attrs["pairs"]
    except SweepIncomplete:
        pairs = None
    assert pairs == (3 if mended else None)


@known_answer("Q28")
def vertical_velocity(mended: bool, fixes: Fixed) -> None:
    made = _doppler_burst(fixes, Attitude(0.5, 0.0, 1.0))
    up = made.z - (4.2 if mended else 0.0)
    sine = up / np.sqrt(made.x**2 + made.y**2 + up**2)
    np.testing.assert_allclose(made.vz, made.vr / sine, rtol=1e-12)


@known_answer("Q29")
def gridded_covariance(mended: bool, fixes: Fixed) -> None:
    rows = steps([30.0, 40.0, 50.0])
    ds = make(run(rows, lambda row: _receding(row, 0.5)), _parameters("doppler", fixes, **BOX))
    strength = np.hypot(ds["autocovariance_real"], ds["autocovariance_imag"]) / ds["backscatter"]
    # Of a signal without noise the covariance is as strong as its power.
    ratio = strength if mended else strength / ds["doppler_velocity_weight"]
    assert float(np.nanmedian(ratio)) == pytest.approx(1.0, rel=0.1)


def _receding(row: Row, speed: float) -> NDArray[np.complex128]:
    """Return a ping whose scatterers recede at `speed`, m/s."""
    turn = 2 * 2 * np.pi * 396_000.0 / C / FS
    data: NDArray[np.complex128] = (
        20 * (-1) ** row.ping * np.exp(-1j * turn * speed * np.arange(400))[:, None] * elements(0.0)[None, :]
    )
    data[:, -1] = 0
    data[:53, -1] = 500
    return data


@known_answer("Q48")
def standard_deviations(mended: bool, fixes: Fixed) -> None:
    found = _series(fixes)
    made = _doppler_burst(fixes, Attitude(0.5, 0.0, 1.0), found)
    theta = np.angle([one.covariance for one in found])
    want = G * theta.std(axis=0, ddof=1) / (1 if mended else np.sqrt(2))
    np.testing.assert_allclose(made.vr_std, want, rtol=1e-12)


@known_answer("Q48")
def strength_of_differences(mended: bool, fixes: Fixed) -> None:
    rows, signal = steps([30.0, 40.0, 50.0]), noise(400)
    factor = np.sqrt(0.5) if mended else 0.707

    def difference(row: Row) -> NDArray[np.complex128]:
        first = 2 * ((row.ping - 1) // 2) + 1
        earlier, later = (signal(replace(row, ping=number)) for number in (first, first + 1))
        phase = np.angle(np.vdot(earlier[:52, -1], later[:52, -1]))
        made: NDArray[np.complex128] = factor * (later * np.exp(-1j * phase) - earlier)
        return made

    alone = _parameters("doppler", fixes, **BOX, ping_combination__mode="intensity")
    got = make(run(rows, signal), _parameters("doppler", fixes, **BOX))["backscatter"]
    want = make(run(rows, difference), alone)["backscatter"]
    assert float(np.nanmax(got) / np.nanmax(want)) == pytest.approx(1, rel=1e-9)
