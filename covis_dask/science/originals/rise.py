"""Vertical velocity and fluxes as the originals compute them: ENDA (2010-15) and PPX (2018+)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.science.fixes import ScienceFixes
from covis_dask.science.flags import LevelFlag
from covis_dask.science.flux import NOTHING, Flux, Section, gaussian_flux, thresholded_flux
from covis_dask.science.gaussian import A, B, C, fit_gaussian
from covis_dask.science.grids import PlumeFields
from covis_dask.science.line import CentreLine
from covis_dask.science.rise import PlumeRise
from covis_dask.science.velocity import LEAST_ALONG, Sight, advected, bilinear, line_of_sight, smoothed_along

__all__ = ["original_rise"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

_EIGHT = np.ones((3, 3), np.int_)
_WIDTH_RATIO = 1.2
_NEAR = 5.0  # m
_SLOW, _QUICK = 0.01, 0.80  # m/s
_THRESHOLD = 0.1
_ROUNDS, _SETTLED = 10, 0.001  # m/s
_SEEN = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """A section of a plume: places, backscatter, vertical velocity and its error [Ny, Nx], and its centre."""

    x: Real
    y: Real
    backscatter: Real
    vertical: Real
    error: Real
    centre: tuple[float, float]
    radius: float
    peak: float
    background: float

    @property
    def cell(self) -> float:
        return float((self.x[0, 1] - self.x[0, 0]) * (self.y[1, 0] - self.y[0, 0]))


def original_rise(fields: PlumeFields, line: CentreLine, fixes: ScienceFixes) -> PlumeRise:
    """Measure velocity and fluxes at every height of a centre line (profile `matlab`).

    Parameters
    ----------
    fields : PlumeFields
        See `original_fields`.
    line : CentreLine
    fixes : ScienceFixes
    """
    flags, axis, volume = line.flags.copy(), line.axis, fields.backscatter
    nothing = np.full(len(line.z), np.nan)
    none = (NOTHING,) * len(line.z)
    if axis is None or fields.velocity is None:
        return PlumeRise(nothing, nothing, none, none, flags | int(LevelFlag.NO_VELOCITY))
    head = HEAD_HEIGHT if fields.modern or fixes.elevation_from_head else 0.0
    levels = np.searchsorted(volume.z, line.z - 1e-9)
    e = line_of_sight(axis.x, axis.y, line.z, head)
    at = (line.x, line.y) if fields.modern else (axis.x, axis.y)
    planes = [fields.velocity[:, :, k] for k in levels]
    radial = np.array([bilinear(v, (volume.x, volume.y), x, y) for v, x, y in zip(planes, *at, strict=True)])
    smooth = smoothed_along(line.z, radial)
    along = _floored(np.einsum("ij,ij->i", e, axis.tangent), smooth, fixes)
    fluxes: list[Flux] = []
    extras = {name: nothing.copy() for name in ("volume_flux_weighted", "centerline_velocity")}
    for n, k in enumerate(levels):
        speed = smooth[n] / along[n]
        flat = fixes.steep_sight and not e[n, 2] >= _SEEN
        if flat:
            flags[n] |= int(LevelFlag.SEEN_FLAT)
        if not np.isfinite(speed) or not np.isfinite(line.radius[n]) or flat:
            flags[n] |= int(LevelFlag.ACROSS) if not np.isfinite(along[n]) else 0
            fluxes.append(NOTHING)
            continue
        level = _level(fields, line, (n, int(k)), Sight(axis.tangent[n], float(speed), float(along[n])), head)
        if fields.modern:
            fluxes.append(_ashes(level, float(speed * axis.tangent[n, 2]), fixes))
            continue
        flux, extra = _endeavour(level, fixes, rising=bool(speed >= 0))
        fluxes.append(flux)
        for name, value in zip(extras, extra, strict=True):
            extras[name][n] = value
    return PlumeRise(e[:, 2], radial, tuple(fluxes), none, flags, {} if fields.modern else extras)


def _floored(along: Real, radial: Real, fixes: ScienceFixes) -> Real:
    """Return the cosine between axis and line of sight; small ones are 0.2, or (Q62) nothing."""
    small = abs(along) < LEAST_ALONG
    if fixes.no_floor:
        return np.where(small, np.nan, along)
    return np.where(small, np.where(radial >= 0, LEAST_ALONG, -LEAST_ALONG), along)


def _level(fields: PlumeFields, line: CentreLine, at: tuple[int, int], sight: Sight, head: float) -> _Level:
    """Return a section with its vertical velocity."""
    n, k = at
    volume = fields.backscatter
    x, y = np.meshgrid(volume.x, volume.y)
    e = line_of_sight(x, y, float(volume.z[k]), head)
    velocity = np.zeros(x.shape) if fields.velocity is None else fields.velocity[:, :, k]
    spread = np.zeros(x.shape) if fields.spread is None else np.nan_to_num(fields.spread[:, :, k])
    with np.errstate(divide="ignore", invalid="ignore"):
        vertical = np.where(fields.backscatter.seen[:, :, k], advected(velocity, e, sight), 0.0)
        error = spread / np.sqrt(max(fields.pings, 1.0)) / abs(e[..., 2])
    centre = (float(line.x[n]), float(line.y[n]))
    if fields.modern and line.axis is not None:
        centre = (float(line.axis.x[n]), float(line.axis.y[n]))
    return _Level(
        x,
        y,
        volume.values[:, :, k],
        np.nan_to_num(vertical),
        np.nan_to_num(error),
        centre,
        float(line.radius[n]),
        float(line.peak[n]),
        float(line.background[n]),
    )


def _largest8(mask: Bool) -> Bool:
    labels, count = ndimage.label(mask, _EIGHT)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()))


def _ashes(level: _Level, speed: float, fixes: ScienceFixes) -> Flux:
    """Sum the velocities over the plume's region (PPX); only positive ones, unless mended (Q60)."""
    near = (abs(level.x - level.centre[0]) < _NEAR) & (abs(level.y - level.centre[1]) < _NEAR)
    region = _largest8(near & (level.backscatter / level.peak > np.exp(-4.0)))
    if fixes.fitted_velocity:
        return _fitted(level)
    values = level.vertical[region]
    if not fixes.signed_sum:
        values = values[values > 0]
    nan = float("nan")
    volume = float(values.sum()) * level.cell
    error = level.cell * float(np.sqrt(np.sum(level.error[region] ** 2)))
    return Flux(speed, nan, nan, nan, volume, error, nan, volume, nan)


def _fitted(level: _Level) -> Flux:
    """Fit a Gaussian about the centre (Q59)."""
    return gaussian_flux(Section(level.x, level.y, level.vertical, level.error, level.centre, level.radius))


def _endeavour(level: _Level, fixes: ScienceFixes, *, rising: bool) -> tuple[Flux, tuple[float, float]]:
    """Return the fluxes of ENDA: Q_d, P_d, W, bw with Q_out for the sum; and Q_I and U."""
    excess = level.peak - level.background if fixes.peak_alone else level.peak  # Q50
    top = level.peak if fixes.peak_alone else level.peak + level.background
    region = _largest8(level.backscatter > excess * np.exp(-4.0) + level.background)
    filtered = np.where(region, level.vertical, 0.0)
    out = np.where((abs(filtered) < _SLOW) | (abs(filtered) > _QUICK), 0.0, filtered)
    distance = np.hypot(level.x - level.centre[0], level.y - level.centre[1])
    near = distance < 4 * level.radius / _WIDTH_RATIO
    weighted = float(np.sum((level.backscatter * level.vertical)[near])) * level.cell / top
    weighted *= (1 + _WIDTH_RATIO**2) / _WIDTH_RATIO**2
    nan = float("nan")
    summed = float(out.sum()) * level.cell if rising else nan
    fit = fit_gaussian(
        (level.x.ravel(), level.y.ravel(), filtered.ravel()),
        [max(float(filtered.max()), 1e-3), *level.centre, level.radius, 0.0],
    )
    centreline = float(fit.values[A] + fit.values[C]) if fit.converged and rising else nan
    if fixes.fitted_velocity:
        return _with_sum(_fitted(level), summed), (weighted, centreline)
    return _with_sum(_thresholded(level, distance < 4 * level.radius), summed), (weighted, centreline)


def _with_sum(flux: Flux, summed: float) -> Flux:
    return Flux(
        flux.speed,
        flux.speed_error,
        flux.radius,
        flux.radius_error,
        flux.volume,
        flux.volume_error,
        flux.momentum,
        summed,
        flux.misfit,
    )


def _thresholded(level: _Level, near: Bool) -> Flux:
    """Iterate the sums over what exceeds a tenth of the velocity on the axis (Q59)."""
    cells = (level.x[near], level.y[near], level.backscatter[near])
    start = [level.peak - level.background, *level.centre, level.radius, level.background]
    bright = fit_gaussian(cells, start)
    most = float(bright.values[A] + bright.values[C])
    window = 1 - np.exp(-((level.backscatter / (0.02 * most)) ** 4)) if most > 0 else np.ones(near.shape)
    vertical = level.vertical[near]
    first = [max(float(vertical.max()), 1e-3), *level.centre, level.radius, 0.0]
    quick = fit_gaussian((cells[0], cells[1], vertical), first)
    speed, windowed = float(quick.values[A]), (level.vertical * window)[near]
    if not quick.converged or not speed > 0 or not np.isfinite(quick.values[B]):
        return NOTHING
    volume = momentum = float("nan")
    for _ in range(_ROUNDS):
        volume, momentum = thresholded_flux(windowed, level.cell, speed, _THRESHOLD)
        if not volume > 0:
            return NOTHING
        new = 2 * momentum / volume
        settled = abs(new - speed) <= _SETTLED
        speed = new
        if settled:
            break
    kept = abs(windowed / speed) > _THRESHOLD
    error = level.cell / (1 - _THRESHOLD) * float(np.sqrt(np.sum(level.error[near][kept] ** 2)))
    nan = float("nan")
    radius = float(np.sqrt(volume**2 / momentum / (2 * np.pi)))
    return Flux(speed, nan, radius, nan, volume, error, momentum, nan, nan)
