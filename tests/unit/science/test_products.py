"""Second levels of whole products: known answers, and input that cannot be had."""

from inspect import signature

import numpy as np
import pytest
import xarray as xr

from covis_dask.config.science import Vent
from covis_dask.modes.registry import specs
from covis_dask.modes.spec import load_object
from covis_dask.science import diffuse as second_diffuse
from covis_dask.science import doppler as second_doppler
from covis_dask.science import fullrange as second_fullrange
from covis_dask.science import imaging as second_imaging
from covis_dask.science.flags import LevelFlag, VentFlag
from tests.unit.science._fields import INFERNO, Plume, diffuse, doppler, imaging, science

_HELD = Vent(
    site="Ashes",
    x=INFERNO[0],
    y=INFERNO[1],
    z=4.0,
    search_radius=4.0,
    domain_radius=8.0,
    levels=(4.0, 20.0),
    heat_levels=(4.0, 14.0),
    entrainment=0.11 * 5 / 6,
    entrainment_error=0.005,
)


def test_an_imaging_product() -> None:
    """Centres, axis, lean, radius and extent of a leaning plume with speckle."""
    plume = Plume(lean=(0.1, 0.05))
    found = second_imaging.level2(imaging(plume, step=0.25, looks=40), science()).sel(vent="Inferno")
    z = found.level
    low = (z > 5) & (z < 14)
    np.testing.assert_allclose(found.axis_x[low], INFERNO[0] + 0.1 * (z[low] - 4), atol=0.06)
    np.testing.assert_allclose(found.axis_y[low], INFERNO[1] + 0.05 * (z[low] - 4), atol=0.06)
    np.testing.assert_allclose(found.radius_backscatter[low], 0.8 + 0.11 * (z[low] - 4), rtol=0.06)
    assert float(found.azimuth) == pytest.approx(63.43, abs=2)
    assert float(found.inclination) == pytest.approx(6.38, abs=0.2)
    assert float(found.plume_volume.sel(threshold=-50)) == pytest.approx(39.27, rel=0.25)
    assert found.temperature_std.attrs["units"] == "K"
    assert int(found.plume_flag) == 0


def test_every_quantity_is_described() -> None:
    """Each variable has units and a long name; each mask its meanings; errors belong to a quantity."""
    for found in (
        second_doppler.level2(doppler(Plume()), science()),
        second_imaging.level2(imaging(Plume()), science()),
    ):
        for name, variable in found.data_vars.items():
            assert variable.attrs["units"], name
            assert variable.attrs["long_name"], name
            if name in {"flag", "plume_flag"}:
                assert len(variable.attrs["flag_meanings"].split()) == len(variable.attrs["flag_masks"])
            if str(name).endswith("_error") and "structural" not in str(name):
                owner = str(name).removesuffix("_error")
                assert found[owner].attrs["ancillary_variables"].startswith(owner)


def test_a_doppler_product_gives_the_heat_flux_of_its_plume() -> None:
    """An upright plume of 19.2 MW at Ashes: speed, volume flux and heat flux; its stated error covers it."""
    found = second_doppler.level2(doppler(Plume()), science(vents={"Inferno": _HELD})).sel(vent="Inferno")
    z = found.level.values
    used = np.isfinite(found.volume_flux.values)
    assert z[used].min() == pytest.approx(8.0)  # the first level at which a quarter of the rise is seen
    np.testing.assert_allclose(found.volume_flux[used], Plume().flux(z[used]), rtol=0.02)
    np.testing.assert_allclose(found.vertical_velocity_axis[used], Plume().speed(z[used]), rtol=0.02)
    assert float(found.heat_flux) == pytest.approx(19.207e6, rel=0.03)
    assert float(found.heat_flux_from_velocity) == pytest.approx(19.207e6, rel=0.05)
    assert abs(float(found.heat_flux) - 19.207e6) < 3 * float(found.heat_flux_error)
    assert float(found.entrainment_run) == pytest.approx(0.0917, rel=0.02)


def test_a_doppler_product_of_2010_to_2015() -> None:
    """Centimetres per second and ping differences: the same plume at Grotto, with constants of Endeavour."""
    plume = Plume((-27.0, -12.0, 17.0), velocity=0.6)
    found = second_doppler.level2(doppler(plume, site="Endeavour"), science()).isel(vent=0)
    z = found.level.values
    np.testing.assert_allclose(found.volume_flux, plume.flux(z), rtol=0.02)
    truth = 17.486e6 / 3.1481e9 * 3.1926e9 * (0.6 / 0.4) ** 3
    assert float(found.heat_flux) == pytest.approx(truth, rel=0.04)  # with 0.095 for 0.0917


@pytest.mark.parametrize("site", ["Ashes", "Endeavour"])
def test_the_clocks_share_is_taken_out(site: str) -> None:
    """An offset in the velocities that stands in the product changes nothing."""
    plume = Plume() if site == "Ashes" else Plume((-27.0, -12.0, 17.0), velocity=0.6)
    fluxes = [
        second_doppler.level2(doppler(plume, site=site, offset=offset), science()).volume_flux.values
        for offset in (0.0, 0.1)
    ]
    np.testing.assert_allclose(fluxes[0], fluxes[1], rtol=1e-9)


def test_the_flow_of_a_leaning_plume_is_in_the_stated_error() -> None:
    """Water that follows the axis: `axial` is right, and the structural error tells that it may be."""
    plume = Plume(lean=(0.05, 0.03))
    found = second_doppler.level2(doppler(plume), science()).sel(vent="Inferno")
    z = found.level.values
    used = np.isfinite(found.volume_flux.values)
    truth = plume.flux(z[used])
    np.testing.assert_allclose(found.volume_flux_axial[used], truth, rtol=0.05)
    assert np.median(abs(found.volume_flux[used] / truth - 1)) > 0.2
    structural = found.volume_flux_structural_error.values[used]
    assert np.all(structural > 0)
    assert np.median(structural / truth) > 0.1
    assert float(found.heat_flux_structural_error) > 0
    assert float(found.lean_east) == pytest.approx(0.05, abs=0.005)


def test_a_plume_that_leans_away_is_followed() -> None:
    """The centre may move further than the search radius from the vent, level by level."""
    plume = Plume(lean=(-0.45, 0.1))
    found = second_imaging.level2(imaging(plume), science()).sel(vent="Inferno")
    assert float(found.lean_east) == pytest.approx(-0.45, abs=0.01)


def test_two_vents_are_told_apart() -> None:
    """A second vent of the configuration has its own plume; the first is as without it."""
    other = Vent(
        site="Ashes", x=-13.0, y=8.0, z=4.0, search_radius=3.0, domain_radius=6.0, levels=(4.0, 14.0)
    )
    ds = imaging(Plume(), Plume((-13.0, 8.0, 4.0), lean=(0.0, 0.1)))
    found = second_imaging.level2(ds, science(vents={"Inferno": _HELD, "other": other}))
    assert list(found.vent.values) == ["Inferno", "other"]
    np.testing.assert_allclose(found.lean_north, [0.0, 0.1], atol=0.01)
    assert int(found.flag.sel(vent="other").isel(level=-1)) == LevelFlag.NOT_ANALYSED


def _emptied(ds: xr.Dataset) -> xr.Dataset:
    return ds.map(lambda v: v * np.nan if v.ndim == 3 else v, keep_attrs=True)


@pytest.mark.parametrize("family", [second_imaging, second_doppler])
def test_a_product_of_nothing_is_flagged(family: object) -> None:
    """All NaN: no exception, flags, a sentence, and no number."""
    ds = _emptied(imaging(Plume()) if family is second_imaging else doppler(Plume()))
    found = family.level2(ds, science()).isel(vent=0)  # type: ignore[attr-defined]
    assert int(found.plume_flag) & VentFlag.NO_PLUME
    assert "no sample" in found.attrs["notes"]
    assert np.isnan(found.inclination)


def test_velocities_of_nothing_leave_the_axis() -> None:
    """All-NaN velocity: the plume keeps centre and axis, fluxes are NaN with a reason."""
    ds = doppler(Plume())
    ds["radial_velocity"] = ds.radial_velocity * np.nan
    found = second_doppler.level2(ds, science()).sel(vent="Inferno")
    assert np.isfinite(found.axis_x).all()
    assert np.isnan(found.heat_flux)
    assert int(found.plume_flag) & VentFlag.NO_VELOCITY
    assert (found.flag.values & LevelFlag.NO_VELOCITY).all()


def test_one_level_makes_no_axis() -> None:
    """A product of a single height has a centre, and no axis."""
    found = second_doppler.level2(doppler(Plume()).isel(z=[20]), science()).sel(vent="Inferno")
    assert np.isfinite(found.center_x).all()
    assert int(found.plume_flag) & VentFlag.NO_AXIS
    assert np.isnan(found.heat_flux)


def test_a_plume_at_the_edge_of_the_sector_is_flagged() -> None:
    """Levels of which a side was not seen are marked, and not used for fluxes."""
    ds = doppler(Plume())
    seen = ds.x > -13.6
    ds["windowed_backscatter_weight"] = ds.windowed_backscatter_weight.where(seen, 0.0)
    found = second_doppler.level2(ds, science()).sel(vent="Inferno")
    assert int(found.plume_flag) & VentFlag.CUT_BY_EDGE
    assert np.isnan(found.volume_flux).all()


def test_velocities_beyond_the_filter_are_flagged() -> None:
    """Beyond half of the unambiguous velocity a level has no flux, and says why."""
    found = second_doppler.level2(doppler(Plume(velocity=9.0)), science()).sel(vent="Inferno")
    fast = (found.flag.values & LevelFlag.FAST) > 0
    assert fast.any()
    assert np.isnan(found.volume_flux.values[fast]).all()


def test_plumes_that_merge_are_flagged() -> None:
    """A second plume close by is noticed where they merge."""
    ds = imaging(Plume(), Plume((-10.8, 0.3, 4.0)))
    found = second_imaging.level2(ds, science(vents={"Inferno": _HELD})).sel(vent="Inferno")
    low = found.flag.values[(found.level.values >= 5) & (found.level.values <= 9)]
    assert np.mean((low & LevelFlag.SECOND_PLUME) > 0) > 0.7


def test_an_unknown_site_has_no_vents() -> None:
    """No exception: no vents, and a sentence that says where they would stand."""
    ds = imaging(Plume()).assign_attrs(site="Elsewhere")
    found = second_imaging.level2(ds, science())
    assert found.sizes["vent"] == 0
    assert "covis.science.vents" in found.attrs["notes"]


def test_a_vent_without_a_place_is_looked_for() -> None:
    """Runs of 2018: the vent is where the lowest backscatter is strongest, and marked as looked for."""
    ds = imaging(Plume((-14.5, 2.0, 4.0))).assign_attrs(time_coverage_start="2018-08-20T12:00:00+00:00")
    found = second_imaging.level2(ds, science())
    assert list(found.vent.values) == ["Inferno 2018"]
    assert (float(found.vent_x[0]), float(found.vent_y[0])) == pytest.approx((-14.5, 2.0), abs=0.5)
    assert int(found.plume_flag[0]) & VentFlag.VENT_LOCATED


def test_a_full_range_product_has_plumes_and_maps() -> None:
    """Both parts in one dataset, each with its own thresholds."""
    maps = diffuse(((-8.0, 3.0, 2.5, 0.4),))
    maps = maps.rename({name: f"{name}_fr" for name in (*maps.data_vars, "x", "y")})
    found = second_fullrange.level2(imaging(Plume()).merge(maps), science())
    assert found.plume_volume.dims == ("vent", "extent_threshold")
    assert found.active_area.dims == ("region", "threshold")
    assert float(found.active_area.sel(region="all", threshold=0.2)) == pytest.approx(
        np.pi * 2.5**2, rel=0.05
    )


def test_equal_products_give_equal_bits() -> None:
    """The second level has no chance in it."""
    ds, settings = doppler(Plume(lean=(0.02, 0.0)), noise=0.05), science()
    xr.testing.assert_identical(second_doppler.level2(ds, settings), second_doppler.level2(ds, settings))


def test_the_product_is_left_as_it_was() -> None:
    """Nothing of the product is changed."""
    ds = doppler(Plume())
    before = ds.copy(deep=True)
    second_doppler.level2(ds, science())
    xr.testing.assert_identical(ds, before)


def test_every_family_names_its_second_level() -> None:
    """The specs name a function that takes the product and the section; bathymetry has none of one run."""
    named = {str(spec): spec.second_level for spec in specs()}
    assert named.pop("Ashes bathy") is None
    for name, dotted in named.items():
        assert dotted is not None, name
        assert list(signature(load_object(dotted)).parameters) == ["ds", "science"], name


def test_the_dimensions_of_a_file_do_not_matter() -> None:
    """A product with a time of length one, and the height first, gives the same; several runs are refused."""
    moment = np.datetime64("2019-08-20T12:00:01", "ns")
    for family, ds in ((second_imaging, imaging(Plume())), (second_doppler, doppler(Plume()))):
        gridded = [name for name, v in ds.data_vars.items() if v.ndim == 3]
        filed = ds.assign(
            {name: ds[name].transpose("z", "y", "x").expand_dims(time=[moment]) for name in gridded}
        )
        found = family.level2(filed, science())
        xr.testing.assert_allclose(found.drop_vars("time"), family.level2(ds, science()))
        with pytest.raises(ValueError, match="takes the product of one run, not 2"):
            family.level2(xr.concat([filed, filed], "time", data_vars="minimal"), science())
    maps = diffuse(((-8.0, 3.0, 2.5, 0.4),))
    filed = maps.map(lambda v: v.expand_dims(time=[moment]), keep_attrs=True)
    areas = [second_diffuse.level2(one, science()).active_area.values for one in (filed, maps)]
    np.testing.assert_array_equal(*areas)
