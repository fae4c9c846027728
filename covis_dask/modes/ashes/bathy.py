"""Bathymetry, 2018+: height of the seafloor from the strongest echo of every beam.

See docs/method.md#bathymetry-2018.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from covis_dask.modes._scheme import scheme_of
from covis_dask.modes.ashes._bursts import AshesProgram
from covis_dask.modes.ashes._product import axes_of, finished
from covis_dask.modes.ashes._setup import PhasedPing
from covis_dask.modes.bursts import process_bursts
from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._burst_kernels import echo_strength, first_peak_of_median, powers
from covis_dask.sonar._types import Bool, Complex, Int, Real
from covis_dask.sonar.calibration import Calibration
from covis_dask.sonar.detect import NoiseLevels, OscfarLevels, oscfar, percentile_hazen, snr_db
from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.grid import make_gridder
from covis_dask.sonar.stats import PingStatistics, median_filter

__all__ = ["BathyBurst", "BathyProgram", "bathy_burst", "bathy_peaks", "first_maximum", "process"]


@dataclass(frozen=True, slots=True, eq=False)
class BathyBurst:
    """A burst of a bathymetry run; arrays [N, B] unless said.

    Attributes
    ----------
    mean : ndarray of complex128
        Mean of the pings, undetected samples replaced by the clutter level, machine units.
    snr : ndarray of float64
        Signal-to-noise ratio before the replacement, dB.
    detected : ndarray of bool
        OSCFAR.
    clutter : ndarray of float64, [N]
        The OSCFAR percentile of each range, machine units squared.
    calibrated : ndarray of complex128
        Calibrated mean, m.
    strength : ndarray of float64
        Target strength (linear, m^2); its least value where the SNR is low.
    smooth : ndarray of float64
        `strength` after the median filter along range.
    peak : ndarray of int64, [B]
        Sample of the strongest echo of each beam.
    """

    mean: Complex
    snr: Real
    detected: Bool
    clutter: Real
    calibrated: Complex
    strength: Real
    smooth: Real
    peak: Int


def first_maximum(values: Real) -> Int:
    """Return the row [B] of the first maximum of every column of [N, B]; NaN ignored, 0 where all are NaN."""
    rows: Int = np.argmax(np.where(np.isnan(values), -np.inf, values), axis=0).astype(np.int64)
    return rows


def bathy_burst(
    mean: Complex,
    calibration: Calibration,
    noise: NoiseLevels,
    levels: OscfarLevels,
    median_window: int,
) -> BathyBurst:
    """Find the seafloor in the mean of a burst (docs/method.md#bathymetry-2018 steps 3 to 6).

    Parameters
    ----------
    mean : ndarray of complex128, [N, B]
        Mean of the pings, machine units.
    calibration : Calibration
    noise : NoiseLevels
    levels : OscfarLevels
    median_window : int
        Length of the median filter, samples.
    """
    snr = snr_db(np.abs(mean), noise.noise_floor)
    detected, clutter = oscfar(mean.real**2 + mean.imag**2, levels.percentile, levels.threshold)
    cleared = np.where(detected, mean, np.sqrt(clutter.min()))
    calibrated = calibration.apply(cleared)
    strength = calibrated.real**2 + calibrated.imag**2
    # fmin leaves NaN out, as Matlab's min does.
    strength[snr < noise.snr_thresh] = np.fmin.reduce(strength, axis=None)
    smooth = median_filter(strength, median_window)
    return BathyBurst(cleared, snr, detected, clutter, calibrated, strength, smooth, first_maximum(smooth))


def bathy_peaks(
    mean: Complex,
    calibration: Calibration,
    noise: NoiseLevels,
    levels: OscfarLevels,
    median_window: int,
    room: Real,
) -> Int:
    """Return `bathy_burst`'s `peak` alone, which takes a tenth of the time.

    Parameters
    ----------
    mean, calibration, noise, levels, median_window
        As for `bathy_burst`.
    room : ndarray of float64, [N, B]
        Room to work in.
    """
    if not calibration.valid:  # NaN have rules of their own
        return bathy_burst(mean, calibration, noise, levels, median_window).peak
    beams = mean.view(np.float64)
    powers(beams, room)
    clutter = percentile_hazen(room, levels.percentile, overwrite_input=True)
    echo_strength(
        beams,
        clutter,
        calibration.range_gain,
        calibration.beam_gain,
        10 ** (levels.threshold / 10),
        float(np.sqrt(clutter.min())),
        (noise.noise_floor * 10 ** (noise.snr_thresh / 20)) ** 2,
        room,
    )
    peaks = np.zeros(mean.shape[1], np.int64)
    first_peak_of_median(room, median_window, peaks)
    return peaks


class BathyProgram(AshesProgram):
    """Picks one seafloor point per beam and burst, and grids their heights."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        super().__init__(sweep, parameters, context)
        self.axes = axes_of(parameters.grids[0])
        self.grid = make_gridder(self.axes, ["v"], scheme_of(parameters))
        self._pings = PingStatistics()
        self._room: Real = np.empty((0, 0))
        self.points = np.full((3, len(self.setup.beams.angles), len(self.plan.bursts)), np.nan)

    def reset(self) -> None:
        """Forget the burst before."""
        self._pings.reset()

    def take(self, phased: PhasedPing) -> None:
        """Add the beams of a ping."""
        shape = (phased.rows, len(self.setup.beams.angles))
        self._pings.add_blocks(shape, phased.beam_blocks())

    def place(self, attitude: HeadAttitude) -> str | None:
        """Pick the points of a burst."""
        parameters, ranging = self.parameters, self.range_calibration
        if self._room.shape != self._pings.shape:
            self._room = np.empty(self._pings.shape)
        peaks = bathy_peaks(
            self._pings.mean,
            ranging.calibration,
            parameters.noise,
            parameters.oscfar,
            parameters.bathy.median_window,
            self._room,
        )
        x, y, z = self.setup.world(ranging.ranges[peaks][None, :], attitude)
        self.points[:, :, self.burst.index] = x[0], y[0], z[0]
        self.grid.add((x, y), {"v": z}, np.isfinite(z))
        return None


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Process a bathymetry run (docs/method.md#bathymetry-2018; preset PP2).

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family ``bathy``.
    context : Context

    Returns
    -------
    Dataset
        On (y, x): seafloor height (m), weight; on (beam, burst): the points picked.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When nothing is left to grid.
    """
    program = BathyProgram(sweep, parameters, context)
    (result,) = process_bursts(sweep, [program], context)
    result.tally.require_pings()
    product = DatasetBuilder(sweep, parameters)
    gridded = program.grid.finish()
    height = gridded["v"]
    if not parameters.fixes.separate_masks:
        # The original takes a height of exactly 0 for an empty cell (Q41, Q42).
        height = np.where(height == 0, np.nan, height)
    product.grid(program.axes, {"v": height, "w": gridded["w"]})
    for name, points in zip("xyz", program.points, strict=True):
        product.own(f"{name}b_out", points)
    return finished(product, program, result, sweep)
