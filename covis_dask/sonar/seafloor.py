"""Where the beams of a diffuse run meet the seafloor (docs/method.md#diffuse-flow-2018 step 11)."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import maximum_filter

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.sonar._types import Int, Real
from covis_dask.sonar.geometry import HeadAttitude, receiver_to_world

__all__ = ["Seafloor", "SeafloorCrossings", "SeafloorSearch", "seafloor_crossings"]

# Points of a ray that are first looked at as one.
_SEGMENT = 12


@dataclass(frozen=True, slots=True, eq=False)
class Seafloor:
    """Heights of the seafloor on a grid.

    Parameters
    ----------
    x, y : ndarray of float64, [Mx], [My]
        Axes, east and north of the sonar, m.
    height : ndarray of float64, [My, Mx]
        Height above the base, m; NaN where unknown.
    """

    x: Real
    y: Real
    height: Real


@dataclass(frozen=True, slots=True)
class SeafloorSearch:
    """Where the seafloor is looked for.

    Parameters
    ----------
    start_deg, stop_deg, step_deg : float
        First and last vertical angle, and their step, degrees.
    tolerance : float
        How near to the seafloor a point must be, m.
    """

    start_deg: float = -40.0
    stop_deg: float = 40.0
    step_deg: float = 0.5
    tolerance: float = 0.1

    @property
    def vertical(self) -> Real:
        """The vertical angles, rad."""
        return np.arange(self.start_deg, self.stop_deg + self.step_deg / 2, self.step_deg) * np.pi / 180


_WHOLE_SEARCH = SeafloorSearch()


@dataclass(frozen=True, slots=True, eq=False)
class SeafloorCrossings:
    """Points of each beam that lie on the seafloor; make them with `seafloor_crossings`.

    They depend on attitude, axes and seafloor only, not on the data.
    """

    # Per beam: sorted distances [n], and sums of x and y over the points before each [n + 1].
    _distance: list[Real]
    _sum_x: list[Real]
    _sum_y: list[Real]

    def positions(self, ranges: Real, half_width: float) -> tuple[Real, Real]:
        """Return the mean position of the points whose distance is within `half_width` of each range.

        Parameters
        ----------
        ranges : ndarray of float64, [M]
            Slant ranges, m.
        half_width : float
            Metres; points exactly so far away do not count.

        Returns
        -------
        x, y : ndarray of float64, [M, B]
            East and north of the sonar, m; NaN where there is no point.
        """
        shape = (len(ranges), len(self._distance))
        x, y = np.full(shape, np.nan), np.full(shape, np.nan)
        for beam, distance in enumerate(self._distance):
            low = np.searchsorted(distance, ranges - half_width, side="right")
            high = np.searchsorted(distance, ranges + half_width, side="left")
            some = high > low
            low, high = low[some], high[some]
            x[some, beam] = (self._sum_x[beam][high] - self._sum_x[beam][low]) / (high - low)
            y[some, beam] = (self._sum_y[beam][high] - self._sum_y[beam][low]) / (high - low)
        return x, y

    def _add_beam(self, x: Real, y: Real, height: Real) -> None:
        """Add the points of the next beam; heights are those against the head."""
        distance = np.sqrt(x**2 + y**2 + height**2)
        order = np.argsort(distance, kind="stable")
        self._distance.append(distance[order])
        self._sum_x.append(np.concatenate([[0.0], np.cumsum(x[order])]))
        self._sum_y.append(np.concatenate([[0.0], np.cumsum(y[order])]))


def seafloor_crossings(
    ranges: Real,
    angles: Real,
    attitude: HeadAttitude,
    seafloor: Seafloor,
    altitude: float = HEAD_HEIGHT,
    search: SeafloorSearch = _WHOLE_SEARCH,
) -> SeafloorCrossings:
    """Find the points of every beam, over ranges and vertical angles, that lie on the seafloor.

    Parameters
    ----------
    ranges : ndarray of float64, [N]
        Full range axis, m.
    angles : ndarray of float64, [B]
        Beam angles, rad.
    attitude : HeadAttitude
    seafloor : Seafloor
    altitude : float
        Height of the head above the base, m.
    search : SeafloorSearch
    """
    seafloor = replace(seafloor, height=seafloor.height - altitude)
    look_up = RegularGridInterpolator(
        (seafloor.y, seafloor.x), seafloor.height, bounds_error=False, fill_value=np.nan
    )
    # The last range fills the last segment; what is found there twice is dropped below.
    segments = np.pad(np.arange(len(ranges)), (0, -len(ranges) % _SEGMENT), mode="edge").reshape(-1, _SEGMENT)
    bounds = _Bounds(seafloor, ranges[segments], search.tolerance)
    vertical = search.vertical
    crossings = SeafloorCrossings([], [], [])
    for angle in angles:
        directions = receiver_to_world(
            np.cos(vertical) * np.sin(angle), np.cos(vertical) * np.cos(angle), np.sin(vertical), attitude
        )
        ray, segment = bounds.near(directions)
        sample = segments[segment]
        fresh = np.ones(sample.shape, dtype=np.bool_)
        fresh[:, 1:] = sample[:, 1:] != sample[:, :-1]
        along = ranges[sample[fresh]]
        ray = np.broadcast_to(ray[:, None], fresh.shape)[fresh]
        x, y, z = (direction[ray] * along for direction in directions)
        below = look_up(np.stack([y, x], axis=-1))
        kept = np.abs(z - below) < search.tolerance
        crossings._add_beam(x[kept], y[kept], below[kept])
    return crossings


class _Bounds:
    """Tells which segments of a ray may come near the seafloor, from its extremes about their middles.

    Parameters
    ----------
    seafloor : Seafloor
        Its heights against the head.
    ranges : ndarray of float64, [segments, samples]
        Ranges of each segment, m.
    tolerance : float
        How near is near, m.
    """

    def __init__(self, seafloor: Seafloor, ranges: Real, tolerance: float) -> None:
        self._x, self._y, height = seafloor.x, seafloor.y, seafloor.height
        self._tolerance = tolerance
        self._middle = (ranges[:, 0] + ranges[:, -1]) / 2
        self._reach = float(np.max(ranges[:, -1] - self._middle, initial=0.0))
        # Corners of all cells within reach of a point in the cell above node (j, i).
        cells = [int(np.ceil(self._reach / np.diff(axis).min())) for axis in (self._y, self._x)]
        size = tuple(2 * n + 2 for n in cells)
        known = ~np.isnan(height)
        highest = np.where(known, height, -np.inf)
        lowest = np.where(known, -height, -np.inf)
        self._highest, self._lowest = (
            sign * maximum_filter(extreme, size, mode="constant", cval=-np.inf, origin=-1)
            for sign, extreme in ((1, highest), (-1, lowest))
        )

    def near(self, directions: tuple[Real, Real, Real]) -> tuple[Int, Int]:
        """Return the (ray, segment) pairs worth a closer look, of rays with these directions."""
        x, y, z = (direction[:, None] * self._middle for direction in directions)
        i = np.clip(np.searchsorted(self._x, x, side="right") - 1, 0, len(self._x) - 1)
        j = np.clip(np.searchsorted(self._y, y, side="right") - 1, 0, len(self._y) - 1)
        # Along a ray height and position change by no more than the range does; the margin covers rounding.
        margin = self._reach + self._tolerance + 1e-6
        ray, segment = np.nonzero((z < self._highest[j, i] + margin) & (z > self._lowest[j, i] - margin))
        return ray, segment
