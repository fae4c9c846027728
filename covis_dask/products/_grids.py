"""The original's grids inside a dataset, found by the attribute `original_name` of each variable.

A product of one grid (imaging, bathymetry) has plain names, such as ``Ia`` and ``w``; one of several has
names that begin with the type of the grid, such as ``doppler_velocity_vr_cov``. A complex field is stored as
two variables that end in ``_real`` and ``_imag``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.modes import ModeSpec, spec_for
from covis_dask.modes.spec import GridDescription

__all__ = ["Grid", "as_computed", "extras", "field", "grids", "is_gridded", "spec_of"]

_AXES = ("y", "x", "z")
_PAIR = ("_real", "_imag")
WEIGHT = "w"


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """One grid of the original.

    Parameters
    ----------
    description : GridDescription
    fields : mapping of str to DataArray
        Field name of the original (``v``, ``Ia``, ``w`` ...) to variable, dims (y, x) or (y, x, z).
    """

    description: GridDescription
    fields: Mapping[str, xr.DataArray]

    @property
    def dimensions(self) -> int:
        """2 for a map, 3 for a volume."""
        return len(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along y, x and, for a volume, z."""
        return next(iter(self.fields.values())).shape

    @property
    def units(self) -> str:
        """Units of the first field that is no weight."""
        first = next((v for name, v in self.fields.items() if name != WEIGHT), None)
        return "1" if first is None else str(first.attrs.get("units", "1"))

    def axes(self) -> tuple[NDArray[np.float64], ...]:
        """Return the axis vectors x, y and, for a volume, z; m."""
        first = next(iter(self.fields.values()))
        y, x, *z = (first[name].values for name in first.dims)
        return x, y, *z

    def values(self, name: str) -> NDArray[np.float64] | NDArray[np.complex128]:
        """Return a field, the two parts of a complex one put together."""
        if name in self.fields:
            return np.asarray(self.fields[name].values)
        real, imag = (self.fields[name + part].values for part in _PAIR)
        return np.asarray(real + 1j * imag)

    def names(self) -> list[str]:
        """Return the field names, a complex pair as one."""
        return list(dict.fromkeys(_joined(name) for name in self.fields))


def _joined(name: str) -> str:
    return name[: -len(_PAIR[0])] if name.endswith(_PAIR) else name


def is_gridded(variable: xr.DataArray) -> bool:
    """Tell variables on a product grid, dims (y, x) or (y, x, z), from a mode's small extras."""
    heads = tuple(str(name).split("_")[0] for name in variable.dims)
    return heads in {("y", "x"), ("y", "x", "z")}


def as_computed(ds: xr.Dataset) -> xr.Dataset:
    """Return a finished dataset in the shape that its mode gave it: dims (y, x) or (y, x, z), one time.

    The original's scripts, quick looks and second-level science work on this shape.
    """
    alone = ds.isel(time=0) if "time" in ds.sizes else ds
    placed = {
        name: variable.transpose(*sorted(variable.dims, key=lambda dim: _AXES.index(str(dim)[0])))
        for name, variable in alone.variables.items()
        if variable.dims and all(str(dim).partition("_")[0] in _AXES for dim in variable.dims)
    }
    return alone.assign(placed)


def spec_of(ds: xr.Dataset) -> ModeSpec:
    """Return what is known of the mode of a finished dataset.

    Raises
    ------
    ModeUnsupported
        When nothing is known of the mode that its attributes name.
    """
    return spec_for(str(ds.attrs["site"]), str(ds.attrs["mode_family"]))


def grids(ds: xr.Dataset, spec: ModeSpec) -> list[Grid]:
    """Return the grids of a dataset of a mode, in order of their first variable.

    Raises
    ------
    KeyError
        When a variable is on none of the mode's grids.
    """
    described = {grid.prefix: grid for grid in spec.grids}
    prefixes = sorted(filter(None, described), key=len, reverse=True)
    by_prefix: dict[str, dict[str, xr.DataArray]] = {}
    for variable in ds.data_vars.values():
        name = variable.attrs.get("original_name")
        if name is None or not is_gridded(variable):
            continue
        prefix = next((word for word in prefixes if name.startswith(word + "_")), "")
        if prefix not in described:
            raise KeyError(f"{name} is on none of the grids of {spec} products: {', '.join(prefixes)}")
        by_prefix.setdefault(prefix, {})[name[len(prefix) + 1 :] if prefix else name] = variable
    return [Grid(described[prefix], fields) for prefix, fields in by_prefix.items()]


def field(ds: xr.Dataset, *names: str) -> xr.DataArray | None:
    """Return the first gridded variable with one of the original names, or None."""
    known = {v.attrs.get("original_name"): v for v in ds.data_vars.values() if is_gridded(v)}
    return next((known[name] for name in names if name in known), None)


def extras(ds: xr.Dataset) -> dict[str, NDArray[np.generic]]:
    """Return a mode's small arrays by original name, complex pairs joined."""
    small = {
        v.attrs["original_name"]: v.values
        for v in ds.data_vars.values()
        if "original_name" in v.attrs and not is_gridded(v)
    }
    for name in [key for key in small if key.endswith(_PAIR[0])]:
        stem = _joined(name)
        if stem + _PAIR[1] in small:
            small[stem] = small.pop(name) + 1j * small.pop(stem + _PAIR[1])
    return small
