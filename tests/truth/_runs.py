"""Simulated runs through the engine, from the archive's files to the product."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import fsspec
import xarray as xr

from catalog.model import Run
from catalog.names import parse_basename
from covis_dask.engines.native import NativeEngine
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import GridSpec, Parameters
from covis_dask.raw.source import ArchiveSource

__all__ = ["in_memory", "named", "process", "settings"]


@contextmanager
def in_memory(members: Mapping[str, bytes], basename: str) -> Iterator[ArchiveSource]:
    """Lay the files of a run in a folder in memory, for as long as they are needed."""
    fs, place = fsspec.filesystem("memory"), f"/{uuid4().hex}"
    for name, data in members.items():
        fs.pipe_file(f"{place}/{basename}/{name}", data)
    try:
        yield ArchiveSource(fs, f"{place}/{basename}")
    finally:
        fs.rm(place, recursive=True)


def settings(
    basename: str, family: str, profile: str, preset: str | None = None, grid: GridSpec | None = None
) -> Parameters:
    """Return the default parameters of a run; `grid` replaces bounds and spacing of every grid."""
    made = parameters_for(family, parse_basename(basename).site, preset=preset, profile=profile)
    if grid is None:
        return made
    return replace(made, grids=tuple(replace(grid, type=old.type) for old in made.grids))


def process(
    source: ArchiveSource, basename: str, parameters: Parameters, context: Context | None = None
) -> xr.Dataset:
    """Make the product of a run with the native engine."""
    name = parse_basename(basename)
    run = Run(basename=basename, datetime=name.datetime, mode=name.mode, site=name.site)
    return NativeEngine().process(source, run, parameters, context or Context())


def named(ds: xr.Dataset, original: str) -> xr.DataArray:
    """Return a variable by its original name."""
    return next(
        variable for variable in ds.data_vars.values() if variable.attrs.get("original_name") == original
    )
