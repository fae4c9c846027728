"""The plume of a point source in still, unstratified water (docs/science.md#plume-model).

Gaussian profiles, w = W exp(-r^2/b^2) and g' = g'_m exp(-r^2/(lambda b)^2), with entrainment 2 pi b alpha W.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from covis_dask.science.constants import WIDTH_RATIO

__all__ = [
    "PlumeModel",
    "Rise",
    "buoyancy_from_flux",
    "buoyancy_from_speed",
    "radius_above",
    "stratified_rise",
    "virtual_depth",
]

Real = NDArray[np.float64]


def radius_above(height: Real | float, entrainment: float) -> Real:
    """Return the radius (m) at heights above the virtual source (m)."""
    return np.asarray(1.2 * entrainment * np.asarray(height, np.float64))


def buoyancy_from_flux(p: float, entrainment: float) -> float:
    """Return the buoyancy flux (m4 s-3) of a plume whose volume flux is p zeta^(5/3)."""
    return float(2 * p**3 * (5 / (6 * entrainment)) ** 4 / (3 * np.pi**2 * (1 + WIDTH_RATIO**2)))


def buoyancy_from_speed(c: float, entrainment: float) -> float:
    """Return the buoyancy flux (m4 s-3) of a plume whose speed on the axis is c zeta^(-1/3)."""
    return float(24 * np.pi * entrainment**2 * c**3 / (25 * (1 + WIDTH_RATIO**2)))


@dataclass(frozen=True, slots=True)
class PlumeModel:
    """A plume by its buoyancy flux.

    Parameters
    ----------
    buoyancy : float
        m4 s-3.
    entrainment : float
    """

    buoyancy: float
    entrainment: float

    @property
    def speed_factor(self) -> float:
        """Factor c of the speed on the axis, c zeta^(-1/3)."""
        cube = 25 * (1 + WIDTH_RATIO**2) * self.buoyancy / (24 * np.pi * self.entrainment**2)
        return float(np.cbrt(cube))

    @property
    def flux_factor(self) -> float:
        """Factor p of the volume flux, p zeta^(5/3)."""
        return 36 * np.pi * self.entrainment**2 / 25 * self.speed_factor

    def radius(self, height: Real | float) -> Real:
        """Return the radius (m) at heights above the virtual source (m)."""
        return radius_above(height, self.entrainment)

    def speed(self, height: Real | float) -> Real:
        """Return the speed on the axis (m/s)."""
        return np.asarray(self.speed_factor * np.asarray(height, np.float64) ** (-1 / 3))

    def volume_flux(self, height: Real | float) -> Real:
        """Return the volume flux (m3/s)."""
        return np.asarray(self.flux_factor * np.asarray(height, np.float64) ** (5 / 3))

    def momentum_flux(self, height: Real | float) -> Real:
        """Return the momentum flux (m4/s2)."""
        return np.asarray(np.pi * self.radius(height) ** 2 * self.speed(height) ** 2 / 2)

    def reduced_gravity(self, height: Real | float) -> Real:
        """Return the reduced gravity on the axis (m/s2)."""
        area = np.pi * WIDTH_RATIO**2 * self.radius(height) ** 2
        return np.asarray(self.buoyancy * (1 + WIDTH_RATIO**2) / (area * self.speed(height)))


@dataclass(frozen=True, slots=True)
class Rise:
    """How far a plume rises in stratified water, m above the virtual source.

    Parameters
    ----------
    top : float
        Where it comes to rest.
    neutral : float
        Where it is as dense as the water around it.
    """

    top: float
    neutral: float


def stratified_rise(model: PlumeModel, buoyancy_frequency: float) -> Rise:
    """Integrate the plume upwards in still water of a buoyancy frequency (1/s)."""
    square = buoyancy_frequency**2
    start = 0.5
    first = [float(model.volume_flux(start)), float(model.momentum_flux(start)) ** 2, model.buoyancy]

    def change(_: float, state: Real) -> list[float]:
        """Return the derivatives of Q, M^2 and B; with M^2 nothing is singular where the plume rests."""
        flux, momentum_square, buoyancy = state
        momentum = np.sqrt(max(momentum_square, 0.0))
        return [
            2 * model.entrainment * np.sqrt(2 * np.pi * momentum),
            (1 + WIDTH_RATIO**2) * buoyancy * flux,
            -square * flux,
        ]

    def rests(_: float, state: Real) -> float:
        return float(state[1])

    def floats(_: float, state: Real) -> float:
        return float(state[2])

    rests.terminal = True  # type: ignore[attr-defined]
    most = 10 * model.buoyancy**0.25 * buoyancy_frequency**-0.75
    done = solve_ivp(change, (start, most), first, events=(rests, floats), rtol=1e-9, atol=1e-12)
    rest, neutral = done.t_events
    return Rise(float(rest[0]) if rest.size else np.nan, float(neutral[0]) if neutral.size else np.nan)


def virtual_depth(
    heat_per_buoyancy: float, heat: float, level: tuple[float, float], entrainment: float
) -> float:
    """Return how far the virtual source lies below a level, m (Hunt and Kaye 2001); NaN for a forced plume.

    Parameters
    ----------
    heat_per_buoyancy : float
        W s3 m-4.
    heat : float
        Heat flux, W.
    level : tuple of float
        Volume flux (m3/s) and radius (m) there.
    entrainment : float
    """
    volume, radius = level
    flux = volume / np.pi
    momentum = 2 / np.pi * volume**2 / (2 * np.pi * radius**2)
    buoyancy = 2 / np.pi * heat / heat_per_buoyancy
    excess = 5 * flux**2 * buoyancy / (4 * entrainment * momentum**2.5)
    if not excess > 0.5:
        return float("nan")
    phi = (excess - 1) / excess
    delta, product = 0.0, 1.0
    factorial = 1.0
    for j in range(1, 6):
        factorial *= j
        product *= 1 + 5 * (j - 1)
        delta += 3 / (5 * 5 ** (j - 1) * factorial * (10 * j - 3)) * product * phi**j
    return float(excess**-0.2 * (1 - delta) * 5 / (6 * entrainment) * flux / np.sqrt(momentum))
