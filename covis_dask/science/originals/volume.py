"""Volume and mean strength of a plume within a square that widens upwards (PP3)."""

import numpy as np

from covis_dask.science.extent import Extent
from covis_dask.science.grids import Volume
from covis_dask.science.line import CentreLine

__all__ = ["original_volume"]

_WIDENING, _HALF = 0.24, 0.5  # per height above 4 m; m
_FOOT = 4.0  # m
_LOWEST, _HIGHEST = -60.0, -20.0  # dB


def original_volume(volume: Volume, line: CentreLine) -> Extent:
    """Count the cells between -60 and -20 dB in squares about the centre line, and average their decibels."""
    dx, dy, dz = volume.steps
    cells, strengths, total, top, width = 0, [], 0.0, np.nan, 0.0
    for n, z in enumerate(line.z):
        if not np.isfinite(line.x[n]):
            continue
        half = _WIDENING * (z - _FOOT) + _HALF
        rows, columns = abs(volume.y - line.y[n]) <= half, abs(volume.x - line.x[n]) <= half
        k = int(np.searchsorted(volume.z, z - 1e-9))
        with np.errstate(divide="ignore", invalid="ignore"):
            strength = 10 * np.log10(volume.values[np.ix_(rows, columns, [k])])
            inside = strength[(strength >= _LOWEST) & (strength <= _HIGHEST)]
        if inside.size:
            cells += inside.size
            strengths.append(float(inside.mean()))
            total += float(np.sum(10 ** (inside / 10)))
            top, width = float(z - _FOOT), max(width, 2 * float(np.sqrt(inside.size * dx * dy / np.pi)))
    if not cells:
        return Extent(0.0, np.nan, np.nan, np.nan, np.nan, cut=False)
    integrated = 10 * float(np.log10(total * dx * dy * dz))
    return Extent(cells * dx * dy * dz, top, width, integrated, float(np.mean(strengths)), cut=False)
