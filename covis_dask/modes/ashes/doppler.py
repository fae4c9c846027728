"""Doppler, 2018+: line-of-sight velocity and volume scattering (docs/method.md#doppler-2018)."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.errors import NoValidPings
from covis_dask.modes._scheme import scheme_of
from covis_dask.modes.ashes._bursts import AshesProgram
from covis_dask.modes.ashes._masks import (
    INTENSITIES,
    Intensities,
    gridded_intensities,
    own_samples,
)
from covis_dask.modes.ashes._product import axes_of, finished
from covis_dask.modes.ashes._setup import PhasedPing
from covis_dask.modes.ashes._velocity import DopplerBurst, DopplerSettings, Velocities, VelocityStatistics
from covis_dask.modes.bursts import process_bursts
from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.fused import BeamBlock
from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.grid import Gridder, OwnSamples, make_gridder
from covis_dask.sonar.phase import monitor_samples, offset_covariance
from covis_dask.sonar.windows import Bins, lagged_bins, velocity_scale, window_bins, window_ranges

__all__ = ["DopplerProgram", "gridded_velocities", "process"]

_MONITOR: Final = -1
_MONITOR_PULSES: Final = 3.0
_OFFSET_ROWS: Final = 40
"""Pings per burst for which the original has room before its table of offsets grows."""

_VELOCITIES: Final = ("vr_cov", "vr_vel", "std", "covar")


def gridded_velocities(
    velocities: Velocities, snr_d: Real, snr_thresh: float, *, separate_masks: bool
) -> dict[str, NDArray[np.float64] | Complex]:
    """Return the velocities that are gridded: NaN where the SNR of the fluctuating part is low.

    Parameters
    ----------
    velocities : Velocities
    snr_d : ndarray of float64, [nbins, B]
        dB; where it is NaN nothing is masked (Q31).
    snr_thresh : float
        dB.
    separate_masks : bool
        Only windows without a covariance are left out; the original leaves out every value that is 0 (Q42).
    """
    low = snr_d < snr_thresh
    values: dict[str, NDArray[np.float64] | Complex] = {}
    for name, value in (
        ("vr_cov", velocities.vr_cov),
        ("vr_vel", velocities.vr_vel),
        ("std", velocities.vr_std),
        ("covar", velocities.covar),
    ):
        empty = velocities.covar == 0 if separate_masks else value == 0
        values[name] = np.where(low | empty, np.nan, value)
    return values


class _Offsets:
    """Covariance of the monitored transmission of every ping [slot, burst], and the velocity it feigns."""

    def __init__(self, bursts: int, *, separate_masks: bool) -> None:
        self._found: dict[tuple[int, int], complex] = {}
        self._bursts = bursts
        self._separate_masks = separate_masks

    def put(self, slot: int, burst: int, covariance: complex) -> None:
        self._found[slot, burst] = covariance

    def table(self) -> Complex:
        """Return all covariances: NaN without a ping, but 0 where the original's table grew (Q42)."""
        rows = max([_OFFSET_ROWS, *(slot + 1 for slot, _ in self._found)])
        table = np.full((rows, self._bursts), np.nan, dtype=np.complex128)
        if not self._separate_masks:
            table[_OFFSET_ROWS:] = 0
        for cell, covariance in self._found.items():
            table[cell] = covariance
        return table


class DopplerProgram(AshesProgram):
    """Accumulates the three grids of a Doppler run."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        super().__init__(sweep, parameters, context)
        header, correlation, oscfar = self.setup.header, parameters.correlation, parameters.oscfar
        try:
            W, O = window_bins(self.setup.fs, correlation.window_size, correlation.window_overlap)  # noqa: E741
        except ValueError as error:
            raise NoValidPings(f"pings cannot be divided into windows: {error}") from error
        c, fixes = self.setup.c_scale, parameters.fixes
        self.settings = DopplerSettings(
            W,
            O,
            correlation.nlag,
            velocity_scale(header.xmit_freq, self.setup.fs, c, correlation.nlag),
            oscfar.percentile,
            oscfar.threshold,
            about_mean=parameters.preset == "PP3",
            complex_mean=fixes.complex_mean,
            valid_pings=fixes.mean_of_valid_pings,
        )
        # The monitor channel is not filtered, so its lag is counted at the recorded rate.
        self._offset_scale = velocity_scale(header.xmit_freq, header.sample_rate, c, correlation.nlag)
        self._offset_samples = monitor_samples(_MONITOR_PULSES, header.sample_rate, header.pulse_width)
        self.offsets = _Offsets(len(self.plan.bursts), separate_masks=fixes.separate_masks)
        scheme = scheme_of(parameters)
        own = OwnSamples(own_samples(parameters.preset, fixes), INTENSITIES if fixes.separate_masks else ())
        self.axes = {
            name: axes_of(parameters.grid(name))
            for name in ("doppler velocity", "intensity", "intensity_win")
        }
        self._velocity = make_gridder(self.axes["doppler velocity"], _VELOCITIES, scheme)
        self._samples = make_gridder(self.axes["intensity"], INTENSITIES, scheme, own=own)
        self._windows = make_gridder(self.axes["intensity_win"], INTENSITIES, scheme, own=own)
        self._taken, self._rows = 0, 0
        self._statistics = VelocityStatistics(self.settings)
        self._room: Complex = np.empty((0, 0), np.complex128)

    def reset(self) -> None:
        """Forget the burst before."""
        self._taken, self._rows = 0, 0

    def take(self, phased: PhasedPing) -> None:
        """Add the calibrated beams of a ping, and what its transmission says of the clocks."""
        slot = self.burst.last - int(self.burst.burst.rows[0])
        self.offsets.put(
            slot,
            self.burst.index,
            offset_covariance(
                phased.start(self._offset_samples), _MONITOR, self._offset_samples, self.settings.lag
            ),
        )
        if not self._taken:
            self._rows = self._rows_needed()
            self._statistics = VelocityStatistics(self.settings, len(self.range_calibration.ranges))
        shape = (self._rows, len(self.setup.beams.angles))
        self._statistics.add_blocks(shape, self._calibrated(phased))
        self._taken += 1

    def _bins(self) -> Bins:
        """Return the windows of a whole ping."""
        settings = self.settings
        return lagged_bins(len(self.range_calibration.ranges), settings.W, settings.O, settings.lag)

    def _rows_needed(self) -> int:
        """Return up to where samples of the open burst, or of windows, can lie in a grid."""
        rows, ranges, settings = (
            self.burst.burst.rows.tolist(),
            self.range_calibration.ranges,
            self.settings,
        )
        furthest = max(self.setup.max_range(axes, self.table, rows) for axes in self.axes.values())
        # A window counts where its middle lies.
        beyond = settings.W + settings.lag
        return min(int(np.searchsorted(ranges, furthest, side="right")) + beyond, len(ranges))

    def _calibrated(self, phased: PhasedPing) -> Iterator[BeamBlock]:
        """Yield the calibrated beams of a ping in blocks that are overwritten by the next."""
        for rows, beams in phased.beam_blocks(self._rows):
            if len(self._room) < len(beams):
                self._room = np.empty(beams.shape, np.complex128)
            block = self._room[: len(beams)]
            self.range_calibration.calibration.apply_to(beams, rows, block)
            yield rows, block

    def place(self, attitude: HeadAttitude) -> str | None:
        """Grid a burst."""
        parameters, ranging = self.parameters, self.range_calibration
        thresh = parameters.noise.snr_thresh
        floor: Real = np.full((self._rows, len(self.setup.beams.angles)), parameters.noise.noise_floor)
        noise = ranging.calibration.of_rows(self._rows).apply(floor)
        reduced: DopplerBurst = self._statistics.burst(noise, complete=self._taken == len(self.burst.burst))
        rc = window_ranges(ranging.ranges, self._bins()[: len(reduced.windows.Ia)])
        at_samples = self.setup.world(ranging.ranges[: self._rows], attitude)
        at_windows = self.setup.world(rc, attitude)
        velocities = gridded_velocities(
            reduced.velocities, reduced.windows.snr_d, thresh, separate_masks=parameters.fixes.separate_masks
        )
        self._velocity.add(at_windows, velocities, np.isfinite(velocities["vr_cov"]))
        self._add(self._samples, at_samples, reduced.samples)
        self._add(self._windows, at_windows, reduced.windows)
        return None

    def _add(self, grid: Gridder, coordinates: tuple[Real, Real, Real], intensities: Intensities) -> None:
        parameters = self.parameters
        thresh, fixes = parameters.noise.snr_thresh, parameters.fixes
        values = gridded_intensities(intensities, thresh, parameters.preset, fixes)
        if fixes.separate_masks:  # every sample is taken, so that the fractions are right
            grid.add(coordinates, values, np.ones(intensities.Ia.shape, dtype=np.bool_))
        else:
            grid.add(coordinates, values, np.isfinite(values["Ia"]) & np.isfinite(values["Id"]))

    def add_to(self, product: DatasetBuilder) -> None:
        """Add the finished grids and the offsets to a product."""
        velocities = dict(self._velocity.finish())
        if not self.parameters.fixes.separate_masks:
            # The original sets what came out as NaN to 0 before it divides by the weight.
            for key in _VELOCITIES:
                velocities[key] = np.where(
                    np.isnan(velocities[key]) & (velocities["w"] > 0), 0, velocities[key]
                )
        product.grid(self.axes["doppler velocity"], velocities, "doppler_velocity")
        product.grid(self.axes["intensity"], self._samples.finish(), "intensity")
        product.grid(self.axes["intensity_win"], self._windows.finish(), "intensity_win")
        offsets, scale = self.offsets.table(), self._offset_scale
        product.own("vr_offset", scale * np.angle(offsets))
        product.own("vr_offset_ave", np.asarray(scale * np.angle(np.nansum(offsets))))


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Process a Doppler run (docs/method.md#doppler-2018; presets PP3, PPX).

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family ``doppler``.
    context : Context

    Returns
    -------
    Dataset
        On (y, x, z): velocities (m/s) and covariance, intensities of samples and of windows (1/m), weights;
        with separate masks (Q42) also the fractions of the samples that passed each mask. Offsets by ping
        and burst.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When nothing is left to grid.
    """
    program = DopplerProgram(sweep, parameters, context)
    (result,) = process_bursts(sweep, [program], context)
    result.tally.require_pings()
    product = DatasetBuilder(sweep, parameters)
    program.add_to(product)
    return finished(product, program, result, sweep)
