"""Quick looks of the modes with maps: diffuse flow, bathymetry, full-range (docs/method.md#quick-looks)."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LightSource, Normalize
from numpy.typing import NDArray
from scipy import ndimage

from covis_dask.products._canvas import BROWNS, INK, NEVER_REACHED, REDS, Sheet, cmap, decibel, limits, signed
from covis_dask.products._grids import field
from covis_dask.products._layout import Box, Frame, Region, arrange
from covis_dask.products._plumes import floor_volume, plume, seafloor
from covis_dask.products._slices import Cut, Volume, draw_cut, draw_picture, frame_of, joint, mark_sonar
from covis_dask.products._surfaces import draw_relief, draw_surfaces

__all__ = ["draw_bathymetry", "draw_diffuse", "draw_fullimaging"]

Array = NDArray[np.float64]

_STRETCH = 2.0
_MOST_LEVELS = 60
_RELIEF = (0.5, 99.8)  # percentiles: a vent is small, and what one looks for


@dataclass(frozen=True, slots=True)
class _Map:
    """One map: title, values, colours, usual range, label of the colour bar."""

    title: str
    cut: Cut
    colours: Colormap
    usual: tuple[float, float]
    label: str
    fixed: bool = False

    @property
    def empty(self) -> bool:
        return not bool(np.isfinite(self.cut.values).any())


def _cut(variable: xr.DataArray, values: Array) -> Cut:
    y, x = (variable[name].values for name in variable.dims)
    return Cut("x", "y", x, y, values)


def draw_diffuse(sheet: Sheet, ds: xr.Dataset) -> None:
    """Draw decorrelation and backscatter side by side, with contours of the seafloor where it is known."""
    maps = [
        chart for chart in (_decorrelation(ds), _backscatter(ds)) if chart is not None and not chart.empty
    ]
    if not maps:
        sheet.say(NEVER_REACHED)
        return
    frame = joint([frame_of(chart.cut) for chart in maps])
    for chart, region in zip(maps, ((0.85, 1.0, 5.55, 5.95), (7.1, 1.0, 11.8, 5.95)), strict=False):
        _draw_map(sheet, region, chart, frame, seafloor(ds))


def _decorrelation(ds: xr.Dataset) -> _Map | None:
    variable = field(ds, "decorrelation_v")
    if variable is None:
        return None
    cut = _cut(variable, variable.values)
    return _Map("Decorrelation between pings", cut, REDS, (0.1, 0.5), "Decorrelation ( 1 )")


def _backscatter(ds: xr.Dataset) -> _Map | None:
    variable = field(ds, "intensity_v", "intensity_filt_v")
    if variable is None:
        return None
    cut = _cut(variable, decibel(variable.values))
    if str(variable.attrs.get("units")) == "1":  # 2010-15: relative to the maximum
        return _Map("Backscatter", cut, cmap("viridis"), (-30.0, 0.0), "Backscatter ( dB re maximum )")
    return _Map("Backscatter", cut, cmap("viridis"), (-50.0, -15.0), "Target strength ( dB re 1 m² )")


def _draw_map(
    sheet: Sheet, region: Region, chart: _Map, frame: Frame, floor: xr.DataArray | None = None
) -> None:
    """Draw a map as large as the region allows, its colour bar on its right."""
    (box,) = arrange(region, [frame])
    ax = sheet.panel(box, chart.title, "x", "y")
    span = chart.usual if chart.fixed else limits(chart.cut.values, chart.usual)
    norm = Normalize(*span, clip=True)
    draw_cut(ax, chart.cut, chart.colours, norm, frame)
    if floor is not None:
        _heights(ax, _cut(floor, floor.values))
    mark_sonar(ax, chart.cut)
    sheet.colour_bar(box, chart.colours, norm, chart.label)


def _heights(ax: Axes, floor: Cut) -> None:
    """Draw contours of the seafloor every 0.5 m, a little smoothed; whole metres stronger, and labelled."""
    heights = _smooth(floor.values)
    low, high = np.nanmin(heights), np.nanmax(heights)
    levels = np.arange(np.ceil(low * 2) / 2, high, 0.5)
    if min(heights.shape) < 2 or not 0 < levels.size <= _MOST_LEVELS:
        return
    widths = [0.9 if level % 1 == 0 else 0.45 for level in levels]
    lines = ax.contour(
        floor.u,
        floor.v,
        heights,
        levels=levels,
        colors=INK,
        linewidths=widths,
        linestyles="solid",
        alpha=0.65,
    )
    whole = [level for level in levels if level % 1 == 0]
    ax.clabel(lines, levels=whole, fmt=lambda level: f"{signed(level, 0)} m", fontsize=7)


def _smooth(values: Array) -> Array:
    """Average over neighbours, those that are known; what is unknown stays so."""
    known = np.isfinite(values)
    sums = ndimage.gaussian_filter(np.where(known, values, 0.0), 1.0)
    parts = ndimage.gaussian_filter(known.astype(np.float64), 1.0)
    return np.where(known, sums / np.where(known, parts, 1.0), np.nan)


def draw_bathymetry(sheet: Sheet, ds: xr.Dataset) -> None:
    """Draw the seafloor as a shaded relief from above, and in three dimensions."""
    heights = field(ds, "v")
    if heights is None:
        sheet.say(NEVER_REACHED)
        return
    cut = _cut(heights, heights.values)
    at_tower = np.hypot(*np.meshgrid(cut.u, cut.v)) < 4  # the head itself (docs/method.md#bathymetry-2018)
    cut = _cut(heights, np.where(at_tower, np.nan, heights.values))
    if not np.isfinite(cut.values).any():
        sheet.say(NEVER_REACHED)
        return
    span = limits(cut.values, None, _RELIEF)  # no usual range: shallow relief needs all colours
    _relief_map(sheet, (0.9, 1.0, 5.3, 5.95), cut, span)
    floor = Volume(cut.u, cut.v, np.zeros(1), cut.values[:, :, None])
    draw_relief(sheet, (0.475, 0.08, 0.475, 0.76), floor, span, _STRETCH)
    sheet.figure.text(
        0.53, 0.842, f"Seen from the east, heights {_STRETCH:.0f} times stretched", size=11, color=INK
    )


def _relief_map(sheet: Sheet, region: Region, cut: Cut, span: tuple[float, float]) -> None:
    frame = frame_of(cut)
    (box,) = arrange(region, [frame])
    norm = Normalize(*span, clip=True)
    ax = sheet.panel(box, "Height of the seafloor", "x", "y")
    draw_picture(ax, cut, _relief(cut, norm), frame)
    _heights(ax, cut)
    mark_sonar(ax, cut)
    sheet.colour_bar(box, BROWNS, norm, "Height above COVIS base ( m )")


def _relief(cut: Cut, norm: Normalize) -> Array:
    """Return the colours of heights lit from the north-west."""
    known = np.isfinite(cut.values)
    # Holes take the nearest height: an edge would throw a shadow.
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled = cut.values[tuple(nearest)]
    steps = [float(axis[-1] - axis[0]) / max(axis.size - 1, 1) or 1.0 for axis in (cut.u, cut.v)]
    # Rows run northwards here, southwards where the light source's azimuth is defined.
    light = LightSource(azdeg=315, altdeg=45)
    shade = light.hillshade(filled[::-1], vert_exag=2 * _STRETCH, dx=steps[0], dy=steps[1])[::-1]
    rgb = light.blend_soft_light(BROWNS(norm(filled))[..., :3], shade[..., None])
    return np.dstack([rgb, known.astype(np.float64)])


def draw_fullimaging(sheet: Sheet, ds: xr.Dataset) -> None:
    """Draw the plume in three dimensions over the seafloor, and four maps."""
    chosen = plume(ds)
    view: Box = (0.0, 0.06, 0.43, 0.82)
    if chosen is not None and np.isfinite(chosen.volume.values).any():
        draw_surfaces(sheet, view, chosen.volume, chosen.look, floor_volume(ds))
    else:
        sheet.say(NEVER_REACHED, view)
    regions: list[Region] = [
        (6.1 + 3.45 * column, 3.95 - 3.05 * row, 8.35 + 3.45 * column, 6.0 - 3.05 * row)
        for row in (0, 1)
        for column in (0, 1)
    ]
    maps = _full_maps(ds)
    frames = [frame_of(chart.cut) for chart in maps if not chart.empty]
    for region, chart in zip(regions, maps, strict=False):
        if chart.empty:
            (box,) = arrange(region, [((0.0, 1.0), (0.0, 1.0))])
            sheet.say(f"{chart.title}: no cell was reached.", box)
        else:
            _draw_map(sheet, region, chart, joint(frames))


def _full_maps(ds: xr.Dataset) -> list[_Map]:
    """Return the maps of a full-range run that the product has (docs/method.md#quick-looks)."""
    maps = [_decorrelation(ds), _backscatter(ds)]
    height, amplitude = field(ds, "bathy_v", "bathy_filt_v"), field(ds, "kp_v")
    if height is not None:
        maps.append(
            _Map("Seafloor", _cut(height, height.values), BROWNS, (-1.0, 4.0), "Height ( m )", fixed=True)
        )
    if amplitude is not None:
        cut = _cut(amplitude, amplitude.values)
        maps.append(_Map("Amplitude variance", cut, cmap("cividis"), (0.0, 0.5), "Kp ( 1 )"))
    return [one for one in maps if one is not None]
