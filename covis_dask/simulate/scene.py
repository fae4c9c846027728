"""What stands, rises and lies before the sonar: scatterers in the world frame (x east, y north, z up, m)."""

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from covis_dask.science.constants import SeaWater
from covis_dask.science.plume_model import PlumeModel, buoyancy_from_speed
from covis_dask.simulate.geometry import Real, View

__all__ = ["INDEPENDENT", "Component", "FilledVolume", "Plume", "PointScatterers", "Scatterers", "Scene"]

INDEPENDENT = math.inf
"""Value of `jitter` for scatterers that are new in every ping."""

_FAINT = 10 ** (-3.5)
"""Parts of a plume weaker than this share of its strongest are left out (-35 dB)."""


@dataclass(frozen=True, slots=True, eq=False)
class Scatterers:
    """Point scatterers with their level, motion and steadiness.

    Parameters
    ----------
    position : ndarray of float64, [J, 3]
        World coordinates, m.
    amplitude : ndarray of complex128, [J]
        Square root of the backscattering cross-section, m, with the scatterer's own phase.
    velocity : ndarray of float64, [J, 3]
        m/s. The phase of the echo follows the motion; its place does not, since in a flow others take the
        place of those that leave.
    jitter : ndarray of float64, [J]
        Standard deviation of the echo's phase from ping to ping, rad. Two pings correlate by
        ``exp(-jitter**2)``. `INDEPENDENT`: a new complex Gaussian amplitude in every ping.
    fills : bool
        They fill the volume, so that their sum is measured as volume scattering strength.
    """

    position: Real
    amplitude: NDArray[np.complex128]
    velocity: Real
    jitter: Real
    fills: bool = False

    def __len__(self) -> int:
        return len(self.position)


class Component(Protocol):
    """Part of a scene."""

    def scatterers(self, view: View, rng: np.random.Generator) -> Scatterers:
        """Return the scatterers that a burst with this view can see."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything before the sonar."""

    components: tuple[Component, ...] = ()


def gaussian(rng: np.random.Generator, size: int) -> NDArray[np.complex128]:
    """Draw complex Gaussian numbers of unit variance."""
    drawn: NDArray[np.complex128] = rng.standard_normal((size, 2)).view(np.complex128)[:, 0] * math.sqrt(0.5)
    return drawn


@dataclass(frozen=True, slots=True)
class PointScatterers:
    """Single scatterers.

    Parameters
    ----------
    positions : tuple of (x, y, z)
        World coordinates, m.
    strengths : tuple of float
        Target strength of each, dB re 1 m^2.
    velocity : (vx, vy, vz)
        m/s, the same for all.
    jitter : float
        See `Scatterers`.
    """

    positions: tuple[tuple[float, float, float], ...]
    strengths: tuple[float, ...]
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    jitter: float = 0.0

    def scatterers(self, view: View, rng: np.random.Generator) -> Scatterers:  # noqa: ARG002
        """Return them all, whatever the view."""
        size = len(self.positions)
        return Scatterers(
            np.array(self.positions, dtype=np.float64),
            (10 ** (np.array(self.strengths) / 20)).astype(np.complex128),
            np.tile(np.array(self.velocity, dtype=np.float64), (size, 1)),
            np.full(size, self.jitter),
        )


@dataclass(frozen=True, slots=True)
class FilledVolume:
    """A medium of uniform volume scattering strength that fills beam and pulse between two slant ranges.

    Parameters
    ----------
    strength : float
        Volume scattering strength, dB re 1/m.
    nearest, furthest : float
        Slant ranges, m.
    velocity : (vx, vy, vz)
        m/s.
    radial_velocity : float
        Velocity away from the head, m/s, added to `velocity`.
    jitter : float
        See `Scatterers`.
    """

    strength: float
    nearest: float = 3.0
    furthest: float = math.inf
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radial_velocity: float = 0.0
    jitter: float = INDEPENDENT

    def scatterers(self, view: View, rng: np.random.Generator) -> Scatterers:
        """Fill the fan."""
        mesh = view.mesh(rng, self.nearest, self.furthest)
        size = len(mesh.volume)
        away = mesh.position - view.head
        away /= np.linalg.norm(away, axis=1)[:, None]
        return Scatterers(
            mesh.position,
            np.sqrt(10 ** (self.strength / 10) * mesh.volume) * gaussian_or_one(rng, size, self.jitter),
            np.array(self.velocity) + self.radial_velocity * away,
            np.full(size, self.jitter),
            fills=True,
        )


def gaussian_or_one(rng: np.random.Generator, size: int, jitter: float) -> NDArray[np.complex128]:
    """Draw the scatterers' own amplitudes; those that are new in every ping are drawn there."""
    return np.ones(size, dtype=np.complex128) if math.isinf(jitter) else gaussian(rng, size)


@dataclass(frozen=True, slots=True)
class Plume:
    """A buoyant plume: Gaussian across, wider, weaker and slower with height.

    With ``b(z) = radius + spread * (z - vent z)`` and d the distance from the axis, scattering falls off as
    ``(radius/b)**fading * exp(-d**2/b**2)`` and the speed as ``(radius/b)**(1/3) * exp(-d**2/b**2)``.

    Parameters
    ----------
    vent : (x, y, z)
        Where it rises, m.
    strength : float
        Volume scattering strength on the axis at the vent, dB re 1/m.
    radius : float
        Radius at the vent, m.
    spread : float
        Widening per height.
    fading : float
        Exponent of the loss of strength.
    top : float
        Height above the base at which it fades out, m.
    velocity : float
        Speed along the axis at the vent, m/s.
    lean : (east, north)
        Shift of the axis per height, as by a current.
    bend : (east, north)
        Further shift per square of the height, 1/m, as by a current that grows upwards.
    turbulence : float
        Standard deviation of each component of the velocity of single scatterers, m/s.
    jitter : float
        See `Scatterers`.
    """

    vent: tuple[float, float, float]
    strength: float = -42.0
    radius: float = 0.8
    spread: float = 0.11
    fading: float = 2.0
    top: float = 30.0
    velocity: float = 0.4
    lean: tuple[float, float] = (0.0, 0.0)
    bend: tuple[float, float] = (0.0, 0.0)
    turbulence: float = 0.03
    jitter: float = INDEPENDENT

    @classmethod
    def of_heat_flux(
        cls, vent: tuple[float, float, float], heat: float, water: SeaWater, **changes: Any
    ) -> "Plume":
        """Return the plume of a heat flux (W) in sea water; `changes` are further fields but the velocity.

        Its entrainment coefficient is 5/6 of `spread`, its virtual source radius/spread below the vent.
        """
        plume = cls(vent, **changes)
        model = PlumeModel(heat / water.heat_per_buoyancy, plume.model.entrainment)
        return replace(plume, velocity=model.speed_factor * math.cbrt(plume.spread / plume.radius))

    @property
    def model(self) -> PlumeModel:
        """The plume as the plume model has it: buoyancy flux and entrainment coefficient."""
        entrainment = 5 * self.spread / 6
        factor = self.velocity * math.cbrt(self.radius / self.spread)
        return PlumeModel(buoyancy_from_speed(factor, entrainment), entrainment)

    def _profile(self, position: Real) -> tuple[Real, Real]:
        """Return radius(vent)/radius(z) and exp(-d^2/b^2) at positions [J, 3]; both 0 outside the plume."""
        rise = position[:, 2] - self.vent[2]
        width = self.radius + self.spread * np.maximum(rise, 0.0)
        east = position[:, 0] - self.vent[0] - self.lean[0] * rise - self.bend[0] * rise**2
        north = position[:, 1] - self.vent[1] - self.lean[1] * rise - self.bend[1] * rise**2
        across = np.exp(-(east**2 + north**2) / width**2) * (rise >= 0)
        across *= np.exp(-((np.maximum(position[:, 2] - self.top, 0.0) / 2) ** 2))
        return self.radius / width, across

    def volume_strength(self, position: Real) -> Real:
        """Return the volume scattering coefficient (1/m, linear) at world positions [J, 3]."""
        narrowing, across = self._profile(position)
        coefficient: Real = 10 ** (self.strength / 10) * narrowing**self.fading * across
        return coefficient

    def flow(self, position: Real) -> Real:
        """Return the mean velocity [J, 3] (m/s) at world positions [J, 3]."""
        narrowing, across = self._profile(position)
        axis = np.array([*self.lean, 1.0])
        length = np.asarray(np.linalg.norm(axis))
        if any(self.bend):
            slope = 2 * np.outer(np.maximum(position[:, 2] - self.vent[2], 0.0), [*self.bend, 0.0])
            axis = axis + slope
            length = np.asarray(np.linalg.norm(axis, axis=1))
        speed = self.velocity / length * narrowing ** (1 / 3) * across
        velocity: Real = speed[:, None] * axis
        return velocity

    def scatterers(self, view: View, rng: np.random.Generator) -> Scatterers:
        """Fill the fan where it cuts the plume."""
        mesh = view.mesh(rng, 0.5, view.max_range)
        coefficient = self.volume_strength(mesh.position)
        inside = coefficient > coefficient.max(initial=0.0) * _FAINT
        position, size = mesh.position[inside], int(inside.sum())
        velocity = self.flow(position) + self.turbulence * rng.standard_normal((size, 3))
        return Scatterers(
            position,
            np.sqrt(coefficient[inside] * mesh.volume[inside]) * gaussian_or_one(rng, size, self.jitter),
            velocity,
            np.full(size, self.jitter),
            fills=True,
        )
