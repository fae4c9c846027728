"""Seafloor grids that go with a date: which one is valid when, and how a product becomes one.

A folder, on any fsspec file system, holds gridded NetCDF files with the attribute ``valid_from`` (UTC),
or the three Matlab files of the original under their own names, whose dates are known (science.md 4.3).
"""

import datetime as dt
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import netCDF4
import numpy as np
import scipy.io
import xarray as xr
from numpy.typing import NDArray

from covis_dask.errors import ConfigurationError
from covis_dask.modes.context import Bathymetry
from covis_dask.storage import ProductStore, storage_errors

__all__ = ["FolderAncillary", "open_ancillary", "register"]

_VARIABLE = "seafloor_height"
_MOMENT = dt.timedelta(microseconds=1)
_EVER = dt.datetime.min.replace(tzinfo=dt.UTC)
# The original takes a file up to and including its last moment, so the next one starts just after it.
_MATLAB: Mapping[str, dt.datetime] = {
    "covis_bathy_2018.mat": _EVER,
    "covis_bathy_2019a.mat": dt.datetime(2019, 7, 6, tzinfo=dt.UTC) + _MOMENT,
    "covis_bathy_2019b.mat": dt.datetime(2019, 11, 23, tzinfo=dt.UTC) + _MOMENT,
}


@dataclass(frozen=True, slots=True, order=True)
class _Grid:
    """A file of the folder; the greatest of those valid is the one to use."""

    valid_from: dt.datetime
    is_netcdf: bool
    full: str
    size: int


def _valid(grids: Sequence[_Grid], when: dt.datetime) -> _Grid | None:
    return max((grid for grid in grids if grid.valid_from <= _utc(when)), default=None)


@dataclass(frozen=True, slots=True)
class FolderAncillary:
    """Seafloor grids in one folder.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        Local, S3, memory ...
    path : str
        The folder on `fs`; one that is not there holds no grids.
    """

    fs: Any
    path: str
    _dates: dict[tuple[str, ...], dt.datetime] = field(default_factory=dict, repr=False, compare=False)

    def bathymetry(self, when: dt.datetime) -> Bathymetry | None:
        """Return the newest grid that is valid at `when`.

        Of two grids with the same date a NetCDF file goes before a Matlab file, then the later name wins.

        Parameters
        ----------
        when : datetime
            Start of the run; a naive time means UTC.

        Returns
        -------
        Bathymetry or None
            None where the folder has no grid that old.

        Raises
        ------
        ConfigurationError
            When a NetCDF file there has no ``valid_from``, or the chosen file is no seafloor grid.
        StorageUnavailable, StorageRefused
            When the store does not answer, or says no.
        """
        grid = _valid(self._grids(), when)
        if grid is None:
            return None
        data = self._read(grid.full)
        return _from_netcdf(data, grid.full) if grid.is_netcdf else _from_matlab(data, grid.full)

    def identities(self) -> Callable[[dt.datetime], str | None]:
        """List the folder once; return what names the grid valid at a time, for fingerprints.

        Raises
        ------
        ConfigurationError, StorageUnavailable, StorageRefused
            As `bathymetry`.
        """
        grids = self._grids()

        def identity(when: dt.datetime) -> str | None:
            grid = _valid(grids, when)
            return None if grid is None else f"{PurePosixPath(grid.full).name} ({grid.size} bytes)"

        return identity

    def _grids(self) -> list["_Grid"]:
        grids = []
        for entry in self._listing():
            full = str(entry["name"])
            name = PurePosixPath(full).name
            if name in _MATLAB:
                grids.append(_Grid(_MATLAB[name], False, full, entry["size"]))
            elif name.endswith(".nc") and not name.startswith("."):
                grids.append(_Grid(self._valid_from(entry, full), True, full, entry["size"]))
        return grids

    def _listing(self) -> Sequence[Mapping[str, Any]]:
        with storage_errors(f"listing ancillary data in {self.path}"):
            self.fs.invalidate_cache()
            try:
                entries: list[Mapping[str, Any]] = self.fs.ls(self.path, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [entry for entry in entries if entry["type"] == "file"]

    def _read(self, full: str) -> bytes:
        with storage_errors(f"reading ancillary data {full}"):
            return bytes(self.fs.cat_file(full))

    def _valid_from(self, entry: Mapping[str, Any], full: str) -> dt.datetime:
        """Read a file's date, once for each state of the file that the store can tell apart."""
        state = tuple(
            str(entry.get(key)) for key in ("name", "size", "mtime", "ETag", "LastModified", "created")
        )
        if state not in self._dates:
            with _open_netcdf(self._read(full), full) as dataset:
                self._dates[state] = _parse_date(dataset.attrs.get("valid_from"), full)
        return self._dates[state]


def open_ancillary(fs: Any, path: str) -> FolderAncillary:
    """Open a folder of ancillary data; it need not exist (yet).

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    path : str
        Folder on `fs`.
    """
    return FolderAncillary(fs, path.rstrip("/"))


def register(fs: Any, path: str, products: Sequence[xr.Dataset], valid_from: dt.datetime) -> str:
    """Make bathymetry products of this system an ancillary grid.

    Several products (the sectors left, centre and right) are averaged by their gridding weights, as the
    original does when it combines sectors (science.md 4.7).

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
    start = _utc(valid_from)
    names = [
        str(product.attrs.get("basename", product.attrs.get("title", "unnamed"))) for product in products
    ]
    grid = xr.Dataset(
        {
            _VARIABLE: (
                ("y", "x"),
                height,
                {"long_name": "Height of the seafloor above the base of COVIS", "units": "m"},
            )
        },
        coords={
            "x": ("x", x, {"long_name": "Easting of COVIS", "units": "m", "axis": "X"}),
            "y": ("y", y, {"long_name": "Northing of COVIS", "units": "m", "axis": "Y"}),
        },
        attrs={
            "title": "COVIS seafloor grid",
            "Conventions": "CF-1.11",
            "valid_from": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "source": ", ".join(names),
        },
    )
    name = f"bathymetry_{start:%Y%m%dT%H%M%S}.nc"
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / name
        grid.to_netcdf(local, engine="netcdf4", encoding={_VARIABLE: {"zlib": True}})
        data = local.read_bytes()
    ProductStore(fs, path.rstrip("/"), path.rstrip("/")).put_bytes(name, data)
    return f"{path.rstrip('/')}/{name}"


def _height_and_weight(product: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find value and weight of a bathymetry product by their names in the original."""
    found = {
        array.attrs.get("original_name"): array
        for array in product.data_vars.values()
        if array.dims == ("y", "x")
    }
    if "v" not in found or "w" not in found:
        raise ConfigurationError(
            "only a bathymetry product can be registered as a seafloor grid: "
            f"{product.attrs.get('basename', 'this dataset')} has no variables v and w on (y, x)"
        )
    height = found["v"].values.astype(np.float64)
    weight = found["w"].values.astype(np.float64)
    return height, np.where(np.isfinite(height), weight, 0.0)


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _parse_date(value: object, full: str) -> dt.datetime:
    try:
        return _utc(dt.datetime.fromisoformat(str(value)))
    except ValueError:
        raise ConfigurationError(
            f"the seafloor grid {full} has no attribute valid_from with a date such as 2019-07-06T00:00:00Z: "
            "add one, or take the file out of the folder of ancillary data"
        ) from None


def _open_netcdf(data: bytes, full: str) -> xr.Dataset:
    try:
        store = xr.backends.NetCDF4DataStore(netCDF4.Dataset("memory", memory=data))  # type: ignore[no-untyped-call]
        return xr.open_dataset(store)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the seafloor grid {full} cannot be read as NetCDF: {error}") from error


def _from_netcdf(data: bytes, full: str) -> Bathymetry:
    with _open_netcdf(data, full) as dataset:
        planes = [name for name, array in dataset.data_vars.items() if set(array.dims) == {"x", "y"}]
        name = _VARIABLE if _VARIABLE in planes else planes[0] if len(planes) == 1 else None
        if name is None:
            raise ConfigurationError(
                f"the seafloor grid {full} needs one variable {_VARIABLE} with dimensions y and x"
            )
        grid = dataset[name].load().transpose("y", "x").sortby(["x", "y"])
        return _bathymetry(grid["x"].values, grid["y"].values, grid.values, full)


def _from_matlab(data: bytes, full: str) -> Bathymetry:
    try:
        grid = scipy.io.loadmat(io.BytesIO(data), struct_as_record=False, squeeze_me=True)["covis"].grid
        x, y, height = (np.asarray(getattr(grid, name), dtype=np.float64) for name in ("x", "y", "v"))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"{full} is not the original's seafloor file of that name: {error}"
        ) from error
    return _bathymetry(x[0], y[:, 0], height, full)


def _bathymetry(x: NDArray[Any], y: NDArray[Any], height: NDArray[Any], full: str) -> Bathymetry:
    if not np.isfinite(height).any():
        raise ConfigurationError(f"the seafloor grid {full} holds no height at all")
    return Bathymetry(
        x.astype(np.float64), y.astype(np.float64), height.astype(np.float64), PurePosixPath(full).name
    )
