"""The products of many runs, put in a row by plain xarray."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import pytest
import xarray as xr

from catalog.model import Run
from catalog.names import parse_basename
from covis_dask.engines.native import NativeEngine
from covis_dask.modes.context import Context
from covis_dask.products._grids import is_gridded
from covis_dask.products._precision import narrowed
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.netcdf import write_netcdf
from covis_dask.products.zarr import write_zarr
from covis_dask.raw.source import ArchiveSource
from covis_dask.simulate import Scene, simulate
from tests.unit._datasets import facts
from tests.unit._small_runs import MODES, Members, Mode


def _other_size(mode: Mode) -> Mode:
    """Return the mode with other numbers of pings, samples and, where some are to spare, bursts."""
    spare = len(mode.pitches) > 2
    return replace(
        mode,
        pitches=mode.pitches[:-1] if spare else mode.pitches,
        pings=mode.pings + (1 if len(mode.pitches) > 1 else -1),
        samples=mode.samples + 16,
    )


@cache
def _computed(mode: Mode, number: int, profile: str) -> tuple[str, xr.Dataset]:
    """Compute a run: the first as it is, the second of another size, the third without its last pings."""
    sized = _other_size(mode) if number == 1 else mode
    spec = replace(sized.spec, start=mode.spec.start + dt.timedelta(days=number), seed=number)
    members = simulate(spec, Scene())
    if number == 2:
        members[max(name for name in members if name.endswith(".bin"))] = b""
    name = parse_basename(spec.basename)
    run = Run(basename=spec.basename, datetime=name.datetime, mode=name.mode, site=name.site)
    source = _folder(spec.basename, members)
    return spec.basename, NativeEngine().process(source, run, mode.parameters(profile), Context())


def _folder(basename: str, members: Members) -> ArchiveSource:
    fs, folder = fsspec.filesystem("memory"), f"/{uuid4().hex}/{basename}"
    for name, data in members.items():
        fs.pipe_file(f"{folder}/{name}", data)
    return ArchiveSource(fs, folder)


def _products(mode: Mode, numbers: Sequence[int], profile: str = "matlab") -> list[xr.Dataset]:
    parameters = mode.parameters(profile)
    return [
        finish_dataset(
            ds, facts(basename, parameters=parameters.to_dict(), profile=profile, preset=parameters.preset)
        )
        for basename, ds in (_computed(mode, number, profile) for number in numbers)
    ]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_season_opens_by_its_list_of_files(mode: Mode, tmp_path: Path) -> None:
    """`open_mfdataset` takes nothing but the list, in any order, of runs unequal in pings, bursts, beams."""
    products = _products(mode, (2, 0, 1))
    assert len({ds.sizes["ping"] for ds in products}) > 1
    assert len({ds.sizes["sample"] for ds in products}) > 1
    files = [tmp_path / f"{number}.nc" for number in range(3)]
    for ds, file in zip(products, files, strict=True):
        write_netcdf(ds, file)
    with xr.open_mfdataset(files) as season:
        assert season.sizes["time"] == 3
        assert season.indexes["time"].is_monotonic_increasing
        assert not {"ping", "burst", "beam", "sample"} & set(season.dims)
        for ds in products:
            one = season.sel(time=ds["time"])
            for name, variable in one.variables.items():
                np.testing.assert_array_equal(variable.values, ds[name].values, err_msg=str(name))
        with xr.open_dataset(files[0], group="pings") as pings:
            assert pings["ping_used"].attrs["flag_meanings"] == "left_out used"


def test_a_season_of_zarr_stores(tmp_path: Path) -> None:
    """Zarr stores go in a row too, by their addresses."""
    products = _products(MODES[0], (0, 1))
    for number, ds in enumerate(products):
        write_zarr(ds, tmp_path / f"{number}.zarr.zip")
    addresses = [f"zip::{tmp_path}/{number}.zarr.zip" for number in range(2)]
    with xr.open_mfdataset(addresses, engine="zarr") as season:
        assert season["backscatter"].sizes["time"] == 2


@pytest.mark.filterwarnings("ignore:In a future version of xarray:FutureWarning")
def test_a_season_where_one_run_lacks_a_variable(tmp_path: Path) -> None:
    """What a run does not have is missing there, as NaN."""
    first, second = _products(MODES[0], (0, 1))
    write_netcdf(first, tmp_path / "0.nc")
    write_netcdf(second.drop_vars("weight"), tmp_path / "1.nc")
    with xr.open_mfdataset([tmp_path / "0.nc", tmp_path / "1.nc"]) as season:
        assert np.isnan(season["weight"].isel(time=1).values).all()
        np.testing.assert_array_equal(season["weight"].isel(time=0).values, first["weight"].values[0])


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_time_follows_the_pings_used(mode: Mode) -> None:
    """The time of a product lies in the middle of those of its pings that its table calls used."""
    (ds,) = _products(mode, (2,))
    used = ds["ping_used"].values == 1
    assert 0 < used.sum() == ds.attrs["pings_used"] < used.size
    times = ds["ping_time"].values[used]
    found = ds["time"].values.astype("datetime64[ms]").astype(np.int64)[0] / 1000
    assert found == pytest.approx((times.min() + times.max()) / 2, abs=0.001)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_single_precision_is_a_hundred_times_below_the_spread(mode: Mode) -> None:
    """What profile corrected stores in single precision loses a hundredth of its own spread at most."""
    _, ds = _computed(mode, 0, "corrected")
    stored = narrowed(ds, "corrected")
    narrow = [name for name, variable in stored.items() if variable.dtype == np.float32]
    assert narrow or mode.family == "bathy"
    for name in narrow:
        exact, kept = ds[name].values, stored[name].values.astype(np.float64)
        assert is_gridded(ds[name])
        assert np.array_equal(np.isnan(exact), np.isnan(kept)), name
        assert np.array_equal(exact == 0, kept == 0), name
        known = np.isfinite(exact)
        if known.sum() > 1 and np.ptp(exact[known]) > 0:
            assert np.abs(kept - exact)[known].max() <= 0.01 * exact[known].std(), name
