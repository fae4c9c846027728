"""Imaging, 2018+: known answers (docs/method.md#known-answers), and the quirks in both profiles."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from covis_dask.modes._scheme import scheme_of
from covis_dask.modes.ashes import imaging
from covis_dask.modes.ashes._masks import Intensities
from covis_dask.modes.ashes._product import axes_of
from covis_dask.modes.ashes.imaging import ImagingBurst, gridded_values
from covis_dask.modes.context import Context
from covis_dask.modes.fixes import Fixes, fixes_of
from covis_dask.modes.parameters import Noise, Oscfar, Parameters
from covis_dask.sonar._types import Bool, Complex, Real
from covis_dask.sonar.calibration import Calibration, Medium, SonarSettings, calibration
from covis_dask.sonar.grid import OwnSamples, make_gridder
from covis_dask.sonar.seawater import ASHES, absorption, sound_speed
from covis_dask.sonar.stats import PingStatistics
from tests._stepwise import imaging_burst
from tests.unit._ashes import (
    CUBE,
    FS,
    PROFILES,
    C,
    Row,
    elements,
    fake,
    named,
    parameters,
    plane_wave,
    transmission,
)

N = 240
ANGLES = np.pi / 180 * np.linspace(-54, 54, 256)
SCENE = slice(120, N)
"""Samples of the scene: the transmission before them has died away in the filter."""


def _truth() -> tuple[Real, Calibration]:
    """Return ranges and gains as they are in nature: one sound speed, first sample at 0 (Q10, Q14)."""
    water = (2.41, 34.53, 1544.0, 46.0)
    c = sound_speed(*water, absolute_salinity=True)
    alpha = absorption(396000.0, c, ASHES, zero_celsius=273.15)
    ranges: Real = np.arange(N, dtype=np.float64) * c / (2 * FS)
    with np.errstate(divide="ignore"):
        gains = calibration(
            "VSS",
            "ASHES",
            SonarSettings(396000.0, 0.0005, 220.0, 53.0),
            Medium(c, alpha),
            angles=ANGLES,
            ranges=ranges,
        )
    return ranges, gains


def _uniform(strength: float, factors: list[complex], monitor: bool) -> dict[int, Complex]:
    """Return pings of a volume of equal scattering strength (1/m) everywhere, times a factor per ping."""
    _, gains = _truth()
    beams = np.zeros((N, 256), np.complex128)
    beams[SCENE] = np.sqrt(strength) / (gains.range_gain[SCENE, None] * gains.beam_gain)
    scene = elements(beams, monitor=monitor)
    return {ping: transmission(N) + factor * scene for ping, factor in enumerate(factors, 1)}


def _process(data: dict[int, Complex], chosen: Parameters, pitch: float = 10.0) -> xr.Dataset:
    rows = [Row(ping, 200.0, pitch) for ping in data]
    return imaging.process(fake(rows, data), chosen, Context())


def _distance(ds: xr.Dataset) -> Real:
    """Return the distance of every cell from the head, m: the transmission is heard up to 2 m."""
    x, y, z = ds["x"], ds["y"], ds["z"] - 4.2
    squared: xr.DataArray = (x**2 + y**2 + z**2).transpose("y", "x", "z")
    distance: Real = np.sqrt(squared.values)
    return distance


def _inner(ds: xr.Dataset) -> Bool:
    """Choose cells well inside the scene's range of distances."""
    distance = _distance(ds)
    chosen: Bool = (distance > 3.6) & (distance < 4.4) & (named(ds, "w").values > 0)
    return chosen


@pytest.mark.parametrize("profile", PROFILES)
def test_a_volume_target_has_its_level(profile: str) -> None:
    """7.3.18: a volume that fills beam and pulse comes out within 0.1 dB in corrected, 0.3 dB in matlab."""
    # PP3 grids nothing where pings are equal: a little of the volume fluctuates.
    data = _uniform(1e-5, [0.99, 1.01], monitor=profile == "matlab")
    ds = _process(data, parameters("imaging", profile, "PP3", CUBE))
    level = 10 * np.log10(named(ds, "Ia").values[_inner(ds)] / 1e-5)
    assert len(level) > 50
    assert abs(np.median(level)) < (0.1 if profile == "corrected" else 0.3)
    assert np.abs(level).max() < 0.5


@pytest.mark.parametrize("profile", PROFILES)
def test_a_point_scatterer_lies_in_its_cell(profile: str) -> None:
    """7.3.18: the strongest cell of a steady point scatterer is less than one cell from its place."""
    angle, sample, pitch = 0.3, 180, 20.0
    echo = np.zeros((N, 256), np.complex128)
    echo[sample - 8 : sample + 9] = np.hanning(17)[:, None] * 2000 * plane_wave(angle)
    data = {ping: transmission(N) + echo for ping in (1, 2)}
    fine = replace(CUBE, dx=0.2, dy=0.2, dz=0.2)
    ds = _process(data, parameters("imaging", profile, "PP2", fine), pitch=pitch)
    distance = (sample if profile == "corrected" else sample + 1) * C / (2 * FS)
    heading, tilt = np.radians(279 + 16 - 360), np.radians(pitch)
    right, ahead = distance * np.sin(angle), distance * np.cos(angle) * np.cos(tilt)
    want = (
        right * np.cos(heading) + ahead * np.sin(heading),
        -right * np.sin(heading) + ahead * np.cos(heading),
        4.2 + distance * np.cos(angle) * np.sin(tilt),
    )
    values = np.where(_distance(ds) > 2.5, np.nan_to_num(named(ds, "Ia").values), 0)
    j, i, k = np.unravel_index(np.argmax(values), values.shape)
    for axis, place, index in zip("xyz", want, (i, j, k), strict=True):
        assert abs(float(ds[axis][index]) - place) < 0.2


@pytest.mark.parametrize("profile", PROFILES)
def test_a_steady_scene_does_not_fluctuate(profile: str) -> None:
    """7.3.19: equal pings have Kp 0 and an Id of nothing, and Ia is that of one ping."""
    beams = np.full((N, 256), 50.0 + 0j)
    statistics = PingStatistics()
    for _ in range(4):
        statistics.add(beams)
    made = imaging_burst(statistics, _unit(), Noise(), Oscfar())
    np.testing.assert_allclose(made.Kp, 0, atol=1e-12)
    np.testing.assert_allclose(made.intensities.Ia, 2500, rtol=1e-12)
    values = gridded_values(made, 50, "PP2", fixes_of(profile, ()))
    if profile == "corrected":
        assert np.isnan(values["Id"]).all()
    else:
        assert (values["Id"] == 1e-9).all()


def _unit() -> Calibration:
    return Calibration(np.ones(N), np.ones(256))


def test_an_incoherent_scene_has_the_kp_of_noise() -> None:
    """7.3.19: independent Gaussian pings have Kp near 4/pi - 1 and lose all but 1/P of their mean's power."""
    random = np.random.default_rng(7)
    statistics = PingStatistics()
    for _ in range(200):
        statistics.add(random.standard_normal((40, 256)) + 1j * random.standard_normal((40, 256)))
    made = imaging_burst(statistics, Calibration(np.ones(40), np.ones(256)), Noise(), Oscfar())
    assert np.mean(made.Kp) == pytest.approx(4 / np.pi - 1, rel=0.02)
    assert np.mean(made.intensities.Ia) == pytest.approx(2 / 200, rel=0.05)
    assert np.mean(made.intensities.Id) == pytest.approx(2, rel=0.02)


def _burst(Ia: list[float], Id: list[float], snr_a: list[float], snr_d: list[float]) -> ImagingBurst:
    """Make a burst of one range from its masks' ingredients; the first sample is detected."""
    detected = np.zeros((1, len(Ia)), np.bool_)
    detected[0, 0] = True
    nothing = np.zeros((1, len(Ia)))
    levels = Intensities(
        np.array([Ia]), np.array([Id]), np.array([snr_a]), np.array([snr_d]), detected, detected
    )
    return ImagingBurst(
        nothing.astype(np.complex128), nothing, nothing, nothing, nothing, levels, nothing + 0.2
    )


ALL = fixes_of("corrected", ())
BURST = _burst([1e-4, 2e-4, 3e-4], [1e-5, 2e-5, 3e-5], [60, 60, 40], [60, 40, 40])


def test_q42_masked_samples_are_data_in_matlab_only() -> None:
    """Q42: below the SNR threshold matlab grids 1e-9, corrected grids nothing."""
    matlab = gridded_values(BURST, 50, "PP2", Fixes())
    np.testing.assert_array_equal(matlab["Ia"], [[1e-4, 2e-4, 1e-9]])
    np.testing.assert_array_equal(matlab["Id"], [[1e-5, 1e-9, 1e-9]])
    np.testing.assert_array_equal(matlab["Ia_filt"], [[1e-4, 1e-9, 1e-9]])
    corrected = gridded_values(BURST, 50, "PP2", ALL)
    np.testing.assert_array_equal(corrected["Ia"], [[1e-4, 2e-4, np.nan]])
    np.testing.assert_array_equal(corrected["Id"], [[1e-5, np.nan, np.nan]])


@pytest.mark.parametrize("preset", ["PP2", "PP3"])
def test_samples_exactly_at_the_snr_threshold_are_kept(preset: str) -> None:
    """A sample whose SNR is exactly the threshold is data; one a little below is masked."""
    burst = _burst([1e-4, 1e-4], [1e-5, 1e-5], [50.0, 49.999], [50.0, 49.999])
    values = gridded_values(burst, 50, preset, Fixes())
    assert {name: float(value[0, 0]) for name, value in values.items()} == {
        "Ia": 1e-4,
        "Id": 1e-5,
        "Ia_filt": 1e-4,
        "Id_filt": 1e-5,
        "Kp": 0.2,
    }
    for name, value in values.items():
        assert value[0, 1] != values[name][0, 0]


def test_pp3_grids_no_sample_of_which_either_part_is_low() -> None:
    """A scene that never changes has no fluctuating part: PP3 grids nothing of it, PP2 all of it."""
    data = _uniform(1e-5, [1, 1], monitor=True)
    for preset, gridded in (("PP2", True), ("PP3", False)):
        ds = _process(data, parameters("imaging", "matlab", preset, CUBE))
        assert (named(ds, "w").values[_distance(ds) > 3] > 0).any() == gridded


def test_q42_a_cell_half_masked_keeps_its_level_in_corrected() -> None:
    """Q42: corrected averages the samples of a cell that passed, and tells their part."""
    data = _uniform(1e-5, [1, 1], monitor=False)
    for ping in data.values():
        ping[140:200] = 0  # a gap in range: no echo there
    ds = _process(data, parameters("imaging", "corrected", "PP2", CUBE, noise__snr_thresh=20.0))
    part = named(ds, "Ia_valid").values
    level = named(ds, "Ia").values
    assert ((part > 0.2) & (part < 0.8)).any()
    _, gains = _truth()
    least = (0.197 * 10 * gains.range_gain[110] * gains.beam_gain.min()) ** 2  # what 20 dB means at 2.4 m
    assert (level[(part > 0) & (_distance(ds) > 3)] > least).all()
    assert np.isnan(level[part == 0]).all()
    assert (named(ds, "w").values[part == 0] > 0).all()


@pytest.mark.parametrize("preset", ["PP2", "PP3"])
def test_q43_kp_of_masked_samples(preset: str) -> None:
    """Q43: the mask of Kp is the SNR of the fluctuating part; matlab (PP2) puts 0 there, corrected NaN."""
    matlab = gridded_values(BURST, 50, preset, Fixes())["Kp"]
    np.testing.assert_array_equal(matlab, [[0.2, 0, 0]] if preset == "PP2" else [[0.2, np.nan, np.nan]])
    corrected = gridded_values(BURST, 50, preset, ALL)["Kp"]
    np.testing.assert_array_equal(corrected, [[0.2, np.nan, np.nan]])


def test_q25_blanking_of_filtered_intensities() -> None:
    """Q25: PP3 blanks Ia and Id but not their filtered forms; corrected blanks each by its own mask."""
    matlab = gridded_values(BURST, 50, "PP3", Fixes())
    np.testing.assert_array_equal(matlab["Ia"], [[1e-4, 2e-4, np.nan]])
    np.testing.assert_array_equal(matlab["Ia_filt"], [[1e-4, 1e-9, 1e-9]])
    np.testing.assert_array_equal(matlab["Id_filt"], [[1e-5, 1e-9, 1e-9]])
    corrected = gridded_values(BURST, 50, "PP3", ALL)
    np.testing.assert_array_equal(corrected["Ia_filt"], [[1e-4, np.nan, np.nan]])


@pytest.mark.parametrize("profile", PROFILES)
def test_q26_a_sample_without_kp_spoils_its_cells_in_matlab_only(profile: str) -> None:
    """Q26: PP3 takes a Kp of 0 for none, and its NaN spoils the cell; in corrected it counts."""
    burst = replace(BURST, Kp=np.array([[0.2, 0.0, 0.3]]))
    values = gridded_values(burst, 30, "PP3", fixes_of(profile, ()))
    own = ["Kp"] if profile == "corrected" else []
    grid = make_gridder(
        axes_of(CUBE), ["Kp"], scheme_of(parameters("imaging", profile, "PP3")), own=OwnSamples(own)
    )
    places = (np.full((1, 3), 0.1), np.array([[0.1, 0.1, 1.1]]), np.full((1, 3), 5.1))
    grid.add(places, {"Kp": values["Kp"]}, np.ones((1, 3), np.bool_))
    found = grid.finish()["Kp"]
    nodes = found[8, 8, 6], found[10, 8, 6]  # (0, 0, 5) and (1, 0, 5)
    np.testing.assert_allclose(nodes, [np.nan if profile == "matlab" else 0.1, 0.3])


@pytest.mark.parametrize("profile", PROFILES)
def test_q1_q4_weights(profile: str) -> None:
    """Q1, Q4: in matlab a cell has at most 8 contributions of sqrt 3; in corrected a sample counts 1."""
    data = _uniform(1e-5, [1, 1], monitor=profile == "matlab")
    wide = replace(CUBE, xmin=-6, xmax=6, ymin=-6, ymax=6, zmin=0, zmax=9)
    ds = _process(data, parameters("imaging", profile, "PP2", wide))
    weight = named(ds, "w").values
    if profile == "matlab":
        assert 8 < weight.max() <= 8 * np.sqrt(3)
    else:
        assert weight.sum() == pytest.approx(N * 256, rel=1e-12)


@pytest.mark.parametrize("preset", ["PP2", "PP3", "PPX"])
def test_bursts_outside_the_pitch_bounds_are_skipped(preset: str) -> None:
    """Only bursts within the preset's pitch bounds are gridded; the others are told, with the reason."""
    low, high = (-20, 62) if preset == "PP2" else (-10, 55)
    data = _uniform(1e-5, [1] * 6, monitor=True)
    pitches = [low - 0.1, low, high + 0.1]
    rows = [Row(ping, 200.0 + (ping - 1) // 2, pitches[(ping - 1) // 2]) for ping in range(1, 7)]
    ds = imaging.process(fake(rows, data), parameters("imaging", "matlab", preset, CUBE), Context())
    assert ds.attrs["bursts_used"] == 1
    assert ds.attrs["bursts_skipped"] == 2
    assert f"pitch outside {low} ... {high} degrees" in ds.attrs["bursts_skipped_reasons"]
    np.testing.assert_array_equal(ds["burst_used"], [0, 1, 0])


def test_presets_differ_in_reference_and_threshold() -> None:
    """Phase channel, reference length and SNR threshold are those of the method.

    See docs/method.md#phase-correction and #imaging-2018.
    """
    for preset, channel, pulses, threshold in (("PP2", 9, 5, 50), ("PP3", -1, 3, 0), ("PPX", -1, 3, 0)):
        chosen = parameters("imaging", "matlab", preset)
        assert (chosen.phase.channel, chosen.phase.pulses) == (channel, pulses)
        assert chosen.noise.snr_thresh == threshold


@pytest.mark.parametrize("preset", ["PP2", "PP3"])
def test_the_random_phase_of_transmissions_is_removed(preset: str) -> None:
    """Pings whose transmissions differ by a phase average as if they did not."""
    scene = _uniform(1e-5, [1], monitor=True)[1]
    turned = {ping: scene * np.exp(1j * 0.9 * ping) for ping in (1, 2, 3)}
    chosen = parameters("imaging", "matlab", preset, CUBE)
    ds, want = _process(turned, chosen), _process(dict.fromkeys((1, 2, 3), scene), chosen)
    np.testing.assert_allclose(named(ds, "Ia").values, named(want, "Ia").values, rtol=1e-9)


@pytest.mark.parametrize("profile", PROFILES)
def test_variables_say_what_they_are(profile: str) -> None:
    """Every variable has an original name, a long name and units; weights stay, unvisited cells are NaN."""
    ds = _process(_uniform(1e-5, [1, 1], monitor=True), parameters("imaging", profile, "PP2", CUBE))
    for variable in ds.data_vars.values():
        assert variable.attrs["original_name"]
        assert variable.attrs["long_name"]
        assert variable.attrs["units"] in {
            "m-1",
            "1",
            "degree",
            "m",
            "radian",
            "seconds since 1970-01-01T00:00:00Z",
        }
    weight = named(ds, "w").values
    assert np.isnan(named(ds, "Ia").values[weight == 0]).all()
    assert (weight == 0).any()
    assert ds.attrs["preset"] == "PP2"
    assert ds.attrs["profile"] == profile


@pytest.mark.parametrize("profile", PROFILES)
def test_a_head_that_turns_within_a_burst_leaves_nothing_out(profile: str) -> None:
    """What the attitude that counts puts into the grid is there, however short of it the others end."""
    pitches, low = (40.0, 28.0, 15.0), replace(CUBE, zmax=5.2)
    data = _uniform(1e-3, [1, 1j, -1], monitor=profile == "matlab")
    got, want = (
        imaging.process(
            fake([Row(n, 200.0, pitch) for n, pitch in enumerate(angles, 1)], data),
            parameters("imaging", profile, grid=low),
            Context(),
        )
        for angles in (pitches, 3 * (float(np.mean(pitches)) if profile == "corrected" else pitches[-1],))
    )
    for original in ("Ia", "Id", "w"):
        np.testing.assert_allclose(named(got, original), named(want, original), rtol=1e-9, atol=1e-20)
    weight = named(want, "w").values
    assert weight[..., -1].any()
