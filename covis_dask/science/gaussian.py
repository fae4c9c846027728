"""Least-squares fit of a round Gaussian: A exp(-((x-X)^2 + (y-Y)^2) / b^2) + C."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import leastsq

__all__ = ["A", "B", "C", "GaussianFit", "X", "Y", "fit_gaussian", "gaussian"]

Real = NDArray[np.float64]

A, X, Y, B, C = range(5)
"""Places of amplitude, centre, radius and background among the parameters."""

_TOLERANCE = 1e-9
_MOST_CALLS = 300


@dataclass(frozen=True, slots=True, eq=False)
class GaussianFit:
    """A fitted Gaussian.

    Parameters
    ----------
    values : ndarray of float64, [5]
        Amplitude, x, y, radius, background.
    covariance : ndarray of float64, [5, 5]
        Nought for parameters that were held.
    misfit : float
        Root mean square of the residuals, relative to the amplitude.
    cells : int
        How many values were fitted.
    converged : bool
    """

    values: Real
    covariance: Real
    misfit: float
    cells: int
    converged: bool

    @property
    def errors(self) -> Real:
        """Standard errors of the parameters (1 sigma)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)), np.float64)


def gaussian(values: Sequence[float] | Real, x: Real, y: Real) -> Real:
    """Evaluate the model."""
    amplitude, x0, y0, radius, background = values
    return np.asarray(amplitude * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / radius**2) + background)


def _jacobian(values: Real, x: Real, y: Real) -> Real:
    amplitude, x0, y0, radius, _ = values
    dx, dy = x - x0, y - y0
    square = (dx**2 + dy**2) / radius**2
    bell = np.exp(-square)
    slope = 2 * amplitude * bell / radius
    return np.stack([bell, slope * dx / radius, slope * dy / radius, slope * square, np.ones_like(x)], axis=1)


def fit_gaussian(
    cells: tuple[Real, Real, Real],
    start: Sequence[float] | Real,
    weights: Real | float = 1.0,
    held: Sequence[int] = (),
    tolerance: float = _TOLERANCE,
) -> GaussianFit:
    """Fit a Gaussian by (damped, weighted) least squares.

    Parameters
    ----------
    cells : tuple of ndarray of float64, [n]
        x, y and value of each cell.
    start : sequence of float, [5]
        Amplitude, x, y, radius, background; where `held`, they stay.
    weights : ndarray of float64 or float
        Of the residuals, such as 1/sigma.
    held : sequence of int
        Parameters that are not fitted.
    tolerance : float
        Relative change of parameters and sum of squares at which it ends.

    Returns
    -------
    GaussianFit
        Its covariance is that of the Jacobian with the variance of the weighted residuals.
    """
    x, y, f = cells
    first = np.array(start, np.float64)
    free = [index for index in range(5) if index not in held]
    scale = np.array([max(abs(first[A]), 1e-300)] + [1.0] * 3 + [max(abs(first[A]), 1e-300)])[free]
    w = np.broadcast_to(np.asarray(weights, np.float64), f.shape)
    size = float(np.sqrt(np.mean(w**2))) * scale[0] if A in free else 1.0

    def full(part: Real) -> Real:
        values = first.copy()
        values[free] = part * scale
        return values

    def residuals(part: Real) -> Real:
        return np.asarray((gaussian(full(part), x, y) - f) * w / size)

    def derivatives(part: Real) -> Real:
        return np.asarray(_jacobian(full(part), x, y)[:, free] * scale * w[:, None] / size)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        part, inverse, info, _, status = leastsq(
            residuals,
            first[free] / scale,
            Dfun=derivatives,
            full_output=True,
            ftol=tolerance,
            xtol=tolerance,
            maxfev=_MOST_CALLS,
        )
    spread = None if inverse is None else (inverse * np.outer(scale, scale), float(np.sum(info["fvec"] ** 2)))
    return _fitted(full(part), cells, free, spread, settled=status in (1, 2, 3, 4))


def _fitted(
    values: Real,
    cells: tuple[Real, Real, Real],
    free: list[int],
    spread: tuple[Real, float] | None,
    *,
    settled: bool,
) -> GaussianFit:
    """Return a fit with its covariance, from the inverse of the normal matrix and the sum of squares."""
    x, y, f = cells
    values[B] = abs(values[B])
    covariance = np.zeros((5, 5))
    spare = f.size - len(free)
    if spread is not None and spare > 0:
        covariance[np.ix_(free, free)] = spread[0] * spread[1] / spare
    rest = gaussian(values, x, y) - f
    misfit = float(np.sqrt(np.mean(rest**2)) / abs(values[A])) if values[A] else np.inf
    converged = settled and spread is not None and bool(np.isfinite(values).all())
    return GaussianFit(values, covariance, misfit, f.size, converged)
