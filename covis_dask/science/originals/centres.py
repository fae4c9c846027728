"""Centre and axis of a plume as the originals find them: ENDA (2010-15) and PPX (2018+)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covis_dask.config.science import Vent
from covis_dask.science.axis import Axis, Lean, bearing
from covis_dask.science.centre import largest
from covis_dask.science.fixes import ScienceFixes
from covis_dask.science.flags import LevelFlag
from covis_dask.science.gaussian import A, B, C, GaussianFit, X, Y, fit_gaussian, gaussian
from covis_dask.science.grids import MASKED, PlumeFields, Volume
from covis_dask.science.line import CentreLine

__all__ = ["LEVELS", "original_fields", "original_line"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEVELS = {True: (5.0, 12.0), False: (20.0, 32.0)}
"""Heights of the analysis: PPX, ENDA."""

_TAPS, _KERNEL_SD = 7, 0.3
_REGION = np.exp(-8.0)
_WEAKEST = 1e-6  # 1/m
_MEDIANS = (16, 8)
_FAR = 1.0  # m
_FAIR = 1.4
_ROUNDS = 50
_SETTLED = 1e-8


def original_fields(fields: PlumeFields) -> PlumeFields:
    """Return the fields with the originals' numbers for nothing: 0, or 1e-9 in data of 2018+."""
    volume = fields.backscatter
    values = np.where(np.isfinite(volume.values), volume.values, MASKED if fields.modern else 0.0)
    if fields.modern:
        offset = np.arange(_TAPS) - _TAPS // 2
        kernel = np.exp(-(offset**2) / (2 * _KERNEL_SD**2))
        kernel /= kernel.sum()
        for axis in range(3):
            values = ndimage.correlate1d(values, kernel, axis=axis, mode="nearest")
    velocity = None if fields.velocity is None else np.nan_to_num(fields.velocity)
    return replace(fields, backscatter=replace(volume, values=values), velocity=velocity)


def original_line(
    fields: PlumeFields, vent: Vent, place: tuple[float, float], fixes: ScienceFixes
) -> CentreLine:
    """Follow a plume as the originals do; arguments as for `covis_dask.science.line.centre_line`."""
    volume = fields.backscatter
    low, high = LEVELS[fields.modern]
    chosen = np.flatnonzero((volume.z >= low - 1e-9) & (volume.z <= high + 1e-9))
    fits = (
        _regions(volume, chosen, vent, place, fixes) if fields.modern else _whole(volume, chosen, vent, place)
    )
    values, errors = (
        np.array(part).reshape(len(fits), 5).T
        for part in (
            [fit.values for fit in fits],
            [fit.errors for fit in fits],
        )
    )
    peak = values[A] + values[C]
    flags = np.where(np.isfinite(peak), 0, int(LevelFlag.NO_CELLS)).astype(np.int32)
    if fields.modern:
        with np.errstate(invalid="ignore"):
            flags |= np.where(peak < _WEAKEST, int(LevelFlag.WEAK_PEAK), 0).astype(np.int32)
    z = volume.z[chosen]
    axis = _axis(z, (values[X], values[Y]), flags == 0, vent.z, moving=fields.modern)
    return CentreLine(
        z=z,
        x=values[X],
        y=values[Y],
        moment_x=np.full(len(z), np.nan),
        moment_y=np.full(len(z), np.nan),
        radius=values[B],
        peak=peak,
        background=values[C],
        x_error=errors[X],
        y_error=errors[Y],
        radius_error=errors[B],
        peak_error=errors[A],
        flags=flags,
        axis=axis,
    )


_NONE = GaussianFit(np.full(5, np.nan), np.full((5, 5), np.nan), np.nan, 0, converged=False)


def _whole(
    volume: Volume, chosen: NDArray[np.intp], vent: Vent, place: tuple[float, float]
) -> list[GaussianFit]:
    """Fit each level within a strip of x, all y (ENDA)."""
    columns = abs(volume.x - place[0]) <= vent.search_radius + 1e-9
    x, y = np.meshgrid(volume.x[columns], volume.y)
    fits = []
    for k in chosen:
        field = volume.values[:, columns, k]
        background, most = float(np.median(field)), float(field.max())
        if not most > background:
            fits.append(_NONE)
            continue
        j, i = (int(np.median(rows)) for rows in np.nonzero(field == most))
        start = [most - background, x[j, i], y[j, i], 0.1 * float(volume.z[k]), background]
        fit = fit_gaussian((x.ravel(), y.ravel(), field.ravel()), start)
        fits.append(fit if fit.converged else _NONE)
    return fits


def _regions(
    volume: Volume, chosen: NDArray[np.intp], vent: Vent, place: tuple[float, float], fixes: ScienceFixes
) -> list[GaussianFit]:
    """Fit the region that grows from the vent, level by level (PPX)."""
    search, domain = vent.search_radius, vent.domain_radius
    if not fixes.radii_in_order:  # Q34
        search, domain = domain, search
    columns, rows = abs(volume.x - place[0]) <= domain, abs(volume.y - place[1]) <= domain
    x, y = np.meshgrid(volume.x[columns], volume.y[rows])
    cell = volume.steps[0] * volume.steps[1]
    centre, fits = place, []
    for k in chosen:
        field = volume.values[np.ix_(rows, columns, [k])][:, :, 0].copy()
        field[np.hypot(x - centre[0], y - centre[1]) > search] = 0.0
        most = float(field.max()) if field.size else 0.0
        region = largest(field > _REGION * most) if most > 0 else np.zeros(field.shape, np.bool_)
        if not region.any():
            fits.append(_NONE)
            continue
        centre = float(x[region].mean()), float(y[region].mean())
        fits.append(_region_fit((x[region], y[region], field[region] / most), centre, cell, (most, search)))
    return fits


def _region_fit(
    cells: tuple[Real, Real, Real], centre: tuple[float, float], cell: float, limits: tuple[float, float]
) -> GaussianFit:
    """Fit a region robustly ("fair" weights); a centre that runs away leaves the start values."""
    most, search = limits
    field = cells[2]
    start = np.array([np.quantile(field, 0.95), *centre, np.sqrt(field.size * cell / np.pi), field.min()])
    fit = _robust(cells, start)
    away = np.hypot(fit.values[X] - centre[0], fit.values[Y] - centre[1])
    scale = np.array([most, 1.0, 1.0, 1.0, most])
    if not fit.converged or away > search:
        return GaussianFit(start * scale, np.zeros((5, 5)), fit.misfit, field.size, converged=True)
    return replace(fit, values=fit.values * scale, covariance=fit.covariance * np.outer(scale, scale))


def _robust(cells: tuple[Real, Real, Real], start: Real) -> GaussianFit:
    """Fit with weights 1/(1 + |r| / (1.4 s)) of the residuals, s their median deviation."""
    fit = fit_gaussian(cells, start)
    for _ in range(_ROUNDS):
        if not fit.converged:
            return fit
        rest = cells[2] - gaussian(fit.values, cells[0], cells[1])
        spread = float(np.median(np.sort(abs(rest))[min(4, rest.size - 1) :])) / 0.6745
        if not spread > 0:
            return fit
        weights = 1 / (1 + abs(rest) / (_FAIR * spread))
        new = fit_gaussian(cells, fit.values, np.sqrt(weights))
        if np.all(abs(new.values - fit.values) <= _SETTLED * (abs(fit.values) + 1e-12)):
            return new
        fit = new
    return fit


def _axis(z: Real, centres: tuple[Real, Real], good: Bool, foot: float, *, moving: bool) -> Axis | None:
    """Fit quadratics through the centres, in PPX after moving medians, against the place of the level."""
    used = good & np.isfinite(centres[0])
    x, y = (np.where(used, one, np.nan) for one in centres)
    if moving:
        medians = [_moving_median(one, _MEDIANS[0]) for one in (x, y)]
        with np.errstate(invalid="ignore"):
            used &= np.hypot(x - medians[0], y - medians[1]) <= _FAR
        x, y = (_moving_median(np.where(used, one, np.nan), _MEDIANS[1]) for one in (x, y))
        used &= np.isfinite(x) & np.isfinite(y)
    if np.count_nonzero(used) < 3:
        return None
    place = np.arange(len(z), dtype=np.float64)
    fits = [np.polyfit(place[used], one[used], 2) for one in (x, y, z)]
    lines: list[Real] = [np.asarray(np.polyval(fit, place), np.float64) for fit in fits]
    slopes = np.stack([np.polyval(np.polyder(fit), place) for fit in fits], axis=1)
    tangent = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    nothing = np.full(len(z), np.nan)
    return Axis(
        x=lines[0],
        y=lines[1],
        x_error=nothing,
        y_error=nothing,
        tangent=tangent,
        arc_length=_arc_length(fits, place, z, foot),
        curvature=float("nan"),
        lean=_lean((x, y, z), used),
        used=used,
    )


def _moving_median(values: Real, window: int) -> Real:
    """Return the moving median of Matlab: as many values before as after, one more before if it is even."""
    before, after = window // 2, (window - 1) // 2
    out = np.full_like(values, np.nan)
    for k in range(len(values)):
        part = values[max(k - before, 0) : k + after + 1]
        if np.isfinite(part).any():
            out[k] = np.nanmedian(part)
    return out


def _arc_length(fits: list[Real], place: Real, z: Real, foot: float) -> Real:
    """Integrate the speed of the quadratics from the height of the vent."""
    rise = float(np.mean(np.diff(z))) if len(z) > 1 else 1.0
    start = (foot - z[0]) / rise
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = (place - start)[:, None] / 2
    at = start + half * (nodes + 1)
    speed = np.sqrt(sum(np.polyval(np.polyder(fit), at) ** 2 for fit in fits))
    return np.asarray((half * speed * weights).sum(axis=1))


def _lean(points: tuple[Real, Real, Real], used: Bool) -> Lean:
    """Return the direction of the straight line through the centres; its errors are not the originals'."""
    cloud = np.stack([one[used] for one in points], axis=1)
    along = np.linalg.svd(cloud - cloud.mean(axis=0), full_matrices=False)[2][0]
    along = along if along[2] >= 0 else -along
    nan = float("nan")
    east, north = (float(along[k] / along[2]) if along[2] > 0 else nan for k in (0, 1))
    inclination = float(np.degrees(np.arccos(min(float(along[2]), 1.0))))
    return Lean(east, north, nan, nan, inclination, nan, bearing(float(along[0]), float(along[1])))
