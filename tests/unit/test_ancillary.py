"""Seafloor grids by date: the original's files, NetCDF grids, and products made into them."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import scipy.io
import xarray as xr
from numpy.typing import NDArray

from covis_dask.ancillary import FolderAncillary, open_ancillary, register
from covis_dask.errors import ConfigurationError, StorageUnavailable

LOCAL = fsspec.filesystem("file")
X, Y = np.arange(-2.0, 3.0), np.arange(-1.0, 3.0)


def _day(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def _matlab(folder: Path, height: float) -> None:
    """Write the three files of the original, each at a height of its own."""
    x, y = np.meshgrid(X, Y)
    for step, name in enumerate(("covis_bathy_2018.mat", "covis_bathy_2019a.mat", "covis_bathy_2019b.mat")):
        grid = {"x": x, "y": y, "v": np.full(x.shape, height + step)}
        scipy.io.savemat(folder / name, {"covis": {"grid": grid}})


def _netcdf(path: Path, height: float, **attrs: str) -> None:
    plane = (("y", "x"), np.full((len(Y), len(X)), height))
    xr.Dataset({"seafloor_height": plane}, {"x": X, "y": Y}, attrs).to_netcdf(path)


def _height(ancillary: FolderAncillary, when: str) -> float:
    found = ancillary.bathymetry(_day(when))
    assert found is not None
    return float(found.height[0, 0])


@pytest.mark.parametrize(
    ("when", "step"),
    [
        ("2018-07-29", 0),
        ("2019-07-06T00:00:00", 0),
        ("2019-07-06T00:00:01", 1),
        ("2019-11-23T00:00:00", 1),
        ("2019-11-23T00:00:01", 2),
        ("2022-01-01", 2),
    ],
)
def test_the_originals_files_have_the_originals_dates(tmp_path: Path, when: str, step: int) -> None:
    """4.3: the file of 2018 up to 2019-07-06 0:00, then 2019a up to 2019-11-23 0:00, then 2019b."""
    _matlab(tmp_path, 10.0)
    assert _height(open_ancillary(LOCAL, str(tmp_path)), when) == 10 + step


def test_the_real_files_are_read(shared: Path) -> None:
    """The original's own files give their axes and heights, y down the rows."""
    found = open_ancillary(LOCAL, f"{shared}/inputs/").bathymetry(_day("2019-08-20"))
    assert found is not None
    assert found.name == "covis_bathy_2019a.mat"
    assert found.height.shape == (len(found.y), len(found.x)) == (121, 101)
    np.testing.assert_allclose(found.x, np.arange(-30, 20.25, 0.5))
    np.testing.assert_allclose(found.y, np.arange(-30, 30.25, 0.5))
    assert 1000 < np.isfinite(found.height).sum() < found.height.size


def test_netcdf_grids_hold_from_their_date_on(tmp_path: Path) -> None:
    """A NetCDF grid is valid from its date until a newer one; before all of them there is none."""
    _netcdf(tmp_path / "old.nc", 1.0, valid_from="2020-01-01")
    _netcdf(tmp_path / "new.nc", 2.0, valid_from="2021-06-01T12:00:00Z")
    ancillary = open_ancillary(LOCAL, str(tmp_path))
    assert ancillary.bathymetry(_day("2019-12-31T23:59:59")) is None
    assert _height(ancillary, "2020-01-01") == 1
    assert _height(ancillary, "2021-06-01T11:59:59") == 1
    assert _height(ancillary, "2021-06-01T12:00:00") == 2


def test_netcdf_grids_and_the_originals_live_together(tmp_path: Path) -> None:
    """A NetCDF grid takes over from the original's file at its date."""
    _matlab(tmp_path, 10.0)
    _netcdf(tmp_path / "mine.nc", 1.0, valid_from="2019-09-01")
    ancillary = open_ancillary(LOCAL, str(tmp_path))
    assert _height(ancillary, "2019-08-20") == 11
    assert _height(ancillary, "2019-09-02") == 1
    assert _height(ancillary, "2019-12-01") == 12


def test_a_naive_time_means_utc(tmp_path: Path) -> None:
    """A time without zone is taken for UTC."""
    _netcdf(tmp_path / "grid.nc", 1.0, valid_from="2020-01-01T00:00:00")
    assert open_ancillary(LOCAL, str(tmp_path)).bathymetry(dt.datetime(2020, 1, 1)) is not None  # noqa: DTZ001


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """A grid that is replaced while a worker lives gets its new date."""
    ancillary = open_ancillary(LOCAL, str(tmp_path))
    _netcdf(tmp_path / "grid.nc", 1.0, valid_from="2020-01-01")
    assert _height(ancillary, "2020-06-01") == 1
    _netcdf(tmp_path / "grid.nc", 1.0, valid_from="2020-12-01", comment="moved")
    assert ancillary.bathymetry(_day("2020-06-01")) is None


def test_an_axis_that_falls_is_turned_round(tmp_path: Path) -> None:
    """Axes come out rising, the heights with them, whatever the order of dimensions in the file."""
    height = np.arange(20.0).reshape(5, 4)
    plane = (("x", "y"), height[::-1])
    grid = xr.Dataset({"depth": plane}, {"x": X[::-1], "y": Y}, {"valid_from": "2020-01-01"})
    grid.to_netcdf(tmp_path / "grid.nc")
    found = open_ancillary(LOCAL, str(tmp_path)).bathymetry(_day("2020-02-01"))
    assert found is not None
    np.testing.assert_array_equal(found.x, X)
    np.testing.assert_array_equal(found.height, height.T)


def test_no_folder_means_no_grid(tmp_path: Path) -> None:
    """A folder that is not there, or is empty, has no seafloor."""
    assert open_ancillary(LOCAL, str(tmp_path / "nowhere")).bathymetry(_day("2020-01-01")) is None
    assert open_ancillary(LOCAL, str(tmp_path)).bathymetry(_day("2020-01-01")) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: _netcdf(path, 1.0), "no attribute valid_from"),
        (lambda path: _netcdf(path, 1.0, valid_from="soon"), "no attribute valid_from"),
        (lambda path: path.write_bytes(b"no grid at all"), "cannot be read as NetCDF"),
        (lambda path: _netcdf(path, float("nan"), valid_from="2019-01-01"), "contains no heights"),
        (
            lambda path: xr.Dataset(attrs={"valid_from": "2019-01-01"}).to_netcdf(path),
            "one variable seafloor_height",
        ),
    ],
)
def test_a_faulty_grid_is_a_mistake_of_the_user(
    tmp_path: Path, make: Callable[[Path], object], sentence: str
) -> None:
    """A NetCDF file that is no seafloor grid is told by name, not passed over."""
    make(tmp_path / "grid.nc")
    with pytest.raises(ConfigurationError, match=rf"grid\.nc.*{sentence}"):
        open_ancillary(LOCAL, str(tmp_path)).bathymetry(_day("2020-01-01"))


def test_a_file_with_an_originals_name_must_be_one(tmp_path: Path) -> None:
    """A file that only has the name of the original's is told, too."""
    scipy.io.savemat(tmp_path / "covis_bathy_2018.mat", {"something": 1.0})
    with pytest.raises(ConfigurationError, match=r"covis_bathy_2018\.mat is not the original's"):
        open_ancillary(LOCAL, str(tmp_path)).bathymetry(_day("2018-08-01"))


class _Down:
    """A store that does not answer."""

    def invalidate_cache(self) -> None:
        pass

    def ls(self, *_: Any, **__: Any) -> list[Any]:
        raise TimeoutError("no answer")


def test_a_store_that_does_not_answer_is_told_as_such() -> None:
    """A transport error is one to try again, not a missing grid."""
    with pytest.raises(StorageUnavailable, match="no answer"):
        FolderAncillary(_Down(), "somewhere").bathymetry(_day("2020-01-01"))


def _product(
    height: NDArray[Any], weight: NDArray[Any], basename: str = "COVIS-20200101T000000-bathy1"
) -> xr.Dataset:
    return xr.Dataset(
        {
            "seafloor_height": (("y", "x"), height, {"original_name": "v"}),
            "gridding_weight": (("y", "x"), weight, {"original_name": "w"}),
        },
        {"x": X, "y": Y},
        {"basename": basename},
    )


@pytest.mark.parametrize("protocol", ["file", "memory"])
def test_a_product_becomes_a_grid(protocol: str, tmp_path: Path) -> None:
    """A registered bathymetry product is the seafloor from its date on, in any store."""
    fs = fsspec.filesystem(protocol)
    folder = f"{tmp_path}/ancillary" if protocol == "file" else "/ancillary-of-a-test"
    height = np.arange(20.0).reshape(4, 5)
    height[0, 0] = np.nan
    path = register(fs, folder, [_product(height, np.ones((4, 5)))], _day("2020-01-02"))
    assert path == f"{folder}/bathymetry_20200102T000000.nc"
    ancillary = open_ancillary(fs, folder)
    assert ancillary.bathymetry(_day("2020-01-01")) is None
    found = ancillary.bathymetry(_day("2020-01-02"))
    assert found is not None
    assert found.name == "bathymetry_20200102T000000.nc"
    np.testing.assert_array_equal(found.height, height)
    with _opened(fs, path, tmp_path) as grid:
        assert grid.attrs["source"] == "COVIS-20200101T000000-bathy1"
        assert grid["seafloor_height"].attrs["units"] == "m"


def _opened(fs: Any, path: str, tmp_path: Path) -> xr.Dataset:
    copy = tmp_path / "copy.nc"
    fs.get_file(path, str(copy))
    return xr.open_dataset(copy)


def test_sectors_are_averaged_by_weight(tmp_path: Path) -> None:
    """4.7: sectors are combined by their weights; a cell that one of them lacks comes from the other."""
    first = _product(np.full((4, 5), 1.0), np.full((4, 5), 1.0))
    height, weight = np.full((4, 5), 4.0), np.full((4, 5), 2.0)
    height[0], weight[0] = np.nan, 0
    register(LOCAL, str(tmp_path), [first, _product(height, weight)], _day("2020-01-02"))
    found = open_ancillary(LOCAL, str(tmp_path)).bathymetry(_day("2020-02-01"))
    assert found is not None
    np.testing.assert_allclose(found.height[0], 1)
    np.testing.assert_allclose(found.height[1:], 3)


def test_only_bathymetry_products_can_be_registered(tmp_path: Path) -> None:
    """Another product, none, or sectors on different axes are refused with a sentence."""
    product = _product(np.ones((4, 5)), np.ones((4, 5)))
    with pytest.raises(ConfigurationError, match="only a bathymetry product"):
        register(LOCAL, str(tmp_path), [product.drop_vars("gridding_weight")], _day("2020-01-02"))
    with pytest.raises(ConfigurationError, match="no bathymetry product"):
        register(LOCAL, str(tmp_path), [], _day("2020-01-02"))
    moved = product.assign_coords(x=X + 1)
    with pytest.raises(ConfigurationError, match="different axes"):
        register(LOCAL, str(tmp_path), [product, moved], _day("2020-01-02"))


def test_identities_name_the_grid_for_fingerprints(tmp_path: Path) -> None:
    """The plan learns which grid a run would use, without reading it."""
    _matlab(tmp_path, 10.0)
    identity = open_ancillary(LOCAL, str(tmp_path)).identities()
    size = (tmp_path / "covis_bathy_2019a.mat").stat().st_size
    assert identity(_day("2019-08-20")) == f"covis_bathy_2019a.mat ({size} bytes)"
    shutil.rmtree(tmp_path)
    assert open_ancillary(LOCAL, str(tmp_path)).identities()(_day("2019-08-20")) is None
