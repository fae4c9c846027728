"""Twelve full-range products of one day at Ashes, where they are at hand: areas, medians and scatter."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.io import loadmat

from covis_dask.science.diffuse import level2_of
from covis_dask.science.seafloor import median_survey, seafloor_change
from tests.unit.science._fields import Real, science

_FOLDER = Path(__file__).resolve().parents[4] / "shared" / "real" / "fullrange-2021-01-03"
_NAMES = {
    "decorrelation": "decorrelation",
    "Sig_phi2": "phase_variance",
    "Kp": "amplitude_variance",
    "Chi_var": "log_intensity_variance",
    "SI": "scintillation_index",
    "bathy": "seafloor_height",
}

pytestmark = pytest.mark.skipif(not _FOLDER.is_dir(), reason=f"needs the products of {_FOLDER.name}")


@cache
def _products() -> tuple[xr.Dataset, ...]:
    return tuple(_read(path) for path in sorted(_FOLDER.glob("*.mat")))


def _read(path: Path) -> xr.Dataset:
    """Read the maps of a product of the original."""
    grids = loadmat(path, squeeze_me=True, struct_as_record=False)["diffuse"].grid
    maps = {}
    for grid in grids:
        if grid.type in _NAMES:
            name = _NAMES[grid.type]
            maps[f"{name}_fr"] = (("y_fr", "x_fr"), np.where(grid.w > 0, grid.v, np.nan))
            maps[f"{name}_weight_fr"] = (("y_fr", "x_fr"), grid.w)
    axes = {"x_fr": grids[0].x[0], "y_fr": grids[0].y[:, 0]}
    attributes = {
        "site": "Ashes",
        "time_coverage_start": "2021-01-03T00:00:00+00:00",
        "transmit_frequency": 396_000.0,
        "sound_speed": 1484.477,
        "array_length": 0.408,
        "window_pings": 9,
    }
    return xr.Dataset(maps, axes, attributes)


@cache
def _second() -> tuple[xr.Dataset, ...]:
    return tuple(level2_of(ds, science(), "_fr").sel(region="seen") for ds in _products())


def test_active_areas_of_a_day() -> None:
    """Mean and standard deviation over the day, by threshold; and the day's course above 0.1."""
    areas = np.array([one.active_area.values for one in _second()])
    np.testing.assert_allclose(areas.mean(axis=0), [258, 171, 91, 52, 16], atol=1)
    np.testing.assert_allclose(areas.std(axis=0, ddof=1), [58, 50, 25, 12, 3], atol=1)
    course = [121, 234, 263, 254, 167, 146, 135, 139, 140, 149, 143, 161]
    np.testing.assert_allclose(areas[:, 1], course, atol=1)
    shares = np.array([one.active_fraction.values for one in _second()]).mean(axis=0)
    np.testing.assert_allclose(shares, [0.51, 0.34, 0.18, 0.10, 0.03], atol=0.006)


def test_effective_fraction_of_a_day() -> None:
    """It is 0.38 on average, and scatters by 0.07."""
    fractions = [float(one.effective_fraction) for one in _second()]
    assert np.mean(fractions) == pytest.approx(0.38, abs=0.02)
    assert np.std(fractions, ddof=1) == pytest.approx(0.07, abs=0.02)


@pytest.mark.parametrize(
    ("name", "median", "low", "high", "scatter"),
    [
        ("decorrelation", 0.084, 0.031, 0.248, 0.040),
        ("phase_variance", 0.105, 0.016, 0.470, 0.035),
        ("amplitude_variance", 0.026, 0.007, 0.087, 0.012),
        ("log_intensity_variance", 0.161, 0.042, 0.628, 0.064),
        ("scintillation_index", 0.090, 0.025, 0.267, 0.042),
    ],
)
def test_cells_of_a_day(name: str, median: float, low: float, high: float, scatter: float) -> None:
    """Means of the runs in a cell, and their scatter, of cells seen in ten runs or more."""
    stack: Real = np.stack([ds[f"{name}_fr"].values for ds in _products()])
    often = np.isfinite(stack).sum(axis=0) >= 10
    cells = stack[:, often]
    found = np.percentile(np.nanmean(cells, axis=0), [50, 10, 90])
    np.testing.assert_allclose(found, [median, low, high], rtol=0.03, atol=0.001)
    spread = 1.4826 * np.nanmedian(abs(cells - np.nanmedian(cells, axis=0)), axis=0)
    assert np.median(spread) == pytest.approx(scatter, abs=0.004)


def test_a_day_does_not_change_the_seafloor() -> None:
    """Medians of six surveys each: no datum shift to speak of, and next to no significant change."""
    heights = [ds.seafloor_height_fr for ds in _products()]
    halves = [median_survey(heights[k::2])[0] for k in (0, 1)]
    first, second = (
        xr.Dataset({"seafloor_height": half.rename({"x_fr": "x", "y_fr": "y"})}, attrs={"site": "Ashes"})
        for half in halves
    )
    found = seafloor_change(first, second)
    assert abs(float(found.datum_shift)) < 0.023
    assert (
        float(np.nanmean(found.significant)) < 0.15
    )  # heavy tails, where a beam jumps between ledge and floor
