"""NetCDF-4 files: what xarray, Matlab, Panoply and the rest of the world open.

They are written through netCDF4 itself: xarray asks the scheduler for a lock when it writes from a Dask
worker, and a worker that has lost its scheduler could not store what it has computed.
"""

from pathlib import Path
from typing import Any, Final

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.conventions import cf_encoder, encode_dataset_coordinates

from covis_dask.products._chunks import SMALL, blocks, chunk_shape
from covis_dask.products._groups import ROOT, split
from covis_dask.products._moment import time_encoding

__all__ = ["write_netcdf"]

_LEVEL: Final = 1  # higher levels gain 2 % on sonar data, and cost half as much time again


def write_netcdf(ds: xr.Dataset, path: Path | str) -> None:
    """Write a finished dataset to one NetCDF-4 file; no scheduler is asked.

    Grids and axes stand at the root, the tables of pings, bursts and beams in groups. Values keep their
    precision; data are shuffled and deflated; the fill value of floating-point data is NaN. Chunks without
    any value are not stored (readers see the fill value), which halves time and size for a plume in its box.
    Equal datasets give equal bytes.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.metadata.finish_dataset`.
    path : Path or str
        An existing file is replaced.
    """
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        for group, part in split(ds).items():
            _write(file if group == ROOT else file.createGroup(group), part)


def _write(group: netCDF4.Dataset, part: xr.Dataset) -> None:
    """Write one group."""
    for name, size in part.sizes.items():
        group.createDimension(str(name), size)
    variables, attributes = encode_dataset_coordinates(part)
    for name, variable in variables.items():
        variable.encoding = time_encoding(str(name)) if variable.dtype.kind == "M" else {}
    variables, attributes = cf_encoder(variables, attributes)
    group.setncatts(attributes)
    for name, variable in variables.items():
        _write_variable(group, str(name), variable, filled=name in part.data_vars)


def _write_variable(group: netCDF4.Dataset, name: str, variable: xr.Variable, *, filled: bool) -> None:
    """Write one variable, large ones chunk by chunk."""
    values = np.asarray(variable.values)
    floating = values.dtype.kind == "f"
    large = filled and floating and values.size >= SMALL
    settings: dict[str, Any] = {}
    if large:
        settings |= {
            "zlib": True,
            "complevel": _LEVEL,
            "shuffle": True,
            "chunksizes": chunk_shape(values.shape),
        }
    if filled and floating:
        settings["fill_value"] = np.nan
    kind = str if values.dtype.kind in "OUT" else values.dtype
    target = group.createVariable(name, kind, tuple(map(str, variable.dims)), **settings)
    target.setncatts({key: value for key, value in variable.attrs.items() if key != "_FillValue"})
    if not large:
        target[...] = values
        return
    target.set_auto_maskandscale(False)
    for block in blocks(values.shape, chunk_shape(values.shape)):
        part: NDArray[Any] = values[block]
        if not np.isnan(part).all():
            target[block] = part
