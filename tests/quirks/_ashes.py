"""Known answers of 2018+: small runs made in memory."""

from dataclasses import replace
from typing import Any

import gsw
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from covis_dask.errors import NoValidPings
from covis_dask.modes import parameters_for
from covis_dask.modes._scheme import scheme_of
from covis_dask.modes.ashes import bathy, diffuse, doppler, fullrange, imaging
from covis_dask.modes.ashes._masks import Intensities
from covis_dask.modes.ashes._setup import SonarSetup
from covis_dask.modes.ashes._velocity import VelocityStatistics
from covis_dask.modes.ashes.imaging import ImagingBurst
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar.grid import GridAxes, OwnSamples, make_gridder
from covis_dask.sonar.seawater import ASHES, absorption
from tests.quirks._registry import known_answer
from tests.unit._ashes import (
    CUBE,
    FS,
    PLANE,
    C,
    Row,
    elements,
    fake,
    floor_echo,
    header,
    named,
    record_of,
    transmission,
)

Complex = NDArray[np.complex128]
Fixed = tuple[str, ...]
N = 110
COARSE = replace(CUBE, xmin=-3, xmax=3, ymin=-3, ymax=3, dx=1, dy=1, dz=1)


def _parameters(family: str, fixes: Fixed, preset: str | None = None, **overrides: Any) -> Parameters:
    changed = {key.replace("__", "."): value for key, value in overrides.items()}
    made = parameters_for(family, "Ashes", preset=preset, fixes=fixes, overrides=changed)
    grids = tuple(replace(COARSE if spec.zmin is not None else PLANE, type=spec.type) for spec in made.grids)
    made = replace(made, grids=grids)
    if made.imaging is not None:
        grid = replace(COARSE, type=made.imaging.grids[0].type)
        made = replace(made, imaging=replace(made.imaging, grids=(grid,)))
    return made


def _noise(seed: int, channels: int = 256, nsamps: int = N) -> Complex:
    random = np.random.default_rng(seed)
    drawn = 20 * (
        random.standard_normal((nsamps, channels)) + 1j * random.standard_normal((nsamps, channels))
    )
    ping: Complex = transmission(nsamps, channels) + drawn
    return ping


def _imaging(rows: list[Row], fixes: Fixed, preset: str = "PP2", **overrides: Any) -> xr.Dataset:
    data = {row.ping: _noise(row.ping) for row in rows}
    return _imaged(fake(rows, data), fixes, preset, **overrides)


def _imaged(sweep: RawSweep, fixes: Fixed, preset: str = "PP2", **overrides: Any) -> xr.Dataset:
    chosen = _parameters("imaging", fixes, preset, **({"noise__snr_thresh": 0.0} | overrides))
    return imaging.process(sweep, chosen, Context())


def _setup(fixes: Fixed, family: str = "imaging") -> SonarSetup:
    return SonarSetup.of(fake([Row(1)], {}), _parameters(family, fixes), 256, 34483, decimates=True)


@known_answer("Q5")
def bursts_of_returning_and_wobbling_readings(mended: bool, fixes: Fixed) -> None:
    rows = [Row(n, pitch, 10.0) for n, pitch in enumerate([9.0, 9.0, 8.0, 8.0, 9.0, 9.0, 7.0, 7.1], 1)]
    sizes = _imaging(rows, fixes)["burst_npings"].values.tolist()
    assert sizes == ([2, 2, 2, 2] if mended else [2, 4, 1, 1])


@known_answer("Q7")
def bursts_of_a_sweep_in_yaw(mended: bool, fixes: Fixed) -> None:
    rows = [Row(n, 200.0, 10.0, yaw=100.0 + 5 * ((n - 1) // 2)) for n in range(1, 7)]
    assert _imaging(rows, fixes).sizes["burst"] == (3 if mended else 1)


@known_answer("Q8")
def beams_of_the_monitor_alone(mended: bool, fixes: Fixed) -> None:
    x = np.zeros((20, 256), np.complex128)
    x[:, -1] = 1
    np.testing.assert_allclose(np.abs(_setup(fixes).beams(x)), 0 if mended else 0.08, atol=1e-12)


@known_answer("Q10")
def range_of_the_first_sample(mended: bool, fixes: Fixed) -> None:
    record = record_of(_noise(1), first_samp=7)
    ranges = _setup(fixes).range_calibration(N, record).ranges
    assert ranges[0] == pytest.approx((7 if mended else 1) * C / (2 * FS), rel=1e-12)


@known_answer("Q14")
def sound_speeds_and_absorption(mended: bool, fixes: Fixed) -> None:
    setup, pressure = _setup(fixes), gsw.p_from_z(-1544, 46)
    salinity = gsw.SA_from_SP(34.53, pressure, -130, 46) if mended else 34.53
    c = gsw.sound_speed_t_exact(salinity, 2.41, pressure)
    assert setup.c == pytest.approx(c, rel=1e-12)
    assert setup.c_scale == pytest.approx(c if mended else 1468.0, rel=1e-12)
    zero = 273.15 if mended else 273.0
    alpha = absorption(396e3, setup.c, ASHES, zero_celsius=zero)
    assert setup.alpha == pytest.approx(alpha, rel=1e-12)


@known_answer("Q15")
def attitude_of_a_burst_with_a_bad_ping(mended: bool, fixes: Fixed) -> None:
    rows = [Row(n, 200.0, pitch) for n, pitch in enumerate([10.0, 12.0, 14.0], 1)]
    data: dict[int, Complex | str] = {1: _noise(1), 2: _noise(2), 3: "cut off"}
    got = _imaged(fake(rows, data), fixes)
    level = [replace(row, pitch=11.0 if mended else 14.0) for row in rows[:2]]
    want = _imaged(fake(level, {1: _noise(1), 2: _noise(2)}), fixes)
    np.testing.assert_array_equal(named(got, "w").values, named(want, "w").values)


@known_answer("Q15")
def pitch_that_is_held_against_the_bounds(mended: bool, fixes: Fixed) -> None:
    rows = [Row(1, 300.0, -21.0), Row(2, 300.0, -18.0), Row(3, 200.0, 10.0), Row(4, 200.0, 10.0)]
    assert _imaging(rows, fixes).attrs["bursts_used"] == (2 if mended else 1)


@known_answer("Q15")
def burst_whose_mean_pitch_is_out_of_bounds(mended: bool, fixes: Fixed) -> None:
    rows = [Row(1, 300.0, -18.0), Row(2, 300.0, -30.0), Row(3, 200.0, 10.0), Row(4, 200.0, 10.0)]
    assert _imaging(rows, fixes).attrs["bursts_used"] == (1 if mended else 2)


def _window(fixes: Fixed, pairs: list[tuple[int, int]], listed: int) -> Any:
    window = diffuse.Window(np.arange(listed), pairs, 34, 17)
    return diffuse.scintillation_window(window, _parameters("diffuse", fixes))


@known_answer("Q16")
def scintillation_of_equal_pings_with_one_missing(mended: bool, fixes: Fixed) -> None:
    window = _window(fixes, [], 5)
    for place in (0, 1, 3, 4):
        window.add(place, np.ones((70, 4), np.complex128))
    index = window.result(np.full((70, 4), 1e-3)).SI
    np.testing.assert_allclose(index, 0 if mended else 5 / 4 - 1, atol=1e-12)


@known_answer("Q17")
def correlation_with_a_lonely_ping(mended: bool, fixes: Fixed) -> None:
    window = _window(fixes, [(0, 1), (2, 3)], 4)
    for place in (0, 1, 2):
        window.add(place, np.ones((70, 4), np.complex128))
    correlation = window.result(np.full((70, 4), 1e-3)).cor
    np.testing.assert_allclose(correlation, 1 if mended else np.sqrt(0.5), rtol=1e-12)


_DIFFUSE = header(xmit_freq=200000.0, max_ping_rate=5.0, power_sel=200.0)


def _diffused(data: dict[int, Complex | str], fixes: Fixed, **overrides: Any) -> xr.Dataset:
    rows = [Row(n, pitch=-20.0, time=1.5e9 + 0.2 * (n - 1)) for n in sorted(data)]
    chosen = _parameters("diffuse", fixes, **overrides)
    return diffuse.process(fake(rows, data, common=_DIFFUSE), chosen, Context())


@known_answer("Q17")
def run_whose_partners_are_all_bad(mended: bool, fixes: Fixed) -> None:
    data: dict[int, Complex | str] = dict.fromkeys(range(1, 11), _noise(1, 128, 560))
    data |= dict.fromkeys(range(11, 22), "empty")
    try:
        pairs: float = float(_diffused(data, fixes).attrs["window_pairs"])
    except NoValidPings:
        pairs = 0
    assert (pairs == 0) == mended


@known_answer("Q18")
def intensity_map_of_nothing_but_noise(mended: bool, fixes: Fixed) -> None:
    data: dict[int, Complex | str] = dict.fromkeys(range(1, 21), _noise(1, 128, 560))
    ds = _diffused(data, fixes, noise__snr_thresh=300.0)
    assert np.isnan(named(ds, "intensity_v").values).all() == mended


def _full_range(fixes: Fixed, bursts: int = 1, bad: tuple[int, ...] = (), **overrides: Any) -> xr.Dataset:
    scene = transmission(480) + elements(1e6 * floor_echo(480, -45.0, limit=64.0), 64.0)
    rows = [
        Row(5 * index + n + 1, 200.0 - index, -45.0, time=1.5e9 + 4 * index + 0.5 * n)
        for index in range(bursts)
        for n in range(5)
    ]
    data: dict[int, Complex | str] = {row.ping: "cut off" if row.ping in bad else scene for row in rows}
    return fullrange.process(fake(rows, data), _parameters("fullimaging", fixes, **overrides), Context())


@known_answer("Q17")
def burst_whose_only_partner_is_bad(mended: bool, fixes: Fixed) -> None:
    # Within half a second of the lag of 2 s: ping 1 with 4 or 5.
    used = _full_range(fixes, 2, bad=(4, 5)).attrs["full_range_bursts_used"]
    assert used == (1 if mended else 2)


@known_answer("Q18")
def beams_without_an_echo_above_the_noise(mended: bool, fixes: Fixed) -> None:
    heights = named(_full_range(fixes, noise__snr_thresh=500.0), "bathy_v").values
    assert np.isnan(heights).all() == mended


@known_answer("Q33")
def place_of_the_windowed_intensity(mended: bool, fixes: Fixed) -> None:
    ds = _full_range(fixes)
    weights, own = named(ds, "intensity_filt_w").values, named(ds, "bathy_filt_w").values
    assert np.array_equal(weights, own) == mended


def _burst(Kp: list[float]) -> ImagingBurst:
    """Make a burst of one range: the second sample is not detected, the third is below the noise."""
    detected = np.array([[True, False, False]])
    levels = Intensities(
        np.array([[1e-4, 2e-4, 3e-4]]),
        np.array([[1e-5, 2e-5, 3e-5]]),
        np.array([[60.0, 60.0, 40.0]]),
        np.array([[60.0, 60.0, 40.0]]),
        detected,
        detected,
    )
    nothing = np.zeros((1, 3))
    return ImagingBurst(
        nothing.astype(np.complex128), nothing, nothing, nothing, nothing, levels, np.array([Kp])
    )


def _gridded(fixes: Fixed, preset: str, Kp: list[float]) -> dict[str, NDArray[Any]]:
    """Grid the first two samples of such a burst, all of it in PP2, in one cell: the second counts."""
    chosen = _parameters("imaging", fixes, preset)
    values = imaging.gridded_values(_burst(Kp), 50.0, preset, chosen.fixes)
    axes = GridAxes(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0]))
    grid = make_gridder(
        axes, tuple(values), scheme_of(chosen), own=OwnSamples(imaging.own_variables(preset, chosen.fixes))
    )
    # Their cells share the column in the middle.
    places = np.array([[0.5, 1.5, 1.5]]), np.array([[0.5, 0.5, 0.5]])
    select = np.array([[True, True, preset == "PP2"]])
    grid.add(places, values, select)
    return grid.finish()


@known_answer("Q25")
def filtered_intensity_of_an_undetected_sample(mended: bool, fixes: Fixed) -> None:
    value = _gridded(fixes, "PP3", [0.2, 0.3, 0.4])["Ia_filt"][0]
    assert value[0] == pytest.approx(1e-4)
    assert value[1] == pytest.approx(1e-4 if mended else (1e-4 + 1e-9) / 2, rel=1e-6)
    assert np.isnan(value[2]) == mended


@known_answer("Q25")
def filtered_intensities_of_a_doppler_run(mended: bool, fixes: Fixed) -> None:
    rows = [Row(n, 200.0, 10.0) for n in range(1, 4)]
    data = {row.ping: _noise(row.ping) for row in rows}
    chosen = _parameters("doppler", fixes, noise__snr_thresh=0.0)
    ds = doppler.process(fake(rows, data), chosen, Context())
    for original in ("intensity_Ia_filt", "intensity_win_Ia_filt"):
        # In noise nothing is detected.
        assert np.isfinite(named(ds, original).values).any() != mended


@known_answer("Q26")
def kp_beside_a_sample_without_one(mended: bool, fixes: Fixed) -> None:
    value = _gridded(fixes, "PP3", [0.2, 0.0, 0.4])["Kp"][0]
    assert np.isnan(value).tolist() == ([False, False, True] if mended else [False, True, True])


@known_answer("Q27")
def lag_of_a_pair(mended: bool, fixes: Fixed) -> None:
    for preset in ("PP3", "PPX"):
        assert _parameters("diffuse", fixes, preset).correlation.tlag == (2 if mended else 4)


def _velocity(fixes: Fixed, preset: str = "PPX") -> VelocityStatistics:
    rows = [Row(1, 200.0, 10.0), Row(2, 200.0, 10.0)]
    program = doppler.DopplerProgram(fake(rows, {}), _parameters("doppler", fixes, preset), Context())
    return VelocityStatistics(program.settings)


@known_answer("Q30")
def fluctuation_of_equal_pings_that_are_not_real(mended: bool, fixes: Fixed) -> None:
    statistics = _velocity(fixes)
    for _ in range(3):
        statistics.add(np.full((N, 256), 1j))
    made = statistics.burst(np.full((N, 256), 1e-3), complete=True)
    np.testing.assert_allclose(made.samples.Id, 0 if mended else 2, atol=1e-12)


@known_answer("Q31")
def windows_of_a_burst_with_a_missing_ping(mended: bool, fixes: Fixed) -> None:
    for preset in ("PP3", "PPX"):
        statistics = _velocity(fixes, preset)
        for seed in range(3):
            statistics.add(_noise(seed))
        made = statistics.burst(np.full((N, 256), 1e-3), complete=False)
        assert np.isfinite(made.windows.Ia).all() == mended
        assert np.isfinite(made.velocities.vr_vel).all() == (mended or preset == "PPX")


@known_answer("Q42")
def intensity_beside_a_masked_sample(mended: bool, fixes: Fixed) -> None:
    # The third sample is in the cell of the second, and counts, for it is the last.
    value = _gridded(fixes, "PP2", [0.2, 0.3, 0.4])["Ia"][0]
    np.testing.assert_allclose(value[:2], [1e-4, 1e-4 if mended else (1e-4 + 1e-9) / 2], rtol=1e-6)
    assert np.isnan(value[2]) == mended


@known_answer("Q42")
def marks_of_what_is_masked(mended: bool, fixes: Fixed) -> None:
    chosen = {preset: _parameters("imaging", fixes, preset).fixes for preset in ("PP2", "PP3")}
    first, later = (
        imaging.gridded_values(_burst([0.2, 0.3, 0.4]), 50.0, preset, how) for preset, how in chosen.items()
    )
    mark = np.nan if mended else 1e-9
    np.testing.assert_array_equal(first["Ia"], [[1e-4, 2e-4, mark]])
    np.testing.assert_array_equal(first["Ia_filt"], [[1e-4, mark, mark]])
    np.testing.assert_array_equal(later["Ia"], [[1e-4, 2e-4, np.nan]])
    np.testing.assert_array_equal(later["Ia_filt"], [[1e-4, 1e-9, mark]])


@known_answer("Q42")
def fractions_of_samples_that_passed(mended: bool, fixes: Fixed) -> None:
    rows = [Row(n, 200.0, 10.0) for n in range(1, 4)]
    data = {row.ping: _noise(row.ping) for row in rows}
    run = doppler.process(fake(rows, data), _parameters("doppler", fixes), Context())
    for ds, original in ((_imaging(rows, fixes), "Ia_valid"), (run, "intensity_win_Ia_valid")):
        assert any(v.attrs.get("original_name") == original for v in ds.variables.values()) == mended


@known_answer("Q42")
def a_height_of_exactly_zero(mended: bool, fixes: Fixed) -> None:
    class Grid:
        def finish(self) -> dict[str, NDArray[np.float64]]:
            return {"v": np.zeros((33, 33)), "w": np.ones((33, 33))}

        def add(self, *_: object) -> None:
            pass

    rows = [Row(n, 200.0, -20.0) for n in (1, 2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bathy, "make_gridder", lambda *_: Grid())
        data = {row.ping: _noise(row.ping) for row in rows}
        ds = bathy.process(fake(rows, data), _parameters("bathy", fixes), Context())
    assert np.isfinite(named(ds, "v").values).all() == mended


@known_answer("Q42")
def offsets_of_a_long_burst(mended: bool, fixes: Fixed) -> None:
    offsets = doppler._Offsets(1, separate_masks=_parameters("doppler", fixes).fixes.separate_masks)
    offsets.put(41, 0, 1 + 1j)
    assert np.isnan(offsets.table()[40, 0]) == mended


@known_answer("Q42")
def samples_that_are_taken(mended: bool, fixes: Fixed) -> None:
    """PP3 takes no sample below the noise; mended, it does, and tells that nothing passed."""
    rows = [Row(n, 200.0, 10.0) for n in range(1, 4)]
    data = {row.ping: _noise(row.ping) for row in rows}
    chosen = _parameters("doppler", fixes, noise__snr_thresh=300.0)
    weights = [
        named(_imaging(rows, fixes, "PP3", noise__snr_thresh=300.0), "w"),
        named(doppler.process(fake(rows, data), chosen, Context()), "intensity_w"),
    ]
    assert [bool((weight.values > 0).any()) for weight in weights] == [mended, mended]


@known_answer("Q43")
def kp_beside_a_masked_sample(mended: bool, fixes: Fixed) -> None:
    value = _gridded(fixes, "PP2", [0.2, 0.3, 0.4])["Kp"][0]
    np.testing.assert_allclose(value[:2], [0.2, 0.2 if mended else 0.1], rtol=1e-6)
    assert np.isnan(value[2]) == mended


@known_answer("Q43")
def kp_that_is_truly_zero(mended: bool, fixes: Fixed) -> None:
    chosen = _parameters("imaging", fixes, "PP3")
    value = imaging.gridded_values(_burst([0.0, 0.3, 0.4]), 50.0, "PP3", chosen.fixes)["Kp"][0, 0]
    assert (value == 0) == mended
