"""How many runs a batch has, and how many workers and threads are at it, changes no bit of a product."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import LocalCluster

from tests._place import Place, diffuse, doppler, imaging


def _products(place: Place, prefix: str) -> dict[str, xr.Dataset]:
    found = {}
    for path in sorted((place.path / "covis-data" / "products" / prefix).rglob("*.nc")):
        with xr.open_dataset(path, decode_cf=False) as ds:
            product = ds.load()
            # When it was made is nobody's result.
            product.attrs = {
                key: value for key, value in ds.attrs.items() if not key.startswith(("date_", "history"))
            }
            found[path.stem] = product
    return found


def _batch(place: Place, prefix: str, *words: str) -> None:
    done = place.run("covis_dask.batch", "--prefix", prefix, *words)
    assert done.returncode == 0, done.stderr


def test_batches_workers_and_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker, two workers, a batch of one run, and a worker with two threads give identical products."""
    place = Place(tmp_path)
    specs = [diffuse(1), imaging(2), doppler(3), diffuse(4)]
    for spec in specs:
        place.store(spec)
    place.catalogue()
    _batch(place, "one-worker", "--year", "2014", "--workers", "1")
    _batch(place, "two-workers", "--year", "2014", "--workers", "2")
    _batch(place, "single", "--basename", specs[1].basename, "--workers", "1")
    monkeypatch.chdir(tmp_path)  # workers begin where this process is
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster:
        _batch(place, "two-threads", "--year", "2014", "--scheduler", cluster.scheduler_address)
    want = _products(place, "one-worker")
    assert set(want) == {spec.basename for spec in specs}
    for prefix, count in (("two-workers", 4), ("single", 1), ("two-threads", 4)):
        found = _products(place, prefix)
        assert len(found) == count, prefix
        for name, ds in found.items():
            xr.testing.assert_identical(ds, want[name])
            for key, variable in ds.variables.items():
                assert variable.values.tobytes() == np.asarray(want[name][key].values).tobytes(), (name, key)
