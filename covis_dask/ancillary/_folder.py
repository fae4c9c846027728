"""The grids of a folder: which one is valid when, and what is in it."""

import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import netCDF4
import numpy as np
import scipy.io
import xarray as xr
from numpy.typing import NDArray

from catalog.answers import Sense, answer_of, look_into
from covis_dask.errors import ConfigurationError
from covis_dask.modes.context import Bathymetry
from covis_dask.storage import storage_errors

__all__ = ["VARIABLE", "FolderAncillary", "SeafloorFile", "open_ancillary", "open_netcdf", "utc"]

VARIABLE = "seafloor_height"
_MOMENT = dt.timedelta(microseconds=1)
_EVER = dt.datetime.min.replace(tzinfo=dt.UTC)
# The original takes a file up to and including its last moment, so the next one starts just after it.
_MATLAB: Mapping[str, dt.datetime] = {
    "covis_bathy_2018.mat": _EVER,
    "covis_bathy_2019a.mat": dt.datetime(2019, 7, 6, tzinfo=dt.UTC) + _MOMENT,
    "covis_bathy_2019b.mat": dt.datetime(2019, 11, 23, tzinfo=dt.UTC) + _MOMENT,
}


@dataclass(frozen=True, slots=True, order=True)
class SeafloorFile:
    """A grid of the folder; the greatest of those valid is the one to use.

    Parameters
    ----------
    valid_from : datetime
        UTC; the earliest there is for the original's first file.
    is_netcdf : bool
    full : str
        Path on the file system.
    size : int
        Bytes.
    """

    valid_from: dt.datetime
    is_netcdf: bool
    full: str
    size: int

    @property
    def name(self) -> str:
        """File name."""
        return PurePosixPath(self.full).name


def _valid(grids: Sequence[SeafloorFile], when: dt.datetime) -> SeafloorFile | None:
    return max((grid for grid in grids if grid.valid_from <= utc(when)), default=None)


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
        grid = _valid(self.grids(), when)
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
        grids = self.grids()

        def identity(when: dt.datetime) -> str | None:
            grid = _valid(grids, when)
            return None if grid is None else f"{grid.name} ({grid.size} bytes)"

        return identity

    def grids(self) -> list[SeafloorFile]:
        """List the grids, oldest first.

        Raises
        ------
        ConfigurationError, StorageUnavailable, StorageRefused
            As `bathymetry`.
        """
        grids = []
        for entry in self._listing():
            full = str(entry["name"])
            name = PurePosixPath(full).name
            if name in _MATLAB:
                grids.append(SeafloorFile(_MATLAB[name], False, full, entry["size"]))
            elif name.endswith(".nc") and not name.startswith("."):
                grids.append(SeafloorFile(self._valid_from(entry, full), True, full, entry["size"]))
        return sorted(grids)

    def _listing(self) -> Sequence[Mapping[str, Any]]:
        with storage_errors(f"listing ancillary data in {self.path}"):
            self.fs.invalidate_cache()
            try:
                entries: list[Mapping[str, Any]] = self.fs.ls(self.path, detail=True)
            except NotADirectoryError:
                return []
            except Exception as error:  # a server that is down may come as a folder that is not there
                answer = answer_of(error)
                if answer is None or answer.sense is not Sense.ABSENT:
                    raise
                return []
            if not entries:
                look_into(self.fs, self.path)  # a login page looks like an empty bucket
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
            with open_netcdf(self._read(full), full) as dataset:
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


def utc(moment: dt.datetime) -> dt.datetime:
    """Return a time in UTC; a naive one means UTC."""
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _parse_date(value: object, full: str) -> dt.datetime:
    try:
        return utc(dt.datetime.fromisoformat(str(value)))
    except ValueError:
        raise ConfigurationError(
            f"the seafloor grid {full} has no attribute valid_from with a date such as 2019-07-06T00:00:00Z: "
            "add one, or take the file out of the folder of ancillary data"
        ) from None


def open_netcdf(data: bytes, full: str) -> xr.Dataset:
    """Open the bytes of a NetCDF file; `full` names it in errors.

    Raises
    ------
    ConfigurationError
        When they are none.
    """
    try:
        store = xr.backends.NetCDF4DataStore(netCDF4.Dataset("memory", memory=data))  # type: ignore[no-untyped-call]
        return xr.open_dataset(store)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{full} cannot be read as NetCDF: {error}") from error


def _from_netcdf(data: bytes, full: str) -> Bathymetry:
    with open_netcdf(data, full) as dataset:
        planes = [name for name, array in dataset.data_vars.items() if set(array.dims) == {"x", "y"}]
        name = VARIABLE if VARIABLE in planes else planes[0] if len(planes) == 1 else None
        if name is None:
            raise ConfigurationError(
                f"the seafloor grid {full} needs one variable {VARIABLE} with dimensions y and x"
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
        raise ConfigurationError(f"the seafloor grid {full} contains no heights")
    return Bathymetry(
        x.astype(np.float64), y.astype(np.float64), height.astype(np.float64), PurePosixPath(full).name
    )
