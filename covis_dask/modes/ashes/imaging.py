"""Imaging, 2018+: volume scattering of plumes, its ping average and its fluctuating part.

See docs/method.md#imaging-2018.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

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
from covis_dask.modes.bursts import process_bursts
from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.fixes import Fixes
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Bool, Complex, Int, Real
from covis_dask.sonar.detect import NoiseLevels, OscfarLevels, oscfar_at, snr_db
from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.grid import OwnSamples, make_gridder
from covis_dask.sonar.stats import PingStatistics

__all__ = ["ImagingBurst", "ImagingProgram", "gridded_values", "imaging_samples", "own_variables", "process"]


@dataclass(frozen=True, slots=True, eq=False)
class ImagingBurst:
    """A burst before masking; arrays [N, B].

    Attributes
    ----------
    average : ndarray of complex128
        Mean of the pings, machine units.
    amplitude_a, amplitude_d : ndarray of float64
        Magnitude of the mean, and root mean square deviation from it, machine units.
    calibrated_a, calibrated_d : ndarray of float64
        Calibrated amplitudes; their squares are 1/m.
    intensities : Intensities
    Kp : ndarray of float64
        Normalised amplitude variance.
    """

    average: Complex
    amplitude_a: Real
    amplitude_d: Real
    calibrated_a: Real
    calibrated_d: Real
    intensities: Intensities
    Kp: Real


def imaging_samples(
    pings: PingStatistics,
    gain: Real,
    noise: NoiseLevels,
    levels: OscfarLevels,
    places: Int,
) -> ImagingBurst:
    """Reduce some samples of a burst (docs/method.md#imaging-2018 steps 2.2 to 2.6); the arrays are flat.

    Parameters
    ----------
    pings : PingStatistics
        Of the beams [N, B], machine units.
    gain : ndarray of float64, [N, B]
        Calibration of each sample; it may have more rows.
    noise : NoiseLevels
        Samples below the threshold are masked, so that nobody asks whether they are detected.
    levels : OscfarLevels
    places : ndarray of int64, [n]
        Which samples, counted in the flat array [N, B].
    """
    samples = pings.at(places)
    least = (noise.noise_floor * 10 ** (noise.snr_thresh / 20)) ** 2 * (1 - 1e-9)

    def detected(at_places: Real, of_rows: Callable[[Int], Real]) -> Bool:
        return oscfar_at(places, at_places, of_rows, pings.shape[1], least, levels)

    return _reduced(
        samples,
        gain.reshape(-1)[places],
        noise.noise_floor,
        detected(np.abs(samples.mean) ** 2, lambda rows: np.abs(pings.mean[rows]) ** 2),
        detected(samples.fluctuation_power, lambda rows: pings.fluctuation_power_of(rows)),
    )


def _reduced(
    pings: PingStatistics, gain: Real, noise_floor: float, detected_a: Bool, detected_d: Bool
) -> ImagingBurst:
    amplitude_a: Real = np.abs(pings.mean)
    amplitude_d: Real = np.sqrt(pings.fluctuation_power)
    calibrated_a, calibrated_d = amplitude_a * gain, amplitude_d * gain
    intensities = Intensities(
        Ia=calibrated_a**2,
        Id=calibrated_d**2,
        snr_a=snr_db(amplitude_a, noise_floor),
        snr_d=snr_db(amplitude_d, noise_floor),
        detected_a=detected_a,
        detected_d=detected_d,
    )
    return ImagingBurst(
        pings.mean, amplitude_a, amplitude_d, calibrated_a, calibrated_d, intensities, pings.kp
    )


def gridded_values(burst: ImagingBurst, snr_thresh: float, preset: str, fixes: Fixes) -> dict[str, Real]:
    """Return the values that are gridded: Ia, Id, Ia_filt, Id_filt (1/m) and Kp.

    See docs/method.md#imaging-2018 step 2.7.

    Parameters
    ----------
    burst : ImagingBurst
    snr_thresh : float
        dB.
    preset : str
        PP3 and PPX do not grid masked samples, and take a Kp of 0 for the mark of one.
    fixes : Fixes
    """
    # The mask of Kp is that of the fluctuating part, its filling a Kp of a steady target (Q43).
    unmarked = fixes.kp_mask_without_value
    Kp = np.where(burst.intensities.snr_d < snr_thresh, np.nan if unmarked else 0.0, burst.Kp)
    if preset != "PP2" and not unmarked:
        Kp = np.where(Kp == 0, np.nan, Kp)
    return {**gridded_intensities(burst.intensities, snr_thresh, preset, fixes), "Kp": Kp}


def own_variables(preset: str, fixes: Fixes) -> tuple[str, ...]:
    """Return the variables that are averaged over samples of their own; another's NaN spoils its cells."""
    # What PP3 and PPX leave out of Kp does that (Q26); PP2 leaves nothing out unless Q43 is mended.
    own_kp = fixes.kp_mask_without_value if preset == "PP2" else fixes.kp_of_valid_samples
    return (*own_samples(preset, fixes), *(("Kp",) if own_kp else ()))


class ImagingProgram(AshesProgram):
    """Accumulates the imaging grid of a run."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        super().__init__(sweep, parameters, context)
        self.axes, fixes = axes_of(parameters.grids[0]), parameters.fixes
        self.grid = make_gridder(
            self.axes,
            (*INTENSITIES, "Kp"),
            scheme_of(parameters),
            dtype=parameters.precision,
            own=OwnSamples(
                own_variables(parameters.preset, fixes), INTENSITIES if fixes.separate_masks else ()
            ),
        )
        self._pings = PingStatistics()
        self._gain: Real = np.empty((0, 0))
        self._rows = 0

    def reset(self) -> None:
        """Forget the burst before."""
        self._pings.reset()

    def take(self, phased: PhasedPing) -> None:
        """Add the beams of a ping, as far as they can lie in the grid."""
        if not self._pings.count:
            furthest = self.setup.max_range(self.axes, self.table, self.burst.burst.rows.tolist())
            self._rows = int(np.searchsorted(self.range_calibration.ranges, furthest, side="right"))
        shape = (self._rows, len(self.setup.beams.angles))
        self._pings.add_blocks(shape, phased.beam_blocks(self._rows))

    def place(self, attitude: HeadAttitude) -> str | None:
        """Grid a burst."""
        parameters, ranging = self.parameters, self.range_calibration
        noise = parameters.noise
        if not self._gain.size:
            self._gain = ranging.calibration.gain

        def pick(places: Int) -> dict[str, Real]:
            samples = imaging_samples(self._pings, self._gain, noise, parameters.oscfar, places)
            return gridded_values(samples, noise.snr_thresh, parameters.preset, parameters.fixes)

        self.grid.add_beams(
            self.setup.directions(attitude), ranging.ranges[: self._rows], pick, self._select()
        )
        return None

    def _select(self) -> Bool | None:
        """Say which samples have a value of Ia and of Id to grid; None means all."""
        parameters = self.parameters
        if parameters.fixes.separate_masks:  # every sample is taken, so that the fractions are right
            return None
        select = None if self.range_calibration.calibration.valid else np.isfinite(self._gain[: self._rows])
        if parameters.preset == "PP2":
            return select
        high = np.minimum(np.abs(self._pings.mean), np.sqrt(self._pings.fluctuation_power))
        masked = snr_db(high, parameters.noise.noise_floor) < parameters.noise.snr_thresh
        return ~masked if select is None else select & ~masked

    def add_to(self, product: DatasetBuilder) -> None:
        """Add the finished grid to a product."""
        product.grid(self.axes, self.grid.finish())


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Process an imaging run (docs/method.md#imaging-2018; presets PP2, PP3, PPX).

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family ``imaging``.
    context : Context

    Returns
    -------
    Dataset
        On (y, x, z): Ia, Id, Ia_filt, Id_filt (1/m), Kp, weight; with separate masks (Q42) also the
        fractions of the samples that passed each mask.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When nothing is left to grid.
    """
    program = ImagingProgram(sweep, parameters, context)
    (result,) = process_bursts(sweep, [program], context)
    result.tally.require_pings()
    product = DatasetBuilder(sweep, parameters)
    program.add_to(product)
    return finished(product, program, result, sweep)
