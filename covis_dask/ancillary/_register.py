"""A bathymetry product becomes a seafloor grid."""

import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.ancillary._folder import VARIABLE, utc
from covis_dask.errors import ConfigurationError
from covis_dask.storage import ProductStore

__all__ = ["register"]

Real = NDArray[np.float64]


def register(fs: Any, path: str, products: Sequence[xr.Dataset], valid_from: dt.datetime) -> str:
    """Make bathymetry products of this system an ancillary grid.

    Several products (the sectors left, centre and right) are averaged by their gridding weights, as the
    original does when it combines sectors (docs/method.md#bathymetry-2018).

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    path : str
        Folder of ancillary data on `fs`; made when it is not there.
    products : sequence of Dataset
        Products of bathymetry runs on equal axes.
    valid_from : datetime
        First moment of validity; a naive time means UTC.

    Returns
    -------
    str
        Path of the new file. A second grid with the same date replaces the first.

    Raises
    ------
    ConfigurationError
        When a dataset is no bathymetry product, or the axes differ.
    """
    if not products:
        raise ConfigurationError("no bathymetry product was given to register")
    heights, weights = zip(*(_height_and_weight(product) for product in products), strict=True)
    x, y = products[0]["x"].values, products[0]["y"].values
    for product in products[1:]:
        if not (np.array_equal(product["x"].values, x) and np.array_equal(product["y"].values, y)):
            raise ConfigurationError("the bathymetry products to combine lie on different axes")
    total = np.sum(weights, axis=0)
    summed = np.sum([np.where(w > 0, h * w, 0.0) for h, w in zip(heights, weights, strict=True)], axis=0)
    height = np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)
    start = utc(valid_from)
    grid = _seafloor_grid(x, y, height, start)
    grid.attrs["source"] = ", ".join(
        str(product.attrs.get("basename", product.attrs.get("title", "unnamed"))) for product in products
    )
    name = f"bathymetry_{start:%Y%m%dT%H%M%S}.nc"
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / name
        grid.to_netcdf(local, engine="netcdf4", encoding={VARIABLE: {"zlib": True}})
        data = local.read_bytes()
    store = ProductStore(fs, path.rstrip("/"), path.rstrip("/"))
    store.make_root()
    store.put_bytes(name, data)
    return f"{path.rstrip('/')}/{name}"


def _seafloor_grid(x: Real, y: Real, height: Real, valid_from: dt.datetime) -> xr.Dataset:
    """Describe a height on its axes."""
    about = {"long_name": "Height of the seafloor above the base of COVIS", "units": "m"}
    return xr.Dataset(
        {VARIABLE: (("y", "x"), height, about)},
        coords={
            "x": ("x", x, {"long_name": "Easting of COVIS", "units": "m", "axis": "X"}),
            "y": ("y", y, {"long_name": "Northing of COVIS", "units": "m", "axis": "Y"}),
        },
        attrs={
            "title": "COVIS seafloor grid",
            "Conventions": "CF-1.11",
            "valid_from": valid_from.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    )


def _height_and_weight(product: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find value and weight of a bathymetry product by their names in the original."""
    arrays = {
        array.attrs.get("original_name"): array
        for array in (product.isel(time=0) if "time" in product.sizes else product).data_vars.values()
        if array.dims == ("y", "x")
    }
    if "v" not in arrays or "w" not in arrays:
        raise ConfigurationError(
            "only a bathymetry product can be registered as a seafloor grid: "
            f"{product.attrs.get('basename', 'this dataset')} has no variables v and w on (y, x)"
        )
    height = arrays["v"].values.astype(np.float64)
    weight = arrays["w"].values.astype(np.float64)
    return height, np.where(np.isfinite(height), weight, 0.0)
