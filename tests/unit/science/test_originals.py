"""The profile `matlab`: the originals' programs on plumes of known shape, and what each fix changes."""

import numpy as np
import pytest
import xarray as xr

from covis_dask.errors import ConfigurationError
from covis_dask.science import diffuse as second_diffuse
from covis_dask.science import doppler as second_doppler
from covis_dask.science import imaging as second_imaging
from covis_dask.science.fixes import ScienceFixes, science_fixes
from covis_dask.science.heat import PlumeProfile
from covis_dask.science.originals import month_heat_flux, run_heat_flux
from covis_dask.science.plume_model import PlumeModel
from tests.unit.science._fields import Plume, diffuse, doppler, imaging, science

_GROTTO = Plume((-27.0, -12.0, 17.0), velocity=0.6)


def _matlab(ds: xr.Dataset, *fixes: str) -> xr.Dataset:
    return second_doppler.level2(ds, science(profile="matlab", fixes=list(fixes))).isel(vent=0)


def test_an_upright_plume_at_grotto() -> None:
    """The originals' fluxes of a noiseless plume, seen from the head, are right but for the cells' shape."""
    found = _matlab(doppler(_GROTTO, site="Endeavour"), "Q28")
    z = found.level.values
    assert (z[0], z[-1]) == (20.0, 32.0)
    np.testing.assert_allclose(found.volume_flux, _GROTTO.flux(z), rtol=0.03)
    np.testing.assert_allclose(found.vertical_velocity_axis, _GROTTO.speed(z), rtol=0.03)
    np.testing.assert_allclose(found.radius_velocity, 0.8 + 0.11 * (z - 17), rtol=0.03)
    np.testing.assert_allclose(found.volume_flux_sum, _GROTTO.flux(z), rtol=0.08)
    # The backscatter is as wide as the velocity here, and not 1.2 times as wide.
    np.testing.assert_allclose(found.volume_flux_weighted / _GROTTO.flux(z), 0.847, rtol=0.03)
    np.testing.assert_allclose(found.centerline_velocity, _GROTTO.speed(z), rtol=0.05)
    assert float(found.inclination) < 0.1


def test_elevation_from_the_base() -> None:
    """Unmended, the velocity is that of a line of sight from the foot of the tower (Q28): too small."""
    found = _matlab(doppler(_GROTTO, site="Endeavour"))
    low = found.isel(level=0)
    height, distance = 20.0, np.hypot(27, 12)
    share = (height - 4.2) / np.hypot(distance, height - 4.2) / (height / np.hypot(distance, height))
    assert float(low.vertical_velocity_axis) == pytest.approx(_GROTTO.speed(20.0) * share, rel=0.03)


def test_an_upright_plume_at_inferno() -> None:
    """PPX: levels 5 to 12 m, also where the sonar sees no rise to speak of; the sum stops at exp(-4)."""
    found = _matlab(doppler(Plume()))
    z = found.level.values
    assert (z[0], z[-1]) == (5.0, 12.0)
    np.testing.assert_allclose(found.volume_flux, Plume().flux(z), rtol=0.06)
    assert np.isnan(found.radius_velocity).all()


@pytest.mark.parametrize("fix", ["Q28", "Q50", "Q58", "Q59"])
def test_a_fix_changes_products_of_2010_to_2015(fix: str) -> None:
    """Each switch that concerns them changes what it names, and leaves the centres alone."""
    ds = doppler(_GROTTO, site="Endeavour", noise=0.03)
    before, after = _matlab(ds), _matlab(ds, fix)
    names = {"Q50": ["volume_flux_weighted"], "Q58": ["heat_flux_error"]}.get(fix, ["volume_flux"])
    for name in names:
        assert not np.array_equal(before[name], after[name], equal_nan=True), name
    xr.testing.assert_identical(before.center_x, after.center_x)


@pytest.mark.parametrize("fix", ["Q34", "Q36", "Q59", "Q60", "Q61", "Q64"])
def test_a_fix_changes_products_of_2018(fix: str) -> None:
    """Each switch that concerns them changes what it names."""
    plume = Plume((-17.5, -0.77, 4.0)) if fix == "Q34" else Plume()  # 4.2 m off the vent of the configuration
    ds = doppler(plume, noise=0.03, offset=0.05)
    before, after = _matlab(ds), _matlab(ds, fix)
    name = {"Q34": "center_x", "Q64": "heat_flux"}.get(fix, "volume_flux")
    if fix == "Q64":
        before, after = (_matlab(ds, "Q59", *more) for more in ((), ("Q64",)))
    assert not np.array_equal(before[name], after[name], equal_nan=True)


def test_the_floor_of_the_axis_velocity() -> None:
    """Where axis and line of sight are nearly perpendicular 0.2 stands for their cosine (Q62)."""
    ds = doppler(Plume())
    floored, mended = _matlab(ds), _matlab(ds, "Q62")
    low = floored.line_of_sight_vertical < 0.2
    assert low.any()
    assert np.isfinite(floored.volume_flux[low]).all()
    assert np.isnan(mended.volume_flux[low]).all()
    xr.testing.assert_identical(floored.volume_flux[~low], mended.volume_flux[~low])


def test_positive_velocities_alone_make_too_much() -> None:
    """With noise the sum of what is positive is too large, that of all is not (Q60)."""
    ds = doppler(Plume(), noise=0.08)
    truth = Plume().flux(_matlab(ds).level.values)
    low = slice(6, None)  # from 8 m on
    before, after = (_matlab(ds, *fixes).volume_flux.values[low] / truth[low] for fixes in ((), ("Q60",)))
    assert np.mean(before) > np.mean(after) + 0.15
    assert abs(np.mean(after) - 1) < 0.2


def test_phase_variance_is_pooled_when_mended() -> None:
    """Unmended, the variance of a region is the mean of the map; mended, it is larger (Q65)."""
    ds = diffuse(base=0.2)
    before = second_diffuse.level2(ds, science(profile="matlab"))
    after = second_diffuse.level2(ds, science(profile="matlab", fixes=["Q65"]))
    assert float(before.phase_variance_pooled[0]) == pytest.approx(-np.log(0.8))
    assert float(after.phase_variance_pooled[0]) == pytest.approx(-np.log((20 * 0.8 - 1) / 19))


def test_volume_of_pp3() -> None:
    """Cells between -60 and -20 dB in squares that widen by 0.24 a metre."""
    found = second_imaging.level2(imaging(Plume(), step=0.25), science(profile="matlab")).isel(vent=0)
    assert found.sizes["threshold"] == 1
    z = np.arange(5, 12.01, 0.25)
    half = 0.24 * (z - 4) + 0.5
    assert (
        0.6 * np.sum((2 * half) ** 2) * 0.25
        < float(found.plume_volume[0])
        < 1.2 * np.sum((2 * half) ** 2) * 0.25
    )
    assert -60 < float(found.mean_backscatter[0]) < -42


_TEN = PlumeModel(1e7 / 3.1481e9, 0.1)
_Z = np.arange(24.0, 32.1, 0.5)


def _profile(seed: int) -> PlumeProfile:
    random = np.random.default_rng(seed)
    volume = _TEN.volume_flux(_Z - 18) * (1 + 0.03 * random.standard_normal(len(_Z)))
    radius = _TEN.radius(_Z - 18) * (1 + 0.01 * random.standard_normal(len(_Z)))
    return PlumeProfile(_Z, volume, 0 * _Z, radius, 0 * _Z, inclination=2.0)


def test_heat_flux_of_a_month() -> None:
    """The coefficient is that of the month's widths; the heat fluxes are those of the plume."""
    alpha, heats = month_heat_flux([_profile(seed) for seed in range(20)], ScienceFixes())
    assert alpha == pytest.approx(0.1, abs=0.002)
    assert np.median([one.flux for one in heats]) == pytest.approx(1e7, rel=0.05)


def test_a_month_of_nothing_ends() -> None:
    """Where no run passes there is no coefficient and no heat flux, after two starts (Q35)."""
    wild = [PlumeProfile(_Z, _profile(1).volume[::-1], 0 * _Z, _profile(1).radius[::-1], 0 * _Z)] * 3
    alpha, heats = month_heat_flux(wild, ScienceFixes())
    assert np.isnan(alpha)
    assert all(np.isnan(one.flux) for one in heats)


def test_the_originals_error_is_none() -> None:
    """Unmended the stated error is a thousandth of what it should be; mended it is propagated (Q58)."""
    profile = _profile(3)
    before = run_heat_flux(profile, 0.1, ScienceFixes())
    after = run_heat_flux(profile, 0.1, ScienceFixes(propagated_error=True))
    assert before.flux == after.flux
    assert before.error < 1e-3 * after.error


def test_fixes_that_are_none() -> None:
    """A quirk without a switch here, or fixes beside `corrected`, are refused in a sentence."""
    with pytest.raises(ConfigurationError, match="Q1 has no switch at the second level"):
        science_fixes("matlab", ["Q1"])
    with pytest.raises(ConfigurationError, match="profile corrected mends Q59"):
        science_fixes("corrected", ["Q59"])
    assert science_fixes("matlab", ["q59"]) == ScienceFixes(fitted_velocity=True)
