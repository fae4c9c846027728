"""NetCDF, Zarr and Matlab files give back what was written, the same bytes each time."""

import filecmp
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from scipy.io import loadmat
from zarr.storage import ZipStore

from covis_dask.modes import spec_for
from covis_dask.products._grids import grids
from covis_dask.products.mat import write_mat
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.netcdf import write_netcdf
from covis_dask.products.reading import read_file
from covis_dask.products.zarr import write_zarr
from tests.unit._datasets import ASHES, ENDEAVOUR, MODES, emptied, facts

_LOCAL = fsspec.filesystem("file")


def _product(mode: str, scale: float = 8) -> xr.Dataset:
    make, basename = MODES[mode]
    return finish_dataset(make(scale), facts(basename))


def _emptied(mode: str) -> xr.Dataset:
    make, basename = MODES[mode]
    return finish_dataset(emptied(make(2)), facts(basename))


def _same(back: xr.Dataset, ds: xr.Dataset) -> None:
    """Compare variables to the last bit, and attributes but for what NetCDF makes of short lists."""
    assert back.variables.keys() == ds.variables.keys()
    for name in ds.variables:
        np.testing.assert_array_equal(back[name].values, ds[name].values, err_msg=str(name))
        assert back[name].dims == ds[name].dims
        assert back[name].dtype == ds[name].dtype
        assert back[name].attrs.keys() == ds[name].attrs.keys()
        for key, value in ds[name].attrs.items():
            np.testing.assert_array_equal(back[name].attrs[key], value, err_msg=f"{name} {key}")
    assert back.coords.keys() == ds.coords.keys()
    assert back.attrs.keys() == ds.attrs.keys()
    for name, value in ds.attrs.items():
        np.testing.assert_array_equal(np.squeeze(back.attrs[name]), np.squeeze(value), err_msg=name)


@pytest.mark.parametrize("mode", MODES)
def test_netcdf_round_trip(tmp_path: Path, mode: str) -> None:
    """Every value comes back to the last bit, NaN where no sample came, weights 0."""
    ds = _product(mode)
    write_netcdf(ds, tmp_path / "run.nc")
    _same(read_file(_LOCAL, str(tmp_path / "run.nc")), xr.decode_cf(ds))


@pytest.mark.parametrize("mode", MODES)
def test_zarr_round_trip(tmp_path: Path, mode: str) -> None:
    """A Zarr store, in one file, gives the same values."""
    ds = _product(mode)
    write_zarr(ds, tmp_path / "run.zarr.zip")
    _same(read_file(_LOCAL, str(tmp_path / "run.zarr.zip")), xr.decode_cf(ds))


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (None, {"velocity", "time_bounds", "offset"}),
        ("pings", {"ping_number", "ping_time", "sensor_pitch"}),
        ("bursts", {"burst_pitch", "burst_npings"}),
        ("beams", {"beam_angle"}),
    ],
)
def test_plain_xarray_opens_both(tmp_path: Path, group: str | None, names: set[str]) -> None:
    """Grids at the root and each table in its group, the same from either file, by xarray alone."""
    ds = _product("doppler 2018+")
    write_netcdf(ds, tmp_path / "run.nc")
    write_zarr(ds, tmp_path / "run.zarr.zip")
    with (
        xr.open_dataset(tmp_path / "run.nc", group=group) as one,
        xr.open_dataset(f"zip::{tmp_path}/run.zarr.zip", engine="zarr", group=group) as two,
    ):
        assert names <= set(one.data_vars)
        assert one.attrs.keys() == two.attrs.keys()
        xr.testing.assert_equal(one.load(), two.load())


def test_zarr_by_address(tmp_path: Path) -> None:
    """The store in a zip file opens by a URL, as from an object store: one object, read by ranges."""
    ds = _product("bathymetry")
    write_zarr(ds, tmp_path / "run.zarr.zip")
    with xr.open_zarr(f"zip::file://{tmp_path}/run.zarr.zip") as back:
        np.testing.assert_array_equal(back["height"].values, ds["height"].values)


def test_zarr_keeps_an_array_in_one_shard(tmp_path: Path) -> None:
    """Large arrays are chunked and compressed inside one shard; those without a value cost nothing."""
    ds = _product("imaging 2018+", 2)
    write_zarr(ds, tmp_path / "run.zarr.zip")
    store = zarr.open_group(ZipStore(tmp_path / "run.zarr.zip"), mode="r")
    array = store["fluctuating"]
    assert isinstance(array, zarr.Array)
    assert array.chunks == (1, 41, 32, 32)
    assert array.shards == (1, 41, 128, 128)
    with zipfile.ZipFile(tmp_path / "run.zarr.zip") as file:
        chunks = [name for name in file.namelist() if name.startswith("fluctuating/c/")]
        assert chunks == ["fluctuating/c/0/0/0/0"]
        assert {entry.compress_type for entry in file.infolist()} == {zipfile.ZIP_STORED}
    write_zarr(_emptied("imaging 2018+"), tmp_path / "empty.zarr.zip")
    with zipfile.ZipFile(tmp_path / "empty.zarr.zip") as file:
        assert not any(name.startswith("fluctuating/c/") for name in file.namelist())


@pytest.mark.parametrize("write", [write_netcdf, write_zarr, write_mat])
def test_files_are_deterministic(tmp_path: Path, write: Callable[[xr.Dataset, Path], None]) -> None:
    """Two attempts of one task write the same bytes."""
    ds = _product("doppler 2018+")
    write(ds, tmp_path / "one")
    write(ds.copy(deep=True), tmp_path / "two")
    assert filecmp.cmp(tmp_path / "one", tmp_path / "two", shallow=False)


def test_netcdf_layout(tmp_path: Path) -> None:
    """Large grids are double precision, shuffled, deflated, NaN-filled, in columns of all heights."""
    ds = _product("imaging 2018+", 2)
    write_netcdf(ds, tmp_path / "run.nc")
    with netCDF4.Dataset(tmp_path / "run.nc") as file:
        variable = file["fluctuating"]
        assert variable.dtype == np.float64
        assert np.isnan(variable.getncattr("_FillValue"))
        assert variable.filters()["shuffle"]
        assert 1 <= variable.filters()["complevel"] <= 4
        assert variable.chunking() == [1, 41, 32, 32]
        assert "_FillValue" not in file["x"].ncattrs()


def test_empty_chunks_are_not_stored(tmp_path: Path) -> None:
    """A grid without a value costs next to nothing, and still reads as NaN."""
    ds = _emptied("imaging 2018+")
    write_netcdf(ds, tmp_path / "run.nc")
    assert (tmp_path / "run.nc").stat().st_size < 200_000
    with xr.open_dataset(tmp_path / "run.nc", decode_times=False) as back:
        assert np.isnan(back["fluctuating"].values).all()
        assert (back["weight"].values == 0).all()


def _upright(variable: xr.DataArray) -> np.ndarray[Any, Any]:
    """Return a variable in the order of the original."""
    return variable.isel(time=0).transpose("y", "x", "z").values


def test_mat_of_one_grid(tmp_path: Path) -> None:
    """Imaging has one structure `covis.grid` with full coordinate arrays and zeros where no sample came."""
    ds = _product("imaging 2018+")
    write_mat(ds, tmp_path / "run.mat")
    covis = loadmat(tmp_path / "run.mat", simplify_cells=True)["covis"]
    grid = covis["grid"]
    assert (covis["type"], grid["type"], grid["dimensions"]) == ("imaging", "backscatter-cross-section", 3)
    assert grid["name"] == ASHES["imaging"]
    assert grid["axis"].tolist() == [-40, 20, -40, 20, 0, 20]
    assert grid["bounds"]["zmax"] == 20
    assert grid["x"].shape == grid["Id_filt"].shape == (31, 31, 11)
    np.testing.assert_array_equal(grid["y"][:, 0, 0], ds["y"].values)
    np.testing.assert_array_equal(grid["Id_filt"], _upright(ds["fluctuating_filtered"].fillna(0)))
    np.testing.assert_array_equal(grid["w"], _upright(ds["weight"]))


def test_mat_of_several_grids(tmp_path: Path) -> None:
    """Doppler has a cell array of grids; complex fields are whole again; the clock offset is with grid 1."""
    ds = _product("doppler 2018+")
    write_mat(ds, tmp_path / "run.mat")
    cells = loadmat(tmp_path / "run.mat", simplify_cells=True)["covis"]["grid"]
    assert [grid["type"] for grid in cells] == ["doppler velocity", "intensity", "intensity_win"]
    assert {"vr_cov", "vr_vel", "std", "covar", "w", "vr_offset_ave"} <= cells[0].keys()
    assert np.iscomplexobj(cells[0]["covar"])
    assert cells[0]["units"]["value"] == "m/second"
    assert cells[0]["vr_offset_ave"] == 7e-5
    assert {"Ia", "Ia_filt", "Id", "Id_filt", "w"} <= cells[1].keys()


def test_mat_of_bathymetry_keeps_gaps(tmp_path: Path) -> None:
    """In bathymetry a cell no sample reached is NaN, as in the original's files."""
    ds = _product("bathymetry")
    write_mat(ds, tmp_path / "run.mat")
    grid = loadmat(tmp_path / "run.mat", simplify_cells=True)["covis"]["grid"]
    np.testing.assert_array_equal(grid["v"], ds["height"].values[0])
    assert np.isnan(grid["v"]).any()


def test_mat_of_a_full_range_run(tmp_path: Path) -> None:
    """A full-range run has the two variables that the original's worker wrote."""
    write_mat(_product("full-range"), tmp_path / "run.mat")
    content = loadmat(tmp_path / "run.mat", simplify_cells=True)
    assert "Id" in content["imaging"]["grid"]
    assert {grid["type"] for grid in content["diffuse"]["grid"]} >= {"bathy", "decorrelation", "Kp"}


def test_mat_metadata(tmp_path: Path) -> None:
    """Processing, pings, bursts and sweep have the original's names; ``_id`` becomes ``alpha__id``."""
    write_mat(_product("imaging 2010-15"), tmp_path / "run.mat")
    covis = loadmat(tmp_path / "run.mat", simplify_cells=True)["covis"]
    assert covis["comments"] == "main endeavour site"
    assert covis["processing"]["filter"] == {"bw": 2, "order": 4, "status": "on"}
    assert covis["processing"]["snr"] == {"noise_floor": 0.197, "threshold": 50}
    assert covis["processing"]["beamformer"]["c"] == 1484.477
    assert covis["processing"]["beamformer"]["angle"].shape == (16,)
    assert covis["sweep"]["alpha__id"] == "run"
    assert covis["sweep"]["name"] == ENDEAVOUR["imaging"]
    assert (covis["ping"][9]["num"], covis["burst"][0]["npings"]) == (10, 5)
    assert covis["bad_ping"] == 21
    assert covis["metadata"]["profile"] == "matlab"


def test_grids_are_found_by_original_name() -> None:
    """Types are told apart by the longest name that fits: intensity_win is no intensity."""
    listed = grids(MODES["full-range"][0](8), spec_for("Ashes", "fullimaging"))
    found = {grid.description.prefix: set(grid.fields) for grid in listed}
    assert {"Id", "Ia", "Kp", "w"} <= found[""]
    assert found["intensity_filt"] == found["intensity"] == found["bathy_filt"] == {"v", "w"}
