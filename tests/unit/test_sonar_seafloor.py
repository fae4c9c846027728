"""Positions on the seafloor."""

import numpy as np
import pytest

from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.seafloor import Seafloor, SeafloorCrossings, SeafloorSearch, seafloor_crossings
from tests.unit._sonar_reference import plain_seafloor

_RANGES = np.arange(1, 400) * np.float64(0.05)
_FLAT = (np.arange(-30, 20.5, 0.5), np.arange(-30, 30.5, 0.5))


def _flat(height: float = 0.0) -> Seafloor:
    return Seafloor(*_FLAT, np.full((len(_FLAT[1]), len(_FLAT[0])), height))


def _pitched(degrees: float) -> HeadAttitude:
    return HeadAttitude(0, 0, np.radians(degrees), 279, 16)


def _rough() -> Seafloor:
    """Make a seafloor with slopes, a step and a hole."""
    x, y = np.meshgrid(*_FLAT)
    height = 0.4 * np.sin(x / 3) + 0.05 * y + (x < -8) * 1.0
    height[40:50, 30:45] = np.nan
    return Seafloor(*_FLAT, height)


def test_seafloor_flat() -> None:
    """On a flat bottom range r lies at radius sqrt(r^2 - 4.2^2), in the heading of the beam."""
    angles = np.radians([-50.0, -10.0, 0.0, 30.0])
    pitch = -20.0
    floor = _flat()
    crossings = seafloor_crossings(_RANGES, angles, _pitched(pitch), floor)
    x, y = crossings.positions(_RANGES, 0.18)
    straight = 2
    # The windows of the nearest ranges are not yet full.
    found = np.isfinite(x[:, straight]) & (_RANGES > 6)
    radius = np.hypot(x, y)[found, straight]
    np.testing.assert_allclose(radius, np.sqrt(_RANGES[found] ** 2 - 4.2**2), atol=0.25)
    heading = np.degrees(np.arctan2(x, y))[found, straight] % 360
    np.testing.assert_allclose(heading, 295, atol=0.5)
    left = np.degrees(np.arctan2(x, y))[:, 0]
    assert np.nanmax(left % 360) < 295


@pytest.mark.parametrize(("pitch", "nearest"), [(0.0, 6.2), (-20.0, 4.7)])
def test_seafloor_nearest(pitch: float, nearest: float) -> None:
    """Within 40 degrees nothing lies below 6.2 m with a level head; pitched down 20, from 4.7 m on."""
    crossings = seafloor_crossings(_RANGES, np.array([0.0]), _pitched(pitch), _flat())
    x, _ = crossings.positions(_RANGES, 0.18)
    assert _RANGES[np.isfinite(x[:, 0])].min() == pytest.approx(nearest, abs=0.25)


def test_seafloor_equals_the_plain_search() -> None:
    """Sorted distances and running sums give what looking at every point gives, for both kinds of range."""
    angles = np.radians(np.linspace(-60, 60, 7))
    attitude = HeadAttitude(0.2, 0.03, -0.15, 279.0, 16.0)
    floor = _rough()
    crossings = seafloor_crossings(_RANGES, angles, attitude, floor)
    for wanted in (_RANGES[::7], np.arange(1, 50) * np.float64(0.366)):
        got = crossings.positions(wanted, 0.18)
        want = plain_seafloor(_RANGES, wanted, angles, attitude, floor, 0.18)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)
    assert np.isnan(got[0]).any()
    assert np.isfinite(got[0]).any()


def test_seafloor_limits_are_strict() -> None:
    """A point exactly half a width away does not count, on either side."""
    distance, x = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 60.0])
    sums = np.concatenate([[0.0], np.cumsum(x)])
    crossings = SeafloorCrossings([distance], [sums], [-sums])
    ranges = np.array([0.0, 1.0, 1.5, 2.0, 2.5, 4.0])
    found, mirrored = crossings.positions(ranges, 1.0)
    np.testing.assert_array_equal(found[:, 0], [np.nan, 10, 15, 20, 40, np.nan])
    np.testing.assert_array_equal(mirrored, -found)


def test_seafloor_unknown() -> None:
    """Where nothing is known of the seafloor there is no position, and no warning."""
    floor = _flat(np.nan)
    x, y = seafloor_crossings(_RANGES, np.array([0.0, 0.1]), _pitched(0), floor).positions(_RANGES, 0.18)
    assert np.isnan(x).all()
    assert np.isnan(y).all()


def test_seafloor_of_another_altitude() -> None:
    """A higher head sees the same floor from farther away."""
    crossings = seafloor_crossings(_RANGES, np.array([0.0]), _pitched(-20), _flat(), altitude=6.0)
    x, y = crossings.positions(_RANGES, 0.18)
    found = np.isfinite(x[:, 0]) & (_RANGES > 7)
    np.testing.assert_allclose(np.hypot(x, y)[found, 0], np.sqrt(_RANGES[found] ** 2 - 36), atol=0.25)


def test_search_can_be_narrowed() -> None:
    """Fewer vertical angles find fewer points; a wider tolerance finds more."""
    attitude = HeadAttitude(0, 0, -0.4, 279, 16)

    def points(**changes: float) -> int:
        found = seafloor_crossings(
            _RANGES, np.array([0.0]), attitude, _flat(), search=SeafloorSearch(**changes)
        )
        return int(np.isfinite(found.positions(_RANGES, 0.2)[0]).sum())

    assert points(start_deg=-5.0, stop_deg=5.0) < points()
    assert points(tolerance=0.02) < points() <= points(tolerance=0.3)
