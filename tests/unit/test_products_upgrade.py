"""Products of an older form are read as those of the newest."""

import gzip
from pathlib import Path
from typing import Any

import fsspec
import netCDF4
import numpy as np
import pytest
import xarray as xr
from xarray.backends import NetCDF4DataStore

from covis_dask.errors import DocumentError
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.netcdf import write_netcdf
from covis_dask.products.reading import read_file, read_netcdf
from covis_dask.products.schema import ATTRIBUTE, SCHEMA, as_computed
from covis_dask.products.upgrade import upgrade_dataset
from tests.unit._datasets import ASHES, bathy, facts
from tests.unit._small_runs import MODES, Mode, in_folder, process

_DATA = Path(__file__).parent / "data"
_STORED = {"imaging": (MODES[0], "matlab"), "diffuse": (MODES[5], "corrected")}


def _bytes(stored: str) -> bytes:
    return gzip.decompress((_DATA / f"product_1_{stored}.nc.gz").read_bytes())


def _as_stored(stored: str) -> xr.Dataset:
    """Open a file of form 1 as it is."""
    opened: Any = NetCDF4DataStore
    return xr.open_dataset(opened(netCDF4.Dataset(stored, memory=_bytes(stored)))).load()


def _made_now(mode: Mode, profile: str) -> xr.Dataset:
    """Make a product of the same run as it is made now; its grids are finer."""
    parameters = mode.parameters(profile)
    ds = process(mode, in_folder(mode, mode.members), parameters)
    known = facts(mode.basename, parameters=parameters.to_dict(), profile=profile, preset=parameters.preset)
    return xr.decode_cf(finish_dataset(ds, known))


@pytest.mark.parametrize("stored", _STORED)
def test_a_product_of_form_1_has_the_shape_of_a_new_one(stored: str) -> None:
    """Variables, dimensions, types, attributes, times and the pings used are those of a product made now."""
    old, new = read_netcdf(_bytes(stored), stored), _made_now(*_STORED[stored])
    assert old.attrs[ATTRIBUTE] == SCHEMA
    assert new.attrs.keys() - old.attrs.keys() == {"date_metadata_modified"}
    assert old.attrs.get("notes") == new.attrs.get("notes")
    assert set(old.variables) == set(new.variables)
    assert set(old.coords) == set(new.coords)
    for name, variable in new.variables.items():
        found = old.variables[name]
        assert (found.dims, found.dtype) == (variable.dims, variable.dtype), name
        assert found.attrs.keys() == variable.attrs.keys(), name
        for key, value in variable.attrs.items():
            np.testing.assert_array_equal(found.attrs[key], value, err_msg=f"{name} {key}")
    for name in ("time", "time_bounds", "ping_used", "ping_time", "sensor_heading"):
        np.testing.assert_array_equal(old[name].values, new[name].values, err_msg=name)


@pytest.mark.parametrize("stored", _STORED)
def test_numbers_stay(stored: str) -> None:
    """Every number of profile matlab is that of the file, to the last bit; others to single precision."""
    plain, read = _as_stored(stored), read_netcdf(_bytes(stored), stored)
    exact = _STORED[stored][1] == "matlab"
    for name, variable in plain.data_vars.items():
        found = read[name].isel(time=0) if "time" in read[name].dims else read[name]
        values = found.transpose(*variable.dims).values
        narrow = values.dtype == np.float32
        assert not (exact and narrow)
        np.testing.assert_array_equal(values, variable.values.astype(values.dtype), err_msg=str(name))


@pytest.mark.parametrize("stored", _STORED)
def test_the_shape_of_the_computation_comes_back(stored: str) -> None:
    """Who works on grids as a mode computes them gets these from a product of either form."""
    plain, found = _as_stored(stored), as_computed(read_netcdf(_bytes(stored), stored))
    assert found["time"].dims == ()
    for name, variable in plain.data_vars.items():
        assert found[name].dims == variable.dims, name


@pytest.mark.parametrize("stored", _STORED)
def test_an_upgraded_product_can_be_written(stored: str, tmp_path: Path) -> None:
    """Written in the new form it reads as the old file did, and upgrading it again changes nothing."""
    old = read_netcdf(_bytes(stored), stored, decode=False)
    write_netcdf(old, tmp_path / "new.nc")
    again = read_file(fsspec.filesystem("file"), str(tmp_path / "new.nc"))
    xr.testing.assert_equal(again, read_netcdf(_bytes(stored), stored))
    assert upgrade_dataset(again) is again
    raw = read_netcdf((tmp_path / "new.nc").read_bytes(), "new", decode=False)
    np.testing.assert_array_equal(raw["ping_time"].values, old["ping_time"].values)


def test_old_and_new_go_in_a_row() -> None:
    """Products of both forms can be put in one dataset by time."""
    old = read_netcdf(_bytes("imaging"), "imaging")
    new = old.assign_coords(time=old["time"] + np.timedelta64(1, "D")).isel(ping=slice(4))
    row = xr.concat([ds.drop_dims(["ping", "burst", "beam", "sample"]) for ds in (old, new)], dim="time")
    assert row["backscatter"].sizes["time"] == 2


def test_a_newer_product_is_refused(tmp_path: Path) -> None:
    """A file of a later version is not misread: the error says what to do."""
    ds = finish_dataset(bathy(8), facts(ASHES["bathy"]))
    write_netcdf(ds.assign_attrs({ATTRIBUTE: "covis-dask/product/3"}), tmp_path / "run.nc")
    with pytest.raises(DocumentError, match="install a newer one"):
        read_file(fsspec.filesystem("file"), str(tmp_path / "run.nc"))


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_zarr_stores_of_form_1_are_folders(tmp_path: Path) -> None:
    """A Zarr store written before is read too."""
    old = _as_stored("diffuse")
    for variable in old.variables.values():
        variable.encoding = {}
    old.to_zarr(tmp_path / "run.zarr", zarr_format=3, consolidated=True)
    found = read_file(fsspec.filesystem("file"), str(tmp_path / "run.zarr"))
    xr.testing.assert_equal(found, read_netcdf(_bytes("diffuse"), "diffuse"))
