"""Parameters of the instrument, the place where it stands, and the water around it."""

from dataclasses import dataclass
from typing import Final, Literal

from catalog.vocabulary import SITES, Site
from covis_dask.modes.parameters._checks import require

__all__ = [
    "Attitude",
    "Beamformer",
    "Calibrate",
    "Header",
    "Position",
    "Water",
]

_PLACE: Final = SITES[Site.ASHES]
"""The site that the defaults are of."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the sonar stands.

    Parameters
    ----------
    easting, northing, depth : float
        UTM position and depth of the base, m (recorded; the programs do not read them).
    altitude : float
        Height of the sonar head above the base, m.
    declination : float
        Magnetic declination, degrees east.
    heading : float
        Nominal heading in the original's files, degrees (recorded only).
    """

    easting: float = 0.0
    northing: float = 0.0
    depth: float = -_PLACE.depth
    altitude: float = _PLACE.head_height
    declination: float = _PLACE.declination
    heading: float = 0.0


@dataclass(frozen=True, slots=True)
class Attitude:
    """How rotator readings become angles, 2018+ (docs/method.md#ping-table).

    Parameters
    ----------
    central_heading : float, optional
        Magnetic heading of the centred head, degrees; by the year of the run when not given (Q39).
    yaw_center : float
        Yaw motor reading of the centred head, degrees.
    roll_gear : float
        Gear ratio of the roll motor.
    """

    central_heading: float | None = None
    yaw_center: float = 135.0
    roll_gear: float = 6.0

    def __post_init__(self) -> None:
        require(self.roll_gear > 0, f"attitude.roll_gear must be positive, not {self.roll_gear:g}.")


@dataclass(frozen=True, slots=True)
class Header:
    """What a ping's header must say: sample rate and how far it may differ, Hz.

    See docs/method.md#ping-headers.
    """

    sample_rate: float = 34482.758
    tolerance: float = 1.0

    def __post_init__(self) -> None:
        require(self.sample_rate > 0, f"header.sample_rate must be positive, not {self.sample_rate:g}.")
        require(self.tolerance >= 0, f"header.tolerance must not be negative: {self.tolerance:g}.")


@dataclass(frozen=True, slots=True)
class Beamformer:
    """Beams to form: kind, first and last beam angle (degrees), length of the array (m).

    See docs/method.md#beamforming.
    """

    type: Literal["fast"] = "fast"
    start_angle: float = -54.0
    end_angle: float = 54.0
    aperture: float = 0.408

    def __post_init__(self) -> None:
        require(
            -90 <= self.start_angle < self.end_angle <= 90,
            "beamformer.start_angle must be less than beamformer.end_angle, both within -90 ... 90 degrees; "
            f"they are {self.start_angle:g} and {self.end_angle:g}.",
        )
        require(self.aperture > 0, f"beamformer.aperture must be positive, not {self.aperture:g}.")


@dataclass(frozen=True, slots=True)
class Calibrate:
    """Calibration mode (docs/method.md#scattering-strength)."""

    mode: Literal["VSS", "TS", "TS-Fan", "TS-Wide"] = "VSS"


@dataclass(frozen=True, slots=True)
class Water:
    """Sea water for sound speed and absorption: deg C, PSU, pH, m, degrees north.

    See docs/method.md#absorption, #sound-speed.
    """

    temperature: float = _PLACE.water_temperature
    salinity: float = _PLACE.water_salinity
    ph: float = _PLACE.water_ph
    depth: float = _PLACE.water_depth
    latitude: float = _PLACE.latitude

    def __post_init__(self) -> None:
        for name, low, high in (
            ("temperature", -3, 40),
            ("salinity", 0, 50),
            ("ph", 0, 14),
            ("depth", 0, 12_000),
            ("latitude", -90, 90),
        ):
            value = getattr(self, name)
            require(low <= value <= high, f"water.{name} must be {low} to {high}, not {value:g}.")
