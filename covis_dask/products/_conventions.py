"""The shape of a product: axes, order of dimensions, time, place, and what each variable is, by CF-1.10."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from catalog.vocabulary import describe_site
from covis_dask.modes import ModeSpec
from covis_dask.products._grids import WEIGHT, grids, is_gridded
from covis_dask.products._groups import ROOT, group_of
from covis_dask.products._moment import dated
from covis_dask.products._place import CRS, place
from covis_dask.products._precision import narrowed

__all__ = ["conform"]

_AXES: Final[Mapping[str, Mapping[str, str]]] = {
    "x": {"long_name": "Easting of COVIS", "units": "m"},
    "y": {"long_name": "Northing of COVIS", "units": "m"},
    "z": {"long_name": "Height above COVIS base", "units": "m", "axis": "Z", "positive": "up"},
}
_ORDER: Final = ("time", "z", "y", "x")  # CF 2.4
_FLAGS: Final = {
    "ping_used": "left_out used",
    "burst_used": "left_out used",
}
_FLOOR: Final = "bathymetry"
_FLOOR_ATTRIBUTES: Final = {
    "long_name": "Height of the seafloor above COVIS base",
    "units": "m",
    "positive": "up",
}
_RELATIVE: Final = (
    "Relative to the largest value of this run, which is not recorded. Compare places within a run; do not "
    "compare or average runs."
)


def conform(
    ds: xr.Dataset, spec: ModeSpec, start: dt.datetime, profile: str, parameters: Mapping[str, Any]
) -> xr.Dataset:
    """Give the dataset of a mode program the shape in which it is stored; its global attributes stay.

    Parameters
    ----------
    ds : Dataset
        Grids in any order of dimensions, without time.
    spec : ModeSpec
    start : datetime
        Start of the run by its name, UTC.
    profile : str
    parameters : mapping
        Of the run, nested, JSON-like.
    """
    # A copy of every variable, so that attributes are free to change.
    out = ds.copy()
    for name in out.variables:
        out[name].attrs = dict(out[name].attrs)
    out = _with_floor(out, spec, parameters)
    _describe_axes(out)
    _describe_variables(out, spec)
    _link_weights(out, spec)
    out = place(narrowed(out, profile), describe_site(spec.site))
    return dated(_stacked(out), start)


def _with_floor(ds: xr.Dataset, spec: ModeSpec, parameters: Mapping[str, Any]) -> xr.Dataset:
    """Give maps that were made on an assumed seafloor its height too: all runs of a mode have it, or none."""
    if not spec.needs_seafloor or _FLOOR in ds.coords or not {"x", "y"} <= ds.sizes.keys():
        return ds
    level = parameters.get("seafloor", {}).get("flat_height", np.nan)
    assumed = "assumed" in str(ds.attrs.get("seafloor"))
    heights = np.full((ds.sizes["y"], ds.sizes["x"]), level if assumed else np.nan)
    return ds.assign_coords({_FLOOR: (("y", "x"), heights, dict(_FLOOR_ATTRIBUTES))})


def _describe_axes(ds: xr.Dataset) -> None:
    """Name the axes in the words of docs/method.md#quick-looks.

    CF asks for true longitude and latitude beside axes marked X and Y, so `place` marks them.
    """
    for name, axis in ds.coords.items():
        head, _, suffix = str(name).partition("_")
        if head in _AXES and axis.dims == (name,):
            axis.attrs.pop("axis", None)
            axis.attrs.update(_AXES[head])
            if suffix:
                axis.attrs["comment"] = f"The {suffix} grids have axes of their own."
        axis.attrs.setdefault("coverage_content_type", "coordinate")


def _describe_variables(ds: xr.Dataset, spec: ModeSpec) -> None:
    """Add standard names, the meaning of flags, and a word of caution to relative intensities."""
    for name, variable in ds.data_vars.items():
        described = spec.variables.get(str(variable.attrs.get("original_name", "")))
        if described is not None and described.standard_name is not None:
            variable.attrs.setdefault("standard_name", described.standard_name)
        if described is not None and described.relative:
            variable.attrs |= {"relative_to": "largest value of this run", "comment": _RELATIVE}
        if str(name) in _FLAGS:
            values = np.arange(2, dtype=variable.dtype)
            variable.attrs |= {"flag_values": values, "flag_meanings": _FLAGS[str(name)]}


def _link_weights(ds: xr.Dataset, spec: ModeSpec) -> None:
    """Point each gridded variable at the weights it was normalised with."""
    for grid in grids(ds, spec):
        weight = grid.fields.get(WEIGHT)
        for name, variable in grid.fields.items():
            kind = "auxiliaryInformation" if name == WEIGHT else "physicalMeasurement"
            attrs = ds[variable.name].attrs
            attrs.setdefault("coverage_content_type", kind)
            if weight is not None and name != WEIGHT:
                attrs.setdefault("ancillary_variables", str(weight.name))
    for variable in ds.data_vars.values():
        variable.attrs.setdefault("coverage_content_type", "auxiliaryInformation")


def _stacked(ds: xr.Dataset) -> xr.Dataset:
    """Put time before the dimensions of all that can be put in a row by time, and these in CF's order."""
    stacked = ds.drop_vars("time", errors="ignore")
    for name, variable in stacked.variables.items():
        if group_of(tuple(map(str, variable.dims))) != ROOT or not _varies(stacked, str(name)):
            continue
        dims = sorted(map(str, variable.dims), key=lambda dim: _ORDER.index(dim.partition("_")[0]))
        new = variable.transpose(*dims).expand_dims("time")
        if CRS in stacked.coords and is_gridded(stacked[name]):
            new.attrs["grid_mapping"] = CRS
        stacked = stacked.assign({str(name): new})  # a coordinate stays one
    return stacked


def _varies(ds: xr.Dataset, name: str) -> bool:
    """Tell what one run has for itself from what all of a mode have in common: axes and their degrees."""
    return name in ds.data_vars or is_gridded(ds[name])
