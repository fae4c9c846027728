"""Geometry of a map: which cells count, and in which regions they lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.config.science import Region, ScienceSection, Shadow
from covis_dask.science.areas import inside, shadowed
from covis_dask.science.run import day_of, entries_of, site_of

__all__ = ["ALL", "SEEN", "MapGeometry", "geometry_of", "sector"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

ALL = "all"
"""Name of the region that is the whole map, without shadows, near cells and the edges of the sector."""

SEEN = "seen"
"""Name of the region of all cells with a value, those left out of all others included."""

_BEAM_WIDTH = 0.886  # wavelengths over the length of the array
_EDGE_BEAMS = 2
_FAR = 6.0  # m, from where on the cells of a map tell its sector


@dataclass(frozen=True, slots=True, eq=False)
class MapGeometry:
    """A map's cells.

    Parameters
    ----------
    x, y : ndarray of float64, [Ny, Nx]
        m.
    azimuth : ndarray of float64, [Ny, Nx]
        Clockwise from north, rad.
    distance : ndarray of float64, [Ny, Nx]
        Horizontal, m.
    allowed : ndarray of bool, [Ny, Nx]
        Far enough, and in no shadow.
    regions : mapping of str to ndarray of bool, [Ny, Nx]
        The regions ``all`` and ``seen`` first.
    reference : ndarray of bool, [Ny, Nx]
        Cells of regions that are known to have no flow; where there are none, of no region at all.
    outside_active : ndarray of bool, [Ny, Nx]
        Cells outside the regions with flow.
    cell : float
        Area of a cell, m2.
    """

    x: Real
    y: Real
    azimuth: Real
    distance: Real
    allowed: Bool
    regions: Mapping[str, Bool]
    reference: Bool
    outside_active: Bool
    cell: float


def geometry_of(ds: xr.Dataset, dims: tuple[str, str], science: ScienceSection) -> MapGeometry:
    """Return the geometry of a map with axes (y, x); equal ones are made once."""
    y, x = (np.asarray(ds[dim].values, np.float64) for dim in dims)
    site, day = site_of(ds), day_of(ds)
    return _geometry(
        (x.tobytes(), y.tobytes()),
        tuple(entries_of(science.regions, site, day).items()),
        tuple(entries_of(science.shadows, site, day).items()),
        science.diffuse.least_range,
    )


@lru_cache(maxsize=16)
def _geometry(
    axes: tuple[bytes, bytes],
    regions: tuple[tuple[str, Region], ...],
    shadows: tuple[tuple[str, Shadow], ...],
    least: float,
) -> MapGeometry:
    xs, ys = (np.frombuffer(axis) for axis in axes)
    x, y = np.meshgrid(xs, ys)
    distance = np.hypot(x, y)
    everywhere = np.ones(x.shape, np.bool_)
    masks = {ALL: everywhere, SEEN: everywhere} | {name: inside(x, y, one.polygon) for name, one in regions}
    none = np.zeros(x.shape, np.bool_)
    active, reference = none.copy(), none.copy()
    for name, one in regions:
        (active if one.active else reference)[masks[name]] = True
    steps = [float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in (xs, ys)]
    return MapGeometry(
        x,
        y,
        np.arctan2(x, y),
        distance,
        (distance >= least) & ~shadowed(x, y, dict(shadows)),
        masks,
        reference,
        ~active if active.any() else none,
        abs(steps[0] * steps[1]),
    )


def sector(seen: Bool, geometry: MapGeometry, ds: xr.Dataset) -> Bool:
    """Return the cells within the sector that was seen, less two beams at either edge."""
    far = seen & (geometry.distance >= _FAR)
    if not far.any():
        return seen
    azimuths = geometry.azimuth[far]
    middle = np.angle(np.mean(np.exp(1j * azimuths)))
    turn = (geometry.azimuth - middle + np.pi) % (2 * np.pi) - np.pi
    edges = turn[far].min(), turn[far].max()
    if edges[1] - edges[0] > 1.9 * np.pi:  # all around
        return seen
    beam = _beam_width(ds)
    return np.asarray(
        seen & (turn >= edges[0] + _EDGE_BEAMS * beam) & (turn <= edges[1] - _EDGE_BEAMS * beam)
    )


def _beam_width(ds: xr.Dataset) -> float:
    """Return the width of the beams, rad; a degree where the product does not say."""
    names = ("sound_speed", "transmit_frequency", "array_length")
    speed, frequency, length = (float(ds.attrs.get(name, np.nan)) for name in names)
    width = _BEAM_WIDTH * speed / (frequency * length) if frequency > 0 and length > 0 else np.nan
    return float(width) if np.isfinite(width) else float(np.radians(1.0))
