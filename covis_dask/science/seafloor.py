"""Change of the seafloor between surveys (docs/science.md#seafloor-change)."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from covis_dask.science.flags import ChangeFlag
from covis_dask.science.quantities import Quantities
from covis_dask.science.run import one_run

__all__ = ["height_error", "median_survey", "seafloor_change"]

Real = NDArray[np.float64]

_NAME: Final = "seafloor_height"
_STABLE: Final = 0.1  # m
_ROUNDS: Final = 20
_NEAR, _NEAR_ERROR, _FAR_ERROR = 12.0, 0.06, 0.10  # m
_SIGNIFICANT: Final = 1.96
_FEWEST: Final = 4  # cells together
_FRAME: Final = "tower_epoch"


def height_error(x: Real, y: Real) -> Real:
    """Return the standard error of the height in one survey, m: as measured on twelve surveys of a day."""
    return np.where(np.hypot(x, y) < _NEAR, _NEAR_ERROR, _FAR_ERROR)


def median_survey(surveys: Sequence[xr.DataArray]) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the median of surveys on one grid, and its standard error from their scatter.

    Notes
    -----
    Single surveys have heavy tails, where a beam jumps between ledge and floor. Cells that fewer than three
    surveys have seen get the error of `height_error`.
    """
    surveys = [one.squeeze("time") if "time" in one.dims else one for one in surveys]
    stack = np.stack([np.asarray(one.values, np.float64) for one in surveys])
    count = np.isfinite(stack).sum(axis=0)
    first = surveys[0]
    x, y = np.meshgrid(first[first.dims[1]].values, first[first.dims[0]].values)
    middle = np.full(count.shape, np.nan)
    spread = np.full(count.shape, np.nan)
    some = count > 0
    middle[some] = np.nanmedian(stack[:, some], axis=0)
    spread[some] = 1.4826 * np.nanmedian(abs(stack[:, some] - middle[some]), axis=0)
    known = (count > 2) & (spread > 0)
    error = np.where(known, spread, height_error(x, y)) * np.sqrt(np.pi / 2 / np.maximum(count, 1))
    single = np.where(count < 2, height_error(x, y), error)
    return first.copy(data=middle), first.copy(data=np.where(some, single, np.nan))


def seafloor_change(
    first: xr.Dataset,
    second: xr.Dataset,
    errors: tuple[xr.DataArray, xr.DataArray] | None = None,
    stable: xr.DataArray | None = None,
) -> xr.Dataset:
    """Compare two surveys on one grid.

    Parameters
    ----------
    first, second : Dataset
        Bathymetry products, with ``seafloor_height`` on (y, x).
    errors : tuple of DataArray, optional
        Standard errors of both heights, m; those of `height_error` when not given.
    stable : DataArray of bool, optional
        Cells known not to have changed; found by their small change when not given.

    Returns
    -------
    Dataset
        ``height_change`` and its error, where it is significant, the shift between the surveys, and gained,
        lost and net volume with 1-sigma errors. Surveys of different positions of the tower, or without a
        common cell, give NaN, a flag and a sentence.

    Raises
    ------
    ValueError
        Two different grids.
    """
    first, second = one_run(first), one_run(second)
    z1, z2 = first[_NAME], second[_NAME]
    if z1.shape != z2.shape or not all(np.array_equal(first[d], second[d]) for d in z1.dims):
        raise ValueError("the two surveys lie on different grids: give both the same grid before comparing")
    y, x = (np.asarray(first[dim].values, np.float64) for dim in z1.dims)
    own = errors or (height_error(*np.meshgrid(x, y)),) * 2
    sigma = np.hypot(np.asarray(own[0], np.float64), np.asarray(own[1], np.float64))
    change = np.asarray(z2.values, np.float64) - np.asarray(z1.values, np.float64)
    flag, note = _comparable(first, second, change)
    if flag & ChangeFlag.OTHER_FRAME:
        change = np.full_like(change, np.nan)
    datum = _datum(change, sigma, None if stable is None else np.asarray(stable.values, np.bool_))
    change = change - datum[0]
    cell = float(abs((x[1] - x[0]) * (y[1] - y[0])))
    out = _described((change, sigma), datum, cell, (str(z1.dims[0]), str(z1.dims[1])))
    out.flags("change_flag", (), int(flag), ChangeFlag, "doubts about the comparison")
    coords: dict[str, Any] = {str(dim): first[dim].variable for dim in z1.dims}
    attributes = {"Conventions": "CF-1.10", "title": "Change of the seafloor", "notes": note}
    return out.dataset(coords, attributes)


def _comparable(first: xr.Dataset, second: xr.Dataset, change: Real) -> tuple[ChangeFlag, str]:
    """Say whether two surveys can be compared, and why not."""
    if _other_frame(first, second):
        note = "The tower stood elsewhere at the second survey: heights of different frames are not compared."
        return ChangeFlag.OTHER_FRAME, note
    if not np.isfinite(change).any():
        return ChangeFlag.NO_COMMON_CELLS, "The surveys have no common cell."
    return ChangeFlag(0), ""


def _described(
    maps: tuple[Real, Real], datum: tuple[float, float], cell: float, dims: tuple[str, str]
) -> Quantities:
    """Return the change, its significance, the shift of the datum, and volumes."""
    change, sigma = maps
    known, significant = np.isfinite(change), _significant(change, sigma)
    out = _volumes(change, sigma, significant, (cell, datum[1]))
    rise = "rise of the seafloor between the surveys"
    out.add("height_change", dims, change, ("m", rise))
    out.add(
        "height_change_error", dims, np.where(known, sigma, np.nan), ("m", f"1-sigma error of the {rise}")
    )
    out.add("significant", dims, np.where(known, significant, np.nan), ("1", "significant change"))
    shift = "difference of the surveys where nothing changed"
    out.add("datum_shift", (), datum[0], ("m", shift))
    out.add("datum_shift_error", (), datum[1], ("m", f"1-sigma error of the {shift}"))
    return out


def _other_frame(first: xr.Dataset, second: xr.Dataset) -> bool:
    """Say whether the tower stood elsewhere: by site, or by the central heading of its head."""
    for key in ("site", "central_heading", _FRAME):
        if key in first.attrs and key in second.attrs and first.attrs[key] != second.attrs[key]:
            return True
    return False


def _datum(change: Real, sigma: Real, stable: NDArray[np.bool_] | None) -> tuple[float, float]:
    """Return the median difference over cells that did not change, and its standard error."""
    known = np.isfinite(change)
    if not known.any():
        return float("nan"), float("nan")
    chosen = known & stable if stable is not None and (known & stable).any() else known
    shift = float(np.median(change[chosen]))
    if stable is None:
        for _ in range(_ROUNDS):
            chosen = known & (abs(change - shift) < _STABLE)
            if not chosen.any():
                break
            shift = float(np.median(change[chosen]))
    count = max(int(np.count_nonzero(chosen)), 1)
    return shift, float(np.median(sigma[known])) * float(np.sqrt(np.pi / 2 / count))


def _significant(change: Real, sigma: Real) -> NDArray[np.bool_]:
    """Return the cells that changed, in connected sets of at least four that changed the same way."""
    kept = np.zeros(change.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        candidates = [change > _SIGNIFICANT * sigma, change < -_SIGNIFICANT * sigma]
    for candidate in candidates:
        labels, _ = ndimage.label(candidate)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        kept |= sizes[labels] >= _FEWEST
    return kept


def _volumes(
    change: Real, sigma: Real, significant: NDArray[np.bool_], cell: tuple[float, float]
) -> Quantities:
    """Sum what was gained and lost."""
    area, shift_error = cell
    out = Quantities()
    known = np.isfinite(change).any()
    for name, chosen in (
        ("gain", significant & (change > 0)),
        ("loss", significant & (change < 0)),
        ("net", significant),
    ):
        volume = float(change[chosen].sum()) * area if known else np.nan
        error = area * float(np.hypot(np.sqrt((sigma[chosen] ** 2).sum()), chosen.sum() * shift_error))
        out.add(f"volume_{name}", (), volume, ("m3", f"volume of the seafloor's change: {name}"))
        out.add(f"volume_{name}_error", (), error, ("m3", f"1-sigma error of the volume: {name}"))
    return out
