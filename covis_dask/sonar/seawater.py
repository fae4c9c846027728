"""Sound speed and absorption of sea water (docs/method.md#absorption, #sound-speed, Q13, Q14)."""

import math
from dataclasses import dataclass
from typing import Protocol

import gsw

from catalog.vocabulary import SITES, Site

__all__ = ["ASHES", "ENDEAVOUR", "SeaWater", "Water", "absorption", "absorption_2010", "sound_speed"]


class SeaWater(Protocol):
    """What absorption depends on: degrees C, practical salinity, pH, depth in m."""

    @property
    def temperature(self) -> float: ...  # noqa: D102
    @property
    def salinity(self) -> float: ...  # noqa: D102
    @property
    def ph(self) -> float: ...  # noqa: D102
    @property
    def depth(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Water:
    """Conditions at a site.

    Parameters
    ----------
    temperature : float
        Degrees C.
    salinity : float
        Practical salinity.
    ph : float
        pH.
    depth : float
        Metres, positive down.
    latitude, longitude : float
        Degrees north and east.
    """

    temperature: float
    salinity: float
    ph: float
    depth: float
    latitude: float
    longitude: float


def _water_of(site: Site) -> Water:
    place = SITES[site]
    return Water(
        place.water_temperature,
        place.water_salinity,
        place.water_ph,
        place.water_depth,
        place.water_latitude,
        place.longitude,
    )


ASHES = _water_of(Site.ASHES)
# The conditions that the 2010-15 programs state beside their constants.
ENDEAVOUR = _water_of(Site.ENDEAVOUR)


def sound_speed(
    temperature: float,
    salinity: float,
    depth: float,
    latitude: float,
    *,
    absolute_salinity: bool,
    longitude: float = ASHES.longitude,
) -> float:
    """Return the TEOS-10 sound speed, m/s (docs/method.md#sound-speed).

    Parameters
    ----------
    temperature : float
        Degrees C.
    salinity : float
        Practical salinity.
    depth : float
        Metres, positive down.
    latitude, longitude : float
        Degrees; the longitude counts for the absolute salinity only.
    absolute_salinity : bool
        Convert the salinity to absolute salinity, which the original omits (Q14).
    """
    pressure = gsw.p_from_z(-depth, latitude)
    absolute = gsw.SA_from_SP(salinity, pressure, longitude, latitude) if absolute_salinity else salinity
    return float(gsw.sound_speed_t_exact(absolute, temperature, pressure))


def absorption(freq: float, c: float, sea: SeaWater, *, zero_celsius: float) -> float:
    """Return the absorption of Francois and Garrison (1982), dB/m (docs/method.md#absorption).

    Parameters
    ----------
    freq : float
        Hz.
    c : float
        Sound speed, m/s.
    sea : SeaWater
    zero_celsius : float
        0 degrees C in K: 273.15, where the original takes 273 (Q14).
    """
    temperature, salinity, depth = sea.temperature, sea.salinity, sea.depth
    kelvin = temperature + zero_celsius
    khz = freq / 1000
    boric = 8.86 / c * 10 ** (0.78 * sea.ph - 5)
    boric_khz = 2.8 * math.sqrt(salinity / 35) * 10 ** (4 - 1245 / kelvin)
    sulphate = 21.44 * (salinity / c) * (1 + 0.025 * temperature)
    sulphate *= 1 - 1.37e-4 * depth + 6.2e-9 * depth**2
    sulphate_khz = 8.17 * 10 ** (8 - 1990 / kelvin) / (1 + 0.0018 * (salinity - 35))
    if temperature < 20:
        water = 4.937e-4 - 2.59e-5 * temperature + 9.11e-7 * temperature**2 - 1.5e-8 * temperature**3
    else:
        water = 3.964e-4 - 1.146e-5 * temperature + 1.45e-7 * temperature**2 - 6.5e-10 * temperature**3
    water *= 1 - 3.83e-5 * depth + 4.9e-10 * depth**2
    db_per_km = (
        boric * boric_khz * khz**2 / (boric_khz**2 + khz**2)
        + sulphate * sulphate_khz * khz**2 / (sulphate_khz**2 + khz**2)
        + water * khz**2
    )
    return db_per_km / 1000


def absorption_2010(freq: float) -> float:
    """Return the constants of the 2010-15 programs, dB/m; 0 at a frequency they do not know (Q13).

    Parameters
    ----------
    freq : float
        Hz.
    """
    return {200_000.0: 8.8e-3, 396_000.0: 34.6e-3}.get(float(freq), 0.0)
