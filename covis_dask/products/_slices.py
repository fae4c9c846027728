"""Slices through a volume, and maps: chosen, framed and drawn in the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray
from scipy import ndimage

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.products._canvas import INK, SONAR_COLOUR, signed
from covis_dask.products._layout import Frame

__all__ = [
    "SONAR",
    "Cut",
    "Place",
    "Volume",
    "core",
    "draw_cut",
    "draw_picture",
    "frame_of",
    "joint",
    "mark_sonar",
    "strongest",
    "ticks",
]

Array = NDArray[np.float64]

SONAR = {"x": 0.0, "y": 0.0, "z": HEAD_HEIGHT}
"""Where the sonar head is (docs/method.md#coordinates-and-signs), m."""
_MARGIN, _BESIDE = 3.0, 2.0  # m around the plume, and around the sonar


@dataclass(frozen=True, slots=True)
class Place:
    """Indices into y, x and z of the strongest column and of the level to cut at."""

    iy: int
    ix: int
    iz: int


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A slice or map: names of the axes across and up, and the values [up, across]."""

    across: str
    up: str
    u: Array
    v: Array
    values: Array


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A field [Ny, Nx, Nz], NaN where there is none, with its axes in m."""

    x: Array
    y: Array
    z: Array
    values: Array

    def within(self, ranges: tuple[tuple[float, float], ...]) -> "Volume":
        """Cut out the box of these x, y and z ranges."""
        keep = [
            np.flatnonzero((axis >= low) & (axis <= high))
            for axis, (low, high) in zip((self.x, self.y, self.z), ranges, strict=True)
        ]
        sx, sy, sz = (slice(int(i[0]), int(i[-1]) + 1) if i.size else slice(0, 0) for i in keep)
        return Volume(self.x[sx], self.y[sy], self.z[sz], self.values[sy, sx, sz])

    def cut(self, cell: Place, plane: str) -> Cut:
        """Cut in one plane: ``xz``, ``yz`` or ``xy``."""
        if plane == "xz":
            return Cut("x", "z", self.x, self.z, self.values[cell.iy, :, :].T)
        if plane == "yz":
            return Cut("y", "z", self.y, self.z, self.values[:, cell.ix, :].T)
        return Cut("x", "y", self.x, self.y, self.values[:, :, cell.iz])

    def where(self, cell: Place, plane: str) -> str:
        """Say where a slice lies."""
        if plane == "xz":
            return f"Slice at northing {signed(self.y[cell.iy])} m"
        if plane == "yz":
            return f"Slice at easting {signed(self.x[cell.ix])} m"
        return f"Slice at height {signed(self.z[cell.iz])} m"

    def frame(self, plane: str, wanted: NDArray[np.bool_]) -> Frame:
        """Frame the wanted cells of any depth but for stray ones, with a margin, and the sonar."""
        known = np.isfinite(self.values)
        ranges = []
        for name in plane:
            axis, others = {"x": (self.x, (0, 2)), "y": (self.y, (1, 2)), "z": (self.z, (0, 1))}[name]
            counts = wanted.sum(axis=others)
            index = np.flatnonzero(known.any(axis=others))
            low, high = core(axis, counts, 0.0025)
            least, most = _ends(axis, index)
            ranges.append(_with_sonar(max(low - _MARGIN, least), min(high + _MARGIN, most), SONAR[name]))
        return ranges[0], ranges[1]


def core(axis: Array, counts: NDArray[np.integer[Any]], stray: float) -> tuple[float, float]:
    """Return the ends of what lies along an axis, without a small part of it at either end.

    Parameters
    ----------
    axis : ndarray
    counts : ndarray
        Cells at each place of the axis; where there are none at all, the whole axis is returned.
    stray : float
        Part to leave out at each end.
    """
    total = np.cumsum(counts)
    if not total.size or total[-1] == 0:
        return float(axis[0]), float(axis[-1])
    first = np.searchsorted(total, stray * total[-1], side="right")
    last = np.searchsorted(total, (1 - stray) * total[-1], side="left")
    return float(axis[first]), float(axis[last])


def frame_of(cut: Cut) -> Frame:
    """Frame the part of a map that has values, and the sonar."""
    known = np.isfinite(cut.values)
    ends = (_ends(cut.u, np.flatnonzero(known.any(axis=0))), _ends(cut.v, np.flatnonzero(known.any(axis=1))))
    return _with_sonar(*ends[0], SONAR[cut.across]), _with_sonar(*ends[1], SONAR[cut.up])


def joint(frames: Sequence[Frame]) -> Frame:
    """Return the frame that holds all frames: maps beside each other are easier to compare."""
    across, up = (
        (min(frame[side][0] for frame in frames), max(frame[side][1] for frame in frames)) for side in (0, 1)
    )
    return across, up


def _ends(axis: Array, index: NDArray[np.intp]) -> tuple[float, float]:
    chosen = axis[index] if index.size else axis
    return float(chosen[0]), float(chosen[-1])


def _with_sonar(low: float, high: float, sonar: float) -> tuple[float, float]:
    return min(low, sonar - _BESIDE), max(high, sonar + _BESIDE)


def strongest(weight: Array) -> Place:
    """Find the column that scatters most, and the middle height of what it scatters.

    Parameters
    ----------
    weight : ndarray, [Ny, Nx, Nz]
        Not negative; 0 or NaN where there is nothing. Sums are smoothed over neighbours: one bright sample
        is no plume.
    """
    known = np.nan_to_num(weight)
    column = ndimage.gaussian_filter(known.sum(axis=2), 1.5)
    iy, ix = (int(index) for index in np.unravel_index(int(np.argmax(column)), column.shape))
    near = known[max(iy - 4, 0) : iy + 5, max(ix - 4, 0) : ix + 5].sum(axis=(0, 1))
    total = np.cumsum(near)
    iz = int(np.searchsorted(total, 0.5 * total[-1])) if total[-1] > 0 else near.size // 2
    return Place(iy, ix, min(iz, near.size - 1))


def draw_cut(
    ax: Axes, cut: Cut, colours: Colormap, norm: Normalize, frame: Frame, opacity: Array | None = None
) -> None:
    """Draw a slice cell by cell; cells are centred on their coordinates (docs/method.md#quick-looks).

    Parameters
    ----------
    ax : Axes
    cut : Cut
    colours, norm
        Colour map and its range.
    frame : Frame
        Ranges across and up.
    opacity : ndarray, optional
        0 ... 1 per cell, shape of the values: how far the colour stands out from white.
    """
    shown = np.ma.masked_invalid(cut.values)
    rgba = colours(norm(shown))
    if opacity is not None:
        part = np.where(np.ma.getmaskarray(shown), 1.0, opacity)[..., None]
        rgba = rgba * part + (1 - part)
    draw_picture(ax, cut, rgba, frame)


def draw_picture(ax: Axes, cut: Cut, rgba: Array, frame: Frame) -> None:
    """Draw ready colours [up, across, 4] in the place of a slice's values."""
    half_u, half_v = (0.5 * (axis[-1] - axis[0]) / max(axis.size - 1, 1) for axis in (cut.u, cut.v))
    extent = (cut.u[0] - half_u, cut.u[-1] + half_u, cut.v[0] - half_v, cut.v[-1] + half_v)
    ax.imshow(rgba, origin="lower", extent=extent, interpolation="nearest", aspect="equal")
    ax.set_xlim(*frame[0])
    ax.set_ylim(*frame[1])
    step = ticks(max(high - low for low, high in frame))
    ax.xaxis.set_major_locator(MultipleLocator(step))
    ax.yaxis.set_major_locator(MultipleLocator(step))


def ticks(length: float) -> float:
    """Choose a distance of ticks for the longest side, m."""
    return next((step for step in (2.0, 5.0, 10.0) if length / step <= 8), 20.0)


def mark_sonar(ax: Axes, cut: Cut) -> None:
    """Mark where the sonar is, or where it lies before or behind a slice."""
    position = SONAR[cut.across], SONAR[cut.up]
    bottom, top = ax.get_ylim()
    low = position[1] - bottom < 0.2 * (top - bottom)  # the label would stand on the tick labels
    ax.plot(*position, marker="^", ms=9, mfc=SONAR_COLOUR, mec=INK, mew=0.9, zorder=6, clip_on=False)
    ax.annotate(
        "COVIS",
        position,
        xytext=(0, 8 if low else -16),
        textcoords="offset points",
        ha="center",
        size=8,
        color=INK,
        zorder=6,
        path_effects=[withStroke(linewidth=2, foreground="white", alpha=0.8)],
        annotation_clip=False,
    )
