"""The seafloor: a plane with slope, bumps and a step, and patches of diffuse flow that blur its echo."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from covis_dask.simulate.geometry import Real, View
from covis_dask.simulate.scene import Scatterers, gaussian

__all__ = ["FlowPatch", "Seafloor", "Step"]

_WAVES = 6


@dataclass(frozen=True, slots=True)
class FlowPatch:
    """A round patch where warm water rises and makes the phase of the bottom's echo flutter.

    Parameters
    ----------
    x, y : float
        Centre, m.
    radius : float
        m.
    jitter : float
        Standard deviation of the phase from ping to ping, rad (see `Scatterers`): two pings correlate by
        ``exp(-jitter**2)``.
    """

    x: float
    y: float
    radius: float
    jitter: float


@dataclass(frozen=True, slots=True)
class Step:
    """A straight step: the floor is higher by `rise` (m) beyond a line.

    Parameters
    ----------
    heading : float
        Direction in which the step is climbed, degrees.
    distance : float
        Distance of its edge from the foot of the tower, m.
    rise : float
        Height, m.
    """

    heading: float
    distance: float
    rise: float


@dataclass(frozen=True, slots=True)
class Seafloor:
    """A steady seafloor with Lambert scattering.

    Parameters
    ----------
    strength : float
        Backscattering strength at normal incidence, dB per m^2; falls with the squared cosine of incidence.
    height : float
        Height of the plane above the base below the tower, m.
    slope : (east, north)
        Rise per metre.
    bumps : float
        RMS height of bumps, m.
    bump_length : float
        Their typical length, m.
    step : Step, optional
    flow : tuple of FlowPatch
    radius : float
        How far the floor goes, m.
    count : int
        Scatterers on it, evenly over distance and direction.
    seed : int
        Of bumps and scatterers: the same floor in every burst and run.
    """

    strength: float = -15.0
    height: float = 0.0
    slope: tuple[float, float] = (0.0, 0.0)
    bumps: float = 0.0
    bump_length: float = 6.0
    step: Step | None = None
    flow: tuple[FlowPatch, ...] = ()
    radius: float = 40.0
    count: int = 150_000
    seed: int = 1

    def elevation(self, x: Real, y: Real) -> Real:
        """Return the height (m above the base) at x, y (m)."""
        z = self.height + self.slope[0] * x + self.slope[1] * y
        for kx, ky, phase in self._waves():
            z = z + self.bumps * math.sqrt(2 / _WAVES) * np.sin(kx * x + ky * y + phase)
        if self.step is not None:
            heading = math.radians(self.step.heading)
            beyond = x * math.sin(heading) + y * math.cos(heading) >= self.step.distance
            z = z + self.step.rise * beyond
        return z

    def jitter(self, x: Real, y: Real) -> Real:
        """Return the flutter of the phase (rad) at x, y (m)."""
        flutter = np.zeros_like(x)
        for patch in self.flow:
            inside = (x - patch.x) ** 2 + (y - patch.y) ** 2 <= patch.radius**2
            flutter[inside] = patch.jitter
        return flutter

    def _waves(self) -> list[tuple[float, float, float]]:
        """Wave vectors (rad/m) and phases of the bumps."""
        if self.bumps == 0:
            return []
        rng = np.random.default_rng((self.seed, 1))
        number = 2 * math.pi / (self.bump_length * rng.uniform(0.6, 1.6, _WAVES))
        heading, phase = rng.uniform(0, 2 * math.pi, (2, _WAVES))
        return list(zip(number * np.sin(heading), number * np.cos(heading), phase, strict=True))

    def normal(self, x: Real, y: Real) -> Real:
        """Return the upward unit normals [J, 3] at x, y [J] (m); the step has none of its own."""
        east, north = np.full_like(x, self.slope[0]), np.full_like(x, self.slope[1])
        for kx, ky, phase in self._waves():
            rise = self.bumps * math.sqrt(2 / _WAVES) * np.cos(kx * x + ky * y + phase)
            east += kx * rise
            north += ky * rise
        normal = np.stack([-east, -north, np.ones_like(x)], axis=-1)
        unit: Real = normal / np.linalg.norm(normal, axis=1)[:, None]
        return unit

    def scatterers(self, view: View, rng: np.random.Generator) -> Scatterers:  # noqa: ARG002
        """Return those within the fan."""
        floor = _lay(self, view.altitude)
        seen = view.sector(view.to_receiver(floor.position))
        return Scatterers(
            floor.position[seen], floor.amplitude[seen], floor.velocity[seen], floor.jitter[seen]
        )


@lru_cache(maxsize=4)
def _lay(floor: Seafloor, altitude: float) -> Scatterers:
    """Lay the scatterers of a floor, seen from the head."""
    rng = np.random.default_rng((floor.seed, 2))
    distance = floor.radius * rng.uniform(0.01, 1, floor.count)
    heading = rng.uniform(0, 2 * math.pi, floor.count)
    x, y = distance * np.sin(heading), distance * np.cos(heading)
    position = np.stack([x, y, floor.elevation(x, y)], axis=-1)
    normal = floor.normal(x, y)
    back = np.array([0.0, 0.0, altitude]) - position
    cosine = np.einsum("ij,ij->i", normal, back) / np.linalg.norm(back, axis=1)
    # Evenly spread over distance and direction: each stands for an area in proportion to its distance.
    area = distance * (floor.radius * 2 * math.pi / floor.count) / normal[:, 2]
    section = 10 ** (floor.strength / 10) * area * np.maximum(cosine, 0.0) ** 2
    amplitude = np.sqrt(section) * gaussian(rng, floor.count)
    return Scatterers(position, amplitude, np.zeros_like(position), floor.jitter(x, y))
