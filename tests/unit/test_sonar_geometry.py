"""Coordinates."""

import numpy as np
import pytest

from covis_dask.simulate.geometry import Attitude
from covis_dask.sonar._types import Real
from covis_dask.sonar.geometry import (
    HeadAttitude,
    directions_ashes,
    directions_endeavour,
    elevation_sine,
    flat_bottom,
    receiver_to_world,
)

Places = tuple[Real, Real, Real]


def _ashes(r: Real, a: Real, yaw: float, roll: float, pitch: float) -> Places:
    return directions_ashes(a, HeadAttitude(yaw, roll, pitch, 279, 16)).at(r)


def _endeavour(r: Real, a: Real, compass: float, roll: float, elev: float, *, unrotated_x: bool) -> Places:
    return directions_endeavour(a, compass, roll, elev, unrotated_x=unrotated_x).at(r)


def test_world_ashes_check_values() -> None:
    """The check values of docs/method.md#world-coordinates."""
    x, y, z = _ashes(np.array([5.0]), np.array([-0.5, 0.3]), 0.3, 0.2, 0.4)
    np.testing.assert_allclose(x, [[-4.43487232, -2.37199767]], atol=5e-9)
    np.testing.assert_allclose(y, [[0.84893120, 4.10442844]], atol=5e-9)
    np.testing.assert_allclose(z, [[6.34737591, 5.78974661]], atol=5e-9)


def test_world_ashes_equals_the_matrices() -> None:
    """The written-out form is that of the rotation matrices, for any point of the receiver frame."""
    psi, rho, th, heading, declination = 0.3, -0.2, 0.4, 289, 16
    g = np.radians(heading + declination - 360)
    cos, sin = np.cos, np.sin
    R = np.array([[cos(rho), 0, -sin(rho)], [0, 1, 0], [sin(rho), 0, cos(rho)]])
    P = np.array([[1, 0, 0], [0, cos(th), sin(th)], [0, -sin(th), cos(th)]])
    Y = np.array([[cos(psi), -sin(psi), 0], [sin(psi), cos(psi), 0], [0, 0, 1]])
    C = np.array([[cos(g), sin(g), 0], [-sin(g), cos(g), 0], [0, 0, 1]])
    points = np.random.default_rng(1).normal(size=(3, 50))
    want = C @ np.linalg.inv(R @ P @ Y) @ points
    attitude = HeadAttitude(psi, rho, th, heading, declination)
    got = receiver_to_world(points[0], points[1], points[2], attitude)
    np.testing.assert_allclose(got, want, atol=1e-14)


def test_world_ashes_level_head() -> None:
    """From 2019 on a centred, level head looks to heading 295 degrees."""
    x, y, z = _ashes(np.array([10.0]), np.array([0.0]), 0, 0, 0)
    np.testing.assert_allclose([x[0, 0], y[0, 0], z[0, 0]], [-9.0631, 4.2262, 4.2], atol=5e-5)


def test_world_ashes_signs() -> None:
    """Pitch looks up, positive roll lowers the right side, positive yaw turns clockwise."""
    r, right = np.array([10.0]), np.array([0.5])
    up = _ashes(r, np.array([0.0]), 0, 0, np.pi / 2)
    np.testing.assert_allclose([c[0, 0] for c in up], [0, 0, 14.2], atol=1e-14)
    assert _ashes(r, right, 0, 0.1, 0)[2][0, 0] < 4.2
    east, north, _ = _ashes(r, np.array([0.0]), np.radians(65), 0, 0)
    np.testing.assert_allclose([east[0, 0], north[0, 0]], [0, 10], atol=1e-14)
    east, north, _ = _ashes(r, np.array([0.0]), np.radians(75), 0, 0)
    assert east[0, 0] > 0


def test_world_one_range_per_beam() -> None:
    """A [1, B] array of ranges gives one point per beam."""
    a, r = np.array([-0.5, 0.0, 0.3]), np.array([5.0, 6.0, 7.0])
    grid = _ashes(r, a, 0.3, 0.2, 0.4)
    points = _ashes(r[None, :], a, 0.3, 0.2, 0.4)
    for whole, single in zip(grid, points, strict=True):
        assert np.array_equal(np.diag(whole), single[0])
    old = _endeavour(r[None, :], a, 1.1, 0.2, 0.4, unrotated_x=False)
    assert old[0].shape == (1, 3)


def test_world_endeavour_check_values() -> None:
    """The check values of docs/method.md#world-coordinates, with Q11 as in the original."""
    x, y, z = _endeavour(np.array([5.0]), np.array([-0.5, 0.3]), 1.1, 0.2, 0.4, unrotated_x=False)
    np.testing.assert_allclose(x, [[2.69017601, 4.74547069]], atol=5e-9)
    np.testing.assert_allclose(y, [[3.62443725, 0.37570311]], atol=5e-9)
    np.testing.assert_allclose(z, [[6.27397270, 5.66192826]], atol=5e-9)


def test_world_endeavour_q11_roll() -> None:
    """Q11: mended, roll is a rotation and keeps the range; the original's is not."""
    r, a = np.array([5.0, 40.0]), np.array([-0.5, 0.3])
    for mended in (True, False):
        x, y, z = _endeavour(r, a, 1.1, 0.2, 0.4, unrotated_x=mended)
        distance = np.sqrt(x**2 + y**2 + (z - 4.2) ** 2)
        assert np.allclose(distance, r[:, None], rtol=1e-13) is mended
    # Without roll the two agree.
    for plain, mended in zip(
        *(_endeavour(r, a, 1.1, 0, 0.4, unrotated_x=mended) for mended in (False, True)), strict=True
    ):
        assert np.array_equal(plain, mended)


def test_world_endeavour_looks_to_the_compass() -> None:
    """Level and straight ahead lies the compass heading, clockwise from north."""
    x, y, z = _endeavour(np.array([10.0]), np.array([0.0]), np.radians(90), 0, 0, unrotated_x=False)
    np.testing.assert_allclose([x[0, 0], y[0, 0], z[0, 0]], [10, 0, 4.2], atol=1e-14)


def test_flat_bottom_q24_original() -> None:
    """Q24: the original takes the heading for a mathematical angle, the slant range for the ground range."""
    x, y = flat_bottom(np.array([10.0]), np.array([0.2]), 1.1, compass_bearing=False)
    np.testing.assert_allclose([x[0, 0], y[0, 0]], [10 * np.cos(0.9), 10 * np.sin(0.9)], rtol=1e-14)


def test_flat_bottom_q24_turned_by_twice_the_heading() -> None:
    """Q24: at a heading of 230 degrees the original's map is turned by 2 * 230 - 90 = 370, so 10, degrees."""
    phi, rc, a = np.radians(230), np.array([50.0]), np.array([-0.3, 0.4])
    x0, y0 = flat_bottom(rc, a, phi, compass_bearing=False)
    x1, y1 = flat_bottom(rc, a, phi, altitude=0, compass_bearing=True)
    turn = np.angle((x0 + 1j * y0) / (x1 + 1j * y1))
    np.testing.assert_allclose(np.degrees(turn), 10, atol=1e-10)


def test_flat_bottom_q24_mended() -> None:
    """Q24: mended, the position lies where the beam's cone meets the seafloor at the slant range."""
    x, y = flat_bottom(np.array([3.0, 5.0]), np.array([0.2]), 1.1, 4.0, compass_bearing=True)
    bearing = 1.1 + np.arcsin(5 * np.sin(0.2) / 3)
    np.testing.assert_allclose([x[1, 0], y[1, 0]], [3 * np.sin(bearing), 3 * np.cos(bearing)], rtol=1e-14)
    assert np.isnan(x[0, 0])
    assert np.isnan(y[0, 0])


@pytest.mark.parametrize("roll", [-8.0, 0.0, 3.0, 8.0])
@pytest.mark.parametrize("pitch", [-25.0, -18.2])
def test_flat_bottom_q24_finds_points_of_the_seafloor(roll: float, pitch: float) -> None:
    """Q24: points at 6 to 14 m, up to 58 degrees off the heading, are found by range and beam angle."""
    view = Attitude("END", pitch, roll, 230.0)
    bearing, ground = np.meshgrid(np.radians(np.arange(-58.0, 59.0, 4.0)), np.arange(6.0, 14.1, 1.0))
    heading = np.radians(230.0)
    x, y = ground * np.sin(heading + bearing), ground * np.cos(heading + bearing)
    receiver = np.stack([x, y, np.full_like(x, -4.2)], axis=-1) @ view.rotation
    slant = np.sqrt(ground**2 + 4.2**2)
    for i in np.ndindex(x.shape):
        angle = np.arcsin(receiver[i][0] / slant[i])
        found = flat_bottom(
            np.array([slant[i]]), np.array([angle]), heading, 4.2, np.radians(roll), compass_bearing=True
        )
        np.testing.assert_allclose([found[0][0, 0], found[1][0, 0]], [x[i], y[i]], atol=1e-9)


def test_elevation_q28() -> None:
    """Q28: the original sees a point from the foot of the tower, mended, from the head."""
    x, y, z = np.array([3.0]), np.array([4.0]), np.array([9.2])
    assert elevation_sine(x, y, z, from_head=False)[0] == pytest.approx(9.2 / np.hypot(5, 9.2), rel=1e-14)
    assert elevation_sine(x, y, z, from_head=True)[0] == pytest.approx(np.sqrt(0.5), rel=1e-14)
