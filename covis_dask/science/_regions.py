"""Areas and statistics of maps, region by region."""

from typing import Any, Final, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.config.science import DiffuseSection
from covis_dask.science._maps import MapGeometry
from covis_dask.science.areas import active_patches, area_statistics
from covis_dask.science.quantities import QUANTITIES, Quantities

__all__ = ["REGIONS", "Maps", "add_areas", "add_statistics"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

REGIONS: Final = ("region",)
_NOISE: Final = {"decorrelation": 0.040, "phase_variance": 0.035, "amplitude_variance": 0.012}
"""Scatter of a cell from run to run, as measured on twelve runs of a day (docs/science.md#areas)."""

_SHAPE: Final = 0.28  # error of an area for its outline, cells per root of a cell of outline
_THRESHOLDS: Final = {"decorrelation": (0.05, 0.1, 0.2, 0.3, 0.5)}
_SIGMAS: Final = 3.0


class Maps(Protocol):
    """What is summed: a `DiffuseFields` is one."""

    @property
    def values(self) -> Any:
        """Maps by name."""

    @property
    def valid(self) -> Any:
        """Cells that count, by name."""

    def cells(self, name: str, region: str) -> Bool:
        """Return the cells of a map that count in a region."""

    @property
    def geometry(self) -> MapGeometry:
        """Where the cells are."""


def add_statistics(out: Quantities, fields: Maps, name: str, words: str) -> None:
    """Add means, quantiles and centroids of a map, region by region."""
    geometry, values = fields.geometry, fields.values[name]
    found = []
    for region in geometry.regions:
        chosen = fields.cells(name, region)
        found.append(area_statistics(values[chosen], (geometry.x[chosen], geometry.y[chosen]), geometry.cell))
    units = "rad2" if name == "phase_variance" else "1"
    for key, word in (
        ("mean", "mean"),
        ("median", "median"),
        ("p90", "90 % quantile"),
        ("largest", "maximum"),
    ):
        ending = "max" if key == "largest" else key
        out.add(
            f"{name}_{ending}",
            REGIONS,
            [getattr(one, key) for one in found],
            (units, f"{word} of the {words}"),
        )
    if name != "decorrelation":
        return
    out.add("valid_area", REGIONS, [one.valid_area for one in found])
    out.add("effective_area", REGIONS, [one.effective for one in found])
    shares = [one.effective / one.valid_area if one.valid_area else np.nan for one in found]
    out.add("effective_fraction", REGIONS, shares)
    for index, axis in enumerate("xy"):
        out.add(f"centroid_{axis}", REGIONS, [one.centroid[index] for one in found])


def add_areas(out: Quantities, fields: Maps, diffuse: DiffuseSection) -> dict[str, Any]:
    """Add the areas in which maps exceed thresholds; return the coordinates of these."""
    wanted = {
        name.replace("-", "_"): tuple(levels) for name, levels in diffuse.thresholds.items()
    } or _THRESHOLDS
    coords = {}
    for name, levels in wanted.items():
        if name not in fields.values:
            continue
        plain = name == "decorrelation"
        dim = "threshold" if plain else f"{name}_threshold"
        coords[dim] = xr.Variable(
            (dim,), np.array(levels), {"long_name": f"threshold of {name}", "units": "1"}
        )
        _add_thresholds(out, fields, name, levels, (dim, "" if plain else f"_{name}"))
    _add_reference(out, fields)
    return coords


def _add_thresholds(
    out: Quantities, fields: Maps, name: str, levels: tuple[float, ...], words: tuple[str, str]
) -> None:
    """Add the active areas of one map."""
    dim, ending = words
    cell = fields.geometry.cell
    shape = (len(fields.geometry.regions), len(levels))
    areas, errors, fractions = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    patches, patch_areas = np.full(shape, np.nan), np.full(shape, np.nan)
    centroids = np.full((2, *shape), np.nan)
    noise = _NOISE.get(name, 0.0)
    for row, region in enumerate(fields.geometry.regions):
        chosen = fields.cells(name, region)
        values = np.where(chosen, fields.values[name], -np.inf)
        total = np.count_nonzero(chosen)
        for column, level in enumerate(levels if total else ()):
            active = values > level
            count = np.count_nonzero(active)
            areas[row, column], fractions[row, column] = count * cell, count / total
            spread = (np.count_nonzero(values > level - noise) - np.count_nonzero(values > level + noise)) / 2
            errors[row, column] = cell * np.hypot(spread, _SHAPE * np.sqrt(_outline(active)))
            if name == "decorrelation":
                found = active_patches(active, cell)
                patches[row, column], patch_areas[row, column] = found.count, found.area
            if count:
                centroids[:, row, column] = [
                    axis[active].mean() for axis in (fields.geometry.x, fields.geometry.y)
                ]
    dims = (*REGIONS, dim)
    table = {
        "active_area": areas,
        "active_area_error": errors,
        "active_fraction": fractions,
        "active_centroid_x": centroids[0],
        "active_centroid_y": centroids[1],
    }
    if name == "decorrelation":
        table |= {"patch_count": patches, "patch_area": patch_areas}
    for key, values in table.items():
        base, error, _ = key.partition("_error")
        units, long_name = QUANTITIES[base]
        said = f"1-sigma error of the {long_name}" if error else long_name
        out.add(f"{base}{ending}{error}", dims, values, (units, f"{said}, by {name.replace('_', ' ')}"))


def _outline(active: Bool) -> float:
    """Return the length of the outline of a mask, in sides of cells (as of a smooth line)."""
    sides = np.count_nonzero(active[1:] != active[:-1]) + np.count_nonzero(active[:, 1:] != active[:, :-1])
    return float(sides) * np.pi / 4


def _add_reference(out: Quantities, fields: Maps) -> None:
    """Add the area above what regions without flow show: their mean and three standard deviations."""
    geometry = fields.geometry
    quiet = geometry.reference & fields.valid["decorrelation"]
    if not quiet.any():
        return
    values = fields.values["decorrelation"]
    level = float(values[quiet].mean() + _SIGMAS * values[quiet].std())
    areas = [
        np.count_nonzero(fields.cells("decorrelation", region) & (values > level)) * geometry.cell
        for region in geometry.regions
    ]
    words = ("m2", "area where decorrelation exceeds that of the reference regions")
    out.add("active_area_above_reference", REGIONS, areas, words, threshold=level)
