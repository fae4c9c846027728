"""`covis upgrade`: products of earlier releases in the newest form, without raw data; numbers stay."""

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import covis_dask as covis
from catalog.query import RunQuery
from covis_dask.batches.job import Finished, JobContext, job_named
from covis_dask.batches.request import BatchRequest
from covis_dask.batches.upgrading import Upgrading
from covis_dask.cli import main
from covis_dask.config import load_settings
from covis_dask.products.manifest import Manifest
from covis_dask.products.reading import read_netcdf
from covis_dask.products.schema import ATTRIBUTE, SCHEMA
from covis_dask.products.stored import StoredProduct
from covis_dask.runs.upgrade_task import UpgradeTask
from covis_dask.runs.upgrading import upgrade_run
from tests.unit._layout1 import BASENAME, unpack
from tests.unit._shelf import NAMES, Shelf

Captured = pytest.CaptureFixture[str]
_FORM_1 = Path(__file__).parent / "data" / "product_1_imaging.nc.gz"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give a store with a product of layout 1 that the catalogue knows."""
    with Shelf.at(tmp_path) as shelf:
        shelf.add(BASENAME)
        run = unpack(tmp_path / "products" / shelf.path(BASENAME).rsplit("/", 1)[0])
        shelf.record(BASENAME, Manifest.from_json((run / "metadata.json").read_text()))
        yield shelf


def _job(**words: Any) -> Upgrading:
    request = BatchRequest(query=RunQuery(years=frozenset({2014})), job="upgrade", **words)
    job = job_named(JobContext(request, load_settings(), "batch", dt.datetime.now(dt.UTC)))
    assert isinstance(job, Upgrading)
    return job


def _task(shelf: Shelf, basename: str = BASENAME) -> UpgradeTask:
    decision = _job().decide(_run(shelf, basename))
    assert isinstance(decision.task, UpgradeTask), decision.reason
    return replace(decision.task, token=5, store_id=shelf.store.mark())


def _run(shelf: Shelf, basename: str = BASENAME) -> covis.Run:
    with shelf.catalog() as catalog:
        run = catalog.get(basename)
    assert run is not None
    return run


def _manifest(shelf: Shelf, basename: str = BASENAME) -> Manifest:
    return StoredProduct.of(shelf.store, shelf.path(basename)).manifest


def test_layout_1_becomes_layout_2(shelf: Shelf) -> None:
    """Same fingerprint, same numbers, files of the newest form; the manifest says where it came from."""
    before, old = covis.open_product(BASENAME), _manifest(shelf)
    assert upgrade_run(_task(shelf)).state == "done"
    new = _manifest(shelf)
    assert new.folder.startswith("v/")
    assert (new.fingerprint, new.parameters, new.batch) == (old.fingerprint, old.parameters, old.batch)
    assert (new.product_schema, new.token) == (SCHEMA, 5)
    assert new.made_from is not None
    assert (new.made_from.files, new.made_from.batch) == (old.files, "batch")
    assert {entry.plain for entry in new.files} == {entry.plain for entry in old.files}
    xr.testing.assert_identical(covis.open_product(BASENAME), before)
    with xr.open_dataset(covis.product_files(basename=BASENAME)[0]) as plain:
        assert plain.attrs[ATTRIBUTE] == SCHEMA
    assert all(
        (shelf.folder / "products" / shelf.path(BASENAME) / entry.name).exists() for entry in old.files
    )


def test_what_is_new_is_left_alone(shelf: Shelf) -> None:
    """Once is enough; a run without product, another program's and a damaged one each get their own word."""
    assert upgrade_run(_task(shelf)).state == "done"
    decision = _job().decide(_run(shelf))
    assert (decision.action, decision.task) == ("already", None)
    assert _job().decide(shelf.add(NAMES[0])).action == "already"
    shelf.commit(NAMES[1])
    for text, action in (("{", "failed"), ('{"python_version": "3.5"}', "unsupported")):
        shelf.store.put_bytes(f"{shelf.path(NAMES[1])}/metadata.json", text.encode())
        assert _job().decide(_run(shelf, NAMES[1])).action == action


def test_an_older_form_in_layout_2(shelf: Shelf) -> None:
    """Files of form 1 are written anew and others copied; files of the newest form are not touched."""
    name = "APLUWCOVISMBSONAR001_20140308T010012.345Z-IMAGING"
    data = gzip.decompress(_FORM_1.read_bytes())
    old = shelf.commit(name, {f"{name}.nc": data, f"{name}.mat": b"original", "output.txt": b"log"})
    assert upgrade_run(_task(shelf, name)).state == "done"
    product = StoredProduct.of(shelf.store, shelf.path(name))
    assert product.manifest.folder != old.folder
    assert (product.read(f"{name}.mat"), product.log()) == (b"original", "log")
    xr.testing.assert_identical(product.dataset(), read_netcdf(data, name))
    known = shelf.commit(NAMES[2], {f"{NAMES[2]}.nc": product.read(f"{name}.nc") or b""})
    assert upgrade_run(_task(shelf, NAMES[2])).state == "already"
    assert _manifest(shelf, NAMES[2]) == known


@pytest.mark.parametrize("damage", ["lost", "cut", "other"])
def test_a_damaged_product_is_one_run_s_failure(shelf: Shelf, damage: str) -> None:
    """Nothing is committed over it, and its record stays."""
    task, record = _task(shelf), shelf.recorded(BASENAME)
    file = shelf.folder / "products" / shelf.path(BASENAME) / f"{BASENAME}.nc"
    data = file.read_bytes()
    if damage == "lost":
        file.unlink()
    else:
        file.write_bytes(data[:3000] if damage == "cut" else b"x" * len(data))
    before = _manifest(shelf)
    outcome = upgrade_run(task)
    assert (outcome.state, outcome.kind) == ("failed", "product-damaged")
    assert _manifest(shelf) == before
    with shelf.catalog() as catalog:
        _job().record(catalog, [Finished(task, outcome, dt.datetime.now(dt.UTC))])
    assert shelf.recorded(BASENAME) == record


def test_a_newer_claim_stands(shelf: Shelf) -> None:
    """A worker whose claim is too old commits nothing, and says which is newer."""
    task = _task(shelf)
    shelf.commit(BASENAME, token=9)
    before = _manifest(shelf)
    assert upgrade_run(task).behind == 9
    assert _manifest(shelf) == before


def test_the_driver_commits_where_the_store_keeps_no_conditions(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker uploads, the driver swaps; a call that is repeated changes nothing."""
    monkeypatch.setattr("covis_dask.storage._disk.lock_supported", lambda _: False)
    monkeypatch.setattr("covis_dask.runs.worker._stores", {})
    task = _task(shelf)
    outcome = upgrade_run(task)
    assert outcome.uncommitted is not None
    assert _manifest(shelf).folder == ""
    for _ in range(2):
        assert _job().complete(task, outcome).state == "done"
        assert "decorrelation" in covis.open_product(BASENAME)


def test_the_command(shelf: Shelf, capsys: Captured) -> None:
    """The plan says which need it; a batch carries them over, and a second one finds nothing to do."""
    assert main(["upgrade", "--year", "2014", "--dry-run", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["runs"]
    assert (item["action"], item["reason"]) == ("run", "layout 1")
    for state in ("done", "already"):
        assert main(["upgrade", "--year", "2014", "--workers", "1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["counts"][state] == 1
    record = shelf.recorded(BASENAME)
    assert record is not None
    assert (record.state, record.token) == ("done", 1)
    assert main(["verify", "--year", "2014", "--deep"]) == 0
