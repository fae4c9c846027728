"""Imaging, 2018+: volume scattering of plumes, its ping average and its fluctuating part (science.md 4.1)."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from covis_dask.modes._dataset import Field, Product
from covis_dask.modes.ashes._bursts import BurstProgram, run_bursts, sweeps_in_yaw
from covis_dask.modes.ashes._masks import (
    INTENSITIES,
    MASKED,
    VALID,
    Intensities,
    blanked,
    intensity_fields,
    with_fractions,
)
from covis_dask.modes.ashes._product import add_beams, add_bursts, axes_of, facts_of, scheme_of
from covis_dask.modes.ashes._setup import Attitude, Signal
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.calibration import Calibration
from covis_dask.sonar.detect import oscfar, snr_db
from covis_dask.sonar.grid import make_gridder
from covis_dask.sonar.stats import PingStatistics

__all__ = ["ImagingBurst", "ImagingProgram", "gridded_values", "imaging_burst", "process"]


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


def imaging_burst(
    pings: PingStatistics, calibration: Calibration, noise_floor: float, percentile: float, threshold: float
) -> ImagingBurst:
    """Reduce the pings of a burst (science.md 4.1 items 2.2 to 2.6).

    Parameters
    ----------
    pings : PingStatistics
        Of the beams [N, B], machine units.
    calibration : Calibration
    noise_floor : float
        Machine units, rms.
    percentile, threshold : float
        OSCFAR, % and dB.
    """
    amplitude_a: Real = np.abs(pings.mean)
    amplitude_d: Real = np.sqrt(pings.fluctuation_power)
    calibrated_a, calibrated_d = calibration.apply(amplitude_a), calibration.apply(amplitude_d)
    intensities = Intensities(
        Ia=calibrated_a**2,
        Id=calibrated_d**2,
        snr_a=snr_db(amplitude_a, noise_floor),
        snr_d=snr_db(amplitude_d, noise_floor),
        detected_a=oscfar(amplitude_a**2, percentile, threshold)[0],
        detected_d=oscfar(amplitude_d**2, percentile, threshold)[0],
    )
    return ImagingBurst(
        pings.mean, amplitude_a, amplitude_d, calibrated_a, calibrated_d, intensities, pings.kp
    )


def gridded_values(
    burst: ImagingBurst, snr_thresh: float, preset: str, *, corrected: bool
) -> dict[str, Real]:
    """Return the values that are gridded: Ia, Id, Ia_filt, Id_filt (1/m) and Kp (science.md 4.1 item 2.7).

    Parameters
    ----------
    burst : ImagingBurst
    snr_thresh : float
        dB.
    preset : str
        PP3 and PPX do not grid masked samples; the Kp they leave out spoils its cells (Q26).
    corrected : bool
        Masked samples are NaN in each variable of its own (Q25, Q26, Q42, Q43).
    """
    low = burst.intensities.snr_d < snr_thresh
    if corrected:
        values = burst.intensities.masked(snr_thresh, np.nan)
        return {**with_fractions(values), "Kp": np.where(low, np.nan, burst.Kp)}
    # The mask of Kp is that of the fluctuating part, its filling a Kp of a steady target (Q43).
    values = {**burst.intensities.masked(snr_thresh, MASKED), "Kp": np.where(low, 0.0, burst.Kp)}
    if preset != "PP2":
        values = {**blanked(values), "Kp": np.where(values["Kp"] == 0, np.nan, values["Kp"])}
    return values


class ImagingProgram(BurstProgram):
    """Accumulates the imaging grid of a run."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        super().__init__(sweep, parameters, context)
        self.axes = axes_of(parameters.grids[0])
        names = (*INTENSITIES, "Kp", *(VALID if parameters.corrected else ()))
        self.grid = make_gridder(self.axes, names, scheme_of(parameters))
        self._pings = PingStatistics()

    def begin(self) -> None:
        """Forget the burst before."""
        self._pings = PingStatistics()

    def ping(self, signal: Signal) -> None:
        """Add the beams of a ping."""
        self._pings.add(self.setup.beams(signal.filtered))

    def burst(self, attitude: Attitude) -> str | None:
        """Grid a burst."""
        parameters, scale = self.parameters, self.scale
        burst = imaging_burst(
            self._pings,
            scale.calibration,
            parameters.noise.noise_floor,
            parameters.oscfar.percentile,
            parameters.oscfar.threshold,
        )
        values = gridded_values(
            burst, parameters.noise.snr_thresh, parameters.preset, corrected=parameters.corrected
        )
        select = np.isfinite(values["Ia"]) & np.isfinite(values["Id"])
        if parameters.corrected:  # every sample counts, so that the fractions are right
            select = np.ones_like(select)
        self.grid.add(self.setup.world(scale.ranges, attitude), values, select)
        return None

    def add_to(self, product: Product) -> None:
        """Add the finished grid to a product."""
        found = self.grid.finish()
        fields = [
            *intensity_fields(found, "", "", ""),
            Field("amplitude_variance", "Kp", "normalised variance of the amplitude", "1", found["Kp"]),
            Field("gridding_weight", "w", "weight of the samples gridded", "1", found["w"]),
        ]
        product.grid(self.axes, fields, "imaging")


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Process an imaging run (science.md 4.1; presets PP2, PP3, PPX).

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family ``imaging``.
    context : Context

    Returns
    -------
    Dataset
        On (y, x, z): Ia, Id, Ia_filt, Id_filt (1/m), Kp, weight; in `corrected` also the fractions of the
        samples that passed each mask.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When nothing is left to grid.
    """
    program = ImagingProgram(sweep, parameters, context)
    run_bursts(sweep, [program], context)
    program.account.require_pings()
    product = Product(sweep, parameters)
    program.add_to(product)
    add_bursts(product, program.bursts, sweep.table, program.used)
    product.pings(sweep.table)
    add_beams(product, program.setup, program.scale)
    facts = facts_of(program.setup, program.scale, turned=sweeps_in_yaw(sweep.table))
    return product.dataset(program.account, facts)
