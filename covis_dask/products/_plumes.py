"""Quick looks of the modes with volumes: imaging and Doppler (docs/method.md#quick-looks)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy import ndimage

from covis_dask.products._canvas import INK, NEVER_REACHED, Sheet, cmap, decibel, signed, symmetric_limit
from covis_dask.products._grids import field
from covis_dask.products._layout import around, arrange
from covis_dask.products._slices import Cut, Place, Volume, draw_cut, mark_sonar, strongest
from covis_dask.products._surfaces import ASHES, ENDEAVOUR, Look, draw_surfaces, levels_for

__all__ = [
    "Plume",
    "draw_doppler",
    "draw_imaging",
    "floor_volume",
    "plume",
    "seafloor",
]

Array = NDArray[np.float64]

_CONTOURS = (-70.0, -60.0, -50.0, -40.0)
_FAINT = 0.12
_WEAK = 0.01  # of the strong echoes: 20 dB
_UNITS = {"m s-1": "m s⁻¹", "cm s-1": "cm s⁻¹"}


@dataclass(frozen=True, slots=True, eq=False)
class Plume:
    """What an imaging product shows: volume in dB, its look, its name for the colour bar."""

    volume: Volume
    look: Look
    label: str


def _plume_field(ds: xr.Dataset) -> xr.DataArray | None:
    variable = field(ds, "Id_filt", "Id", "v")
    return variable if variable is not None and variable.ndim == 3 else None


def plume(ds: xr.Dataset) -> Plume | None:
    """Choose what shows the plume: the filtered fluctuating part (2018+), or ping differences (2010-15)."""
    variable = _plume_field(ds)
    if variable is None:
        return None
    if variable.attrs["original_name"] == "v":
        return Plume(
            _volume(variable, decibel(variable.values)), ENDEAVOUR, "Volume backscatter of ping differences"
        )
    return Plume(_volume(variable, decibel(variable.values)), ASHES, "Fluctuating volume backscatter")


def _volume(variable: xr.DataArray, values: Array) -> Volume:
    y, x, z = (variable[name].values for name in variable.dims)
    return Volume(x, y, z, values)


def seafloor(ds: xr.Dataset) -> xr.DataArray | None:
    """Return the heights of the seafloor that come with a product, dims (y, x), or None.

    A full-range product takes the strongest echo of every beam for the seafloor; where that is weak, it is
    something else, and left out.
    """
    if "bathymetry" in ds:
        heights = ds["bathymetry"]
    else:
        height, echo = field(ds, "bathy_v"), field(ds, "intensity_v")
        if height is None or echo is None or height.shape != echo.shape or not np.isfinite(echo.values).any():
            return None
        heights = height.where(echo.values >= _WEAK * np.nanpercentile(echo.values, 90))
    return heights if bool(np.isfinite(heights.values).any()) else None


def floor_volume(ds: xr.Dataset) -> Volume | None:
    """Return the seafloor in the form the 3-D view takes."""
    heights = seafloor(ds)
    if heights is None:
        return None
    y, x = (heights[name].values for name in heights.dims)
    return Volume(x, y, np.zeros(1), heights.values[:, :, None])


def draw_imaging(sheet: Sheet, ds: xr.Dataset) -> None:
    """Draw isosurfaces of the plume, and two slices through its strongest column."""
    chosen = plume(ds)
    if chosen is None or not np.isfinite(chosen.volume.values).any():
        sheet.say(NEVER_REACHED)
        return
    volume = chosen.volume
    levels = levels_for(volume, chosen.look)
    draw_surfaces(sheet, (0.01, 0.07, 0.55, 0.82), volume, chosen.look, floor_volume(ds))
    cell = strongest(np.clip(volume.values - levels[0] + 5, 0, None))
    norm = Normalize(levels[0] - 15, _top(volume.values, levels[-1] + 5), clip=True)
    colours = cmap("magma")
    vertical = _broad_plane(volume, cell, levels[0])
    planes = (vertical, "xy")
    frames = [volume.frame(plane, volume.values >= levels[0]) for plane in planes]
    boxes = arrange((7.5, 1.0, 11.7, 5.9), frames)
    for box, plane, frame in zip(boxes, planes, frames, strict=True):
        cut = volume.cut(cell, plane)
        ax = sheet.panel(box, volume.where(cell, plane), cut.across, cut.up)
        draw_cut(ax, cut, colours, norm, frame)
        _other_slice(ax, volume, cell, plane, vertical)
        mark_sonar(ax, cut)
    sheet.colour_bar(around(boxes), colours, norm, f"{chosen.label} ( dB re 1 m⁻¹ )")


def _top(values: Array, least: float) -> float:
    """Return the upper end of the colours: the least one, or what all but a few cells stay below."""
    known = values[np.isfinite(values)]
    return max(least, 5.0 * math.ceil(float(np.percentile(known, 99.95)) / 5))


def _other_slice(ax: Axes, volume: Volume, cell: Place, plane: str, vertical: str) -> None:
    """Mark the line in which the other slice cuts this one."""
    look: dict[str, Any] = {"color": "white", "lw": 1.0, "ls": (0, (4, 3)), "alpha": 0.75}
    if plane != "xy":
        ax.axhline(float(volume.z[cell.iz]), **look)
    elif vertical == "xz":
        ax.axhline(float(volume.y[cell.iy]), **look)
    else:
        ax.axvline(float(volume.x[cell.ix]), **look)


def _broad_plane(volume: Volume, cell: Place, lowest: float) -> str:
    """Choose the vertical plane that shows more of the plume."""
    east, north = volume.values[cell.iy], volume.values[:, cell.ix]
    return "xz" if (east >= lowest).sum() >= (north >= lowest).sum() else "yz"


def _velocity_field(ds: xr.Dataset) -> xr.DataArray | None:
    """Choose the velocity to show: along the line of sight (2018+), vertical (2010-15)."""
    return field(ds, "doppler_velocity_vr_cov", "doppler_velocity_v", "doppler_velocity_vr")


def draw_doppler(sheet: Sheet, ds: xr.Dataset) -> None:
    """Draw velocity in three planes through the strongest column, with contours of backscatter.

    Velocity is faint where backscatter is weak: the phase of noise is noise.
    """
    variable = _velocity_field(ds)
    if variable is None or not np.isfinite(variable.values).any():
        sheet.say(NEVER_REACHED)
        return
    velocity = _volume(variable, variable.values)
    strength = _volume(variable, _strength(ds, variable))
    clear = _clearness(strength.values)
    cell = strongest(np.where(np.isfinite(variable.values), clear, 0.0))
    unit = str(variable.attrs.get("units", "m s-1"))
    strong = variable.values[clear > 0.6]
    limit = symmetric_limit(strong if strong.size else variable.values, 0.1 if unit == "m s-1" else 5.0)
    norm = Normalize(-limit, limit, clip=True)
    colours = cmap("RdBu_r")
    planes = ("xz", "yz", "xy")
    wanted = (clear > 0.5) & np.isfinite(variable.values)
    frames = [velocity.frame(plane, wanted) for plane in planes]
    boxes = arrange((0.85, 1.0, 11.75, 5.8), frames)
    levels: set[float] = set()
    for box, plane, frame in zip(boxes, planes, frames, strict=True):
        cut = velocity.cut(cell, plane)
        ax = sheet.panel(box, velocity.where(cell, plane), cut.across, cut.up)
        opacity = _volume(variable, clear).cut(cell, plane).values
        draw_cut(ax, cut, colours, norm, frame, opacity)
        levels |= _contours(ax, strength.cut(cell, plane))
        mark_sonar(ax, cut)
    vertical = variable.attrs["original_name"] == "doppler_velocity_v"
    label = "Vertical velocity, + up" if vertical else "Line-of-sight velocity, + away"
    sheet.colour_bar(around(boxes), colours, norm, f"{label} ( {_UNITS.get(unit, unit)} )")
    _explain_contours(sheet, levels)


def _strength(ds: xr.Dataset, velocity: xr.DataArray) -> Array:
    """Return the backscatter on the velocity grid in dB; all alike where the product has none."""
    backscatter = field(ds, "intensity_win_Id", "intensity_win_Ia", "intensity_v", "intensity_Id")
    if (
        backscatter is None
        or backscatter.shape != velocity.shape
        or not np.isfinite(backscatter.values).any()
    ):
        return np.where(np.isfinite(velocity.values), 0.0, np.nan)
    return decibel(backscatter.values)


def _clearness(strength: Array) -> Array:
    """Say how much of a velocity's colour to show, 0.12 ... 1, by backscatter in dB."""
    known = strength[np.isfinite(strength)]
    low, high = np.percentile(known, (40, 99.5)) if known.size else (0.0, 0.0)
    rise = max(0.5 * float(high - low), 1e-9)
    return np.nan_to_num(np.clip((strength - low) / rise, _FAINT, 1.0), nan=_FAINT)


def _contours(ax: Axes, cut: Cut) -> set[float]:
    """Draw contours of backscatter every 10 dB, smoothed a little; return the levels drawn."""
    known = np.isfinite(cut.values)
    if min(cut.values.shape) < 2 or not known.any():
        return set()
    filled = np.where(known, cut.values, np.nanmin(cut.values))
    smooth = np.where(known, ndimage.gaussian_filter(filled, 1.0), np.nan)
    levels = [level for level in _CONTOURS if np.nanmin(smooth) < level < np.nanmax(smooth)]
    if levels:
        ax.contour(
            cut.u, cut.v, smooth, levels=levels, colors=INK, linewidths=0.9, linestyles="solid", alpha=0.8
        )
    return set(levels)


def _explain_contours(sheet: Sheet, levels: set[float]) -> None:
    numbers = ", ".join(signed(level, 0) for level in sorted(levels))
    if levels:
        line = Line2D([], [], color=INK, lw=0.9, label=f"Backscatter {numbers} dB re 1 m⁻¹, inwards")
        sheet.figure.legend(
            handles=[line],
            loc="upper right",
            bbox_to_anchor=(0.977, 0.935),
            fontsize=9,
            frameon=False,
            labelcolor=INK,
        )
