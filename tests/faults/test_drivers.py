"""Drivers that are killed, stopped or many, and schedulers that are not there: real processes and signals."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.model import Batch
from catalog.query import RunQuery
from catalog.store import Catalog, open_catalog
from cluster.processes import free_ports
from tests._place import Place, diffuse

_HEARTBEAT = 1.0
_BATCH = ("covis_dask.batch", "--year", "2014")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a folder with six runs in its catalogue."""
    place = Place(tmp_path)
    for hour in range(1, 7):
        place.store(diffuse(hour))
    place.catalogue()
    return place


@contextlib.contextmanager
def _begun(place: Place, *words: str, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a batch in a process group of its own, as long as this lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", *_BATCH, *words],
        cwd=place.path,
        env=_environ(place, **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _environ(place: Place, **environ: str) -> dict[str, str]:
    return {
        **os.environ,
        "DASK_CONFIG": str(place.path / "config"),
        "DASK_COVIS__BATCH__HEARTBEAT": f"{_HEARTBEAT}s",
        **environ,
    }


def _run(place: Place, *words: str) -> tuple["subprocess.CompletedProcess[str]", dict[str, Any]]:
    done = place.run(*_BATCH, "--json", *words, **_environ(place))
    return done, json.loads(done.stdout) if done.stdout else {}


@contextlib.contextmanager
def _catalogue(place: Place) -> Iterator[Catalog]:
    with open_catalog(f"sqlite:///{place.path}/covis-data/catalog.sqlite") as catalog:
        yield catalog


def _batch(place: Place, number: int) -> Batch:
    """Return a batch document by its age, the oldest first."""
    with _catalogue(place) as catalog:
        return catalog.batches()[::-1][number]


def _wait(condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def _first_recorded(place: Place) -> bool:
    """Tell whether a run is done and recorded, and not all are."""
    with _catalogue(place) as catalog:
        done = [run for run in catalog.select(RunQuery()) if run.product]
    return bool(done)


def test_a_driver_that_is_killed(place: Place) -> None:
    """The same command takes over within three heartbeats and says so; the dead batch is abandoned.

    Every run ends committed, and the dead batch's document says what it had done.
    """
    with _begun(place, "--workers", "1") as dead:
        _wait(lambda: _first_recorded(place))
        os.killpg(dead.pid, signal.SIGKILL)
        dead.wait()
    with _catalogue(place) as catalog:
        recorded = sum(run.product is not None for run in catalog.select(RunQuery()))
    assert 1 <= recorded < 6
    status = place.run("covis_dask.cli", "status", "--json", **_environ(place))
    assert [batch["state"] for batch in json.loads(status.stdout)["batches"]] == ["abandoned"]
    done, report = _run(place, "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "held by batch" in done.stderr
    assert f"no sign of life for {2 * _HEARTBEAT:g} s: it is abandoned" in done.stderr
    assert report["counts"]["already"] >= recorded
    assert report["counts"]["done"] + report["counts"]["already"] == 6
    assert len(place.products()) == 6
    first, second = _batch(place, 0), _batch(place, 1)
    assert (first.ending, first.counts, second.ending) == ("abandoned", {"done": recorded}, "finished")
    assert first.end is not None
    with _catalogue(place) as catalog:
        assert not catalog.leases()
        assert not catalog.holders([run.basename for run in catalog.select(RunQuery())])


def test_a_driver_that_sleeps_too_long(place: Place) -> None:
    """A batch that is stopped for longer than its lease is taken over; when it wakes it says so.

    It ends in good order, and no run of the other's is touched.
    """
    with _begun(place, "--workers", "1") as zombie:
        _wait(lambda: _first_recorded(place))
        os.killpg(zombie.pid, signal.SIGSTOP)
        done, report = _run(place, "--workers", "1")
        assert done.returncode == 0, done.stderr
        assert report["counts"]["done"] + report["counts"]["already"] == 6
        assert _batch(place, 0).ending == "abandoned"
        manifests = {path: path.read_bytes() for path in place.path.rglob("metadata.json")}
        os.killpg(zombie.pid, signal.SIGCONT)
        out, err = zombie.communicate(timeout=120)
    assert "another has taken over its lease" in err
    assert "Traceback" not in err
    assert zombie.returncode in (0, 1)
    assert "EXPECTED          6" in out
    with _catalogue(place) as catalog:
        by = {run.product.batch for run in catalog.select(RunQuery()) if run.product}
        tokens = {run.product.token for run in catalog.select(RunQuery()) if run.product}
        assert by == {_batch(place, 0).id, _batch(place, 1).id}
        assert tokens <= {1, 2}
        assert not catalog.leases()
    assert manifests.keys() == set(place.path.rglob("metadata.json"))
    assert _batch(place, 0).ending == "finished"


def test_two_drivers_at_once(place: Place) -> None:
    """Of two batches with the same runs each run is computed by one, and left to it by the other."""
    with _begun(place, "--workers", "1", "--json") as one, _begun(place, "--workers", "1", "--json") as other:
        answers = [process.communicate(timeout=240) for process in (one, other)]
    reports = [json.loads(out) for out, _ in answers]
    done = [run["basename"] for report in reports for run in report["runs"] if run["state"] == "done"]
    assert len(done) == len(set(done)) == 6
    for report in reports:
        assert sum(report["counts"].values()) == 6
        for run in report["runs"]:
            assert run["state"] in ("done", "already") or "is processing it" in run["reason"]
    assert "abandoned" not in "".join(err for _, err in answers)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _silent_port() -> tuple[socket.socket, int]:
    """Open a port that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


@pytest.mark.parametrize("kind", ["closed", "silent", "unknown"])
def test_a_scheduler_that_is_not_there(place: Place, kind: str) -> None:
    """An unreachable scheduler is one sentence, soon, before anything is claimed or recorded."""
    listener, port = _silent_port()
    if kind == "closed":
        listener.close()
    host = "no-such-host.invalid" if kind == "unknown" else "127.0.0.1"
    # How long the command takes to read and plan, without a cluster.
    begun = time.monotonic()
    place.run(*_BATCH, "--dry-run")
    planned = time.monotonic() - begun
    done = place.run(*_BATCH, "--scheduler", f"tcp://{host}:{port}")
    took = time.monotonic() - begun - planned
    listener.close()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: no Dask scheduler answers at tcp://{host}:{port}")
    assert done.stderr.count("\n") == 1
    assert took < planned + 5
    with _catalogue(place) as catalog:
        assert not catalog.batches()
        assert not catalog.leases()
        assert all(run.product is None for run in catalog.select(RunQuery()))


def test_a_scheduler_that_dies_while_a_driver_connects(place: Place) -> None:
    """A scheduler that goes away before it has been asked everything is a sentence; nothing is recorded."""
    (port, dashboard) = free_ports(2)
    address = f"tcp://127.0.0.1:{port}"
    words = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", f"127.0.0.1:{dashboard}"]
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert scheduler.stderr is not None
        _wait(lambda: _answers(port))
        with _begun(place, "--scheduler", address) as batch:
            for line in scheduler.stderr:
                if "Receive client connection" in line:
                    break
            scheduler.kill()  # it waits for workers now
            out, err = batch.communicate(timeout=60)
    finally:
        scheduler.kill()
        scheduler.communicate()
    assert (batch.returncode, out) == (2, "")
    last = err.splitlines()[-1]
    assert "went away while the batch connected to it" in last or "no Dask scheduler answers at" in last
    assert "Traceback" not in err
    with _catalogue(place) as catalog:
        assert not catalog.batches()
        assert not catalog.leases()


def test_a_report_that_cannot_be_written(place: Place) -> None:
    """Runs are done, recorded and counted, and the document is closed, without a place for the report."""
    reports = place.path / "covis-data" / "products" / "native-matlab" / "batches"
    reports.parent.mkdir(parents=True)
    reports.write_text("a file, where a folder should be")
    done = place.run(*_BATCH, "--limit", "1", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "the report could not be stored" in done.stderr
    assert "Traceback" not in done.stderr
    assert "done              1" in done.stdout
    batch = _batch(place, 0)
    assert (batch.ending, batch.counts["done"], batch.report) == ("finished", 1, None)
