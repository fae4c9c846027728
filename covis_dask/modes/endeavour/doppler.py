"""Doppler, 2010-15: velocity and backscatter of the plume on grids in space.

See docs/method.md#doppler-2010-15.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
from covis_dask.modes.endeavour._operators import PingOperators
from covis_dask.modes.endeavour._reach import Part, part_within, whole
from covis_dask.modes.endeavour._series import Differences, Series
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.geometry import directions_endeavour, elevation_sine
from covis_dask.sonar.grid import Gridder, make_gridder
from covis_dask.sonar.phase import offset_covariance
from covis_dask.sonar.windows import velocity_scale, window_ranges

__all__ = ["CHANNELS", "DopplerBurst", "Series", "doppler_burst", "process"]

CHANNELS = 256
_NAMES = ("v", "v_filt", "vr", "std", "covar")


@dataclass(frozen=True, slots=True, eq=False)
class DopplerBurst:
    """One burst, ready for the grids; arrays [bins, B] unless said.

    Parameters
    ----------
    rc : ndarray of float64, [bins]
        Range of each bin, m.
    x, y, z : ndarray of float64
        World coordinates, m.
    covar : ndarray of complex128
        Autocovariance summed over the series, 1/m.
    vr, vr_filt, vr_std : ndarray of float64
        Velocity along the beam: from the phase of the sum, from the mean phase, and its deviation, cm/s.
    vz, vz_filt : ndarray of float64
        The first two for vertical flow, cm/s.
    intensity, intensity_filt, intensity_std : ndarray of float64
        Backscatter: mean, after the threshold window, deviation, 1/m.
    """

    rc: Real
    x: Real
    y: Real
    z: Real
    covar: Complex
    vr: Real
    vr_filt: Real
    vr_std: Real
    vz: Real
    vz_filt: Real
    intensity: Real
    intensity_filt: Real
    intensity_std: Real


def doppler_burst(
    series: Sequence[Series],
    operators: PingOperators,
    where: Attitude,
    parameters: Parameters,
    part: Part | None = None,
) -> DopplerBurst:
    """Combine the series of a burst and place the bins (docs/method.md#doppler-2010-15 steps 5, 6).

    Parameters
    ----------
    series : sequence of Series
    operators : PingOperators
        Those of the last ping, for ranges, beam angles and the velocity scale.
    where : Attitude
    parameters : Parameters
    part : Part, optional
        The windows that the series have; all when not given.
    """
    part, windows = part or whole(operators, parameters), whole(operators, parameters)
    fixes, lag = parameters.fixes, parameters.correlation.lag
    header = operators.header
    scale = 100 * velocity_scale(header.xmit_freq, header.sample_rate, header.sound_speed, lag)
    covar: Complex = np.sum([one.covariance for one in series], axis=0)
    theta = np.stack([np.angle(one.covariance) for one in series])
    power = np.stack([one.power for one in series])
    # The original prepares the deviation for an average of two sweeps that is made later, if at all (Q48).
    reduction = 1.0 if fixes.exact_differences else 1 / np.sqrt(2)
    vr, vr_filt = scale * np.angle(covar), scale * theta.mean(axis=0)
    intensity = power.mean(axis=0)
    rc = window_ranges(operators.ranges, windows.lagged[part.bins])
    altitude = parameters.position.altitude
    directions = directions_endeavour(
        operators.beamformer.angles[part.beams],
        where.compass,
        where.roll,
        where.elevation,
        altitude,
        unrotated_x=fixes.unrotated_x,
    )
    x, y, z = directions.at(rc)
    sine = elevation_sine(x, y, z, altitude=altitude, from_head=fixes.elevation_from_head)
    with np.errstate(divide="ignore", invalid="ignore"):
        vz, vz_filt = vr / sine, vr_filt / sine
    return DopplerBurst(
        rc=rc,
        x=x,
        y=y,
        z=z,
        covar=covar,
        vr=vr,
        vr_filt=vr_filt,
        vr_std=scale * _deviation(theta) * reduction,
        vz=vz,
        vz_filt=vz_filt,
        intensity=intensity,
        intensity_filt=intensity
        * (1 - np.exp(-((intensity / parameters.correlation.windthresh + 0.0001) ** 4))),
        intensity_std=_deviation(power) * reduction,
    )


def _deviation(stack: Real) -> Real:
    """Return the standard deviation over the first axis, 0 for a single value, as Matlab has it."""
    if len(stack) == 1:
        return np.zeros_like(stack[0])
    deviation: Real = stack.std(axis=0, ddof=1)
    return deviation


class _Program(EndeavourProgram):
    """State of a Doppler run: series of the open burst, clock offset, the two grids."""

    def __init__(
        self,
        sweep: RawSweep,
        parameters: Parameters,
        context: Context,
        velocity: Gridder,
        intensity: Gridder,
    ) -> None:
        super().__init__(sweep, parameters, context)
        self.corrects_phase = self.differences
        self.offset = 0j
        self._velocity = velocity
        self._intensity = intensity
        # The original has 0.707 (Q48).
        self._factor = float(np.sqrt(0.5)) if parameters.fixes.exact_differences else 0.707
        self.reset()

    def reset(self) -> None:
        self._series: Differences | None = None
        self._offset = 0j

    def take(self, phased: PhasedPing, operators: PingOperators) -> None:
        parameters = self.parameters
        if self._series is None:
            self._series = Differences(
                self._part(operators), self._factor if self.differences else None, parameters.precision
            )
        self._series.add(phased, operators)
        self._offset += offset_covariance(
            phased.start(operators.monitor),
            parameters.phase.channel,
            operators.monitor,
            parameters.correlation.lag,
        )

    def _part(self, operators: PingOperators) -> Part:
        """Return what of the open burst can lie in the grids: the attitude of its last good ping counts."""
        attitudes = [self._where(row) for row in self.burst.burst.rows.tolist()]
        return part_within([self._velocity.axes, self._intensity.axes], operators, attitudes, self.parameters)

    def _where(self, row: int) -> Attitude:
        """Return the attitude of the open burst when a row of the ping table is its last."""
        last = attitude(self.table, row, self.parameters)
        return Attitude(self.burst.burst.pitch * np.pi / 180, last.roll, last.compass)

    def place(self) -> None:
        if self._series is None:
            return
        where, part = self._where(self.burst.used[-1]), self._series.part
        made = doppler_burst(self._series.series, self.operators, where, self.parameters, part)
        coords = (made.x, made.y, made.z)
        shared = {"vr": made.vr, "covar": made.covar}
        self._velocity.add(
            coords,
            {"v": made.vz, "v_filt": made.vr_filt, "std": made.vr_std, **shared},
            np.isfinite(made.vz),
        )
        self._intensity.add(
            coords,
            {"v": made.intensity, "v_filt": made.intensity_filt, "std": made.intensity_std, **shared},
            np.isfinite(made.intensity),
        )
        self.offset += self._offset


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Make the product of a Doppler run of 2010-15.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family doppler, preset END.
    context : Context

    Returns
    -------
    xarray.Dataset
        Velocities, backscatter, autocovariances and weights on grids (y, x, z), the clock offset, the list of
        bursts, the ping table.

    Raises
    ------
    NoValidPings
        When no burst within the bounds has enough valid pings.
    SweepIncomplete
        When index.csv lists no ping.
    """
    scheme = scheme_of(parameters)
    unnormalised = () if parameters.fixes.normalised_covariance else ("covar",)
    specs = [parameters.grid("doppler velocity"), parameters.grid("intensity")]
    axes = [grid_axes(spec) for spec in specs]
    gridders = [make_gridder(one, _NAMES, scheme, unnormalised=unnormalised) for one in axes]
    program = _Program(sweep, parameters, context, *gridders)
    (result,) = process_bursts(sweep, [program], context)
    result.tally.require_pings()
    product = DatasetBuilder(sweep, parameters)
    for spec, one, gridder in zip(specs, axes, gridders, strict=True):
        product.grid(one, gridder.finish(), spec.name)
    _add_offset(product, program)
    add_bursts(product, result)
    product.pings(sweep.table)
    add_beams(product, program.operators)
    return product.dataset(result.tally, sonar_attributes(program.operators, program.operator_cache.fault))


def _add_offset(product: DatasetBuilder, program: _Program) -> None:
    """Add the clock offset between transmitter and receiver (docs/method.md#doppler-2010-15)."""
    header, lag = program.operators.header, program.parameters.correlation.lag
    scale = 100 * velocity_scale(header.xmit_freq, header.sample_rate, header.sound_speed, lag)
    product.own("offset_covar", np.asarray(program.offset))
    product.own("vr_offset", np.asarray(scale * np.angle(program.offset)))
