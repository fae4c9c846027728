"""A worker writes its products by itself: nobody is asked for a lock."""

from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster, get_worker

from covis_dask.products.metadata import finish_dataset
from covis_dask.products.writers import write_product
from tests.unit._datasets import ASHES, bathy, facts


def _written(folder: Path) -> list[str]:
    """Write a product of every format within a worker."""
    assert get_worker().address
    basename = ASHES["bathy"]
    ds = finish_dataset(bathy(2), facts(basename))
    assert write_product(ds, folder, basename, ("nc", "zarr", "mat")) == ()
    return sorted(path.name.removeprefix(basename) for path in folder.iterdir())


def _written_by_xarray(path: Path) -> None:
    bathy(8).to_netcdf(path)


def test_a_worker_takes_no_lock_of_the_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing inside a Dask worker never asks for a distributed lock, which a lost scheduler cannot give."""

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a lock of the scheduler was asked for")

    monkeypatch.setattr("distributed.lock.Lock.__init__", refused)
    monkeypatch.setattr("distributed.Semaphore.__init__", refused)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        with pytest.raises(AssertionError, match="a lock of the scheduler"):
            client.submit(_written_by_xarray, tmp_path / "other.nc", pure=False).result(timeout=60)
        found = client.submit(_written, tmp_path / "product", pure=False).result(timeout=60)
    assert found == [".mat", ".nc", ".png", ".zarr.zip"]
