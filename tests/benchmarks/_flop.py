"""How much there is to multiply in a run: beamforming after folding and leaving out what nobody needs."""

from typing import Final

import numpy as np

from covis_dask.modes import parameters_for
from covis_dask.modes.endeavour._bursts import attitude, grid_axes
from covis_dask.raw.ping import PingTable
from covis_dask.simulate.files import index_csv
from covis_dask.simulate.run import RunSpec
from covis_dask.sonar.beamform import beam_count
from covis_dask.sonar.geometry import HeadAttitude, directions_ashes, directions_endeavour
from tests.benchmarks._runs import Case

__all__ = ["gflop_of"]

_WINDOW: Final = 4.0
_C: Final = 1484.477


def gflop_of(case: Case, scale: str) -> float:
    """Return the real operations of the beamforming, in units of 1e9.

    Two real products of E/2 x B/2 for the real and the imaginary part of every row. Imaging needs the rows
    that can lie in the grid, 2010-15 Doppler the rows and beams that do, diffuse flow the pings of its
    window, everything else all.
    """
    spec = case.spec(scale)
    beams = beam_count(spec.instrument.frequency)
    per_row = 2 * 2 * 2 * (spec.instrument.channels / 2) * (beams / 2) / 1e9
    bursts, pings = len(spec.pitches), spec.pings
    if case.family == "diffuse":
        return per_row * spec.samples * min(pings, int(_WINDOW / spec.interval) + 1)
    if case.family == "doppler" and case.site == "Endeavour":
        return per_row * pings * sum(_needed_part(case, spec, burst) for burst in range(bursts))
    if case.family != "imaging" or case.site != "Ashes":
        return per_row * spec.samples * bursts * pings
    grid = parameters_for(case.family, case.site).grids[0]
    angles = np.radians(np.linspace(-54, 54, beams))
    step = _C / (2 * spec.instrument.sample_rate)
    lower = (grid.xmin, grid.ymin, grid.zmin or 0.0)
    upper = (grid.xmax, grid.ymax, grid.zmax or 0.0)
    rows = 0
    for pitch in spec.pitches:
        attitude = HeadAttitude(0.0, np.radians(spec.roll), np.radians(pitch), spec.heading, 0.0)
        directions = directions_ashes(angles, attitude)
        rows += min(int(directions.max_range(lower, upper) / step), spec.samples) * pings
    return per_row * rows


def _needed_part(case: Case, spec: RunSpec, burst: int) -> float:
    """Return the rows of a burst that a grid needs, times the part of the beams it needs."""
    parameters = parameters_for(case.family, case.site)
    at = attitude(PingTable.from_csv(index_csv(spec.rows())), burst * spec.pings, parameters)
    span = parameters.beamformer
    angles = np.radians(np.linspace(span.start_angle, span.end_angle, beam_count(spec.instrument.frequency)))
    directions = directions_endeavour(
        angles, at.compass, at.roll, at.elevation, parameters.position.altitude, unrotated_x=False
    )
    step = np.float64(_C / (2 * spec.instrument.sample_rate))
    places = directions.at((np.arange(spec.samples) + 1) * step)
    inside = np.zeros((spec.samples, len(angles)), np.bool_)
    for axes in map(grid_axes, parameters.grids):
        inside |= np.logical_and.reduce(
            [(p >= axis[0]) & (p <= axis[-1]) for p, axis in zip(places, axes.axes, strict=True)]
        )
    rows, beams = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return 0.0
    left = int(min(beams[0], len(angles) - 1 - beams[-1]))
    return float(rows[-1] - rows[0] + 1) * (1 - 2 * left / len(angles))
