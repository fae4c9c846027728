"""From range and beam to the world: x east, y north, z up from the foot of the tower (science.md 1.4, 3.10).

All angles are radians unless their name ends in ``_deg``.
"""

import numpy as np

from covis_dask.sonar._types import Real

__all__ = ["elevation_sine", "flat_bottom", "receiver_to_world", "world_ashes", "world_endeavour"]


def receiver_to_world(
    xr: Real,
    yr: Real,
    zr: Real,
    yaw: float,
    roll: float,
    pitch: float,
    heading_deg: float,
    declination_deg: float,
) -> tuple[Real, Real, Real]:
    """Turn points of the receiver frame into the world's directions, 2018+; the origin stays at the head.

    Parameters
    ----------
    xr, yr, zr : ndarray of float64
        Right, ahead and up in the receiver frame, m; shapes that broadcast.
    yaw, roll, pitch : float
        Attitude, rad.
    heading_deg, declination_deg : float
        Magnetic heading of the centred head and magnetic declination, degrees.

    Returns
    -------
    x, y, z : ndarray of float64
        East, north and up of the head, m.
    """
    level = xr * np.cos(roll) + zr * np.sin(roll)
    lift = zr * np.cos(roll) - xr * np.sin(roll)
    ahead = yr * np.cos(pitch) - lift * np.sin(pitch)
    up = yr * np.sin(pitch) + lift * np.cos(pitch)
    course = yaw + (heading_deg + declination_deg - 360) * np.pi / 180
    east = level * np.cos(course) + ahead * np.sin(course)
    north = -level * np.sin(course) + ahead * np.cos(course)
    return east, north, up


def world_ashes(
    r: Real,
    a: Real,
    yaw: float,
    roll: float,
    pitch: float,
    heading_deg: float,
    declination_deg: float,
    altitude: float = 4.2,
) -> tuple[Real, Real, Real]:
    """Return the world coordinates of every range and beam, 2018+ (science.md 3.10).

    Parameters
    ----------
    r : ndarray of float64, [N]
        Slant ranges, m. With two dimensions it is broadcast against `a`: [1, B] gives one range per beam.
    a : ndarray of float64, [B]
        Beam angles, rad.
    yaw, roll, pitch : float
        Rotator yaw, sensor roll and sensor pitch, rad.
    heading_deg, declination_deg : float
        Magnetic heading of the centred head and magnetic declination, degrees.
    altitude : float
        Height of the head above the base, m.

    Returns
    -------
    x, y, z : ndarray of float64, [N, B]
        Metres.
    """
    # All samples of a beam lie on one line: turn the directions, then go along them.
    ux, uy, uz = receiver_to_world(
        np.sin(a), np.cos(a), np.zeros_like(a), yaw, roll, pitch, heading_deg, declination_deg
    )
    along = r[:, None] if r.ndim == 1 else r
    return along * ux, along * uy, altitude + along * uz


def world_endeavour(
    r: Real,
    a: Real,
    compass: float,
    roll: float,
    elev: float,
    altitude: float = 4.2,
    *,
    corrected: bool = False,
) -> tuple[Real, Real, Real]:
    """Return the world coordinates of every range and beam, 2010-15 (science.md 3.10).

    Parameters
    ----------
    r : ndarray of float64, [N]
        Slant ranges, m; with two dimensions broadcast against `a`.
    a : ndarray of float64, [B]
        Beam angles, rad.
    compass : float
        True heading: sensor heading and declination, rad.
    roll, elev : float
        Sensor roll and elevation, rad.
    altitude : float
        Height of the head above the base, m.
    corrected : bool
        Roll turns x and z together; the original turns z with the x it has already turned (Q11).

    Returns
    -------
    x, y, z : ndarray of float64, [N, B]
        Metres.
    """
    xs, ys, zs = np.sin(a), np.cos(a) * np.cos(elev), np.cos(a) * np.sin(elev)
    rolled = xs * np.cos(roll) + zs * np.sin(roll)
    up = zs * np.cos(roll) - (xs if corrected else rolled) * np.sin(roll)
    ux = rolled * np.cos(compass) + ys * np.sin(compass)
    uy = ys * np.cos(compass) - rolled * np.sin(compass)
    along = r[:, None] if r.ndim == 1 else r
    return along * ux, along * uy, altitude + along * up


def flat_bottom(
    rc: Real, a: Real, compass: float, altitude: float = 4.2, *, corrected: bool = False
) -> tuple[Real, Real]:
    """Return positions on a flat seafloor, 2010-15 diffuse (science.md 4.4, Q24).

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
    corrected : bool
        Ground range and compass bearing. The original takes the slant range for the ground range and the
        heading for a mathematical angle, which turns the map.

    Returns
    -------
    x, y : ndarray of float64, [M, B]
        Metres; NaN (corrected) where the slant range does not reach the seafloor.
    """
    if not corrected:
        return rc[:, None] * np.cos(compass - a), rc[:, None] * np.sin(compass - a)
    squared = rc**2 - altitude**2
    ground = np.sqrt(np.where(squared >= 0, squared, np.nan))
    return ground[:, None] * np.sin(compass + a), ground[:, None] * np.cos(compass + a)


def elevation_sine(x: Real, y: Real, z: Real, *, altitude: float = 4.2, corrected: bool = False) -> Real:
    """Return the sine of the elevation at which a point is seen, 2010-15 Doppler (science.md 4.5, Q28).

    Parameters
    ----------
    x, y, z : ndarray of float64
        World coordinates, m; shapes that broadcast.
    altitude : float
        Height of the head above the base, m.
    corrected : bool
        Seen from the head; the original looks from the foot of the tower.
    """
    up = z - altitude if corrected else z
    sine: Real = up / np.sqrt(x**2 + y**2 + up**2)
    return sine
