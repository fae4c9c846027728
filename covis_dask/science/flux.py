"""Velocity on the axis, width and fluxes of a plume at one height (docs/science.md#fluxes)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covis_dask.science.gaussian import A, B, C, GaussianFit, X, Y, fit_gaussian

__all__ = ["Flux", "Section", "gaussian_flux", "thresholded_flux"]

Real = NDArray[np.float64]

_REACH = 2.2  # radii of the backscatter
_FEWEST = 12
_FIT_ERROR = 0.3
_SPREAD_FLOOR = 0.25
_WITHIN_TWO = 1 - np.exp(-4.0)
_MOST_MISSING = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A horizontal section of vertical velocity.

    Parameters
    ----------
    x, y : ndarray of float64, [Ny, Nx]
        Places of the cells, m.
    vertical : ndarray of float64, [Ny, Nx]
        m/s; NaN where unknown.
    sigma : ndarray of float64 or None, [Ny, Nx]
        Its standard error, m/s.
    centre : tuple of float
        The axis, m.
    radius : float
        Of the backscatter, m.
    """

    x: Real
    y: Real
    vertical: Real
    sigma: Real | None
    centre: tuple[float, float]
    radius: float

    @property
    def cell(self) -> float:
        """Area of a cell, m2."""
        return float(abs(self.x[0, 1] - self.x[0, 0]) * abs(self.y[1, 0] - self.y[0, 0]))


@dataclass(frozen=True, slots=True)
class Flux:
    """What rises through a section; errors are 1 sigma.

    Parameters
    ----------
    speed, speed_error : float
        On the axis, m/s.
    radius, radius_error : float
        e-folding, m.
    volume, volume_error : float
        m3/s.
    momentum : float
        m4/s2.
    summed : float
        Volume flux summed over the cells within two radii, m3/s; NaN where more than a tenth is missing.
    misfit : float
        Of the profile, relative to the speed on the axis.
    """

    speed: float
    speed_error: float
    radius: float
    radius_error: float
    volume: float
    volume_error: float
    momentum: float
    summed: float
    misfit: float


NOTHING = Flux(*[float("nan")] * 9)


def gaussian_flux(section: Section) -> Flux:
    """Fit a Gaussian profile of velocity about the axis.

    Volume and momentum flux are those of the fitted profile: Q = pi b^2 W, M = pi b^2 W^2 / 2. Where the fit
    about the axis misses, the centre is fitted too.
    """
    x, y, w = section.x, section.y, section.vertical
    distance = np.hypot(x - section.centre[0], y - section.centre[1])
    used = (distance <= _REACH * section.radius) & np.isfinite(w)
    if np.count_nonzero(used) < _FEWEST:
        return NOTHING
    weights = _weights(section, used)
    cells = (x[used], y[used], w[used])
    core = distance[used] <= section.radius
    first = float(np.mean(w[used][core])) if core.any() else float(np.max(w[used]))
    start = [first if first else 1e-3, *section.centre, section.radius, 0.0]
    fit = fit_gaussian(cells, start, weights, (X, Y, C))
    if fit.converged and fit.misfit > _FIT_ERROR:
        freed = fit_gaussian(cells, fit.values, weights, (C,))
        moved = np.hypot(freed.values[X] - section.centre[0], freed.values[Y] - section.centre[1])
        if freed.converged and freed.misfit < fit.misfit and moved < section.radius:
            fit = freed
    if not fit.converged or not fit.values[B] < _REACH * section.radius:
        return NOTHING
    return _flux(fit, section)


def _weights(section: Section, used: NDArray[np.bool_]) -> Real | float:
    """Return 1/sigma; a cell whose spread happens to be small does not outweigh all others."""
    if section.sigma is None:
        return 1.0
    sigma = section.sigma[used]
    typical = float(np.nanmedian(sigma)) if np.isfinite(sigma).any() else 0.0
    if not typical > 0:
        return 1.0
    return np.asarray(1 / np.maximum(np.nan_to_num(sigma, nan=typical), _SPREAD_FLOOR * typical))


def _flux(fit: GaussianFit, section: Section) -> Flux:
    speed, radius = float(fit.values[A]), float(fit.values[B])
    errors = fit.errors
    volume = np.pi * radius**2 * speed
    relative = (
        (2 * errors[B] / radius) ** 2
        + (errors[A] / speed) ** 2
        + 4 * float(fit.covariance[A, B]) / (radius * speed)
    )
    return Flux(
        speed,
        float(errors[A]),
        radius,
        float(errors[B]),
        volume,
        abs(volume) * float(np.sqrt(max(relative, 0.0))),
        np.pi * radius**2 * speed**2 / 2,
        _summed(section, (float(fit.values[X]), float(fit.values[Y])), radius),
        fit.misfit,
    )


def _summed(section: Section, centre: tuple[float, float], radius: float) -> float:
    """Sum the velocity within two radii; the Gaussian has 98 % of its flux there."""
    inside = np.hypot(section.x - centre[0], section.y - centre[1]) < 2 * radius
    values = section.vertical[inside]
    wanted = np.pi * (2 * radius) ** 2 / section.cell
    if np.count_nonzero(np.isfinite(values)) < (1 - _MOST_MISSING) * wanted:
        return float("nan")
    return float(np.nansum(values) * section.cell / _WITHIN_TWO)


def thresholded_flux(
    vertical: Real, cell: float, speed: float, threshold: float = 0.1
) -> tuple[float, float]:
    """Return volume and momentum flux by sums over the cells that exceed a share of the speed on the axis.

    For a Gaussian profile they are exact: the share beyond is `threshold`, and its square. Noise in the
    cells enters the second by its square (Q59).

    Parameters
    ----------
    vertical : ndarray of float64
        m/s.
    cell : float
        Area of a cell, m2.
    speed : float
        On the axis, m/s.
    threshold : float
    """
    share = vertical / speed
    kept = share[abs(share) > threshold]
    volume = speed * cell / (1 - threshold) * float(kept.sum())
    momentum = speed**2 * cell / (1 - threshold**2) * float((kept**2).sum())
    return volume, momentum
