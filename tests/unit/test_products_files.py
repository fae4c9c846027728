"""NetCDF, Zarr and Matlab files give back what was written, the same bytes each time."""

import filecmp
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from scipy.io import loadmat

from covis_dask.modes import spec_for
from covis_dask.products._grids import grids
from covis_dask.products.mat import write_mat
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.netcdf import write_netcdf
from covis_dask.products.zarr import write_zarr
from tests.unit._datasets import ASHES, ENDEAVOUR, MODES, emptied, facts


def _product(mode: str, scale: float = 8) -> xr.Dataset:
    make, basename = MODES[mode]
    return finish_dataset(make(scale), facts(basename))


def _same(back: xr.Dataset, ds: xr.Dataset) -> None:
    """Compare variables to the last bit, and attributes but for what NetCDF makes of short lists."""
    for name in ds.variables:
        np.testing.assert_array_equal(back[name].values, ds[name].values, err_msg=str(name))
        assert back[name].dims == ds[name].dims
        assert back[name].attrs == ds[name].attrs
    assert back.attrs.keys() == ds.attrs.keys()
    for name, value in ds.attrs.items():
        np.testing.assert_array_equal(np.squeeze(back.attrs[name]), np.squeeze(value), err_msg=name)


@pytest.mark.parametrize("mode", MODES)
def test_netcdf_round_trip(tmp_path: Path, mode: str) -> None:
    """Every value comes back to the last bit, NaN where no sample came, weights 0."""
    ds = _product(mode)
    write_netcdf(ds, tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as back:
        assert back["time"].values == ds["time"].values
    with xr.open_dataset(tmp_path / "run.nc", decode_times=False) as back:
        _same(back.drop_vars("time"), ds.drop_vars("time"))


@pytest.mark.parametrize("mode", MODES)
def test_zarr_round_trip(tmp_path: Path, mode: str) -> None:
    """A Zarr store gives the same values, and opens without a warning."""
    ds = _product(mode)
    write_zarr(ds, tmp_path / "run.zarr")
    with xr.open_dataset(tmp_path / "run.zarr", engine="zarr", decode_times=False) as back:
        _same(back.drop_vars("time"), ds.drop_vars("time"))


@pytest.mark.parametrize("write", [write_netcdf, write_mat])
def test_files_are_deterministic(tmp_path: Path, write: Callable[[xr.Dataset, Path], None]) -> None:
    """Two attempts of one task write the same bytes."""
    ds = _product("doppler 2018+")
    write(ds, tmp_path / "one")
    write(ds.copy(deep=True), tmp_path / "two")
    assert filecmp.cmp(tmp_path / "one", tmp_path / "two", shallow=False)


def test_zarr_is_deterministic(tmp_path: Path) -> None:
    """Two attempts of one task write the same files; an earlier store leaves nothing behind."""
    ds = _product("doppler 2018+")
    write_zarr(_product("bathymetry"), tmp_path / "two")
    for name in ("one", "two"):
        write_zarr(ds, tmp_path / name)
    names = [
        sorted(
            str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*") if path.is_file()
        )
        for name in ("one", "two")
    ]
    assert names[0] == names[1]
    assert filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", names[0], shallow=False)[0] == names[0]


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
        assert variable.chunking() == [32, 32, 41]
        assert "_FillValue" not in file["x"].ncattrs()


def test_empty_chunks_are_not_stored(tmp_path: Path) -> None:
    """A grid without a value costs next to nothing, and still reads as NaN."""
    ds = emptied(_product("imaging 2018+", 2))
    write_netcdf(ds, tmp_path / "run.nc")
    assert (tmp_path / "run.nc").stat().st_size < 200_000
    with xr.open_dataset(tmp_path / "run.nc", decode_times=False) as back:
        assert np.isnan(back["fluctuating"].values).all()
        assert (back["weight"].values == 0).all()


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
    assert grid["x"].shape == grid["Id_filt"].shape == ds["weight"].shape
    np.testing.assert_array_equal(grid["y"][:, 0, 0], ds["y"].values)
    np.testing.assert_array_equal(grid["Id_filt"], ds["fluctuating_filtered"].fillna(0).values)
    np.testing.assert_array_equal(grid["w"], ds["weight"].values)


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
    np.testing.assert_array_equal(grid["v"], ds["height"].values)
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
