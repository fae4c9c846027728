"""Zarr v3 stores: for readers that take slices straight from an object store."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning

from covis_dask.products._chunks import SMALL, chunk_shape

__all__ = ["write_zarr"]


def write_zarr(ds: xr.Dataset, path: Path | str) -> None:
    """Write a finished dataset to a Zarr v3 directory store.

    Chunks are those of the NetCDF file, compressed with Blosc (zstd, shuffle); chunks without any value
    are not stored. The metadata of all arrays stand together in the root, so that one request opens the
    store. Equal datasets give equal files.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.metadata.finish_dataset`.
    path : Path or str
        Folder of the store; an existing one is replaced.
    """
    shutil.rmtree(path, ignore_errors=True)
    with warnings.catch_warnings():
        # Consolidated metadata are not yet in the text of the v3 standard; xarray warns when they are absent.
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        ds.to_zarr(path, mode="w", zarr_format=3, consolidated=True, encoding=_encoding(ds))


def _encoding(ds: xr.Dataset) -> dict[str, dict[str, object]]:
    """Set fill value, chunks and compression of every variable."""
    encoding: dict[str, dict[str, object]] = {}
    for key, variable in ds.variables.items():
        name = str(key)
        settings: dict[str, object] = {"chunks": tuple(max(size, 1) for size in variable.shape)}
        if name in ds.data_vars and variable.dtype.kind == "f":
            settings["_FillValue"] = np.nan
            settings["fill_value"] = np.nan
        if name in ds.data_vars and variable.size >= SMALL:
            codec = BloscCodec(typesize=variable.dtype.itemsize, cname="zstd", clevel=3, shuffle="shuffle")
            settings |= {"chunks": chunk_shape(variable.shape), "compressors": (codec,)}
        encoding[name] = settings
    return encoding
