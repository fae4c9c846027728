"""Product files read back, whole, into memory; those of an older form come in the shape of the newest."""

import io
import zipfile
from typing import Any, Final

import netCDF4
import xarray as xr
import zarr
from xarray.backends import NetCDF4DataStore
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from covis_dask.products._groups import ROOT, join
from covis_dask.products.schema import ATTRIBUTE, SCHEMA

__all__ = ["ENDINGS", "is_newest", "read_file", "read_netcdf", "read_zarr", "read_zarr_zip"]

ENDINGS: Final = (".nc", ".zarr.zip", ".zarr")
"""Of the files that `read_file` reads."""


def read_file(fs: Any, path: str) -> xr.Dataset:
    """Return the contents of a product's NetCDF file or Zarr store, in the newest form.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    path : str
        Path on `fs`, with one of the `ENDINGS`.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    OSError
        When it is none.
    DocumentError
        When a newer version of this package wrote it.
    """
    if path.endswith(".nc"):
        return read_netcdf(fs.cat_file(path), path)
    return read_zarr(fs, path)


def read_netcdf(data: bytes, name: str, *, decode: bool = True) -> xr.Dataset:
    """Return the contents of a NetCDF file, in the newest form.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Whose it is, for errors.
    decode : bool
        Whether times of pings come as times, rather than as they are stored, to be written again.

    Raises
    ------
    OSError
        When it is none.
    DocumentError
        When a newer version of this package wrote it.
    """
    opened: Any = NetCDF4DataStore
    with netCDF4.Dataset(name, memory=data) as file:
        groups = {ROOT: file, **file.groups}
        return _newest({key: _loaded(opened(group)) for key, group in groups.items()}, decode=decode)


def is_newest(data: bytes, name: str) -> bool:
    """Tell whether a NetCDF file has the newest form as it is; OSError when it is none."""
    with netCDF4.Dataset(name, memory=data) as file:
        return bool(getattr(file, ATTRIBUTE, None) == SCHEMA)


def read_zarr(fs: Any, path: str, *, decode: bool = True) -> xr.Dataset:
    """Return the contents of a Zarr store, in the newest form.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    path : str
        Path on `fs` of a zip file or, as they were before form 2, a folder.
    decode : bool
        See `read_netcdf`.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    DocumentError
        When a newer version of this package wrote it.
    """
    if path.endswith(".zip"):
        return read_zarr_zip(fs.cat_file(path), decode=decode)
    return _newest({ROOT: _loaded(fs.get_mapper(path), engine="zarr")}, decode=decode)


def read_zarr_zip(data: bytes, *, decode: bool = True) -> xr.Dataset:
    """Return the contents of a Zarr store in a zip file, in the newest form; see `read_zarr`.

    Raises
    ------
    ValueError
        When it is none.
    """
    buffer = default_buffer_prototype().buffer
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            entries = {name: buffer.from_bytes(file.read(name)) for name in file.namelist()}
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    store = MemoryStore(entries, read_only=True)
    names = sorted(name for name, _ in zarr.open_group(store, mode="r").groups())
    groups = {name: _loaded(store, engine="zarr", group=name or None) for name in (ROOT, *names)}
    return _newest(groups, decode=decode)


def _loaded(source: Any, **options: Any) -> xr.Dataset:
    # Not closed here: the groups of a NetCDF file close together.
    return xr.open_dataset(source, decode_times=False, **options).load()


def _newest(groups: dict[str, xr.Dataset], *, decode: bool) -> xr.Dataset:
    from covis_dask.products.upgrade import upgrade_dataset  # the modes come with it, and their kernels

    whole = upgrade_dataset(join(groups))
    return xr.decode_cf(whole) if decode else whole
