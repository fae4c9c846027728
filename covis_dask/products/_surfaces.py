"""Isosurfaces of a plume, and the seafloor, in three dimensions (docs/method.md#quick-looks)."""

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from covis_dask.products._canvas import AXIS_LABELS, BROWNS, GREY, INK, SONAR_COLOUR, Sheet, signed
from covis_dask.products._layout import Box
from covis_dask.products._slices import SONAR, Volume, core, ticks

__all__ = ["ASHES", "ENDEAVOUR", "Look", "draw_relief", "draw_surfaces", "levels_for"]

Array = NDArray[np.float64]
Ranges = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

_LEAST_CELLS = 60
_MOST_TRIANGLES = 12_000  # of one level: drawn in a third of a second
_HIGHEST_FLOOR = 4.5  # m: no vent at Ashes is higher; above are echoes of the plume
_STEPS = 2.5  # m: no wall joins neighbours further apart in height
_SPECK = 25  # cells: smaller patches are noise, and hide the plume behind them


@dataclass(frozen=True, slots=True)
class Look:
    """How a volume is shown.

    Parameters
    ----------
    levels : tuple of float
        dB, lowest first.
    colours : tuple of str
    opacities : tuple of float
        The original's, raised: it lights a surface from both sides.
    ranges : tuple of tuple of float
        x, y and z of the original's picture, m; used when most of the plume lies in them.
    azimuth, elevation : float
        Matlab's view angles, degrees.
    """

    levels: tuple[float, ...]
    colours: tuple[str, ...]
    opacities: tuple[float, ...]
    ranges: Ranges
    azimuth: float
    elevation: float


ASHES = Look(
    (-60.0, -50.0, -40.0),
    ("#4d99cc", "#805080", "#99050d"),
    (0.17, 0.34, 0.75),
    ((-20.0, 1.0), (-8.0, 12.0), (-2.0, 15.0)),
    76.5,
    26.0,
)
ENDEAVOUR = Look(
    (-70.0, -60.0, -50.0),
    ("#3a6fe0", "#800080", "#e01010"),
    (0.17, 0.34, 0.75),
    ((-40.0, 10.0), (-40.0, 10.0), (0.0, 40.0)),
    170.0,
    15.0,
)


def levels_for(volume: Volume, look: Look) -> tuple[float, ...]:
    """Return the usual levels, or shifted ones where those would show nothing, or a solid block."""
    known = volume.values[np.isfinite(volume.values)]
    above = int((known >= look.levels[0]).sum())
    if not known.size or _LEAST_CELLS <= above <= max(0.4 * known.size, _LEAST_CELLS):
        return look.levels
    top = 5.0 * np.floor(np.percentile(known, 99.7) / 5)
    return tuple(float(top - 10.0 * back) for back in (2, 1, 0))


def draw_surfaces(sheet: Sheet, box: Box, volume: Volume, look: Look, floor: Volume | None) -> None:
    """Draw three nested isosurfaces, the seafloor under them where it is known, and the sonar's mast.

    Parameters
    ----------
    sheet : Sheet
    box : tuple of float
        Where on the sheet.
    volume : Volume
        dB.
    look : Look
    floor : Volume or None
        Heights of the seafloor, m, with one level in z.
    """
    levels = levels_for(volume, look)
    ranges = _ranges(volume, look, levels[0])
    part = volume.within(ranges)
    light = _direction(look.azimuth + 50, 40)
    solids = [_floor_faces(floor, ranges)] if floor is not None else []
    for level, colour, opacity in zip(levels, look.colours, look.opacities, strict=True):
        triangles = _isosurface(part, level, levels[0])
        solids.append((triangles, _lit(triangles, np.array(to_rgb(colour)), opacity, light), 0.0))
    ax = _axes(sheet, box, look, ranges)
    _add(ax, solids)
    _mast(ax, ranges)
    marks: list[Patch | Line2D] = [
        Patch(facecolor=colour, alpha=0.35 + 0.6 * opacity, label=f"{signed(level, 0)} dB")
        for level, colour, opacity in zip(levels, look.colours, look.opacities, strict=True)
    ]
    _legend(sheet, box, [*marks, Line2D([], [], color=SONAR_COLOUR, lw=4, label="COVIS")])


def draw_relief(sheet: Sheet, box: Box, floor: Volume, colours: tuple[float, float], stretch: float) -> None:
    """Draw the seafloor alone, with the mast.

    Parameters
    ----------
    sheet : Sheet
    box : tuple of float
    floor : Volume
        Heights, m, with one level in z.
    colours : tuple of float
        Heights of the first and the last colour, m.
    stretch : float
        How much heights are exaggerated.
    """
    known = np.isfinite(floor.values[:, :, 0])
    heights = floor.values[np.isfinite(floor.values)]
    iy, ix = (np.flatnonzero(known.any(axis=other)) for other in (1, 0))
    ranges = (
        (min(float(floor.x[ix[0]]), -1.0), max(float(floor.x[ix[-1]]), 1.0)),
        (min(float(floor.y[iy[0]]), -1.0), max(float(floor.y[iy[-1]]), 1.0)),
        (float(np.floor(np.percentile(heights, 1))) - 0.5, float(max(np.percentile(heights, 99.9), 5.0))),
    )
    ax = _axes(sheet, box, ASHES, ranges, stretch)
    _add(ax, [_floor_faces(floor, ranges, colours, stretch)])
    _mast(ax, ranges)


def _ranges(volume: Volume, look: Look, lowest: float) -> Ranges:
    """Use the original's box when the plume lies in it and fills it, else a box around plume and mast."""
    strong = volume.values >= lowest
    if not strong.any():
        return look.ranges
    ranges = []
    for name, axis, others in (("x", volume.x, (0, 2)), ("y", volume.y, (1, 2)), ("z", volume.z, (0, 1))):
        low, high = core(axis, strong.sum(axis=others), 0.001)
        foot = 0.0 if name == "z" else SONAR[name]
        ranges.append((min(low, foot) - 1.0, max(high, SONAR[name]) + 1.0))
    held = volume.within(look.ranges).values >= lowest
    longest, usual = (max(high - low for low, high in box) for box in (ranges, look.ranges))
    if held.sum() >= 0.5 * strong.sum() and longest >= 0.55 * usual:
        return look.ranges
    return ranges[0], ranges[1], ranges[2]


def _isosurface(volume: Volume, level: float, lowest: float) -> Array:
    """Return the triangles [F, 3, 3] of one level, in m; none when nothing reaches it."""
    nothing = np.empty((0, 3, 3))
    if min(volume.values.shape) < 2:
        return nothing
    background = lowest - 12.0
    known = np.isfinite(volume.values)
    field = np.maximum(np.where(known, volume.values, background), background)
    field = ndimage.gaussian_filter(field, 0.8)
    labels, count = ndimage.label(field >= level)
    if not count:
        return nothing
    sizes = np.bincount(labels.ravel())
    specks = sizes < min(_SPECK, 0.2 * sizes[1:].max())
    specks[0] = False
    field[specks[labels]] = background
    field = np.pad(field, 1, constant_values=background)  # closes surfaces at the walls of the box
    for step in (1, 2, 3, 4):
        points, triangles, *_ = marching_cubes(field, level, step_size=step)
        if len(triangles) <= _MOST_TRIANGLES:
            break
    corners = [
        np.interp(points[:, which] - 1, np.arange(axis.size), axis)
        for which, axis in ((1, volume.x), (0, volume.y), (2, volume.z))
    ]
    return np.asarray(np.stack(corners, axis=-1)[triangles], dtype=np.float64)


def _normals(triangles: Array) -> Array:
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.where(length > 0, length, 1))


def _direction(azimuth: float, elevation: float) -> Array:
    """Return the unit vector towards a lamp, in Matlab's angles (docs/method.md#quick-looks)."""
    az, el = np.radians((azimuth, elevation))
    return np.array([np.sin(az) * np.cos(el), -np.cos(az) * np.cos(el), np.sin(el)])


def _lit(triangles: Array, colour: Array, opacity: float, light: Array) -> Array:
    """Return RGBA per triangle: brighter where it faces the lamp, whichever way it is wound, with a sheen."""
    facing = np.abs(_normals(triangles) @ light)[:, None]
    rgb = np.clip(colour * (0.5 + 0.6 * facing) + 0.3 * facing**20, 0, 1)
    return np.concatenate([rgb, np.full((len(triangles), 1), opacity)], axis=1)


def _floor_faces(
    floor: Volume, ranges: Ranges, colours: tuple[float, float] = (-2.0, 4.0), stretch: float = 1.0
) -> tuple[Array, Array, float]:
    """Return triangles, colours and line width of the seafloor, without the cells at the mast."""
    part = floor.within((*ranges[:2], (-np.inf, np.inf)))
    x, y = np.meshgrid(part.x, part.y)
    height = part.values[:, :, 0]
    outside = (np.hypot(x, y) < 4) | (height < ranges[2][0]) | (height > min(ranges[2][1], _HIGHEST_FLOOR))
    height = np.where(outside, np.nan, height)
    points = np.stack([x, y, height], axis=-1)
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]
    halves = (np.stack(corners, axis=2).reshape(-1, 3, 3) for corners in ((a, b, c), (a, c, d)))
    triangles = np.concatenate(list(halves))
    triangles = triangles[np.isfinite(triangles).all(axis=(1, 2))]
    triangles = triangles[np.ptp(triangles[:, :, 2], axis=1) < _STEPS]
    low, high = colours
    rgb = BROWNS((triangles[:, :, 2].mean(axis=1) - low) / (high - low))[:, :3]
    facing = np.clip(_normals(triangles * (1, 1, stretch)) @ _direction(20, 45), 0, 1)[:, None]
    rgb = np.clip(rgb * (0.45 + 0.75 * facing), 0, 1)
    return triangles, np.concatenate([rgb, np.ones((len(rgb), 1))], axis=1), 0.4


def _add(ax: Axes3D, solids: list[tuple[Array, Array, float]]) -> None:
    """Add all faces as one collection: matplotlib sorts faces by depth within a collection only."""
    faces = np.concatenate([triangles for triangles, _, _ in solids])
    if not len(faces):
        return
    colours = np.concatenate([rgba for _, rgba, _ in solids])
    # Lines in the colour of the face close the seams of what is opaque; on glass they would show.
    widths = np.concatenate([np.full(len(triangles), width) for triangles, _, width in solids])
    edges = colours * np.where(widths > 0, 1.0, 0.0)[:, None]
    ax.add_collection3d(
        Poly3DCollection(faces, facecolors=colours, edgecolors=edges, linewidths=widths), autolim=False
    )


def _mast(ax: Axes3D, ranges: Ranges) -> None:
    foot = max(0.0, ranges[2][0])
    ax.plot([0, 0], [0, 0], [foot, SONAR["z"]], color=SONAR_COLOUR, lw=4, solid_capstyle="butt", zorder=9)


def _axes(sheet: Sheet, box: Box, look: Look, ranges: Ranges, stretch: float = 1.0) -> Axes3D:
    """Make the three axes: one scale but for the stretch, pale walls, the original's view."""
    ax = sheet.figure.add_axes(box, projection="3d", computed_zorder=False)
    assert isinstance(ax, Axes3D)  # noqa: S101 (for the type checker)
    ax.set(xlim=ranges[0], ylim=ranges[1], zlim=ranges[2])
    sides = [high - low for low, high in ranges]
    tall = sides[2] * stretch > 0.9 * max(sides[:2])
    ax.set_box_aspect((sides[0], sides[1], sides[2] * stretch), zoom=0.88 if tall else 1.0)
    ax.view_init(elev=look.elevation, azim=look.azimuth - 90)
    step = ticks(max(sides))
    for axis, name, side in zip((ax.xaxis, ax.yaxis, ax.zaxis), "xyz", sides, strict=True):
        axis.set_label_text(AXIS_LABELS[name], size=9, color=INK)
        axis.set_tick_params(labelsize=8, colors=GREY)
        axis.set_major_locator(MultipleLocator(step if side >= 2 * step else 2.0))
        axis.set_pane_color((0.955, 0.965, 0.975, 1.0))
        axis.line.set(color="#aab3bb", linewidth=0.8)
        axis._axinfo["grid"].update(color="#d3dae1", linewidth=0.6)  # there is no other way
    return ax


def _legend(sheet: Sheet, box: Box, marks: list[Patch | Line2D]) -> None:
    sheet.figure.legend(
        handles=marks,
        loc="upper left",
        bbox_to_anchor=(box[0] + 0.025, box[1] + box[3] + 0.005),
        fontsize=9.5,
        labelcolor=INK,
        frameon=False,
        handlelength=1.4,
    )
