"""Heat flux of a plume from its volume flux and width (docs/science.md#heat-flux)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covis_dask.science.constants import SeaWater
from covis_dask.science.flags import VentFlag
from covis_dask.science.plume_model import buoyancy_from_flux, buoyancy_from_speed

__all__ = [
    "Entrainment",
    "Heat",
    "PlumeProfile",
    "RunWidths",
    "heat_flux",
    "period_entrainment",
    "width_slope",
]

Real = NDArray[np.float64]

_FEWEST, _LEAST_HEIGHT = 6, 3.0  # levels; m
_MOST_INCLINED = 10.0  # degrees
_MOST_FLUX_MISFIT = 0.2
_MOST_WIDTH_MISFIT, _MOST_FITTED_WIDTH_MISFIT, _WELL_KNOWN = 0.05, 0.15, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class PlumeProfile:
    """Volume flux, width and speed of a plume at its good levels; errors are 1 sigma.

    Parameters
    ----------
    z : ndarray of float64, [n]
        m.
    volume, volume_error : ndarray of float64, [n]
        m3/s.
    radius, radius_error : ndarray of float64, [n]
        Of the velocity, m.
    speed : ndarray of float64, [n], optional
        On the axis, m/s.
    inclination : float
        Degrees.
    """

    z: Real
    volume: Real
    volume_error: Real
    radius: Real
    radius_error: Real
    speed: Real | None = None
    inclination: float = 0.0


@dataclass(frozen=True, slots=True)
class Entrainment:
    """An entrainment coefficient, its 1-sigma error, and whether it stems from a period of runs."""

    value: float
    error: float = 0.0
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Heat:
    """Heat flux of a run.

    Parameters
    ----------
    flux, error : float
        W; the error is 1 sigma without the choice of the flow's model.
    from_speed : float
        W, from the speed on the axis alone.
    buoyancy : float
        m4 s-3.
    source : float
        Height of the virtual source above the base, m.
    entrainment_run : float
        That of the run's own widths: a diagnostic.
    flux_misfit, width_misfit : float
        Relative.
    flags : VentFlag
    """

    flux: float
    error: float
    from_speed: float
    buoyancy: float
    source: float
    entrainment_run: float
    flux_misfit: float
    width_misfit: float
    flags: VentFlag


def width_slope(z: Real, radius: Real, error: Real) -> tuple[float, float, float]:
    """Fit a straight line to the widths; return its slope, the slope's 1-sigma error and relative misfit.

    The slope of a plume is 6/5 of its entrainment coefficient.
    """
    sigma = _relative_sigma(radius, error)
    powers = np.stack([z - z.mean(), np.ones_like(z)], axis=1)
    weighted = powers / sigma[:, None]
    fit = np.linalg.lstsq(weighted, radius / sigma, rcond=None)[0]
    rest = radius - powers @ fit
    scale = float(np.sum((rest / sigma) ** 2)) / max(len(z) - 2, 1)
    covariance = np.linalg.pinv(weighted.T @ weighted) * scale
    misfit = float(np.sqrt(np.mean(rest**2)) / abs(np.mean(radius)))
    return float(fit[0]), float(np.sqrt(covariance[0, 0])), misfit


def _relative_sigma(values: Real, error: Real) -> Real:
    """Return stated errors, where they say something; else all alike."""
    known = np.isfinite(error) & (error > 1e-9 * abs(values))
    if not known.all():
        return np.ones_like(values)
    return np.maximum(error, 0.25 * np.median(error))


def heat_flux(profile: PlumeProfile, entrainment: Entrainment, water: SeaWater) -> Heat:
    """Fit the plume model, Q = p zeta^(5/3), with an entrainment coefficient that is given.

    The height of the virtual source follows from the widths, zeta = z - mean(z - b/(1.2 alpha)), so that an
    error of alpha enters the heat flux less than once, and one of the widths five times; its error has both.
    """
    flags = VentFlag(0) if entrainment.measured else VentFlag.ALPHA_DEFAULT
    z = profile.z
    if len(z) < _FEWEST or np.ptp(z) < _LEAST_HEIGHT:
        return _none(flags | VentFlag.FEW_LEVELS)
    slope, _, width_misfit = width_slope(z, profile.radius, profile.radius_error)
    alpha = entrainment.value
    sources = z - profile.radius / (1.2 * alpha)
    source = float(np.mean(sources))
    zeta = z - source
    if not np.all(zeta > 0):
        return _none(flags | VentFlag.NO_HEAT)
    p, p_error, flux_misfit = _factor(profile, zeta)
    buoyancy = buoyancy_from_flux(p, alpha)
    flux = water.heat_per_buoyancy * buoyancy
    flags |= _doubts(profile, flux, flux_misfit, width_misfit)
    source_error = float(np.std(sources, ddof=1)) / np.sqrt(len(z))
    relative = (
        (3 * p_error / p) ** 2
        + (5 * source_error / float(np.mean(zeta))) ** 2
        + (_spread(profile, entrainment, water) / flux) ** 2
    )
    return Heat(
        flux,
        abs(flux) * float(np.sqrt(relative)),
        _from_speed(profile.speed, zeta, alpha, water),
        buoyancy,
        source,
        5 * slope / 6,
        flux_misfit,
        width_misfit,
        flags,
    )


def _spread(profile: PlumeProfile, entrainment: Entrainment, water: SeaWater) -> float:
    """Return by how much the heat flux changes with the error of the entrainment coefficient, W."""
    if not entrainment.error > 0:
        return 0.0
    fluxes = []
    for alpha in (entrainment.value - entrainment.error, entrainment.value + entrainment.error):
        zeta = profile.z - float(np.mean(profile.z - profile.radius / (1.2 * max(alpha, 1e-3))))
        if not np.all(zeta > 0):
            return float("nan")
        p = _factor(profile, zeta)[0]
        fluxes.append(water.heat_per_buoyancy * buoyancy_from_flux(p, max(alpha, 1e-3)))
    return abs(fluxes[1] - fluxes[0]) / 2


def _none(flags: VentFlag) -> Heat:
    nan = float("nan")
    return Heat(nan, nan, nan, nan, nan, nan, nan, nan, flags)


def _factor(profile: PlumeProfile, zeta: Real) -> tuple[float, float, float]:
    """Fit Q = p zeta^(5/3); return p, its 1-sigma error, and the relative misfit."""
    power = zeta ** (5 / 3)
    sigma = _relative_sigma(profile.volume, profile.volume_error)
    w = 1 / sigma**2
    weight = float(np.sum(power**2 * w))
    p = float(np.sum(profile.volume * power * w)) / weight
    rest = profile.volume - p * power
    scale = float(np.sum(rest**2 * w)) / (len(zeta) - 1)
    misfit = float(np.sqrt(np.mean(rest**2)) / abs(np.mean(profile.volume)))
    return p, float(np.sqrt(scale / weight)), misfit


def _from_speed(speed: Real | None, zeta: Real, alpha: float, water: SeaWater) -> float:
    """Return the heat flux that goes with the speed on the axis."""
    if speed is None or not np.isfinite(speed).any():
        return float("nan")
    c = float(np.nanmean(speed * np.cbrt(zeta)))
    return water.heat_per_buoyancy * buoyancy_from_speed(c, alpha)


def _doubts(profile: PlumeProfile, flux: float, flux_misfit: float, width_misfit: float) -> VentFlag:
    """Say what speaks against a heat flux."""
    flags = VentFlag(0)
    if not profile.inclination < _MOST_INCLINED:
        flags |= VentFlag.INCLINED
    if not flux_misfit < _MOST_FLUX_MISFIT:
        flags |= VentFlag.FLUX_MISFIT
    known = np.nanmedian(profile.radius_error / profile.radius)
    most = _MOST_FITTED_WIDTH_MISFIT if known > _WELL_KNOWN else _MOST_WIDTH_MISFIT
    if not width_misfit < most:
        flags |= VentFlag.WIDTH_MISFIT
    if not (np.isfinite(flux) and flux > 0):
        flags |= VentFlag.NO_HEAT
    return flags


@dataclass(frozen=True, slots=True, eq=False)
class RunWidths:
    """Widths of one run, for the entrainment of a period.

    Parameters
    ----------
    z : ndarray of float64, [n]
        m.
    backscatter, backscatter_error : ndarray of float64, [n]
        Radius of the backscatter, m.
    velocity : ndarray of float64, [n]
        Radius of the velocity, m; NaN where there is none.
    """

    z: Real
    backscatter: Real
    backscatter_error: Real
    velocity: Real


def period_entrainment(runs: Sequence[RunWidths]) -> Entrainment | None:
    """Return the entrainment coefficient of a period, from the widths of the backscatter.

    They are several times more precise than those of the velocity, to which the median ratio of the period
    relates them: alpha = 5 s / (6 kappa). The error is that of the weighted mean, from the scatter of the
    runs. None where no run widens with height.
    """
    ratios = [run.backscatter / run.velocity for run in runs]
    kappa = float(np.nanmedian(np.concatenate(ratios))) if ratios else np.nan
    fits = [
        width_slope(run.z, run.backscatter, run.backscatter_error)
        for run in runs
        if len(run.z) >= _FEWEST and np.ptp(run.z) >= _LEAST_HEIGHT
    ]
    slopes = np.array([fit[0] for fit in fits])
    if not fits or not np.isfinite(kappa) or not np.any(slopes > 0):
        return None
    sigma = np.array([fit[1] for fit in fits])
    weights = (
        np.ones(len(sigma)) if not np.all(sigma > 0) else 1 / np.maximum(sigma, np.median(sigma) / 4) ** 2
    )
    mean = float(np.sum(slopes * weights) / weights.sum())
    if len(slopes) > 1:
        spread = float(np.sum(weights * (slopes - mean) ** 2) / weights.sum())
        error = float(np.sqrt(spread / (len(slopes) - 1)))
    else:
        error = float(sigma[0])
    return Entrainment(5 * mean / (6 * kappa), 5 * error / (6 * kappa), measured=True) if mean > 0 else None
