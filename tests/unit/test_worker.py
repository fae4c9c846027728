"""What a worker makes of one run: a product, or nothing new, or a failure that says why."""

import datetime as dt
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
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
from covis_dask.errors import StorageUnavailable
from covis_dask.products.manifest import Failure, Manifest
from covis_dask.runs.committing import commit_for_worker
from covis_dask.runs.execution import RunExecution
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import process_run
from covis_dask.simulate.pack import write_archive
from covis_dask.storage import ProductStore
from tests._place import diffuse, members, version_of

_SPEC = diffuse(1)
_FILE = f"{_SPEC.basename}.tar"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give the folder of the products; beside it lies an archive of one diffuse run."""
    write_archive(members(), tmp_path / "raw" / _FILE, folder=_SPEC.folder)
    products = tmp_path / "products"
    products.mkdir()
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
    """Return the files in the folder of a run, but for locks."""
    place = folder / task.path
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def _manifest(folder: Path, task: RunTask) -> Manifest:
    return Manifest.from_json(_files(folder, task)["metadata.json"])


def _plain(folder: Path, task: RunTask) -> set[str]:
    """Return the plain names of the files that the manifest names; each of them is there, as it says."""
    manifest, held = _manifest(folder, task), _files(folder, task)
    for entry in manifest.files:
        assert (len(held[entry.name]), hashlib.sha256(held[entry.name]).hexdigest()) == (
            entry.size,
            entry.sha256,
        )
    return {entry.plain for entry in manifest.files}


def _whole(task: RunTask) -> set[str]:
    """Return the plain names of the files of a product in one format."""
    return {f"{task.basename}.nc", f"{task.basename}.png", "output.txt"}


def test_a_committed_product_is_adopted(folder: Path) -> None:
    """The product is made once; whoever comes with the same task finds it, and touches nothing."""
    task = _task()
    assert process_run(task).state == "done"
    first = _files(folder, task)
    assert _plain(folder, task) == _whole(task)
    assert len(first) == len(_whole(task)) + 1
    again = process_run(replace(task, batch="another"))
    assert (again.state, again.kind) == ("already", None)
    assert _files(folder, task) == first


@pytest.mark.parametrize("conditional", [True, False])
def test_a_committed_product_that_lacks_a_file_is_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, conditional: bool
) -> None:
    """It is not called done for its manifest alone, whoever commits; a claim that is too old says so."""
    monkeypatch.setattr("covis_dask.storage._disk.lock_supported", lambda _: conditional)
    monkeypatch.setattr("covis_dask.runs.worker._stores", {})
    task = _task(token=3)

    def processed(task: RunTask) -> RunOutcome:
        outcome = process_run(task)
        return outcome if conditional else commit_for_worker(task, outcome, load_settings(), print)

    assert processed(task).state == "done"
    lost = next(folder.rglob("*.nc"))
    lost.unlink()
    assert process_run(replace(task, batch="another", token=2)).behind == 3
    assert processed(replace(task, batch="another", token=4)).state == "done"
    assert _manifest(folder, task).token == 4
    assert _plain(folder, task) == _whole(task)


@pytest.mark.parametrize(
    "change", [{"overrides": {"filter.bw": 5}}, {"formats": ("nc", "mat")}, {"force": True}]
)
def test_a_product_that_is_not_the_one_wanted_is_replaced(folder: Path, change: dict[str, Any]) -> None:
    """Another fingerprint, one more format, or --force: the run is made anew, and its manifest with it."""
    process_run(_task())
    task = _task(**change, batch="another")
    assert process_run(task).state == "done"
    manifest = _manifest(folder, task)
    assert (manifest.batch, manifest.fingerprint) == ("another", task.fingerprint)
    assert {f"{task.basename}.{name}" for name in task.formats} <= _plain(folder, task)


@pytest.mark.usefixtures("folder")
def test_what_was_committed_under_the_same_claim_is_done() -> None:
    """A worker that committed was lost before it could say so: the run is done, not already."""
    task = _task(token=7)
    first, again = process_run(task), process_run(task.again())
    assert (first.state, again.state) == ("done", "done")
    assert (again.host, again.bytes_in, again.bytes_out) == (first.host, first.bytes_in, first.bytes_out)
    assert process_run(replace(task, batch="another", token=8)).state == "already"


@pytest.mark.usefixtures("folder")
def test_fewer_formats_are_no_reason_to_start() -> None:
    """A product that has all that is asked for, and more, is left as it is."""
    process_run(_task(formats=("nc", "mat")))
    assert process_run(_task(formats=("nc",))).state == "already"


def test_the_new_product_has_what_was_asked_for_and_no_more(folder: Path) -> None:
    """Of a product with other numbers nothing is taken over; its files stay until they are swept."""
    process_run(_task(formats=("nc", "mat")))
    before = _files(folder, _task())
    task = _task(formats=("nc",), overrides={"filter.bw": 5})
    process_run(task)
    assert _plain(folder, task) == _whole(task)
    assert {name: _files(folder, task)[name] for name in before if name != "metadata.json"} == {
        name: data for name, data in before.items() if name != "metadata.json"
    }


def test_a_format_is_added(folder: Path) -> None:
    """The same numbers in one more format: the product keeps the formats it had; --force makes them anew."""
    process_run(_task(formats=("nc", "mat")))
    task = _task(formats=("nc", "zarr"))
    assert process_run(task).state == "done"
    assert _manifest(folder, task).formats == {"nc", "mat", "zarr"}
    _plain(folder, task)
    process_run(replace(task, batch="again", force=True))
    assert _manifest(folder, task).formats == {"nc", "zarr"}


def test_tries_that_failed_are_kept(folder: Path) -> None:
    """Each leaves its reason and its log, also beside a committed product; the last five are kept."""
    task = _task()
    process_run(task)
    before = _files(folder, task)
    for token in range(7):
        outcome = process_run(replace(task, batch="again", force=True, timeout=1e-9, token=token))
        assert (outcome.state, outcome.kind) == ("failed", "timeout")
        assert "stopped after" in (folder / str(outcome.log)).read_text()
    held = _files(folder, task)
    assert {name: data for name, data in held.items() if not name.startswith("tries/")} == before
    kept = sorted({name.split("/")[1] for name in held if name.startswith("tries/")})
    assert [int(name.split("-")[0]) for name in kept] == [2, 3, 4, 5, 6]
    for name in kept:
        failure = Failure.from_json(held[f"tries/{name}/failure.json"])
        assert (failure.kind, failure.token) == ("timeout", int(name.split("-")[0]))


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
    assert (outcome.state, outcome.kind) == ("failed", "product-damaged")
    assert "--force" in str(outcome.reason)
    assert _files(folder, task) == before
    assert process_run(replace(task, batch="again", force=True)).state == "done"
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
    assert process_run(replace(task, batch="again", force=True)).state == "done"
    assert Manifest.from_json(place.read_text()).fingerprint == task.fingerprint


def _meanwhile(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Let something happen right before a step of the next run, and of no other."""
    original = getattr(RunExecution, step)
    monkeypatch.setattr("covis_dask.runs.worker._turn", threading.RLock())  # both runs are in this process

    def late(execution: RunExecution, *given: Any) -> Any:
        monkeypatch.setattr(RunExecution, step, original)
        act()
        return original(execution, *given)

    monkeypatch.setattr(RunExecution, step, late)


def test_who_commits_second_leaves_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another worker commits the same product meanwhile, theirs stands, ours is 'already' and goes."""
    task = _task()
    _meanwhile(monkeypatch, "upload", lambda: process_run(replace(task, batch="theirs")))
    assert process_run(task).state == "already"
    assert _manifest(folder, task).batch == "theirs"
    assert len(_files(folder, task)) == len(_plain(folder, task)) + 1


@pytest.mark.parametrize("step", ["look", "upload", "commit"])
@pytest.mark.parametrize("force", [False, True])
def test_a_zombie_replaces_nothing_newer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, force: bool
) -> None:
    """A worker that was stopped, and wakes before any step, leaves what a newer claim has committed."""
    process_run(_task(overrides={"filter.bw": 7}))
    newer = _task(overrides={"filter.bw": 5}, token=2, batch="newer")
    zombie = _task(token=1, force=force, batch="zombie")
    _meanwhile(monkeypatch, step, lambda: process_run(newer))
    outcome = process_run(zombie)
    assert (outcome.state, outcome.kind) == ("not-run", "cancelled")
    assert outcome.behind == (2 if step == "look" else None)
    assert _manifest(folder, newer).batch == "newer"
    assert _plain(folder, newer) == _whole(newer)


@pytest.mark.parametrize("step", ["upload", "commit"])
def test_the_newer_claim_replaces_what_a_zombie_has_committed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Of two that compute at once the one with the higher token stands, whichever is quicker."""
    newer = _task(overrides={"filter.bw": 5}, token=2, batch="newer")
    _meanwhile(monkeypatch, step, lambda: process_run(_task(token=1, batch="zombie")))
    assert process_run(newer).state == "done"
    assert _manifest(folder, newer).batch == "newer"
    assert _plain(folder, newer) == _whole(newer)


def test_a_lost_reply_is_recognised(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has swapped the manifest and its answer is lost: the run is done, and nothing is removed."""
    task, swap = _task(), ProductStore._put_if

    def lossy(store: ProductStore, path: str, data: bytes, tag: str | None) -> bool:
        assert swap(store, path, data, tag)
        monkeypatch.setattr(ProductStore, "_put_if", swap)
        raise StorageUnavailable("the answer was lost")

    monkeypatch.setattr(ProductStore, "_put_if", lossy)
    with dask.config.set({"covis.patience": "10 s"}):
        assert process_run(task).state == "done"
    assert _plain(folder, task) == _whole(task)


def test_a_product_is_whole_at_any_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watched from outside at every write of a --force, the old product stands whole, and then the new."""
    task = _task(formats=("nc", "mat"))
    process_run(task)
    old, seen = _manifest(folder, task), []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        _plain(folder, task)
        seen.append(_manifest(folder, task).folder)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    assert process_run(replace(task, batch="again", force=True)).state == "done"
    assert list(dict.fromkeys(seen)) == [old.folder, _manifest(folder, task).folder]
    assert len(seen) > 10


def test_commit_looks_at_what_it_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that went after their upload are not named: the old product stands, the run is tried again."""
    task = _task()
    process_run(task)
    old = _manifest(folder, task)

    def sweep() -> None:
        (new,) = {path for path in (folder / task.path / "v").iterdir() if path.name not in old.folder}
        next(new.glob("*.nc")).write_bytes(b"half")

    _meanwhile(monkeypatch, "commit", sweep)
    outcome = process_run(replace(task, batch="again", force=True))
    assert (outcome.kind, outcome.retry) == ("storage-unavailable", True)
    assert _manifest(folder, task) == old


def test_a_store_without_conditions_is_left_to_the_driver(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker uploads and says what to commit; the driver's commit is the same as any other."""
    monkeypatch.setattr("covis_dask.storage._disk.lock_supported", lambda _: False)
    monkeypatch.setattr("covis_dask.runs.worker._stores", {})
    task = _task()
    outcome = process_run(task)
    assert outcome.uncommitted is not None
    assert "metadata.json" not in _files(folder, task)
    done = commit_for_worker(task, outcome, load_settings(), print)
    assert (done.state, done.uncommitted) == ("done", None)
    assert _plain(folder, task) == _whole(task)
    assert commit_for_worker(task, outcome, load_settings(), print).state == "done"  # an answer was lost
    assert _plain(folder, task) == _whole(task)


def test_a_store_that_is_away_is_not_made(folder: Path) -> None:
    """A worker that finds no mark, or another's, waits for the disk: nothing is written there."""
    store = ProductStore.open(load_settings().products).marked()
    task = _task(store_id=store.id)
    away = folder.with_name("away")
    folder.rename(away)
    outcome = process_run(task)
    assert (outcome.kind, outcome.place, outcome.retry) == ("storage-unavailable", "products", True)
    assert not folder.exists()
    folder.mkdir()
    assert process_run(task).kind == "storage-unavailable"
    assert not list(folder.iterdir())
    folder.rmdir()
    away.rename(folder)
    assert process_run(task).state == "done"


def test_a_worker_of_another_store_refuses(folder: Path) -> None:
    """A worker that writes elsewhere than the batch means says so, and no run is blamed."""
    outcome = process_run(_task(store="elsewhere"))
    assert outcome.state == "not-run"
    assert "elsewhere" in str(outcome.reason)
    assert not folder.exists() or not any(folder.rglob("*.nc"))


def test_damage_that_was_found_is_looked_for_again(folder: Path) -> None:
    """A file of the right size that holds other bytes is made anew, once somebody has found that it does."""
    task = _task()
    process_run(task)
    (file,) = version_of(folder / task.path / "metadata.json").glob("*.nc")
    sound = file.read_bytes()
    file.write_bytes(sound[:-8] + b"\0damage\0")
    assert process_run(task).state == "already"
    assert process_run(replace(task, suspect=True)).state == "done"
    assert process_run(replace(task, suspect=True)).state == "already"
