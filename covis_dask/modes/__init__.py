"""Mode programs: what is done with a run of each kind, by era (docs/method.md#modes).

A program takes a `RawSweep`, `Parameters` and a `Context` and returns a dataset. It is imported when it is
first asked for.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from covis_dask.modes._presets import PROGRAM_PRESETS

if TYPE_CHECKING:  # command lines import this package for its presets, and shall answer at once
    import xarray as xr

    from covis_dask.modes.context import Context
    from covis_dask.modes.parameters import Parameters
    from covis_dask.raw.sweep import RawSweep

__all__ = ["Program", "has_program", "program"]

Program: TypeAlias = "Callable[[RawSweep, Parameters, Context], xr.Dataset]"

_MODULES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("Endeavour", "imaging"): "covis_dask.modes.endeavour.imaging",
        ("Endeavour", "diffuse"): "covis_dask.modes.endeavour.diffuse",
        ("Endeavour", "doppler"): "covis_dask.modes.endeavour.doppler",
        ("Ashes", "imaging"): "covis_dask.modes.ashes.imaging",
        ("Ashes", "diffuse"): "covis_dask.modes.ashes.diffuse",
        ("Ashes", "doppler"): "covis_dask.modes.ashes.doppler",
        ("Ashes", "bathy"): "covis_dask.modes.ashes.bathy",
        ("Ashes", "fullimaging"): "covis_dask.modes.ashes.fullrange",
    }
)


def has_program(family: str, site: str) -> bool:
    """Say whether there is a program for a kind of run, without importing it."""
    return (site, family) in _MODULES


def program(family: str, site: str, preset: str | None = None) -> "Program | None":
    """Return the program for a kind of run, None when there is none.

    Parameters
    ----------
    family : str
        As `catalog.names.mode_family` has it.
    site : {"Endeavour", "Ashes"}
    preset : str, optional
        The default one when not given.
    """
    module = _MODULES.get((site, family))
    if module is None or (preset is not None and preset not in PROGRAM_PRESETS[site, family]):
        return None
    found: Program = import_module(module).process
    return found
