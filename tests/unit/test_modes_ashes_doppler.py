"""Doppler, 2018+: known answers (docs/method.md#known-answers), and the quirks in both profiles."""

import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from covis_dask.modes.ashes import doppler
from covis_dask.modes.ashes._velocity import DopplerSettings, Velocities, VelocityStatistics
from covis_dask.modes.ashes.doppler import gridded_velocities
from covis_dask.modes.context import Context
from covis_dask.sonar._types import Complex
from covis_dask.sonar.seawater import sound_speed
from tests.unit._ashes import CUBE, FS, PROFILES, C, Row, elements, fake, named, parameters, transmission

N = 240
FREQ = 396000.0
UNAMBIGUOUS = {"matlab": 1468.0 * FS / (4 * FREQ * 8), "corrected": C * FS / (4 * FREQ * 8)}
TRUE_C = sound_speed(2.41, 34.53, 1544.0, 46.0, absolute_salinity=True)


def _receding(speed: float) -> Complex:
    """Return the phase factor [N] of an echo from scatterers that move away (m/s)."""
    factor: Complex = np.exp(-1j * 2 * (2 * np.pi * FREQ / TRUE_C) * speed * np.arange(N) / FS)
    return factor


def _pings(speed: float, pings: int = 4, *, offset: float = 0.0, monitor: bool = True) -> dict[int, Complex]:
    """Return pings of a volume that moves away, with a phase of its own in each ping."""
    beams = np.zeros((N, 256), np.complex128)
    beams[110:] = 20000 * _receding(speed)[110:, None]
    scene = elements(beams, monitor=monitor)
    sent = transmission(N) * _receding(offset)[:, None]
    return {n + 1: sent + scene * np.exp(2j * np.pi * n / pings) for n in range(pings)}


def _process(data: dict[int, Complex], profile: str, preset: str = "PPX", pings: int = 0) -> xr.Dataset:
    rows = [Row(number, 200.0, 10.0) for number in range(1, max(pings, len(data)) + 1)]
    chosen = parameters("doppler", profile, preset, CUBE)
    return doppler.process(fake(rows, data), chosen, Context())


def _median(ds: xr.Dataset, original: str) -> float:
    """Return the median over the cells that hold the scene: the transmission is nearer."""
    x, y, z = ds["x"], ds["y"], ds["z"] - 4.2
    far = ((x**2 + y**2 + z**2).transpose("y", "x", "z") > 3.0**2).values
    values = named(ds, original).values[far & (named(ds, "doppler_velocity_w").values > 0)]
    assert np.isfinite(values).sum() > 50
    return float(np.nanmedian(values))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("preset", ["PP3", "PPX"])
def test_a_receding_volume_has_its_velocity(profile: str, preset: str) -> None:
    """7.3.23: scatterers that move away at v give +v, within 2 % (Q14), in corrected within 0.2 %."""
    ds = _process(_pings(1.2, monitor=profile == "matlab"), profile, preset)
    for original in ("doppler_velocity_vr_cov", "doppler_velocity_vr_vel"):
        assert _median(ds, original) == pytest.approx(1.2, rel=2e-2 if profile == "matlab" else 2e-3)
    assert abs(_median(ds, "doppler_velocity_std")) < 1e-6


@pytest.mark.parametrize("profile", PROFILES)
def test_fast_flow_wraps(profile: str) -> None:
    """7.3.23: a velocity beyond the unambiguous one, 3.99 m/s, comes out 7.99 m/s lower."""
    ds = _process(_pings(5.0, monitor=profile == "matlab"), profile)
    want = 5.0 - 2 * UNAMBIGUOUS[profile]
    assert _median(ds, "doppler_velocity_vr_cov") == pytest.approx(want, abs=0.1)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_clock_offset_is_told_and_not_subtracted(profile: str) -> None:
    """7.3.23: a monitor channel with the echo's slope gives an offset equal to the velocity; 0 is left."""
    ds = _process(_pings(1.2, offset=1.2, monitor=profile == "matlab"), profile)
    offset = float(ds["velocity_offset_average"])
    velocity = _median(ds, "doppler_velocity_vr_cov")
    assert offset == pytest.approx(velocity, rel=1e-3)
    assert velocity == pytest.approx(1.2, rel=2e-2)
    offsets = ds["velocity_offset"].values
    assert offsets.shape == (40, 1)
    np.testing.assert_allclose(offsets[:4, 0], offset, rtol=1e-9)
    assert np.isnan(offsets[4:]).all()


@pytest.mark.parametrize("profile", PROFILES)
def test_decimation_leaves_the_clock_offset(profile: str) -> None:
    """The monitor channel is heard as recorded: what the filter leaves out does not change the offset."""
    rows = [Row(number, 200.0, 10.0) for number in range(1, 5)]
    pings = _pings(0.5, offset=0.5, monitor=profile == "matlab")
    every, second = (
        doppler.process(
            fake(rows, pings), parameters("doppler", profile, grid=CUBE, filter__decimation=step), Context()
        )
        for step in (1, 2)
    )
    np.testing.assert_array_equal(second["velocity_offset"], every["velocity_offset"])


@pytest.mark.parametrize("profile", PROFILES)
def test_offsets_of_long_bursts(profile: str) -> None:
    """4.6: beyond 40 pings the table of offsets grows, in matlab with zeros."""
    sent = transmission(N)
    data = dict.fromkeys([*range(1, 3), *range(4, 45)], sent)
    rows = [Row(number, 200.0 if number < 3 else 190.0, 10.0) for number in range(1, 45)]
    ds = doppler.process(fake(rows, data), parameters("doppler", profile, grid=CUBE), Context())
    offsets = ds["velocity_offset"].values
    assert offsets.shape == (42, 2)
    assert np.isnan(offsets[2:40, 0]).all()
    assert np.isnan(offsets[0, 1])  # ping 3 has no file
    assert np.isfinite(offsets[1:42, 1]).all()
    np.testing.assert_array_equal(offsets[40:, 0], 0 if profile == "matlab" else np.nan)


def _settings(**changes: Any) -> DopplerSettings:
    known: dict[str, Any] = {
        "W": 34,
        "O": 17,
        "lag": 8,
        "scale": 1.27,
        "percentile": 65.0,
        "threshold": 20.0,
        "about_mean": False,
        "complex_mean": False,
        "valid_pings": False,
        **changes,
    }
    return DopplerSettings(**known)


def _speckle(seed: int) -> Complex:
    random = np.random.default_rng(seed)
    made: Complex = random.standard_normal((N, 256)) + 1j * random.standard_normal((N, 256))
    return made


NOISE = np.full((N, 256), 1e-3)


@pytest.mark.parametrize("profile", PROFILES)
def test_q30_what_the_fluctuation_is_against(profile: str) -> None:
    """Q30: equal pings that are not real fluctuate about the magnitude of their mean, in matlab."""
    statistics = VelocityStatistics(_settings(complex_mean=profile == "corrected"))
    for _ in range(3):
        statistics.add(np.full((N, 256), 1j))
    made = statistics.burst(NOISE, complete=True)
    np.testing.assert_allclose(made.samples.Id, 2 if profile == "matlab" else 0, atol=1e-12)
    np.testing.assert_allclose(made.windows.Id, 0, atol=1e-12)  # the windows take the complex mean


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("preset", ["PP3", "PPX"])
def test_q31_a_missing_ping(profile: str, preset: str) -> None:
    """Q31: in matlab one missing ping leaves a burst no windows' intensity, and in PP3 no velocity."""
    corrected = profile == "corrected"
    statistics = VelocityStatistics(_settings(about_mean=preset == "PP3", valid_pings=corrected))
    for seed in range(3):
        statistics.add(_speckle(seed))
    made = statistics.burst(NOISE, complete=False)
    assert np.isfinite(made.windows.Ia).all() == corrected
    assert np.isfinite(made.windows.Id).all() == corrected
    assert np.isfinite(made.samples.Id).all()
    values = gridded_velocities(made.velocities, made.windows.snr_d, 50, separate_masks=corrected)
    known = np.isfinite(values["vr_cov"]).all()
    # In PPX the velocities do not need the mean, and the mask, which compares with NaN, lets all pass.
    assert known == (corrected or preset == "PPX")
    if not known:
        assert np.isnan(values["vr_cov"]).all()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("preset", ["PP3", "PPX"])
def test_q31_a_missing_ping_in_a_run(profile: str, preset: str) -> None:
    """Q31: the same, from index.csv to the grids; the other bursts are as before."""
    data = {n: ping for n, ping in _pings(1.2, monitor=profile == "matlab").items() if n != 4}
    ds = _process(data, profile, preset, pings=4)
    windows = named(ds, "intensity_win_w").values
    velocities = named(ds, "doppler_velocity_w").values
    assert (windows > 0).any() == (profile == "corrected")
    assert (velocities > 0).any() == (profile == "corrected" or preset == "PPX")
    assert (named(ds, "intensity_w").values > 0).any()


def test_velocities_of_zero_are_left_out_in_matlab() -> None:
    """4.6 item 6: the original takes 0 for nothing; corrected leaves out only what has no covariance."""
    found = Velocities(
        vr_cov=np.array([[0.0, 0.0, 1.0]]),
        vr_vel=np.array([[0.0, 0.0, 1.0]]),
        vr_std=np.array([[0.0, 0.0, 0.0]]),
        covar=np.array([[2.0 + 0j, 0j, 1j]]),
    )
    snr = np.array([[60.0, 60.0, 60.0]])
    matlab = gridded_velocities(found, snr, 50, separate_masks=False)
    np.testing.assert_array_equal(matlab["vr_cov"], [[np.nan, np.nan, 1]])
    np.testing.assert_array_equal(matlab["std"], [[np.nan, np.nan, np.nan]])
    corrected = gridded_velocities(found, snr, 50, separate_masks=True)
    np.testing.assert_array_equal(corrected["vr_cov"], [[0, np.nan, 1]])
    np.testing.assert_array_equal(corrected["std"], [[0, np.nan, 0]])


def test_velocities_exactly_at_the_snr_threshold() -> None:
    """A window whose SNR is exactly the threshold has its velocity; one a little below has none."""
    one = np.ones((1, 2))
    found = Velocities(vr_cov=one, vr_vel=one, vr_std=one, covar=np.full((1, 2), 1j))
    values = gridded_velocities(found, np.array([[50.0, 49.999]]), 50, separate_masks=False)
    for value in values.values():
        assert np.isfinite(value).tolist() == [[True, False]]


@pytest.mark.parametrize("profile", PROFILES)
def test_q25_q42_masks_of_the_intensity_grids(profile: str) -> None:
    """Q25, Q42: filtered intensities are gridded as 1e-9 where nothing is detected; corrected grids none."""
    ds = _process(_pings(1.2, monitor=profile == "matlab"), profile)
    for grid in ("intensity", "intensity_win"):
        filtered, weight = named(ds, f"{grid}_Ia_filt").values, named(ds, f"{grid}_w").values
        assert (weight > 0).any()
        # All beams hear the same: nothing stands out, so nothing is detected.
        if profile == "matlab":
            np.testing.assert_allclose(filtered[weight > 0], 1e-9, rtol=1e-12)
        else:
            assert np.isnan(filtered).all()
            assert (named(ds, f"{grid}_Ia_filt_valid").values[weight > 0] == 0).all()


def test_ppx_does_not_test_the_pitch() -> None:
    """4.6: PP3 takes bursts from 0 to 60 degrees, PPX all."""
    data = _pings(1.2)
    rows = [Row(number, 200.0, -30.0) for number in range(1, 5)]
    ds = doppler.process(fake(rows, data), parameters("doppler", "matlab", "PPX", CUBE), Context())
    assert ds.attrs["bursts_used"] == 1
    with pytest.raises(Exception, match="pitch outside 0"):
        doppler.process(fake(rows, data), parameters("doppler", "matlab", "PP3", CUBE), Context())


def test_pp3_and_ppx_agree_on_pings_that_average_to_nothing() -> None:
    """4.6 item 4: where the mean of the pings is 0, subtracting it changes no velocity."""
    found = [_process(_pings(1.2), "matlab", preset) for preset in ("PP3", "PPX")]
    values = [named(ds, "doppler_velocity_vr_cov").values for ds in found]
    np.testing.assert_allclose(values[0], values[1], atol=5e-3)


def test_ppx_keeps_no_pings() -> None:
    """A long PPX burst takes no more memory than a short one."""
    statistics = VelocityStatistics(_settings())
    refs = []
    for seed in range(4):
        ping = _speckle(seed)
        refs.append(weakref.ref(ping))
        statistics.add(ping)
        del ping
    assert sum(ref() is not None for ref in refs) == 0


def test_streaming_equals_the_two_passes_of_the_original() -> None:
    """Intensities and velocities, taken ping by ping, are those of the stack of all pings."""
    pings = [_speckle(seed) + 30 * np.exp(1j * np.arange(256)) for seed in range(6)]
    statistics = VelocityStatistics(_settings())
    for ping in pings:
        statistics.add(ping)
    made = statistics.burst(NOISE, complete=True)
    stack = np.stack(pings)
    mean = stack.mean(axis=0)
    Id = (np.abs(stack - np.abs(mean)) ** 2).mean(axis=0)
    np.testing.assert_allclose(made.samples.Id, Id, rtol=1e-12)
    starts = np.arange(N // 17) * 17
    Id2 = [(np.abs(stack - mean) ** 2).mean(axis=0)[s : s + 34].mean(axis=0) for s in starts]
    np.testing.assert_allclose(made.windows.Id, Id2, rtol=1e-11)
    stops = np.minimum(starts + 34, N - 8)
    C = [
        [(p[s:e] * p[s + 8 : e + 8].conj()).mean(axis=0) for p in pings]
        for s, e in zip(np.minimum(starts, stops - 1), stops, strict=True)
    ]
    phases = np.angle(np.array(C))
    np.testing.assert_allclose(made.velocities.covar, np.sum(C, axis=1), rtol=1e-10)
    np.testing.assert_allclose(made.velocities.vr_vel, 1.27 * phases.mean(axis=1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(made.velocities.vr_std, 1.27 * phases.std(axis=1, ddof=1), rtol=1e-9)


@pytest.mark.parametrize("preset", ["PP3", "PPX"])
@pytest.mark.parametrize("rows", [150, 153, 160, 161])
def test_the_first_rows_do_for_the_first_windows(preset: str, rows: int) -> None:
    """Pings of which only the first rows are added, in blocks, give the first windows of whole pings."""
    settings = _settings(about_mean=preset == "PP3")
    whole, part = VelocityStatistics(settings), VelocityStatistics(settings, N)
    for seed in range(3):
        ping = _speckle(seed)
        whole.add(ping)
        blocks = [(slice(n, min(n + 40, rows)), ping[n : min(n + 40, rows)]) for n in range(0, rows, 40)]
        part.add_blocks((rows, 256), blocks)
    wanted, found = whole.burst(NOISE, complete=True), part.burst(NOISE[:rows], complete=True)
    count = len(found.velocities.vr_vel)
    assert 5 < count < len(wanted.velocities.vr_vel)
    for name in ("vr_cov", "vr_vel", "vr_std", "covar"):
        np.testing.assert_array_equal(
            getattr(found.velocities, name), getattr(wanted.velocities, name)[:count]
        )
    np.testing.assert_array_equal(found.windows.Id, wanted.windows.Id[:count])
    np.testing.assert_array_equal(found.samples.Ia, wanted.samples.Ia[:rows])


def test_units_are_those_of_the_numbers() -> None:
    """Q52: velocities are metres per second, whatever the original's label says."""
    ds = _process(_pings(1.2), "matlab")
    assert named(ds, "doppler_velocity_vr_cov").attrs["units"] == "m s-1"
    assert named(ds, "doppler_velocity_covar_real").attrs["units"] == "m-1"
    assert named(ds, "intensity_Ia").attrs["units"] == "m-1"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_head_that_turns_within_a_burst_leaves_nothing_out(profile: str) -> None:
    """What the attitude that counts puts into the grid is there, however short of it the others end."""
    pitches, low = (40.0, 28.0, 15.0), replace(CUBE, zmax=5.2)
    data = _pings(0.5, 3, monitor=profile == "matlab")
    got, want = (
        doppler.process(
            fake([Row(n, 200.0, pitch) for n, pitch in enumerate(angles, 1)], data),
            parameters("doppler", profile, grid=low),
            Context(),
        )
        for angles in (pitches, 3 * (float(np.mean(pitches)) if profile == "corrected" else pitches[-1],))
    )
    for original in (
        "doppler_velocity_vr_cov",
        "doppler_velocity_w",
        "intensity_Ia",
        "intensity_win_Ia",
        "intensity_w",
    ):
        np.testing.assert_allclose(named(got, original), named(want, original), rtol=1e-9, atol=1e-20)
    weight = named(want, "intensity_w").values
    assert weight[..., -1].any()
