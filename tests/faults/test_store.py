"""Stores that go away, and processes that are killed: products stand; nothing is made where no disk is."""

import hashlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests._place import Place, diffuse

_QUICK = {"DASK_COVIS__BACKOFF": "0.2s"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give an empty folder."""
    return Place(tmp_path)


def _whole(manifest: Path) -> str:
    """Check that every file of a product is there as its manifest says; return which version it is."""
    document = json.loads(manifest.read_text())
    for entry in document["files"]:
        data = (manifest.parent / entry["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    return str(document["folder"])


def _until(true: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("left", ["nothing", "mount point"])
def test_a_store_that_is_unmounted_in_a_batch(place: Place, left: str) -> None:
    """Its runs wait; nothing is made in its place; when it is back every run is committed once."""
    for hour in (1, 2, 3, 4):
        place.store(diffuse(hour))
    place.catalogue()
    process = place.begin("covis_dask.batch", "--year", "2014", "--workers", "1", **_QUICK)
    store, away = place.path / "covis-data" / "products", place.path / "away"
    _until(place.products, process)
    store.rename(away)
    if left == "mount point":
        store.mkdir()
    time.sleep(4)
    assert process.poll() is None
    assert store.exists() == (left == "mount point")
    if left == "mount point":
        assert not list(store.iterdir())
        store.rmdir()
    away.rename(store)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "is its disk mounted?" in err
    assert "done              4" in out
    assert place.products() == {diffuse(hour).basename for hour in (1, 2, 3, 4)}
    assert all(_whole(path) for path in store.rglob("metadata.json"))


def test_a_store_that_lost_its_mark_stops_nothing_but_its_runs(place: Place) -> None:
    """A store that was emptied is taken to be away, with advice; the doctor marks it when told to."""
    place.store(diffuse(1))
    place.catalogue()
    place.report("--year", "2014", code=0)
    store = place.path / "covis-data" / "products"
    store.rename(place.path / "before")
    waits = {**_QUICK, "DASK_COVIS__MAX_OUTAGE": "1s", "DASK_COVIS__RETRIES": "0"}
    report = place.report("--year", "2014", "--force", code=1, **waits)
    (run,) = report["by_name"].values()
    assert (run["state"], run["kind"]) == ("failed", "storage-unavailable")
    assert not store.exists()
    assert "RED" in place.run("covis_dask.cli", "doctor").stdout
    assert not store.exists()
    place.run("covis_dask.cli", "doctor", "--new-store")
    assert place.report("--year", "2014", "--force", code=0)["counts"]["done"] == 1


def _new_version(folder: Path, old: str) -> Callable[[], bool]:
    return lambda: any(path.is_dir() and path.name not in old for path in (folder / "v").iterdir())


def test_a_force_that_is_killed_leaves_the_old_product(place: Place) -> None:
    """Killed while it computes or uploads: the old product stands whole, and is `already` there."""
    archive = place.store(diffuse(1))
    words = ("covis_dask.process", str(archive), "--output", "out")
    assert place.run(*words).returncode == 0
    folder = place.path / "out" / diffuse(1).basename
    manifest, old = folder / "metadata.json", _whole(folder / "metadata.json")
    for moment in ("computes", "uploads"):
        process = place.begin(*words, "--force")
        if moment == "uploads":
            _until(_new_version(folder, old), process)
        else:
            time.sleep(1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert _whole(manifest) == old
        assert place.run(*words).stdout.startswith("already")
    assert place.run(*words, "--force").stdout.startswith("done")
    assert _whole(manifest) != old


def test_a_product_watched_from_outside(place: Place) -> None:
    """While --force replaces it, a reader finds it whole at any moment: the old one, and then the new one."""
    archive = place.store(diffuse(1))
    words = ("covis_dask.process", str(archive), "--output", "out")
    assert place.run(*words).returncode == 0
    manifest = place.path / "out" / diffuse(1).basename / "metadata.json"
    seen, faults = [_whole(manifest)], []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                seen.append(_whole(manifest))
            except Exception as error:
                faults.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert place.run(*words, "--force").stdout.startswith("done")
    finally:
        over.set()
        watcher.join()
    assert faults == []
    assert len(seen) > 50
    assert list(dict.fromkeys(seen)) == [seen[0], _whole(manifest)]
