"""Which windows of a 2010-15 Doppler burst can lie in a grid: the others need not be computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from covis_dask.modes.endeavour._bursts import Attitude
from covis_dask.modes.endeavour._operators import PingOperators
from covis_dask.modes.parameters import Parameters
from covis_dask.sonar._types import Bool, Real
from covis_dask.sonar.geometry import BeamDirections, directions_endeavour
from covis_dask.sonar.grid import GridAxes
from covis_dask.sonar.windows import Bins, cut_bins, lagged_bins, window_bins, window_ranges

__all__ = ["Part", "part_within", "whole"]

_MARGIN = 0.02
"""Part by which the ranges of pings of a burst may differ: their headers state the sound speed."""
_PAIRS = 8
"""Beams are left out in such numbers, which matrix products like."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some windows of a ping, all of them or those that matter.

    Parameters
    ----------
    power, lagged : Bins
        Where the windows lie: `cut_bins` and `lagged_bins`.
    lag : int
        Lag of the second, samples.
    bins : slice
        Which of all windows these are.
    beams : slice
        Beams computed, as many left out on one side as on the other.
    ranges : ndarray of float64
        Slant range of each sample, m, of the ping for which this was made.
    """

    power: Bins
    lagged: Bins
    lag: int
    bins: slice
    beams: slice
    ranges: Real

    rows: slice = field(init=False)
    """Samples the windows cover; none when there is no window."""

    def __post_init__(self) -> None:
        rows = slice(0, 0)
        if len(self.power):
            stop = max(int(self.power.stop.max()), int(self.lagged.stop.max()) + self.lag)
            rows = slice(int(min(self.power.start[0], self.lagged.start[0])), stop)
        object.__setattr__(self, "rows", rows)

    def check(self, operators: PingOperators) -> None:
        """Refuse a ping whose ranges are not those of the burst: nobody knows where its echoes belong.

        Raises
        ------
        ValueError
            Why it is a bad ping.
        """
        if operators.ranges is self.ranges:
            return
        here, there = operators.ranges[self.rows], self.ranges[self.rows]
        if (np.abs(here - there) > _MARGIN * there).any():
            raise ValueError(
                f"its header states a sound speed of {operators.header.sound_speed:g} m/s, or its record a "
                "first sample, that puts its samples elsewhere than those of the burst's first ping"
            )


def whole(operators: PingOperators, parameters: Parameters) -> Part:
    """Return all windows of a ping."""
    correlation = parameters.correlation
    window = window_bins(operators.header.sample_rate, correlation.window_size, correlation.window_overlap)
    count, lag = len(operators.ranges), correlation.lag
    power = cut_bins(count, *window)
    beams = slice(0, len(operators.beamformer.angles))
    return Part(power, lagged_bins(count, *window, lag), lag, slice(0, len(power)), beams, operators.ranges)


def part_within(
    grids: Sequence[GridAxes], operators: PingOperators, attitudes: Sequence[Attitude], parameters: Parameters
) -> Part:
    """Return the windows that lie in a grid, whichever of some attitudes counts, and those between them.

    Parameters
    ----------
    grids : sequence of GridAxes
    operators : PingOperators
        Of the burst's first ping; ranges may differ a little in the others.
    attitudes : sequence of Attitude
        Those the burst may have.
    parameters : Parameters
    """
    part = whole(operators, parameters)
    first, angles = attitudes[0], operators.beamformer.angles
    directions = directions_endeavour(
        angles,
        first.compass,
        first.roll,
        first.elevation,
        parameters.position.altitude,
        unrotated_x=parameters.fixes.unrotated_x,
    )
    # Turned by an angle, a point moves by no more than that times its range; twice that where roll is
    # applied as in the original (Q11).
    turns = zip(*((each.elevation, each.roll, each.compass) for each in attitudes), strict=True)
    slack = _MARGIN + 2 * sum(max(values) - min(values) for values in turns)
    ranges = window_ranges(operators.ranges, part.lagged)
    inside = np.logical_or.reduce([_near(axes, directions, ranges, slack) for axes in grids])
    bins, beams = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not bins.size:
        return Part(part.power[:0], part.lagged[:0], part.lag, slice(0, 0), part.beams, operators.ranges)
    some = slice(int(bins[0]), int(bins[-1]) + 1)
    left = int(min(beams[0], len(angles) - 1 - beams[-1])) // _PAIRS * _PAIRS
    return Part(
        part.power[some],
        part.lagged[some],
        part.lag,
        some,
        slice(left, len(angles) - left),
        operators.ranges,
    )


def _near(axes: GridAxes, directions: BeamDirections, ranges: Real, slack: float) -> Bool:
    """Return what lies in a grid, or beside it by no more than a part of its range; [ranges, beams]."""
    away = slack * np.abs(ranges)[:, None]
    inside = np.ones((len(ranges), len(directions.x)), np.bool_)
    for coordinate, axis in zip(directions.at(ranges), axes.axes, strict=False):
        inside &= (coordinate >= axis[0] - away) & (coordinate <= axis[-1] + away)
    return inside
