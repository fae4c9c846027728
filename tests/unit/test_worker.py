"""What a worker makes of one run: a product, or nothing new, or a failure that says why."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import pytest

from catalog.model import RawFile, Run
from catalog.names import parse_basename
from covis_dask.batches.plan import make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.config import load_settings
from covis_dask.engines import engine_named
from covis_dask.products.manifest import Manifest
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import process_run
from covis_dask.simulate.pack import write_archive
from covis_dask.storage import ProductStore
from tests._place import diffuse, members

_SPEC = diffuse(1)
_FILE = f"{_SPEC.basename}.tar"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give the folder of the products; beside it lies an archive of one diffuse run."""
    write_archive(members(), tmp_path / "raw" / _FILE, folder=_SPEC.folder)
    products = tmp_path / "products"
    settings = {
        "hosts": {"HERE": {"url": str(tmp_path / "raw")}},
        "products": {"url": str(products)},
        "ancillary": {"url": str(tmp_path / "ancillary")},
        "patience": "0 s",
    }
    with dask.config.set({f"covis.{name}": value for name, value in settings.items()}):
        yield products


def _task(formats: tuple[str, ...] = ("nc",), **changes: Any) -> RunTask:
    """Make the task of the run, as a plan does."""
    settings, name = load_settings(), parse_basename(_SPEC.basename)
    run = Run(name.basename, name.datetime, name.mode, name.site, (RawFile("HERE", _FILE, 1),))
    overrides: Mapping[str, Any] = changes.pop("overrides", {})
    spec = ProductSpec(
        profile="matlab",
        prefix="p",
        store=settings.products.url,
        hosts=frozenset({"HERE"}),
        host_order=(),
        formats=formats,
        overrides=overrides,
    )
    job = PostProcessing(spec, engine_named("native"), "b", dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    (task,) = make_plan([run], job).tasks
    assert isinstance(task, RunTask)
    return replace(task, **changes)


def _files(folder: Path, task: RunTask) -> dict[str, bytes]:
    """Return the files in the folder of a run."""
    place = folder / task.path
    return {path.name: path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def _whole(task: RunTask) -> set[str]:
    """Return the names of the files of a product in one format."""
    return {f"{task.basename}.nc", f"{task.basename}.png", "metadata.json", "output.txt"}


def test_a_committed_product_is_adopted(folder: Path) -> None:
    """The product is made once; whoever comes with the same task finds it, and touches nothing."""
    task = _task()
    assert process_run(task).state == "done"
    first = _files(folder, task)
    assert set(first) == _whole(task)
    again = process_run(replace(task, batch="another"))
    assert (again.state, again.kind) == ("already", None)
    assert _files(folder, task) == first


@pytest.mark.parametrize(
    "change", [{"overrides": {"filter.bw": 5}}, {"formats": ("nc", "mat")}, {"force": True}]
)
def test_a_product_that_is_not_the_one_wanted_is_replaced(folder: Path, change: dict[str, Any]) -> None:
    """Another fingerprint, one more format, or --force: the run is made anew, and its manifest with it."""
    process_run(_task())
    task = _task(**change, batch="another")
    assert process_run(task).state == "done"
    manifest = Manifest.from_json(_files(folder, task)["metadata.json"])
    assert (manifest.batch, manifest.fingerprint) == ("another", task.fingerprint)


@pytest.mark.usefixtures("folder")
def test_fewer_formats_are_no_reason_to_start() -> None:
    """A product that has all that is asked for, and more, is left as it is."""
    process_run(_task(formats=("nc", "mat")))
    assert process_run(_task(formats=("nc",))).state == "already"


def test_what_the_new_product_lacks_goes(folder: Path) -> None:
    """Files of the product that is replaced, and the failure of an earlier try, do not stay beside it."""
    task = _task(formats=("nc", "mat"))
    assert process_run(replace(task, timeout=1e-9)).kind == "timeout"
    assert set(_files(folder, task)) == {"failure.json", "output.txt"}
    process_run(task)
    assert set(_files(folder, task)) == {*_whole(task), f"{task.basename}.mat"}
    process_run(_task(formats=("nc",), overrides={"filter.bw": 5}))
    assert set(_files(folder, task)) == _whole(task)


def test_a_failure_leaves_a_committed_product(folder: Path) -> None:
    """A try that fails where a product is committed leaves it, and nothing beside it."""
    task = _task()
    process_run(task)
    before = _files(folder, task)
    outcome = process_run(replace(task, force=True, timeout=1e-9))
    assert (outcome.state, outcome.kind) == ("failed", "timeout")
    assert _files(folder, task) == before


_OUTSIDE = {"name": f"{'../' * 6}kept", "size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "change", [{"schema": "covis-dask/manifest/7"}, {"files": None}, {"files": [_OUTSIDE]}]
)
def test_a_manifest_that_cannot_be_used_is_left_alone(folder: Path, change: dict[str, Any]) -> None:
    """A later version's, a damaged one, one that names files elsewhere: it stays, and --force is safe."""
    task = _task()
    process_run(task)
    manifest, kept = folder / task.path / "metadata.json", folder.parent / "kept"
    kept.write_text("not ours")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    before = _files(folder, task)
    outcome = process_run(_task(overrides={"filter.bw": 5}))
    assert (outcome.state, outcome.kind) == ("failed", "bad-document")
    assert "--force" in str(outcome.reason)
    assert _files(folder, task) == before
    assert process_run(replace(task, force=True)).state == "done"
    assert kept.read_text() == "not ours"


def test_another_programs_product_is_not_overwritten(folder: Path) -> None:
    """A metadata.json that is not ours stays, and the run says what to do; --force replaces it."""
    task = _task()
    place = folder / task.path / "metadata.json"
    place.parent.mkdir(parents=True)
    place.write_text('{"python_version": "3.5"}')
    outcome = process_run(task)
    assert (outcome.state, outcome.kind) == ("failed", "legacy-product")
    assert "--force" in str(outcome.reason)
    assert json.loads(place.read_text()) == {"python_version": "3.5"}
    assert process_run(replace(task, force=True)).state == "done"
    assert Manifest.from_json(place.read_text()).fingerprint == task.fingerprint


def test_who_commits_second_leaves_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another worker commits the same product just before, theirs stands, and ours is 'already'."""
    task, commit = _task(), ProductStore.put_new_json

    def late(store: ProductStore, path: str, document: Any) -> bool:
        if path.startswith(task.path):
            assert commit(store, path, {**document, "batch": "theirs"})
        return commit(store, path, document)

    monkeypatch.setattr(ProductStore, "put_new_json", late)
    assert process_run(task).state == "already"
    assert Manifest.from_json(_files(folder, task)["metadata.json"]).batch == "theirs"


def test_a_worker_of_another_store_refuses(folder: Path) -> None:
    """A worker that writes elsewhere than the batch means says so, and no run is blamed."""
    outcome = process_run(_task(store="elsewhere"))
    assert outcome.state == "not-run"
    assert "elsewhere" in str(outcome.reason)
    assert not folder.exists() or not any(folder.rglob("*.nc"))
