"""How far a plume reaches: the connected cells above a threshold of backscatter (docs/science.md#extent)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covis_dask.science.grids import Volume

__all__ = ["Extent", "plume_extent"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

_LOW = 2.0  # m above the vent, in which the plume is looked for


@dataclass(frozen=True, slots=True)
class Extent:
    """The plume above one threshold.

    Parameters
    ----------
    volume : float
        m3; nought where nothing exceeds the threshold.
    height : float
        Of its highest cell above the vent, m; NaN without cells, as all below.
    width : float
        Greatest width of its horizontal sections, m: of a disc of the same area.
    integrated : float
        Backscatter summed over it, dB re 1 m2.
    mean : float
        Mean volume backscatter, dB re 1/m.
    cut : bool
        It reaches the edge of what was seen.
    """

    volume: float
    height: float
    width: float
    integrated: float
    mean: float
    cut: bool


_NOTHING = Extent(0.0, np.nan, np.nan, np.nan, np.nan, cut=False)


def plume_extent(volume: Volume, level: float, vent: tuple[float, float, float], radius: float) -> Extent:
    """Measure the plume above a threshold.

    Parameters
    ----------
    volume : Volume
        Of backscatter, 1/m.
    level : float
        dB re 1/m.
    vent : tuple of float
        x, y, z of the source, m.
    radius : float
        The region belongs to the vent when its nearest cell within 2 m above the vent is not farther, m.
    """
    above = np.nan_to_num(volume.values, nan=0.0) > 10 ** (level / 10)
    box = _box(above)
    if box is None:
        return _NOTHING
    inner = above[box]
    axes = tuple(axis[part] for axis, part in zip((volume.y, volume.x, volume.z), box, strict=True))
    region = _of_vent(inner, axes, vent, radius)
    if region is None:
        return _NOTHING
    values = volume.values[box][region]
    dx, dy, dz = volume.steps
    heights = np.flatnonzero(region.any(axis=(0, 1)))
    total = float(values.sum()) * dx * dy * dz
    area = region.sum(axis=(0, 1)).max() * dx * dy
    around = np.zeros(volume.values.shape, np.bool_)
    around[box] = region
    return Extent(
        float(region.sum()) * dx * dy * dz,
        float(axes[2][heights[-1]] - vent[2]),
        float(2 * np.sqrt(area / np.pi)),
        10 * float(np.log10(total)),
        10 * float(np.log10(values.mean())),
        _touches(around, volume.seen),
    )


def _box(mask: Bool) -> tuple[slice, slice, slice] | None:
    """Return the smallest box that holds all cells of a mask."""
    parts = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        found = np.flatnonzero(mask.any(axis=others))
        if not found.size:
            return None
        parts.append(slice(int(found[0]), int(found[-1]) + 1))
    return parts[0], parts[1], parts[2]


def _of_vent(
    mask: Bool, axes: tuple[Real, ...], vent: tuple[float, float, float], radius: float
) -> Bool | None:
    """Return the connected cells that hold the vent's column, or come nearest to it."""
    y, x, z = axes
    low = (z >= vent[2]) & (z <= vent[2] + _LOW)
    if not low.any():
        return None
    labels, count = ndimage.label(mask, np.ones((3, 3, 3), np.int_))
    distance = np.hypot(x[None, :] - vent[0], y[:, None] - vent[1])
    candidates = labels[:, :, low]
    present = (candidates > 0) & (distance <= radius)[:, :, None]
    if not count or not present.any():
        return None
    near = np.where(present, distance[:, :, None], np.inf)
    return np.asarray(labels == candidates.ravel()[int(near.argmin())])


def _touches(region: Bool, seen: Bool) -> bool:
    """Say whether a region meets cells that were not seen sideways, or the side of the grid."""
    if region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any():
        return True
    unseen = ~seen
    return bool(
        (region[1:] & unseen[:-1]).any()
        or (region[:-1] & unseen[1:]).any()
        or (region[:, 1:] & unseen[:, :-1]).any()
        or (region[:, :-1] & unseen[:, 1:]).any()
    )
