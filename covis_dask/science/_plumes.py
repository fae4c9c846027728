"""Vents of a product one by one, and the variables that imaging and Doppler have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.config.science import ScienceSection, Vent
from covis_dask.science.axis import Axis
from covis_dask.science.flags import LevelFlag, VentFlag
from covis_dask.science.grids import PlumeFields
from covis_dask.science.line import CentreLine, located
from covis_dask.science.quantities import Quantities
from covis_dask.science.run import day_of, entries_of, site_of

__all__ = [
    "LEVELS",
    "VENTS",
    "FoundVent",
    "add_axis",
    "add_centres",
    "by_level",
    "coordinates",
    "find_vents",
    "level_flags",
    "vents_of",
    "window",
]

Real = NDArray[np.float64]

VENTS, LEVELS = ("vent",), ("vent", "level")

_LEANING = 2.0  # widths of the domain to which a plume may lean within the window


@dataclass(frozen=True, slots=True, eq=False)
class FoundVent:
    """A vent of a product, its place and its centre line; what is not known is NaN."""

    name: str
    vent: Vent
    place: tuple[float, float]
    line: CentreLine | None
    flags: VentFlag


def vents_of(ds: xr.Dataset, science: ScienceSection) -> tuple[dict[str, Vent], list[str]]:
    """Return the vents of a product, and sentences where there is none."""
    site, day = site_of(ds), day_of(ds)
    vents = entries_of(science.vents, site, day)
    if vents:
        return vents, []
    when = f" on {day:%Y-%m-%d}" if day else ""
    return {}, [
        f"The configuration has no vent of the site {site or '(not stated)'}{when}: covis.science.vents."
    ]


def window(vents: Mapping[str, Vent]) -> tuple[tuple[float, float, float], ...]:
    """Return the squares in which plumes are looked for; none, hence everything, where a place is unknown."""
    squares = []
    for vent in vents.values():
        if vent.x is None or vent.y is None:
            return ()
        squares.append((vent.x, vent.y, _LEANING * vent.domain_radius))
    return tuple(squares)


def find_vents(
    fields: PlumeFields | None,
    vents: Mapping[str, Vent],
    follow: Callable[[PlumeFields, Vent, tuple[float, float]], CentreLine],
) -> tuple[list[FoundVent], list[str]]:
    """Follow the plume of every vent; return them, and sentences about those that cannot be."""
    found, notes = [], []
    for name, vent in vents.items():
        flags = VentFlag(0)
        place = (np.nan if vent.x is None else vent.x, np.nan if vent.y is None else vent.y)
        if fields is None:
            found.append(FoundVent(name, vent, place, None, VentFlag.NO_PLUME | VentFlag.NO_AXIS))
            continue
        if not np.isfinite(place).all():
            place, flags = located(fields.backscatter, vent), VentFlag.VENT_LOCATED
        if not _sees(fields, place, vent.domain_radius):
            flags |= VentFlag.OUTSIDE_SECTOR | VentFlag.NO_PLUME | VentFlag.NO_AXIS
            notes.append(f"{name}: no sample of this run lies within {vent.domain_radius:g} m of the vent.")
            found.append(FoundVent(name, vent, place, None, flags))
            continue
        line = follow(fields, vent, place)
        if not line.z.size:
            low, high = vent.levels
            notes.append(f"{name}: the product has no level between {low:g} and {high:g} m.")
        found.append(FoundVent(name, vent, place, line, flags | line.vent_flags))
    return found, notes


def _sees(fields: PlumeFields, place: tuple[float, float], radius: float) -> bool:
    """Say whether any cell near a place was reached."""
    volume = fields.backscatter
    if not np.isfinite(place).all():
        return False
    columns = abs(volume.x - place[0]) <= radius
    rows = abs(volume.y - place[1]) <= radius
    return bool(volume.seen[np.ix_(rows, columns, np.ones(len(volume.z), np.bool_))].any())


def coordinates(ds: xr.Dataset, found: Sequence[FoundVent]) -> dict[str, Any]:
    """Return the coordinates vent and level, and the time of the run."""
    heights = sorted({float(z) for one in found if one.line is not None for z in one.line.z})
    level = {"long_name": "height above the base of COVIS", "units": "m", "axis": "Z", "positive": "up"}
    names = np.array([one.name for one in found], dtype=np.str_)
    coords: dict[str, Any] = {
        "vent": xr.Variable(("vent",), names, {"long_name": "name of the vent"}),
        "level": xr.Variable(("level",), np.array(heights), level),
    }
    if "time" in ds.coords and not ds["time"].dims:
        coords["time"] = ds["time"].variable
    return coords


def by_level(
    found: Sequence[FoundVent],
    levels: Real,
    values: Callable[[FoundVent, CentreLine], Any],
    fill: Any = np.nan,
) -> NDArray[Any]:
    """Return a quantity of all vents by height [vent, level]."""
    table = np.full((len(found), len(levels)), fill)
    for row, one in zip(table, found, strict=True):
        if one.line is not None and one.line.z.size:
            row[np.searchsorted(levels, one.line.z)] = values(one, one.line)
    return table


ByLevel = Callable[[FoundVent, CentreLine], Any]


def _attribute(key: str) -> ByLevel:
    """Return what takes a quantity out of a centre line."""
    return lambda _, line: getattr(line, key)


def _of_axis(key: str) -> ByLevel:
    """Return what takes a quantity out of the axis of a centre line."""
    return lambda _, line: np.nan if line.axis is None else getattr(line.axis, key)


def _of_tangent(index: int) -> ByLevel:
    """Return what takes a component out of the tangents of the axis."""
    return lambda _, line: np.nan if line.axis is None else line.axis.tangent[:, index]


def add_centres(out: Quantities, found: Sequence[FoundVent], levels: Real) -> None:
    """Add where the vents are, and their centre lines."""
    for index, letter in enumerate("xy"):
        out.add(f"vent_{letter}", VENTS, [one.place[index] for one in found])
    out.add("vent_z", VENTS, [one.vent.z for one in found])
    for name, key in (
        ("center_x", "x"),
        ("center_x_error", "x_error"),
        ("center_y", "y"),
        ("center_y_error", "y_error"),
        ("center_moment_x", "moment_x"),
        ("center_moment_y", "moment_y"),
        ("radius_backscatter", "radius"),
        ("radius_backscatter_error", "radius_error"),
        ("peak_backscatter", "peak"),
        ("peak_backscatter_error", "peak_error"),
        ("background_backscatter", "background"),
    ):
        out.add(name, LEVELS, by_level(found, levels, _attribute(key)))


def add_axis(out: Quantities, found: Sequence[FoundVent], levels: Real) -> None:
    """Add the axes, and which way they lean."""
    for name, key in (
        ("axis_x", "x"),
        ("axis_x_error", "x_error"),
        ("axis_y", "y"),
        ("axis_y_error", "y_error"),
        ("arc_length", "arc_length"),
    ):
        out.add(
            name,
            LEVELS,
            by_level(found, levels, _of_axis(key)),
        )
    for index, letter in enumerate("xyz"):
        out.add(f"tangent_{letter}", LEVELS, by_level(found, levels, _of_tangent(index)))
    axes: list[Axis | None] = [None if one.line is None else one.line.axis for one in found]
    for name, key in (
        ("inclination", "inclination"),
        ("inclination_error", "inclination_error"),
        ("azimuth", "azimuth"),
        ("lean_east", "east"),
        ("lean_east_error", "east_error"),
        ("lean_north", "north"),
        ("lean_north_error", "north_error"),
    ):
        out.add(name, VENTS, [np.nan if axis is None else getattr(axis.lean, key) for axis in axes])
    azimuths = np.array([np.nan if axis is None else axis.lean.azimuth for axis in axes], np.float64)
    out.add("azimuth_math", VENTS, (90.0 - azimuths) % 360.0)
    out.add("curvature", VENTS, [np.nan if axis is None else axis.curvature for axis in axes])
    for word, index in (("east", 0), ("north", 1)):
        ends = [
            np.nan if axis is None else (axis.x, axis.y)[index][-1] - one.place[index]
            for one, axis in zip(found, axes, strict=True)
        ]
        out.add(f"displacement_{word}", VENTS, ends)


def level_flags(
    found: Sequence[FoundVent], levels: Real, flags: Callable[[FoundVent, CentreLine], Any]
) -> Any:
    """Return the flags of all vents by height; heights that are none of a vent's are marked."""
    return by_level(found, levels, flags, int(LevelFlag.NOT_ANALYSED)).astype(np.int32)
