"""NetCDF-4 files: what xarray, Matlab, Panoply and the rest of the world open."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dask.array as da
import netCDF4
import numpy as np
import xarray as xr
from xarray.backends.file_manager import FILE_CACHE

from covis_dask.products._chunks import SMALL, blocks, chunk_shape

__all__ = ["write_netcdf"]

_LEVEL = 1  # higher levels gain 2 % on sonar data, and cost half as much time again


def write_netcdf(ds: xr.Dataset, path: Path | str) -> None:
    """Write a finished dataset to one NetCDF-4 file.

    Values keep their precision; data are shuffled and deflated; the fill value of floating-point data is
    NaN. Chunks without any value are not stored (readers see the fill value), which halves time and size
    for a plume in its box. Equal datasets give equal bytes.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.metadata.finish_dataset`.
    path : Path or str
        An existing file is replaced.
    """
    large = [str(name) for name, v in ds.data_vars.items() if v.size >= SMALL and v.dtype.kind == "f"]
    # A lazy dataset is laid out without its data; the large arrays are then written chunk by chunk.
    layout = ds.assign({name: ds[name].copy(data=_lazy(ds[name])) for name in large})
    with _forgotten_on_error(path):
        layout.to_netcdf(
            path, engine="netcdf4", format="NETCDF4", encoding=_encoding(ds, large), compute=False
        )
    with netCDF4.Dataset(path, "a") as file:
        for name in large:
            target, values = file.variables[name], ds[name].values
            target.set_auto_maskandscale(False)
            for block in blocks(values.shape, chunk_shape(values.shape)):
                if not np.isnan(values[block]).all():
                    target[block] = values[block]


@contextmanager
def _forgotten_on_error(path: Path | str) -> Iterator[None]:
    """Close a file that could not be written: xarray would do so later, and fail again, unheard."""
    try:
        yield
    except Exception:
        for key in [key for key in FILE_CACHE if os.fspath(path) in map(str, key[1])]:
            file = FILE_CACHE.pop(key)
            with suppress(Exception):
                file.close()
        raise


def _lazy(variable: xr.DataArray) -> da.Array:
    """Stand for a variable's data without copying them, as wrapping them would."""
    lazy: da.Array = da.empty(variable.shape, dtype=variable.dtype, chunks=-1)
    return lazy


def _encoding(ds: xr.Dataset, large: list[str]) -> dict[str, dict[str, object]]:
    """Set the fill value of every variable, and chunks and compression of the large ones."""
    encoding: dict[str, dict[str, object]] = {}
    for key, variable in ds.variables.items():
        name = str(key)
        floating = name in ds.data_vars and variable.dtype.kind == "f"
        encoding[name] = {"_FillValue": np.nan if floating else None}
        if name in large:
            encoding[name] |= {
                "zlib": True,
                "complevel": _LEVEL,
                "shuffle": True,
                "chunksizes": chunk_shape(variable.shape),
            }
    return encoding
