"""From range and beam to the world: x east, y north, z up from the foot of the tower.

See docs/method.md#coordinates-and-signs, #world-coordinates.

All angles are radians unless their name ends in ``_deg``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.sonar._types import Real

__all__ = [
    "BeamDirections",
    "HeadAttitude",
    "directions_ashes",
    "directions_endeavour",
    "elevation_sine",
    "flat_bottom",
    "receiver_to_world",
]


@dataclass(frozen=True, slots=True)
class HeadAttitude:
    """How the head of 2018+ is turned.

    Parameters
    ----------
    yaw, roll, pitch : float
        Rotator yaw, sensor roll and sensor pitch, rad.
    heading_deg : float
        Magnetic heading of the centred head, degrees.
    declination_deg : float
        Magnetic declination, degrees east.
    """

    yaw: float
    roll: float
    pitch: float
    heading_deg: float
    declination_deg: float

    @property
    def course(self) -> float:
        """True heading of the head, rad."""
        return self.yaw + (self.heading_deg + self.declination_deg - 360) * np.pi / 180


@dataclass(frozen=True, slots=True, eq=False)
class BeamDirections:
    """The directions of all beams in the world: the samples of a beam lie on one line.

    Attributes
    ----------
    x, y, z : ndarray of float64, [B]
        East, north and up per metre of range.
    altitude : float
        Height of the head above the base, m.
    """

    x: Real
    y: Real
    z: Real
    altitude: float

    def at(self, r: Real) -> tuple[Real, Real, Real]:
        """Return the world coordinates (m) at ranges [N], or at one range for each beam [1, B]."""
        along = r[:, None] if r.ndim == 1 else r
        return along * self.x, along * self.y, self.altitude + along * self.z

    def max_range(self, lower: Sequence[float], upper: Sequence[float], slack: float = 0.0) -> float:
        """Return a range (m) beyond which no sample lies in a box; infinite when there is no such range.

        Parameters
        ----------
        lower, upper : sequence of float
            Corners of the box: x, y, or x, y, z; m.
        slack : float
            The head may be turned by so much, rad, whatever the axes.
        """
        furthest = np.full(len(self.x), np.inf)
        for along, low, high, origin in zip(
            (self.x, self.y, self.z), lower, upper, (0.0, 0.0, self.altitude), strict=False
        ):
            up, down = along - slack, along + slack
            leaves = np.full(len(along), np.inf)
            np.divide(high - origin, up, out=leaves, where=up > 0)
            np.divide(low - origin, down, out=leaves, where=down < 0)
            np.minimum(furthest, leaves, out=furthest)
        return float(furthest.max()) * (1 + 1e-12)  # a sample on the wall is in the box


def receiver_to_world(xr: Real, yr: Real, zr: Real, attitude: HeadAttitude) -> tuple[Real, Real, Real]:
    """Turn points of the receiver frame into the world's directions, 2018+; the origin stays at the head.

    Parameters
    ----------
    xr, yr, zr : ndarray of float64
        Right, ahead and up in the receiver frame, m; shapes that broadcast.
    attitude : HeadAttitude

    Returns
    -------
    x, y, z : ndarray of float64
        East, north and up of the head, m.
    """
    roll, pitch, course = attitude.roll, attitude.pitch, attitude.course
    level = xr * np.cos(roll) + zr * np.sin(roll)
    lift = zr * np.cos(roll) - xr * np.sin(roll)
    ahead = yr * np.cos(pitch) - lift * np.sin(pitch)
    up = yr * np.sin(pitch) + lift * np.cos(pitch)
    east = level * np.cos(course) + ahead * np.sin(course)
    north = -level * np.sin(course) + ahead * np.cos(course)
    return east, north, up


def directions_ashes(a: Real, attitude: HeadAttitude, altitude: float = HEAD_HEIGHT) -> BeamDirections:
    """Return the directions of the beams, 2018+ (docs/method.md#world-coordinates).

    Parameters
    ----------
    a : ndarray of float64, [B]
        Beam angles, rad.
    attitude : HeadAttitude
    altitude : float
        Height of the head above the base, m.
    """
    return BeamDirections(*receiver_to_world(np.sin(a), np.cos(a), np.zeros_like(a), attitude), altitude)


def directions_endeavour(
    a: Real, compass: float, roll: float, elev: float, altitude: float = HEAD_HEIGHT, *, unrotated_x: bool
) -> BeamDirections:
    """Return the directions of the beams, 2010-15 (docs/method.md#world-coordinates).

    Parameters
    ----------
    a : ndarray of float64, [B]
        Beam angles, rad.
    compass : float
        True heading: sensor heading and declination, rad.
    roll, elev : float
        Sensor roll and elevation, rad.
    altitude : float
        Height of the head above the base, m.
    unrotated_x : bool
        Roll turns x and z together; the original turns z with the x it has already turned (Q11).
    """
    xs, ys, zs = np.sin(a), np.cos(a) * np.cos(elev), np.cos(a) * np.sin(elev)
    rolled = xs * np.cos(roll) + zs * np.sin(roll)
    up = zs * np.cos(roll) - (xs if unrotated_x else rolled) * np.sin(roll)
    ux = rolled * np.cos(compass) + ys * np.sin(compass)
    uy = ys * np.cos(compass) - rolled * np.sin(compass)
    return BeamDirections(ux, uy, up, altitude)


def flat_bottom(
    rc: Real,
    a: Real,
    compass: float,
    altitude: float = HEAD_HEIGHT,
    roll: float = 0.0,
    *,
    compass_bearing: bool,
) -> tuple[Real, Real]:
    """Return positions on a flat seafloor, 2010-15 diffuse (docs/method.md#diffuse-flow-2010-15, Q24).

    Parameters
    ----------
    rc : ndarray of float64, [M]
        Slant ranges, m.
    a : ndarray of float64, [B]
        Beam angles, rad.
    compass : float
        True heading, rad.
    altitude : float
        Height of the head above the seafloor, m.
    roll : float
        Sensor roll, rad; the original leaves it out.
    compass_bearing : bool
        Where the cone of a beam about the rolled array meets the seafloor, by compass. The original takes
        the slant range for the ground range, the beam angle for the bearing off the heading, and the heading
        for a mathematical angle, which turns the map.

    Returns
    -------
    x, y : ndarray of float64, [M, B]
        Metres; NaN where a ground range is asked for and the beam does not meet the seafloor at that range.
    """
    if not compass_bearing:
        return rc[:, None] * np.cos(compass - a), rc[:, None] * np.sin(compass - a)
    squared = rc**2 - altitude**2
    ground = np.sqrt(np.where(squared > 0, squared, np.nan))[:, None]
    # Of the slant range sin a lies along the array; on the floor that makes the bearing.
    across = (rc[:, None] * np.sin(a) - altitude * np.sin(roll)) / (ground * np.cos(roll))
    bearing = compass + np.arcsin(np.where(abs(across) <= 1, across, np.nan))
    return ground * np.sin(bearing), ground * np.cos(bearing)


def elevation_sine(x: Real, y: Real, z: Real, *, altitude: float = HEAD_HEIGHT, from_head: bool) -> Real:
    """Return the sine of the elevation at which a point is seen, 2010-15 Doppler.

    See docs/method.md#doppler-2010-15, Q28.

    Parameters
    ----------
    x, y, z : ndarray of float64
        World coordinates, m; shapes that broadcast.
    altitude : float
        Height of the head above the base, m.
    from_head : bool
        Seen from the head; the original looks from the foot of the tower.
    """
    up = z - altitude if from_head else z
    sine: Real = up / np.sqrt(x**2 + y**2 + up**2)
    return sine
