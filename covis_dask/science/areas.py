"""Maps of the seafloor: which cells count, regions, areas and means (docs/science.md#areas)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covis_dask.config.science import Shadow

__all__ = [
    "AreaStatistics",
    "Patches",
    "active_patches",
    "area_statistics",
    "effective_area",
    "inside",
    "shadowed",
]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

_SMALLEST_PATCH = 4  # cells
_EIGHT = np.ones((3, 3), np.int_)


def shadowed(x: Real, y: Real, shadows: Mapping[str, Shadow]) -> Bool:
    """Return the cells that structures hide.

    Parameters
    ----------
    x, y : ndarray of float64
        m.
    shadows : mapping of str to Shadow
        Sectors: the limits themselves are not hidden.
    """
    hidden = np.zeros(np.broadcast(x, y).shape, np.bool_)
    azimuth, distance = np.degrees(np.arctan2(x, y)), np.hypot(x, y)
    for shadow in shadows.values():
        start, stop = shadow.azimuths
        width = (stop - start) % 360.0
        turn = (azimuth - start) % 360.0
        hidden |= (turn > 0) & (turn < width) & (distance > shadow.beyond)
    return hidden


def inside(x: Real, y: Real, polygon: Sequence[tuple[float, float]]) -> Bool:
    """Return the cells whose middle lies within a polygon, by the number of its sides that a ray crosses."""
    within = np.zeros(np.broadcast(x, y).shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        within ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return within


@dataclass(frozen=True, slots=True)
class AreaStatistics:
    """What a map is over a region.

    Parameters
    ----------
    valid_area : float
        m2.
    total : float
        Sum times the area of a cell.
    mean, median, p90, largest : float
    effective : float
        (sum q)^2 / sum q^2 times the area of a cell, m2: all of it for a uniform map.
    centroid : tuple of float
        m.
    """

    valid_area: float
    total: float
    mean: float
    median: float
    p90: float
    largest: float
    effective: float
    centroid: tuple[float, float]


_NAN = float("nan")
_NOTHING = AreaStatistics(0.0, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, (_NAN, _NAN))


def area_statistics(values: Real, places: tuple[Real, Real], cell: float) -> AreaStatistics:
    """Summarise a map over its valid cells.

    Parameters
    ----------
    values : ndarray of float64, [n]
        Of the valid cells of a region.
    places : tuple of ndarray of float64, [n]
        x and y, m.
    cell : float
        Area of a cell, m2.
    """
    if not values.size:
        return _NOTHING
    total = float(values.sum())
    centroid = (
        (float((places[0] * values).sum() / total), float((places[1] * values).sum() / total))
        if total > 0
        else (float("nan"), float("nan"))
    )
    middle, high = np.percentile(values, (50, 90))
    return AreaStatistics(
        values.size * cell,
        total * cell,
        total / values.size,
        float(middle),
        float(high),
        float(values.max()),
        effective_area(values, cell),
        centroid,
    )


def effective_area(values: Real, cell: float) -> float:
    """Return (sum q)^2 / sum q^2 times the area of a cell; NaN where the map is nought."""
    square = float((values**2).sum())
    return float(values.sum()) ** 2 / square * cell if square > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Patches:
    """Connected sets of at least four active cells: how many, the area of all and of the largest (m2)."""

    count: int
    area: float
    largest: float


def active_patches(active: Bool, cell: float) -> Patches:
    """Count the patches of a mask; cells that touch at a corner belong together."""
    rows, columns = (np.flatnonzero(active.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return Patches(0, 0.0, 0.0)
    box = active[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    labels, count = ndimage.label(box, _EIGHT)
    if not count:
        return Patches(0, 0.0, 0.0)
    sizes = np.bincount(labels.ravel())[1:]
    kept = sizes[sizes >= _SMALLEST_PATCH]
    return Patches(len(kept), float(kept.sum()) * cell, float(kept.max(initial=0)) * cell)
