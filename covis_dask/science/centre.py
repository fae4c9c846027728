"""Where a plume is at one height: centre, radius and strength (docs/science.md#plume-centre)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covis_dask.science.flags import LevelFlag
from covis_dask.science.gaussian import A, B, C, GaussianFit, X, Y, fit_gaussian, gaussian

__all__ = ["Centre", "Search", "plume_centre"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

_REACH = 2.5  # radii within which cells are fitted
_FEWEST = 12
_FIT_ERROR = 0.3
_MODERN_SHARE = np.exp(-8.0)
_EARLY_SHARE = np.exp(-4.0)
_WEAKEST = 1e-6  # 1/m, -60 dB
_UNSEEN = 0.25  # share of the cells within 1.5 radii
_LOPSIDED = 0.1  # difference of the shares seen of opposite halves
_SECOND_SHARE, _SECOND_AREA = 0.4, 0.25
_EPSILON = 1e-9
_ROUGH = 1e-3  # tolerance of the fit that only gives weights
_LONG, _FAINT = 2.0, 0.05  # ratio of variances; share of the amplitude that does not count


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look for a plume, and how.

    Parameters
    ----------
    x, y : float
        Where it is expected, m: the vent, then the centre of the level below.
    search_radius : float
        Farthest that the centre may be from there, m.
    domain_radius : float
        Half width of the square about there in which there is anything to see, m.
    modern : bool
        Fluctuating backscatter of 2018+, whose background is faint; else ping differences of 2010-15.
    """

    x: float
    y: float
    search_radius: float
    domain_radius: float
    modern: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Centre:
    """A plume at one height.

    Parameters
    ----------
    fit : GaussianFit
        All NaN where nothing could be fitted.
    moment : tuple of float
        Centroid of the backscatter above the background, within 2.5 radii, m.
    flags : LevelFlag
    """

    fit: GaussianFit
    moment: tuple[float, float]
    flags: LevelFlag


_NONE = GaussianFit(np.full(5, np.nan), np.full((5, 5), np.nan), np.nan, 0, converged=False)


def plume_centre(field: Real, seen: Bool, axes: tuple[Real, Real], search: Search) -> Centre:
    """Fit a plume at one height.

    Parameters
    ----------
    field : ndarray of float64, [Ny, Nx]
        Backscatter, 1/m; NaN where masked.
    seen : ndarray of bool, [Ny, Nx]
        Cells that any sample reached, masked or not.
    axes : tuple of ndarray
        x [Nx] and y [Ny] of the cells, m.
    search : Search
    """
    whole = (axes, seen)
    rows, columns = around(axes, (search.x, search.y), search.domain_radius)
    x, y = np.meshgrid(axes[0][columns], axes[1][rows])
    field = field[rows, columns]
    near = _domain(x, y, search)
    used = near & np.isfinite(field)
    if not used.any() or not float(np.max(field[used])) > 0:
        return Centre(_NONE, (np.nan, np.nan), LevelFlag.NO_CELLS)
    step = float(abs(axes[0][1] - axes[0][0])) if len(axes[0]) > 1 else 1.0
    start = _start(np.where(used, field, np.nan), x, y, step, modern=search.modern)
    cells = (x[used], y[used], field[used])
    fit, flags = _weighted(cells, start, (0.5 * step, search.domain_radius))
    if fit.cells < _FEWEST:
        flags |= LevelFlag.FEW_CELLS
    if not fit.converged:
        return Centre(fit, (np.nan, np.nan), flags | LevelFlag.NOT_CONVERGED)
    flags |= _doubts(fit, search)
    if _cut(fit, *whole):
        flags |= LevelFlag.CUT_BY_EDGE
    if _shared(fit, (x, y, field), near):
        flags |= LevelFlag.SECOND_PLUME
    return Centre(fit, _moment(cells, fit), flags)


def _domain(x: Real, y: Real, search: Search) -> Bool:
    """Return the cells in which to look."""
    dx, dy = x - search.x, y - search.y
    square = (abs(dx) <= search.domain_radius) & (abs(dy) <= search.domain_radius)
    return np.asarray(square & (np.hypot(dx, dy) <= search.search_radius))


def _start(field: Real, x: Real, y: Real, step: float, *, modern: bool) -> Real:
    """Return first values: of the largest connected set of cells that stand out."""
    most = float(np.nanmax(field))
    lowest = float(np.nanquantile(field, 0.05))
    if modern:
        threshold = most * _MODERN_SHARE
    else:
        background = float(np.nanmedian(field))
        threshold = (most - background) * _EARLY_SHARE + background
    inside = largest(np.nan_to_num(field, nan=-np.inf) > threshold)
    values = field[inside]
    weight = np.maximum(values - lowest, 0.0)
    if not weight.sum() > 0:
        weight = np.ones_like(values)
    bell = inside & (np.nan_to_num(field, nan=-np.inf) > lowest + (most - lowest) / np.e)
    radius = max(np.sqrt(max(bell.sum(), 1) / np.pi) * step, step)
    centre = (np.sum(x[inside] * weight) / weight.sum(), np.sum(y[inside] * weight) / weight.sum())
    return np.array([most - lowest, *centre, radius, max(lowest, 0.0)])


def largest(mask: Bool, structure: NDArray[np.int_] | None = None) -> Bool:
    """Return the largest connected set of cells; by default neighbours share a side."""
    labels, count = ndimage.label(mask, structure)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()))


def _weighted(
    cells: tuple[Real, Real, Real], start: Real, bounds: tuple[float, float]
) -> tuple[GaussianFit, LevelFlag]:
    """Fit, and fit again with weights and cells that go with the first fit."""
    flags = LevelFlag(0)
    fit = fit_gaussian(_within(cells, start), start, tolerance=_ROUGH)
    fit.values[B] = min(max(fit.values[B], bounds[0]), bounds[1])
    for _ in range(2):
        if not fit.converged or fit.values[A] <= 0:
            return fit, flags
        chosen = _within(cells, fit.values)
        if chosen[0].size < _FEWEST:
            return replace(fit, cells=chosen[0].size), flags
        model = gaussian(fit.values, chosen[0], chosen[1])
        weights = 1 / (np.maximum(model, 0.0) + 0.1 * fit.values[A])
        fit, flags = _bounded(chosen, fit.values, weights, bounds)
    return fit, flags


def _within(cells: tuple[Real, Real, Real], values: Real) -> tuple[Real, Real, Real]:
    """Return the cells within 2.5 radii of a centre; all, where these are too few."""
    x, y, f = cells
    near = np.hypot(x - values[X], y - values[Y]) <= _REACH * values[B]
    return (x[near], y[near], f[near]) if np.count_nonzero(near) >= _FEWEST else cells


def _bounded(
    cells: tuple[Real, Real, Real], start: Real, weights: Real | float, bounds: tuple[float, float]
) -> tuple[GaussianFit, LevelFlag]:
    """Fit with a background that is not negative and a radius within bounds."""
    fit = fit_gaussian(cells, start, weights)
    held: tuple[int, ...] = ()
    if fit.converged and fit.values[C] < 0:
        held = (C,)
        first = fit.values.copy()
        first[C] = 0.0
        fit = fit_gaussian(cells, first, weights, held)
    radius = float(fit.values[B])
    if bounds[0] <= radius <= bounds[1] or not np.isfinite(radius):
        return fit, LevelFlag(0)
    first = start.copy()
    first[B] = min(max(radius, bounds[0]), bounds[1])
    first[C] = 0.0 if held else first[C]
    return fit_gaussian(cells, first, weights, (B, *held)), LevelFlag.RADIUS_AT_BOUND


def _doubts(fit: GaussianFit, search: Search) -> LevelFlag:
    """Say what speaks against a fit."""
    flags = LevelFlag(0)
    amplitude, x, y, _, background = fit.values
    if np.hypot(x - search.x, y - search.y) > search.search_radius:
        flags |= LevelFlag.CENTRE_FAR
    if amplitude <= 0:
        flags |= LevelFlag.NOT_CONVERGED
    if search.modern and amplitude + background < _WEAKEST:
        flags |= LevelFlag.WEAK_PEAK
    if not fit.misfit <= _FIT_ERROR:
        flags |= LevelFlag.POOR_FIT
    return flags


def around(axes: tuple[Real, Real], place: tuple[float, float], reach: float) -> tuple[slice, slice]:
    """Return the rows and columns of the cells within a square."""
    columns, rows = (
        slice(
            int(np.searchsorted(axis, p - reach - _EPSILON)), int(np.searchsorted(axis, p + reach + _EPSILON))
        )
        for axis, p in zip(axes, place, strict=True)
    )
    return rows, columns


def _shared(fit: GaussianFit, cells: tuple[Real, Real, Real], near: Bool) -> bool:
    """Say whether there is another plume beside it."""
    x, y, field = cells
    amplitude, _, _, radius, _ = fit.values
    step = float(abs(x[0, 1] - x[0, 0])) if x.shape[1] > 1 else 1.0
    rest = np.where(near & np.isfinite(field), field - gaussian(fit.values, x, y), -np.inf)
    above = rest > _SECOND_SHARE * amplitude
    enough = _SECOND_AREA * np.pi * radius**2 / step**2
    if np.count_nonzero(above) > enough and np.count_nonzero(largest(above)) > enough:
        return True
    return _elongation(cells, fit, near) > _LONG


def _elongation(cells: tuple[Real, Real, Real], fit: GaussianFit, near: Bool) -> float:
    """Return how much longer than broad the backscatter above the background is (ratio of variances)."""
    amplitude, x0, y0, radius, background = fit.values
    dx, dy = cells[0] - x0, cells[1] - y0
    inner = near & np.isfinite(cells[2]) & (np.hypot(dx, dy) <= _REACH * radius)
    above = np.maximum(cells[2][inner] - background - _FAINT * amplitude, 0.0)
    if not above.sum() > 0:
        return 1.0
    low, high = np.linalg.eigvalsh(np.cov(np.stack([dx[inner], dy[inner]]), aweights=above, ddof=0))
    return float(high / low) if low > 0 else np.inf


def _cut(fit: GaussianFit, axes: tuple[Real, Real], seen: Bool) -> bool:
    """Say whether one side of the plume was seen less than the other, within 1.5 radii."""
    radius, centre = 1.5 * float(fit.values[B]), (float(fit.values[X]), float(fit.values[Y]))
    step = float(abs(axes[0][1] - axes[0][0])) if len(axes[0]) > 1 else 1.0
    rows, columns = around(axes, centre, radius)
    seen = seen[rows, columns]
    dx, dy = np.meshgrid(axes[0][columns] - centre[0], axes[1][rows] - centre[1])
    inner = np.hypot(dx, dy) <= radius
    count = np.count_nonzero(inner)
    if count < (1 - _LOPSIDED) * np.pi * (radius / step) ** 2 - _FEWEST:  # the disc leaves the grid
        return True
    east, west, north, south = (
        float(np.mean(seen[inner & side])) if (inner & side).any() else 1.0
        for side in (dx > 0, dx < 0, dy > 0, dy < 0)
    )
    lopsided = max(abs(east - west), abs(north - south))
    return bool(lopsided > _LOPSIDED or np.mean(seen[inner]) < 1 - _UNSEEN) if count else True


def _moment(cells: tuple[Real, Real, Real], fit: GaussianFit) -> tuple[float, float]:
    """Return the centroid of what exceeds the background."""
    x, y, f = _within(cells, fit.values)
    above = f - fit.values[C]
    total = float(above.sum())
    if total <= 0:
        return np.nan, np.nan
    return float((x * above).sum() / total), float((y * above).sum() / total)
