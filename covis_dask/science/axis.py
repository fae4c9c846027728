"""The centre line of a plume through its centres, and which way it leans (docs/science.md#axis)."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "Lean", "bearing", "fit_axis"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

_FEWEST = 6
_FAR = 1.0  # m
_TRIPLES = 400
_MOST_AGREE = 0.6
_UPRIGHT = 0.05  # degrees
_LEAST_ERROR = 1e-3  # m


@dataclass(frozen=True, slots=True)
class Lean:
    """The straight line through the centres.

    Parameters
    ----------
    east, north : float
        Shift per height.
    east_error, north_error : float
        1 sigma.
    inclination, inclination_error : float
        From the vertical, degrees.
    azimuth : float
        Towards which it leans, clockwise from north, degrees; NaN where the inclination is less than twice
        its error.
    """

    east: float
    north: float
    east_error: float
    north_error: float
    inclination: float
    inclination_error: float
    azimuth: float


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A quadratic centre line, evaluated at every height.

    Parameters
    ----------
    x, y : ndarray of float64, [n]
        m.
    x_error, y_error : ndarray of float64, [n]
        1 sigma, m.
    tangent : ndarray of float64, [n, 3]
        Upward unit vectors.
    arc_length : ndarray of float64, [n]
        Along the axis from the top of the vent, m.
    curvature : float
        At mid height, 1/m.
    lean : Lean
    used : ndarray of bool, [n]
        Centres that entered.
    """

    x: Real
    y: Real
    x_error: Real
    y_error: Real
    tangent: Real
    arc_length: Real
    curvature: float
    lean: Lean
    used: Bool


def bearing(east: float, north: float) -> float:
    """Return a direction clockwise from north, degrees in [0, 360)."""
    return float(np.degrees(np.arctan2(east, north)) % 360.0)


def fit_axis(
    z: Real, centres: tuple[Real, Real], errors: tuple[Real, Real], good: Bool, foot: float
) -> Axis | None:
    """Fit the axis; None where fewer than six centres agree.

    Parameters
    ----------
    z : ndarray of float64, [n]
        Heights, m.
    centres, errors : tuple of ndarray of float64, [n]
        x and y of the centres, and their 1-sigma errors, m.
    good : ndarray of bool, [n]
        Centres without flags.
    foot : float
        Height of the top of the vent, m.

    Notes
    -----
    Outliers are told by their distance from the quadratic on which most centres agree; the moving medians of
    the originals lag behind a leaning plume at both ends.
    """
    usable = good & np.isfinite(centres[0]) & np.isfinite(centres[1])
    if np.count_nonzero(usable) < _FEWEST:
        return None
    middle = float(np.mean(z[usable]))
    powers = np.vander(z - middle, 3, increasing=True)
    far = _distances(powers, centres, usable)
    used = usable & (far <= _FAR)
    if np.count_nonzero(used) < _FEWEST:
        return None
    fits = [_fit(powers, centre, error, used) for centre, error in zip(centres, errors, strict=True)]
    (cx, vx), (cy, vy) = fits
    x, y = powers @ cx, powers @ cy
    dx, dy = (c[1] + 2 * c[2] * (z - middle) for c in (cx, cy))
    length = np.sqrt(dx**2 + dy**2 + 1)
    tangent = np.stack([dx, dy, np.ones_like(z)], axis=1) / length[:, None]
    slope_x, slope_y = (c[1] for c in (cx, cy))
    bend = 2 * np.hypot(np.hypot(cx[2], cy[2]), slope_x * cy[2] - slope_y * cx[2])
    return Axis(
        x=x,
        y=y,
        x_error=_error(powers, vx),
        y_error=_error(powers, vy),
        tangent=tangent,
        arc_length=_arc_length(z, middle, (cx, cy), foot),
        curvature=float(bend / (slope_x**2 + slope_y**2 + 1) ** 1.5),
        lean=_lean(z, centres, errors, used),
        used=used,
    )


def _error(powers: Real, covariance: Real) -> Real:
    """Return the standard error of a polynomial at every height."""
    return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", powers, covariance, powers)))


def _distances(powers: Real, centres: tuple[Real, Real], usable: Bool) -> Real:
    """Return how far the centres are from the quadratic whose middle distance to them is least.

    It runs through three of them; of many levels a fixed choice of triples is tried.
    """
    rows = np.flatnonzero(usable)
    points = np.stack(centres, axis=1)
    triples = np.array(list(combinations(range(len(rows)), 3)))
    if len(triples) > _TRIPLES:
        triples = triples[np.random.default_rng(0).choice(len(triples), _TRIPLES, replace=False)]
    chosen = rows[triples]
    curves = np.linalg.solve(powers[chosen], points[chosen])
    off = np.linalg.norm(powers[rows] @ curves - points[rows], axis=2)
    best = curves[int(np.quantile(off, _MOST_AGREE, axis=1).argmin())]
    return np.asarray(np.linalg.norm(powers @ best - points, axis=1))


def _fit(powers: Real, values: Real, errors: Real, used: Bool) -> tuple[Real, Real]:
    """Return coefficients and covariance; stated errors count with each other, not in size."""
    sigma = np.maximum(np.nan_to_num(errors[used], nan=1.0), _LEAST_ERROR)
    p, v = powers[used] / sigma[:, None], values[used] / sigma
    fit = np.linalg.lstsq(p, v, rcond=None)[0]
    spare = max(len(v) - powers.shape[1], 1)
    scale = float(np.sum((v - p @ fit) ** 2)) / spare
    return np.asarray(fit, np.float64), np.asarray(np.linalg.pinv(p.T @ p) * scale, np.float64)


def _arc_length(z: Real, middle: float, fits: tuple[Real, Real], foot: float) -> Real:
    """Integrate along the axis from its foot (exactly, for a quadratic speed under the root)."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = (z - foot)[:, None] / 2
    heights = foot + half * (nodes + 1) - middle
    speed = np.sqrt(sum((c[1] + 2 * c[2] * heights) ** 2 for c in fits) + 1)
    return np.asarray((half * speed * weights).sum(axis=1))


def _lean(z: Real, centres: tuple[Real, Real], errors: tuple[Real, Real], used: Bool) -> Lean:
    """Return the first principal direction of the centres, turned upwards, and its errors."""
    points = np.stack([*(c[used] for c in centres), z[used]], axis=1)
    points = points - points.mean(axis=0)
    along = np.linalg.svd(points, full_matrices=False)[2][0]
    east, north = (float(along[k] / along[2]) for k in (0, 1)) if along[2] else (np.nan, np.nan)
    line = np.vander(z - float(np.mean(z[used])), 2, increasing=True)
    sigma = [float(np.sqrt(_fit(line, c, e, used)[1][1, 1])) for c, e in zip(centres, errors, strict=True)]
    slope = float(np.hypot(east, north))
    inclination = float(np.degrees(np.arctan(slope)))
    across = (
        np.hypot(east * sigma[0], north * sigma[1]) / slope if slope > 0 else np.hypot(sigma[0], sigma[1])
    )
    error = float(np.degrees(across / (1 + slope**2)))
    clear = inclination >= max(2 * error, _UPRIGHT)
    return Lean(
        east, north, sigma[0], sigma[1], inclination, error, bearing(east, north) if clear else float("nan")
    )
