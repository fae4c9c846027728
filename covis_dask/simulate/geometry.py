"""Attitude and view of the head: world and receiver frame, the fan of a ping.

See docs/method.md#coordinates-and-signs, #world-coordinates.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from catalog.vocabulary import HEAD_HEIGHT

__all__ = ["Attitude", "Era", "Mesh", "Real", "View"]

Era = Literal["END", "ASHES"]
Real = NDArray[np.float64]

_EDGE = math.sin(math.radians(75.0))
"""Nothing is received from further aside."""


@dataclass(frozen=True, slots=True)
class Attitude:
    """How the head is turned.

    Parameters
    ----------
    era : {"END", "ASHES"}
        Decides in which order roll and pitch act.
    pitch, roll : float
        Sensor pitch and roll, degrees.
    heading : float
        True heading of the fan's centre, degrees.
    """

    era: Era
    pitch: float
    roll: float
    heading: float

    @property
    def rotation(self) -> Real:
        """The matrix [3, 3] that turns receiver coordinates into the world's directions.

        For 2010-15 this is the rotation that docs/method.md#world-coordinates intends, without its slip in
        the roll (Q11).
        """
        pitch, roll, heading = (math.radians(v) for v in (self.pitch, self.roll, self.heading))
        turn = _matrix((math.cos(heading), math.sin(heading), 0), (-math.sin(heading), math.cos(heading), 0))
        turn[2] = 0, 0, 1
        tilt = _matrix((1, 0, 0), (0, math.cos(pitch), -math.sin(pitch)))
        tilt[2] = 0, math.sin(pitch), math.cos(pitch)
        lean = _matrix((math.cos(roll), 0, math.sin(roll)), (0, 1, 0))
        lean[2] = -math.sin(roll), 0, math.cos(roll)
        return turn @ lean @ tilt if self.era == "END" else turn @ tilt @ lean


def _matrix(first: tuple[float, float, float], second: tuple[float, float, float]) -> Real:
    return np.array([first, second, (0.0, 0.0, 0.0)], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Points that fill a fan, each for a small volume around it.

    Attributes
    ----------
    position : ndarray of float64, [J, 3]
        World coordinates, m.
    volume : ndarray of float64, [J]
        Volume of each, m^3, over the height of the fan.
    """

    position: Real
    volume: Real


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the sonar sees with one attitude.

    Parameters
    ----------
    attitude : Attitude
    max_range : float
        Slant range from which echoes still reach into the last sample, m.
    vertical_width : float
        Height of the fan between its half-power points, rad.
    range_step, sine_step : float
        Spacing of the points with which a medium is filled: m, and sine of the azimuth.
    altitude : float
        Height of the head above the base, m.
    """

    attitude: Attitude
    max_range: float
    vertical_width: float
    range_step: float
    sine_step: float
    altitude: float = HEAD_HEIGHT

    @property
    def head(self) -> Real:
        """World position of the head [3], m."""
        return np.array([0.0, 0.0, self.altitude])

    def to_world(self, receiver: Real) -> Real:
        """Turn receiver coordinates [J, 3] into world coordinates [J, 3], m."""
        world: Real = receiver @ self.attitude.rotation.T + self.head
        return world

    def to_receiver(self, world: Real) -> Real:
        """Turn world coordinates [J, 3] into receiver coordinates [J, 3], m."""
        receiver: Real = (world - self.head) @ self.attitude.rotation
        return receiver

    def at(self, distance: float, angle_deg: float = 0.0) -> tuple[float, float, float]:
        """Return the world position (m) at a slant range (m) and beam angle (degrees) in the fan."""
        angle = math.radians(angle_deg)
        point = self.to_world(np.array([[distance * math.sin(angle), distance * math.cos(angle), 0.0]]))[0]
        return float(point[0]), float(point[1]), float(point[2])

    def mesh(self, rng: np.random.Generator, nearest: float, furthest: float) -> Mesh:
        """Fill the fan between two slant ranges (m), one point in each small cell of range and azimuth.

        The points lie in the fan's plane and stand for its whole height: a fan of 1 degree is thinner than
        anything that COVIS resolves.
        """
        sine = np.arange(-_EDGE, _EDGE, self.sine_step)
        start = np.arange(nearest, min(furthest, self.max_range), self.range_step)
        r = start[:, None] + self.range_step * rng.random((start.size, sine.size))
        cosine = np.sqrt(1 - sine**2)
        height = self.vertical_width * math.sqrt(math.pi / math.log(2)) / 2
        volume = r**2 * (self.range_step * self.sine_step * height) / cosine
        # All points of an azimuth lie in one direction.
        direction = np.stack([sine, cosine, np.zeros_like(sine)], axis=1) @ self.attitude.rotation.T
        position = r[..., None] * direction + self.head
        return Mesh(position.reshape(-1, 3), volume.ravel())

    def sector(self, receiver: Real) -> NDArray[np.bool_]:
        """Tell which points [J, 3] of the receiver frame lie before the array, within range and fan."""
        distance = np.linalg.norm(receiver, axis=1)
        ahead: NDArray[np.bool_] = (
            (receiver[:, 1] > 0)
            & (distance < self.max_range)
            & (np.abs(receiver[:, 0]) < _EDGE * distance)
            & (np.abs(receiver[:, 2]) < np.sin(min(2.5 * self.vertical_width, np.pi / 2)) * distance)
        )
        return ahead
