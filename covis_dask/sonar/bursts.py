"""Bursts: the pings of one elevation (docs/method.md#bursts)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from covis_dask.sonar._types import Int, Real

__all__ = ["Burst", "bursts_ashes", "bursts_endeavour"]


@dataclass(frozen=True, slots=True, eq=False)
class Burst:
    """The pings taken at one elevation.

    Parameters
    ----------
    rows : ndarray of int64
        Rows of the ping table, in their order.
    pitch : float
        Sensor pitch of the first of them, degrees (2010-15: the elevation of all).
    """

    rows: Int
    pitch: float

    def __len__(self) -> int:
        return len(self.rows)


def bursts_ashes(moving: Real, sen_pitch: Real, *, consecutive: bool, tolerance: float) -> list[Burst]:
    """Group the pings of a run of 2018+.

    Parameters
    ----------
    moving : ndarray of float64, [n]
        Rotator reading by which pings are grouped, degrees: the pitch, or the yaw where that is swept (Q7).
    sen_pitch : ndarray of float64, [n]
        Sensor pitch, degrees.
    consecutive : bool
        Group consecutive readings that agree. The original opens a burst at the first occurrence of every
        reading, so a later return to an old one joins the burst then open (Q5).
    tolerance : float
        Of consecutive readings: so far from the first of their burst (degrees) they still belong to it.

    Returns
    -------
    list of Burst
    """
    if consecutive:
        starts = _changes(moving, tolerance)
    else:
        seen: dict[float, int] = {}
        for row, value in enumerate(moving.tolist()):
            seen.setdefault(value, row)
        starts = list(seen.values())
    return _bursts(starts, len(moving), sen_pitch)


def bursts_endeavour(kpangle: Real, *, last: bool, tolerance: float) -> list[Burst]:
    """Group the pings of a run of 2010-15.

    Parameters
    ----------
    kpangle : ndarray of float64, [n]
        Sensor pitch, degrees.
    last : bool
        Keep the last burst, which the original never stores (Q6).
    tolerance : float
        Readings so far from the first of their burst (degrees) still belong to it; 0 in the original (Q56).

    Returns
    -------
    list of Burst
        Empty in the original's way when the pitch never changes.
    """
    bursts = _bursts(_changes(kpangle, tolerance), len(kpangle), kpangle)
    return bursts if last else bursts[:-1]


def _changes(values: Real, tolerance: float) -> list[int]:
    """Return the rows at which a reading leaves that of the open burst."""
    starts: list[int] = []
    opened = np.nan
    for row, value in enumerate(values.tolist()):
        if not abs(value - opened) <= tolerance:
            starts.append(row)
            opened = value
    return starts


def _bursts(starts: Sequence[int], end: int, pitch: Real) -> list[Burst]:
    stops = [*starts[1:], end]
    return [
        Burst(np.arange(start, stop), float(pitch[start])) for start, stop in zip(starts, stops, strict=False)
    ]
