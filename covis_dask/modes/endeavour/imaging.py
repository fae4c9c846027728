"""Imaging, 2010-15: backscatter that changes from ping to ping, on a grid in space.

See docs/method.md#imaging-2010-15.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr

from covis_dask.modes._phased_ping import PhasedPing
from covis_dask.modes._scheme import scheme_of
from covis_dask.modes.bursts import process_bursts
from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.endeavour._bursts import (
    Attitude,
    EndeavourProgram,
    add_beams,
    add_bursts,
    attitude,
    grid_axes,
    sonar_attributes,
)
from covis_dask.modes.endeavour._operators import PingOperators, calibrated_beams
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.geometry import directions_endeavour
from covis_dask.sonar.grid import Gridder, make_gridder

__all__ = ["CHANNELS", "ImagingBurst", "image_burst", "process"]

CHANNELS = 256


@dataclass(frozen=True, slots=True, eq=False)
class ImagingBurst:
    """One burst, ready for the grid; arrays [N, B].

    Parameters
    ----------
    x, y, z : ndarray of float64
        World coordinates, m.
    v : ndarray of float64
        Volume backscatter, 1/m.
    """

    x: Real
    y: Real
    z: Real
    v: Real


def image_burst(
    pages: Sequence[Complex], operators: PingOperators, where: Attitude, parameters: Parameters
) -> ImagingBurst:
    """Combine the pings of a burst and place them (docs/method.md#imaging-2010-15 steps 2.2, 2.3).

    Parameters
    ----------
    pages : sequence of ndarray of complex128, [N, B]
        Calibrated pings, 1/sqrt(m).
    operators : PingOperators
        Those of the last ping, for ranges and beam angles.
    where : Attitude
    parameters : Parameters
    """
    if parameters.ping_combination.mode == "diff":
        powers = [_power(0.5 * (later - earlier)) for earlier, later in pairwise(pages)]
    else:
        powers = [_power(page) for page in pages]
    directions = directions_endeavour(
        operators.beamformer.angles,
        where.compass,
        where.roll,
        where.elevation,
        parameters.position.altitude,
        unrotated_x=parameters.fixes.unrotated_x,
    )
    x, y, z = directions.at(operators.ranges)
    return ImagingBurst(x, y, z, np.mean(powers, axis=0))


def _power(samples: Complex) -> Real:
    """Return |samples|^2."""
    power: Real = samples.real**2 + samples.imag**2
    return power


class _Program(EndeavourProgram):
    """State of an imaging run: pages of the open burst, pages left over, the grid."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context, gridder: Gridder) -> None:
        super().__init__(sweep, parameters, context, parameters.filter.decimation)
        self._gridder = gridder
        self._pages: list[Complex] = []
        self._left: list[Complex] = []

    def reset(self) -> None:
        self._pages = []

    def take(self, phased: PhasedPing, operators: PingOperators) -> None:
        self._pages.append(calibrated_beams(phased, operators))

    def place(self) -> None:
        pages = self._pages
        if not self.parameters.fixes.own_pings:
            # The original's array of pings is never cleared: pings of longer bursts show through (Q19).
            pages = self._left = [*pages, *self._left[len(pages) :]]
        where = attitude(self.table, self.burst.used[0], self.parameters)
        image = image_burst(pages, self.operators, where, self.parameters)
        self._gridder.add((image.x, image.y, image.z), {"v": image.v}, np.isfinite(image.v))


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Make the product of an imaging run of 2010-15.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family imaging, preset END.
    context : Context

    Returns
    -------
    xarray.Dataset
        Backscatter and weight on the grid (y, x, z), the list of bursts, the ping table.

    Raises
    ------
    NoValidPings
        When no burst within the bounds has enough valid pings.
    SweepIncomplete
        When index.csv lists no ping.
    """
    axes = grid_axes(parameters.grids[0])
    gridder = make_gridder(axes, ("v",), scheme_of(parameters))
    program = _Program(sweep, parameters, context, gridder)
    (result,) = process_bursts(sweep, [program], context)
    result.tally.require_pings()
    grids = gridder.finish()
    product = DatasetBuilder(sweep, parameters)
    product.grid(axes, grids)
    add_bursts(product, result)
    product.pings(sweep.table)
    add_beams(product, program.operators)
    return product.dataset(result.tally, sonar_attributes(program.operators, program.operator_cache.fault))
