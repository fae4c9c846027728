"""The four masked intensities of imaging and Doppler, 2018+: mean and fluctuating part, each also filtered.

See docs/method.md#imaging-2018 step 2.7, #doppler-2018 steps 3 and 4; Q25, Q42.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from covis_dask.modes.fixes import Fixes
from covis_dask.sonar._types import Bool, Real

__all__ = ["INTENSITIES", "MASKED", "Intensities", "gridded_intensities", "own_samples"]

MASKED: Final = 1e-9
"""What the original stores instead of an intensity below a threshold (1/m), and grids like data (Q42)."""

INTENSITIES: Final = ("Ia", "Id", "Ia_filt", "Id_filt")


@dataclass(frozen=True, slots=True, eq=False)
class Intensities:
    """Intensities before masking, and what masks them; arrays [N, B].

    Attributes
    ----------
    Ia, Id : ndarray of float64
        Calibrated intensity of the ping mean and of the deviations from it, 1/m.
    snr_a, snr_d : ndarray of float64
        Signal-to-noise ratios, dB.
    detected_a, detected_d : ndarray of bool
        OSCFAR.
    """

    Ia: Real
    Id: Real
    snr_a: Real
    snr_d: Real
    detected_a: Bool
    detected_d: Bool

    def masked(self, snr_thresh: float, low: float, undetected: float) -> dict[str, Real]:
        """Return the four intensities, filled where below a threshold.

        Parameters
        ----------
        snr_thresh : float
            dB.
        low, undetected : float
            What is put below that threshold, and where a filtered intensity is not detected.
        """
        low_a, low_d = self.snr_a < snr_thresh, self.snr_d < snr_thresh
        return {
            "Ia": np.where(low_a, low, self.Ia),
            "Id": np.where(low_d, low, self.Id),
            "Ia_filt": np.where(low_a, low, np.where(self.detected_a, self.Ia, undetected)),
            "Id_filt": np.where(low_d, low, np.where(self.detected_d, self.Id, undetected)),
        }


def gridded_intensities(
    intensities: Intensities, snr_thresh: float, preset: str, fixes: Fixes
) -> dict[str, Real]:
    """Return the four intensities as they are gridded (1/m): what is NaN is left out.

    PP2 grids what it masks with like data (Q42). PP3 and PPX mean to leave it out: samples where Ia or Id is
    low are not gridded at all, but Ia_filt and Id_filt keep `MASKED` where nothing is detected, because the
    originals test the wrong arrays (Q25).

    Parameters
    ----------
    intensities : Intensities
    snr_thresh : float
        dB.
    preset : str
    fixes : Fixes
    """
    first = preset == "PP2"
    left_out = fixes.separate_masks if first else fixes.blanked_filtered
    low, undetected = (np.nan if mended else MASKED for mended in (fixes.separate_masks, left_out))
    values = intensities.masked(snr_thresh, low, undetected)
    if not (first or fixes.separate_masks):
        for name in ("Ia", "Id"):
            values[name] = np.where(values[name] == MASKED, np.nan, values[name])
    return values


def own_samples(preset: str, fixes: Fixes) -> tuple[str, ...]:
    """Return the intensities that are averaged over samples of their own: those in which they are numbers."""
    if fixes.separate_masks:
        return INTENSITIES
    return ("Ia_filt", "Id_filt") if fixes.blanked_filtered and preset != "PP2" else ()
