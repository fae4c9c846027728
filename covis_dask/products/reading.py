"""Product files read back, whole, into memory."""

from typing import Any

import netCDF4
import xarray as xr
from xarray.backends import NetCDF4DataStore

__all__ = ["read_netcdf", "read_zarr"]


def read_netcdf(data: bytes, name: str) -> xr.Dataset:
    """Return the contents of a NetCDF file.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Whose it is, for errors.

    Raises
    ------
    OSError
        When it is none.
    """
    opened: Any = NetCDF4DataStore
    with xr.open_dataset(opened(netCDF4.Dataset(name, memory=data))) as dataset:
        return dataset.load()


def read_zarr(fs: Any, path: str) -> xr.Dataset:
    """Return the contents of a Zarr store.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    path : str
        Path on `fs`.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    """
    whole: xr.Dataset = xr.open_zarr(fs.get_mapper(path)).load()
    return whole
