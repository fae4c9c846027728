"""Properties of the sea water at each site, and of plumes (docs/science.md#constants)."""

from dataclasses import dataclass
from typing import Final

from catalog.vocabulary import Site, describe_site

__all__ = ["ASHES", "ENDEAVOUR", "ENTHALPY_RATIO", "ORIGINAL", "WIDTH_RATIO", "SeaWater", "water_at"]

WIDTH_RATIO: Final = 1.06
"""Width of a plume's buoyancy to that of its velocity (lambda)."""

ENTHALPY_RATIO: Final = 0.3
"""Fluctuation of temperature to its mean excess in diffuse flow: a guess (docs/science.md#diffuse-flow)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeaWater:
    """Sea water at the depth of a site.

    Parameters
    ----------
    density : float
        kg m-3.
    heat_capacity : float
        At constant pressure, J kg-1 K-1.
    expansion : float
        Thermal expansion, K-1.
    gravity : float
        m s-2.
    sound_expansion : float
        Relative change of sound speed with temperature, K-1.
    temperature : float
        For which all this holds, degrees Celsius.
    viscosity : float
        Kinematic, m2 s-1.
    prandtl : float
        Prandtl number.
    """

    density: float
    heat_capacity: float
    expansion: float
    gravity: float
    sound_expansion: float
    temperature: float
    viscosity: float = 1.65e-6
    prandtl: float = 12.0

    @property
    def heat_per_buoyancy(self) -> float:
        """Heat flux per buoyancy flux, W s3 m-4: rho cp / (g alpha_T)."""
        return self.density * self.heat_capacity / (self.gravity * self.expansion)

    @property
    def impedance_expansion(self) -> float:
        """Relative change of acoustic impedance with temperature, K-1."""
        return self.sound_expansion - self.expansion


# TEOS-10 at 1.90 degC, S 34.63, 2165 m; at 2.41 degC, S 34.53, 1544 m.
ENDEAVOUR: Final = SeaWater(
    density=1037.81,
    heat_capacity=3923.5,
    expansion=1.2996e-4,
    gravity=9.8137,
    sound_expansion=2.941e-3,
    temperature=1.90,
)
ASHES: Final = SeaWater(
    density=1034.81,
    heat_capacity=3942.1,
    expansion=1.2025e-4,
    gravity=9.8105,
    sound_expansion=2.930e-3,
    temperature=describe_site(Site.ASHES).water_temperature,
)
ORIGINAL: Final = SeaWater(
    density=1037.3,
    heat_capacity=3920.0,
    expansion=1.318e-4,
    gravity=9.8,
    sound_expansion=2.941e-3,
    temperature=1.90,
)
"""The constants of the originals' heat flux, which they have for Endeavour alone."""


def water_at(site: str, *, own: bool = True) -> SeaWater:
    """Return the sea water of a site; where a site is unknown, that of Ashes.

    Parameters
    ----------
    site : str
    own : bool
        False gives the originals' constants, at any site (Q64).
    """
    if not own:
        return ORIGINAL
    return ENDEAVOUR if site == Site.ENDEAVOUR else ASHES
