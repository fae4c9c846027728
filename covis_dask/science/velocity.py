"""From the velocity along the line of sight to that of the plume (docs/science.md#velocity).

One component is measured, so that a model of the flow is needed: `advected` carries the whole section along
with the horizontal velocity of its axis, `axial` lets the water follow the axis everywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sight", "advected", "axial", "bilinear", "line_of_sight", "smoothed_along"]

Real = NDArray[np.float64]

LEAST_ALONG = 0.2
"""Least cosine between axis and line of sight for which a speed along the axis means anything."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The axis at one height as the sonar sees it.

    Parameters
    ----------
    tangent : ndarray of float64, [3]
        Of the axis.
    speed : float
        Along the axis, m/s: radial velocity on the axis over `along`.
    along : float
        Cosine between the axis and the line of sight.
    """

    tangent: Real
    speed: float
    along: float


def line_of_sight(x: Real | float, y: Real | float, z: Real | float, head: float) -> Real:
    """Return unit vectors [..., 3] from the head of the sonar, `head` m above the base, to places in m."""
    away = np.stack(np.broadcast_arrays(x, y, np.asarray(z) - head), axis=-1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(away / np.linalg.norm(away, axis=-1, keepdims=True))


def advected(radial: Real, e: Real, sight: Sight) -> Real:
    """Return the vertical velocity where the horizontal one is that of the axis all over the section.

    Parameters
    ----------
    radial : ndarray of float64, [...]
        Along the line of sight, m/s.
    e : ndarray of float64, [..., 3]
        Lines of sight.
    sight : Sight
    """
    carried = sight.speed * (sight.tangent[0] * e[..., 0] + sight.tangent[1] * e[..., 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((radial - carried) / e[..., 2])


def axial(radial: Real, e: Real, sight: Sight) -> Real:
    """Return the vertical velocity where the water follows the axis; arguments as for `advected`."""
    along = e @ sight.tangent
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(abs(along) < LEAST_ALONG, np.nan, radial * sight.tangent[2] / along))


def bilinear(field: Real, axes: tuple[Real, Real], x: float, y: float) -> float:
    """Interpolate a field [Ny, Nx] at a place; corners without a value leave it to the others."""
    xs, ys = axes
    if not (xs[0] <= x <= xs[-1] and ys[0] <= y <= ys[-1]) or len(xs) < 2 or len(ys) < 2:
        return float("nan")
    i = min(int(np.searchsorted(xs, x, side="right")) - 1, len(xs) - 2)
    j = min(int(np.searchsorted(ys, y, side="right")) - 1, len(ys) - 2)
    u, v = (x - xs[i]) / (xs[i + 1] - xs[i]), (y - ys[j]) / (ys[j + 1] - ys[j])
    shares = np.array([[(1 - v) * (1 - u), (1 - v) * u], [v * (1 - u), v * u]])
    corners = field[j : j + 2, i : i + 2]
    known = np.isfinite(corners)
    weight = float(shares[known].sum())
    return float((shares[known] * corners[known]).sum() / weight) if weight > 0.5 else float("nan")


def smoothed_along(z: Real, values: Real) -> Real:
    """Smooth a profile: at every height a local quadratic with squared tricube weights.

    Parameters
    ----------
    z, values : ndarray of float64, [n]
        Heights; values, NaN where there are none (they stay so).
    """
    known = np.isfinite(values)
    if np.count_nonzero(known) < 4:
        return values
    zk, vk = z[known], values[known]
    smooth = np.full_like(values, np.nan)
    for index in np.flatnonzero(known):
        dz = zk - z[index]
        u = (1 - (abs(dz) / abs(dz).max()) ** 3) ** 3
        powers = np.vander(dz, 3, increasing=True) * u[:, None]
        smooth[index] = np.linalg.lstsq(powers, u * vk, rcond=None)[0][0]
    return smooth
