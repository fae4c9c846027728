"""The centres of a plume at all heights, and its axis."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from covis_dask.config.science import Vent
from covis_dask.science.axis import Axis, fit_axis
from covis_dask.science.centre import Search, plume_centre
from covis_dask.science.flags import LevelFlag, VentFlag
from covis_dask.science.gaussian import A, B, C, X, Y
from covis_dask.science.grids import PlumeFields, Volume

__all__ = ["CentreLine", "centre_line", "located"]

Real = NDArray[np.float64]

_LOW = 2.0  # m, above the vent, in which one without a place is looked for

BLOCKING = (
    LevelFlag.NO_CELLS
    | LevelFlag.NOT_CONVERGED
    | LevelFlag.CENTRE_FAR
    | LevelFlag.RADIUS_AT_BOUND
    | LevelFlag.FEW_CELLS
    | LevelFlag.WEAK_PEAK
    | LevelFlag.POOR_FIT
    | LevelFlag.CUT_BY_EDGE
    | LevelFlag.SECOND_PLUME
    | LevelFlag.NOT_ANALYSED
)
"""Flags of a level that is not used for the axis."""


_COLUMNS = (
    *("x", "y", "moment_x", "moment_y", "radius", "peak", "background"),
    *("x_error", "y_error", "radius_error", "peak_error"),
)


@dataclass(frozen=True, slots=True, eq=False)
class CentreLine:
    """A plume by height.

    Parameters
    ----------
    z : ndarray of float64, [n]
        m.
    x, y, moment_x, moment_y, radius, peak, background : ndarray of float64, [n]
        Centre (fitted, and centroid), e-folding radius, m; backscatter at the centre and around, 1/m.
    x_error, y_error, radius_error, peak_error : ndarray of float64, [n]
        1 sigma.
    flags : ndarray of int32, [n]
        See `LevelFlag`.
    axis : Axis or None
    """

    z: Real
    x: Real
    y: Real
    moment_x: Real
    moment_y: Real
    radius: Real
    peak: Real
    background: Real
    x_error: Real
    y_error: Real
    radius_error: Real
    peak_error: Real
    flags: NDArray[np.int32]
    axis: Axis | None

    @property
    def vent_flags(self) -> VentFlag:
        """Say of the whole plume what its levels say."""
        flags = VentFlag(0)
        if np.all(self.flags & int(LevelFlag.NO_CELLS)):
            flags |= VentFlag.NO_PLUME
        if self.axis is None:
            flags |= VentFlag.NO_AXIS
        if np.any(self.flags & int(LevelFlag.CUT_BY_EDGE)):
            flags |= VentFlag.CUT_BY_EDGE
        return flags


def located(volume: Volume, vent: Vent) -> tuple[float, float]:
    """Return where a vent without coordinates is: where the backscatter above its height is strongest."""
    low = (volume.z >= vent.z) & (volume.z <= vent.z + _LOW)
    column = np.nan_to_num(volume.values[:, :, low], nan=0.0).sum(axis=2)
    if not low.any() or not column.max() > 0:
        return float("nan"), float("nan")
    j, i = np.unravel_index(int(column.argmax()), column.shape)
    return float(volume.x[i]), float(volume.y[j])


def centre_line(fields: PlumeFields, vent: Vent, place: tuple[float, float]) -> CentreLine:
    """Follow a plume upwards from its vent.

    Parameters
    ----------
    fields : PlumeFields
    vent : Vent
    place : tuple of float
        Where the vent is, m.
    """
    volume = fields.backscatter
    chosen = np.flatnonzero((volume.z >= vent.levels[0] - 1e-9) & (volume.z <= vent.levels[1] + 1e-9))
    search = Search(*place, vent.search_radius, vent.domain_radius, fields.modern)
    rows, flags = [], []
    for k in chosen:
        centre = plume_centre(volume.values[:, :, k], volume.seen[:, :, k], (volume.x, volume.y), search)
        values, errors = centre.fit.values, centre.fit.errors
        rows.append(
            [
                *(values[i] for i in (X, Y)),
                *centre.moment,
                values[B],
                values[A] + values[C],
                values[C],
                *(errors[i] for i in (X, Y, B, A)),
            ]
        )
        flags.append(int(centre.flags))
        if not centre.flags & BLOCKING:
            search = replace(search, x=float(values[X]), y=float(values[Y]))
    table = np.array(rows, np.float64).reshape(len(rows), len(_COLUMNS)).T
    # What did not converge, or ran away, has no value; other doubts leave it, flagged.
    worthless = np.array(flags, np.int64) & int(LevelFlag.NO_CELLS | LevelFlag.NOT_CONVERGED) != 0
    table[:, worthless] = np.nan
    return _with_axis(volume.z[chosen], table, np.array(flags, np.int32), vent.z)


def _with_axis(z: Real, table: Real, flags: NDArray[np.int32], foot: float) -> CentreLine:
    good = flags & int(BLOCKING) == 0
    axis = fit_axis(z, (table[0], table[1]), (table[7], table[8]), good, foot)
    if axis is not None:
        flags = flags | np.where(good & ~axis.used, int(LevelFlag.OUTLIER), 0).astype(np.int32)
    columns = dict(zip(_COLUMNS, table, strict=True))
    return CentreLine(z=z, flags=flags, axis=axis, **columns)
