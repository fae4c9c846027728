"""What a file holds where: at its root what has the same shape in all runs of a mode, the rest in groups.

The grids of two runs are alike, so that their files can be put in a row by time. The numbers of pings,
bursts, beams and samples differ, so the tables of these stand in groups of the same file.
"""

from collections.abc import Mapping
from typing import Final

import xarray as xr

__all__ = ["ROOT", "group_of", "join", "split"]

ROOT: Final = ""
_SHARED: Final = frozenset({"time", "bound", "x", "y", "z"})
_GROUPS: Final = (("burst", "bursts"), ("ping", "pings"), ("beam", "beams"), ("sample", "beams"))


def group_of(dims: tuple[str, ...]) -> str:
    """Return the group for a variable with these dimensions; an axis may have a suffix, as in ``x_fr``."""
    if all(name.partition("_")[0] in _SHARED for name in dims):
        return ROOT
    words = {*dims, *(name.partition("_")[0] for name in dims)}
    known = (group for word, group in _GROUPS if word in words)
    return next(known, f"{dims[0]}s")


def split(ds: xr.Dataset) -> dict[str, xr.Dataset]:
    """Divide a product into the groups of a file; the root comes first, and has the attributes."""
    groups: dict[str, list[str]] = {ROOT: []}
    for name, variable in ds.variables.items():
        groups.setdefault(group_of(tuple(map(str, variable.dims))), []).append(str(name))
    return {
        group: xr.Dataset(
            {name: ds.variables[name] for name in names if name not in ds.coords},
            {name: ds.variables[name] for name in names if name in ds.coords},
            ds.attrs if group == ROOT else {},
        )
        for group, names in groups.items()
    }


def join(groups: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put the groups of a file together again."""
    whole = groups[ROOT]
    for group, part in groups.items():
        if group != ROOT:
            whole = whole.assign_coords({name: part.variables[name] for name in part.coords})
            whole = whole.assign({name: part.variables[name] for name in part.data_vars})
    return whole
