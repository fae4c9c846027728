"""Zarr v3 stores, one file each: for readers that take slices straight from an object store."""

import warnings
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec
from zarr.core.buffer import Buffer
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from covis_dask.products._chunks import SMALL, chunk_shape, shard_shape
from covis_dask.products._groups import ROOT, split
from covis_dask.products._moment import time_encoding

__all__ = ["write_zarr"]

_NO_DATE: Final = (1980, 1, 1, 0, 0, 0)


def write_zarr(ds: xr.Dataset, path: Path | str) -> None:
    """Write a finished dataset to a Zarr v3 store in a zip file.

    Groups and chunks are those of the NetCDF file; chunks are compressed with Blosc (zstd, shuffle), and all
    of an array stand in one shard; those without any value are not stored. The metadata of all arrays stand
    together in the root. The zip file is not compressed, so that a reader takes what it wants by ranges of
    bytes, and a run is one object in a store, not one for each chunk. Equal datasets give equal bytes.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.metadata.finish_dataset`.
    path : Path or str
        Name of the file; an existing one is replaced. ``xarray.open_zarr("zip::" + path)`` opens it.
    """
    entries: dict[str, Buffer] = {}
    store = MemoryStore(entries)
    with warnings.catch_warnings():
        # Consolidated metadata are not yet in the text of the v3 standard; xarray warns when they are absent.
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        for group, part in split(ds).items():
            part.to_zarr(
                store,
                group=group or None,
                mode="w" if group == ROOT else "a",
                zarr_format=3,
                consolidated=False,
                encoding=_encoding(part),
            )
        zarr.consolidate_metadata(store)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(entries):
            file.writestr(zipfile.ZipInfo(name, _NO_DATE), entries[name].to_bytes())


def _encoding(ds: xr.Dataset) -> dict[str, dict[str, object]]:
    """Set fill value, chunks and compression of every variable."""
    encoding: dict[str, dict[str, object]] = {}
    for key, variable in ds.variables.items():
        name = str(key)
        settings: dict[str, object] = {"chunks": tuple(max(size, 1) for size in variable.shape)}
        if variable.dtype.kind == "M":
            settings |= time_encoding(name)
        if name in ds.data_vars and variable.dtype.kind == "f":
            settings["_FillValue"] = np.nan
            settings["fill_value"] = np.nan
            if variable.size >= SMALL:
                chunks = chunk_shape(variable.shape)
                codec = BloscCodec(
                    typesize=variable.dtype.itemsize, cname="zstd", clevel=3, shuffle="shuffle"
                )
                settings |= {
                    "chunks": chunks,
                    "shards": shard_shape(variable.shape, chunks),
                    "compressors": (codec,),
                }
        encoding[name] = settings
    return encoding
