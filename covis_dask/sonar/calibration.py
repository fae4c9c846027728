"""From machine units to scattering strength (docs/method.md#calibration, #scattering-strength).

The measured tables lie beside this module as JSON, one file per calibration.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar._window_kernels import calibrate

__all__ = ["Calibration", "CalibrationUnavailable", "Medium", "SonarSettings", "calibration"]

_Samples = TypeVar("_Samples", Complex, Real)

# Era, mode, frequency -> projector. What is not here cannot be calibrated.
_PROJECTORS: Mapping[tuple[str, str, float], str] = {
    ("END", "VSS", 396_000): "fan",
    ("END", "TS", 396_000): "fan",
    ("END", "TS", 200_000): "wide",
    ("ASHES", "VSS", 396_000): "fan",
    ("ASHES", "TS-Fan", 396_000): "fan",
    ("ASHES", "TS-Wide", 200_000): "wide",
}
_TABLES = {"END": "calibration_2010.json", "ASHES": "calibration_2018.json"}


class CalibrationUnavailable(ValueError):
    """There is no calibration for this mode at this frequency."""


@dataclass(frozen=True, slots=True)
class SonarSettings:
    """How the sonar was set.

    Parameters
    ----------
    freq : float
        Transmit frequency, Hz.
    tau : float
        Pulse length, s.
    power, gain : float
        Settings of source level and receiver gain, dB.
    """

    freq: float
    tau: float
    power: float
    gain: float


@dataclass(frozen=True, slots=True)
class Medium:
    """What the water does to sound.

    Parameters
    ----------
    sound_speed : float
        For the insonified volume, m/s: the header's, as in the originals, or the one of all else (Q14).
    alpha : float
        Absorption, dB/m.
    """

    sound_speed: float
    alpha: float


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Gains that turn beams into scattering strength; make one with `calibration`.

    Attributes
    ----------
    range_gain : ndarray of float64, [N]
        Constant factor and transmission loss of each range.
    beam_gain : ndarray of float64, [B]
        Transmit pattern, receiver sensitivity and beam width of each beam.
    fault : str or None
        Why the gains are not all numbers (Q44); the results are NaN there.
    """

    range_gain: Real
    beam_gain: Real
    fault: str | None = None

    @property
    def valid(self) -> bool:
        """True where every gain is a number."""
        return self.fault is None

    @property
    def gain(self) -> Real:
        """The gain of every sample, [N, B]."""
        return self.range_gain[:, None] * self.beam_gain

    def of_rows(self, rows: int) -> "Calibration":
        """Return the gains of the first ranges."""
        return Calibration(self.range_gain[:rows], self.beam_gain, self.fault)

    def of_beams(self, beams: slice) -> "Calibration":
        """Return the gains of some beams."""
        return Calibration(self.range_gain, self.beam_gain[beams], self.fault)

    def apply(self, y: _Samples) -> _Samples:
        """Scale beams [N, B] to scattering strength; real samples stay real.

        Parameters
        ----------
        y : ndarray of complex128 or float64, [N, B]
            Beams in machine units.

        Returns
        -------
        ndarray, [N, B]
            ``10 log10 |out|^2`` is volume scattering strength (dB re 1/m) or target strength (dB).
        """
        scaled: _Samples = np.empty(y.shape, np.complex128 if np.iscomplexobj(y) else np.float64)
        self.apply_to(y, slice(0, len(y)), scaled)
        return scaled

    def apply_to(self, y: NDArray[Any], rows: slice, out: NDArray[Any]) -> None:
        """Scale the beams of a few ranges.

        Parameters
        ----------
        y : ndarray of real or complex numbers, [n, B]
            Beams in machine units.
        rows : slice
            Which ranges these are.
        out : ndarray of float64 or complex128, [n, B]
            Filled with scattering strength.
        """
        parts = 2 if np.iscomplexobj(y) else 1
        calibrate(
            np.ascontiguousarray(y).view(y.real.dtype),
            self.range_gain[rows],
            np.repeat(self.beam_gain, parts),
            out.view(np.float64),
        )


def calibration(
    mode: str, era: str, settings: SonarSettings, medium: Medium, *, angles: Real, ranges: Real
) -> Calibration:
    """Return the gains of a calibration mode (docs/method.md#scattering-strength).

    Parameters
    ----------
    mode : {"VSS", "TS", "TS-Fan", "TS-Wide"}
        Volume scattering, or target strength of a projector.
    era : {"END", "ASHES"}
        2010-15 or 2018+; machine units differ between them.
    settings : SonarSettings
    medium : Medium
    angles : ndarray of float64, [B]
        Beam angles, rad.
    ranges : ndarray of float64, [N]
        Slant ranges, m.

    Raises
    ------
    CalibrationUnavailable
        No tables exist for this mode, era and frequency (Q12).
    """
    projector = _PROJECTORS.get((era, mode, float(settings.freq)))
    if projector is None:
        raise CalibrationUnavailable(
            f"calibration {mode} of era {era} is not available at {settings.freq:g} Hz"
        )
    tables = _tables(_TABLES[era])
    source = tables["source_level"][projector]
    level = _interpolate(np.array([settings.power]), np.array(source["setting"]), np.array(source["level"]))[
        0
    ]
    pattern = _transmit_pattern(tables["transmit_pattern"][projector], angles)
    number = np.arange(1, len(angles) + 1)
    beam_gain = 10 ** (-pattern / 20) / np.polyval(tables["receiver_sensitivity"][projector], number)
    range_gain = 10 ** (-(level + settings.gain) / 20) * 10 ** (medium.alpha * ranges / 10)
    if mode == "VSS":
        # The insonified volume: beam widths, half the pulse, and one spreading loss less than a target has.
        vertical = 0.5 * np.sqrt(np.pi / np.log(2)) * tables["vertical_beam_width"] * np.pi / 180
        beam_gain /= np.sqrt(np.polyval(tables["horizontal_beam_width"][projector], number))
        range_gain *= ranges / np.sqrt(0.5 * medium.sound_speed * settings.tau * vertical)
    else:
        range_gain *= ranges**2
    return Calibration(
        range_gain, beam_gain, _fault(source["setting"], settings.power, range_gain, beam_gain)
    )


def _transmit_pattern(table: Mapping[str, Any], angles: Real) -> Real:
    """Level of the transmission (dB) in the direction of each beam."""
    turned = np.array(table["turntable_angle"])
    # Turning the projector to the right brings what lies to its left before the hydrophone.
    theta = -np.where(turned > 180, turned - 360, turned) * np.pi / 180
    return _interpolate(angles, theta, np.array(table["level"]))


def _interpolate(at: Real, x: Real, y: Real) -> Real:
    order = np.argsort(x)
    return np.interp(at, x[order], y[order], left=np.nan, right=np.nan)


def _fault(settings: list[float], power: float, range_gain: Real, beam_gain: Real) -> str | None:
    if not min(settings) <= power <= max(settings):
        return (
            f"power setting {power:g} dB lies outside the calibrated range of {min(settings):g} to "
            f"{max(settings):g} dB: all calibrated values are NaN"
        )
    if not (np.isfinite(range_gain).all() and np.isfinite(beam_gain).all()):
        return "some beams or ranges have no calibration: their values are NaN"
    return None


@cache
def _tables(name: str) -> Mapping[str, Any]:
    tables: Mapping[str, Any] = json.loads((files(__package__) / "tables" / name).read_text("utf-8"))
    return tables
