"""Areas of maps, regions and shadows, and change of the seafloor against known answers."""

import numpy as np
import pytest
import xarray as xr

from covis_dask.config.science import Region
from covis_dask.science.areas import active_patches, area_statistics, effective_area, inside, shadowed
from covis_dask.science.diffuse import level2
from covis_dask.science.flags import ChangeFlag, RegionFlag
from covis_dask.science.seafloor import median_survey, seafloor_change
from tests.unit.science._fields import Real, diffuse, science

_AXIS = np.arange(-20, 20.01, 0.5)
_X, _Y = np.meshgrid(_AXIS, _AXIS)


@pytest.mark.parametrize(("radius", "rms"), [(2.0, 0.026), (4.0, 0.012)])
def test_area_of_a_disc(radius: float, rms: float) -> None:
    """Cells whose middle lies in a disc: right on average, and as scattered as stated."""
    random = np.random.default_rng(4)
    areas = []
    for _ in range(200):
        x0, y0 = random.uniform(-0.25, 0.25, 2)
        areas.append(0.25 * np.count_nonzero(np.hypot(_X - x0, _Y - y0) <= radius))
    relative = np.array(areas) / (np.pi * radius**2)
    assert relative.mean() == pytest.approx(1, abs=0.005)
    assert np.sqrt(np.mean((relative - 1) ** 2)) == pytest.approx(rms, rel=0.25)


@pytest.mark.parametrize("s", [1.5, 3.0])
def test_total_and_effective_area_of_a_gaussian(s: float) -> None:
    """Heat and effective area of a Gaussian map of heat flux density."""
    q = 3e5 * np.exp(-(_X**2 + _Y**2) / s**2)
    found = area_statistics(q.ravel(), (_X.ravel(), _Y.ravel()), 0.25)
    assert found.total == pytest.approx(3e5 * np.pi * s**2, rel=1e-6)
    assert effective_area(q, 0.25) == pytest.approx(2 * np.pi * s**2, rel=1e-6)
    assert found.centroid == pytest.approx((0, 0), abs=1e-9)


def test_shadows_cut_what_they_should() -> None:
    """Azimuths and distances of the two shadows of Ashes, at their limits."""
    shadows = {name: one for name, one in science().shadows.items() if one is not None}

    def hidden(azimuth: float, distance: float) -> bool:
        a = np.radians(azimuth)
        return bool(shadowed(np.array([distance * np.sin(a)]), np.array([distance * np.cos(a)]), shadows)[0])

    assert hidden(-37, 8.2)
    assert not hidden(-37, 8.1)
    assert [hidden(a, 10) for a in (-49.6, -49.4, -25.7, -25.5)] == [False, True, True, False]
    assert [hidden(a, 12) for a in (-104, -103.8, -77.3, -77.1)] == [False, True, True, False]
    assert [hidden(-90, d) for d in (11.2, 11.3)] == [False, True]


def test_a_uniform_map_is_effective_all_over() -> None:
    """Effective fraction 1 and no cell of a shadow, in every region."""
    region = Region(site="Ashes", polygon=((-16.0, 0.0), (-4.0, 0.0), (-4.0, 12.0), (-16.0, 12.0)))
    found = level2(diffuse(base=0.3), science(regions={"north": region}))
    np.testing.assert_allclose(found.effective_fraction, 1.0)
    shadows = {name: one for name, one in science().shadows.items() if one is not None}
    x, y = np.meshgrid(found.x, found.y)
    assert not np.isfinite(found.active.values[shadowed(x, y, shadows)]).any()
    valid = np.isfinite(found.active.values) & inside(x, y, region.polygon)
    assert float(found.valid_area.sel(region="north")) == 0.25 * np.count_nonzero(valid)


def test_active_area_of_a_patch() -> None:
    """Area, fraction, centroid and patches of a disc above the thresholds, and none above higher ones."""
    found = level2(diffuse(((-8.0, 3.0, 2.5, 0.4),)), science()).sel(region="all")
    area = found.active_area.sel(threshold=[0.1, 0.2, 0.3, 0.5])
    np.testing.assert_allclose(area[:3], np.pi * 2.5**2, rtol=0.05)
    assert float(area[3]) == 0
    assert float(found.active_centroid_x.sel(threshold=0.2)) == pytest.approx(-8, abs=0.1)
    assert float(found.active_centroid_y.sel(threshold=0.2)) == pytest.approx(3, abs=0.1)
    assert float(found.patch_count.sel(threshold=0.2)) == 1
    error = float(found.active_area_error.sel(threshold=0.2))
    assert 0.01 < error / (np.pi * 2.5**2) < 0.05
    assert found.attrs["active_threshold"] == 0.2


def test_phase_of_a_patch() -> None:
    """The structure function of a map is -2 ln(1 - decorrelation); the temperature is finite and positive."""
    found = level2(diffuse(((-8.0, 3.0, 2.5, 0.4),)), science())
    at = found.sel(x=-8.0, y=3.0)
    assert float(at.phase_structure) == pytest.approx(-2 * np.log(0.6))
    assert 0 < float(at.temperature_fluctuation) < 2
    assert found.temperature_fluctuation.attrs["quality"] == "relative"


def test_a_region_outside_the_sector_is_flagged() -> None:
    """NaN, a flag and a sentence; the other regions stay as they are."""
    behind = Region(site="Ashes", polygon=((10.0, -20.0), (20.0, -20.0), (20.0, -10.0), (10.0, -10.0)))
    found = level2(diffuse(), science(regions={"behind": behind}))
    one = found.sel(region="behind")
    assert int(one.region_flag) == RegionFlag.OUTSIDE_SECTOR | RegionFlag.NO_VALUES
    assert np.isnan(one.active_area).all()
    assert np.isnan(float(one.decorrelation_median))
    assert "behind" in found.attrs["notes"]
    assert int(found.sel(region="all").region_flag) == 0


def test_a_map_of_nothing_is_flagged() -> None:
    """All NaN gives flags and NaN, no exception and no warning."""
    ds = diffuse()
    for name in ds.data_vars:
        ds[name] = ds[name] * np.nan
    found = level2(ds, science())
    assert int(found.region_flag[0]) == RegionFlag.OUTSIDE_SECTOR | RegionFlag.NO_VALUES
    assert np.isnan(found.active_area).all()


def test_regions_that_are_known_to_be_active_give_the_reference() -> None:
    """The correlation where nothing flows is taken outside of them; without any it is 1."""
    ds = diffuse(((-8.0, 3.0, 2.5, 0.4),), base=0.05)
    around = Region(site="Ashes", polygon=((-12.0, -1.0), (-4.0, -1.0), (-4.0, 7.0), (-12.0, 7.0)))
    assert level2(ds, science()).attrs["reference_correlation"] == 1.0
    found = level2(ds, science(regions={"vent": around}))
    assert found.attrs["reference_correlation"] == pytest.approx(0.95)
    assert float(found.phase_structure.sel(x=-8.0, y=3.0)) == pytest.approx(-2 * np.log(0.6 / 0.95))


def test_patches_of_three_cells_do_not_count() -> None:
    """Cells that touch at a corner belong together; fewer than four are noise."""
    mask = np.zeros((20, 20), np.bool_)
    mask[[2, 3, 4, 5], [2, 3, 4, 5]] = True
    mask[10, 10:13] = True
    found = active_patches(mask, 0.25)
    assert (found.count, found.area, found.largest) == (1, 1.0, 1.0)


def _survey(values: Real, **attrs: object) -> xr.Dataset:
    x, y = np.arange(-30, 20.1, 0.5), np.arange(-30, 30.1, 0.5)
    data = {"seafloor_height": (("y", "x"), values)}
    return xr.Dataset(data, {"x": x, "y": y}, {"site": "Ashes", **attrs})


_SX, _SY = np.meshgrid(np.arange(-30, 20.1, 0.5), np.arange(-30, 30.1, 0.5))
_FLOOR = 0.04 * _SX + 0.5 * np.sin(_SX / 5)
_PATCH = (_SX >= -8) & (_SX < -6) & (_SY >= 2) & (_SY < 4)


@pytest.mark.parametrize("seed", range(4))
def test_growth_of_the_seafloor(seed: int) -> None:
    """A patch of 2 by 2 m that has grown by half a metre, seen through noise and a shift of the datum."""
    random = np.random.default_rng(seed)
    first = _survey(_FLOOR + 0.05 / np.sqrt(2) * random.standard_normal(_FLOOR.shape))
    second = _survey(_FLOOR + 0.2 + 0.5 * _PATCH + 0.05 / np.sqrt(2) * random.standard_normal(_FLOOR.shape))
    found = seafloor_change(first, second)
    assert float(found.datum_shift) == pytest.approx(0.2, abs=0.01)
    assert float(found.volume_net) == pytest.approx(2.0, abs=0.15)
    assert float(found.volume_loss) == 0
    assert np.mean(found.significant.values[~_PATCH]) < 0.01
    assert 0.02 < float(found.volume_net_error) < 0.2


def test_surveys_of_different_frames_are_not_compared() -> None:
    """Another heading of the tower gives NaN, a flag and a sentence; so do surveys without a common cell."""
    found = seafloor_change(_survey(_FLOOR, central_heading=289.0), _survey(_FLOOR, central_heading=279.0))
    assert int(found.change_flag) == ChangeFlag.OTHER_FRAME
    assert np.isnan(found.volume_net)
    assert "stood elsewhere" in found.attrs["notes"]
    apart = seafloor_change(_survey(_FLOOR), _survey(np.full_like(_FLOOR, np.nan)))
    assert int(apart.change_flag) == ChangeFlag.NO_COMMON_CELLS
    assert np.isnan(apart.volume_net)


def test_median_of_surveys_ignores_jumps() -> None:
    """One survey of five that is a metre off changes nothing; the error falls with their number."""
    random = np.random.default_rng(0)
    surveys = [
        _survey(_FLOOR + 0.05 * random.standard_normal(_FLOOR.shape)).seafloor_height for _ in range(5)
    ]
    surveys[2] = surveys[2] + 1.0
    middle, error = median_survey(surveys)
    assert float(np.sqrt(np.mean((middle - _FLOOR) ** 2))) < 0.04
    assert 0.02 < float(error.median()) < 0.06
