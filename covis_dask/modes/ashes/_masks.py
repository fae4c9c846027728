"""The four masked intensities of imaging and Doppler, 2018+: mean and fluctuating part, each also filtered.

science.md 4.1 item 2.7, 4.6 items 3 and 4; Q25, Q42.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from covis_dask.modes._dataset import Field
from covis_dask.sonar._types import Bool, Real

__all__ = ["INTENSITIES", "MASKED", "Intensities", "blanked", "intensity_fields"]

MASKED: Final = 1e-9
"""What the original stores instead of an intensity below a threshold (1/m), and grids like data (Q42)."""

INTENSITIES: Final = ("Ia", "Id", "Ia_filt", "Id_filt")

_WORDS: Final = {
    "Ia": ("backscatter_mean", "volume backscattering coefficient of the average of the pings"),
    "Id": ("backscatter_fluctuating", "volume backscattering coefficient of the deviations from the average"),
    "Ia_filt": (
        "backscatter_mean_detected",
        "volume backscattering coefficient of the average, where detected",
    ),
    "Id_filt": (
        "backscatter_fluctuating_detected",
        "volume backscattering coefficient of the deviations, where detected",
    ),
}


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

    def masked(self, snr_thresh: float, fill: float) -> dict[str, Real]:
        """Return the four intensities, filled where below a threshold.

        Parameters
        ----------
        snr_thresh : float
            dB.
        fill : float
            `MASKED` in the original, NaN in `corrected`.
        """
        low_a, low_d = self.snr_a < snr_thresh, self.snr_d < snr_thresh
        return {
            "Ia": np.where(low_a, fill, self.Ia),
            "Id": np.where(low_d, fill, self.Id),
            "Ia_filt": np.where(low_a | ~self.detected_a, fill, self.Ia),
            "Id_filt": np.where(low_d | ~self.detected_d, fill, self.Id),
        }


def blanked(values: Mapping[str, Real]) -> dict[str, Real]:
    """Return masked intensities as PP3 and PPX grid them: not at all where Ia or Id is masked.

    Ia_filt and Id_filt keep what they are masked with, because the original tests the wrong arrays (Q25).
    """
    return {
        name: np.where(value == MASKED, np.nan, value) if name in {"Ia", "Id"} else value
        for name, value in values.items()
    }


def intensity_fields(found: Mapping[str, NDArray[Any]], name: str, original: str, what: str) -> list[Field]:
    """Return the fields of gridded intensities.

    Parameters
    ----------
    found : mapping
        Finished grids by name.
    name, original : str
        Prefixes of the fields' own and original names.
    what : str
        Ends their long names.
    """
    fields = [
        Field(name + word, original + key, long_name + what, "m-1", found[key])
        for key, (word, long_name) in _WORDS.items()
    ]
    return fields + [
        Field(
            f"{name}{word}_valid_fraction",
            f"{original}{key}_valid",
            f"part of the samples, by weight, that entered the {long_name}{what}",
            "1",
            found[f"{key}_valid"],
        )
        for key, (word, long_name) in _WORDS.items()
        if f"{key}_valid" in found
    ]
