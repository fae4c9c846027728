"""Runs of a batch, each in its process: bad ones beside good ones; workers and schedulers that are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.config
import psutil  # type: ignore[import-untyped]
import pytest
from distributed import Client, Nanny, Scheduler, SpecCluster

from catalog.query import RunQuery
from catalog.store import Catalog, open_catalog
from covis_dask.batches.driver import Driver
from covis_dask.batches.leases import Lease
from covis_dask.batches.status import BatchStatus
from covis_dask.config import load_settings
from covis_dask.monitor.terminal import show
from covis_dask.runs.isolation import MEMORY, Isolated
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from tests._hostile import HostileTask, misbehave
from tests.unit.test_driver import _plan as plan_of

_FOLDER = "COVIS_TEST_FOLDER"
_LARGE = "COVIS_TEST_LARGE"
"""Set on a worker on which all runs do well."""


def by_plan(task: RunTask) -> RunOutcome:
    """Do what the file ``plan`` in the tests' folder says of the run's hour and attempt, else do well."""
    folder = Path(os.environ[_FOLDER])
    lines = (line.split(maxsplit=2) for line in (folder / "plan").read_text().splitlines())
    known = {(int(hour), int(attempt)): what for hour, attempt, what in lines}
    what = known.get((task.run.datetime.hour, task.attempt), "well")
    if os.environ.get(_LARGE):
        what = "well"
    seconds = float(what.split()[1]) if what.startswith(("slow", "finish")) else 0.0
    hostile = HostileTask(
        what.split()[0] if seconds else what,
        task.basename,
        os.environ[_FOLDER],
        seconds=seconds,
        batch=task.batch,
        attempt=task.attempt,
        path=task.path,
    )
    return misbehave(hostile)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder in which runs leave marks; at the end nothing of ours is still running."""
    monkeypatch.setenv(_FOLDER, str(tmp_path))
    with dask.config.set({"covis.timeout": "3s", "covis.scratch": str(tmp_path), "covis.max-outage": "20s"}):
        yield tmp_path
    assert _left(tmp_path) == []


def _left(folder: Path) -> list[psutil.Process]:
    """Return what is left of the processes in which runs of this test compute; waits a while for none."""
    deadline = time.monotonic() + 20
    while True:
        found = []
        for process in psutil.process_iter():
            try:
                ours = "_forkserver" in " ".join(process.cmdline())
                if ours and process.environ().get(_FOLDER) == str(folder):
                    found.append(process)
            except psutil.Error:
                continue
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _wait_for(path: Path, seconds: float = 60.0) -> str:
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, path
        time.sleep(0.05)
    return path.read_text()


class _Batch:
    """A batch of runs hour by hour, at work in a thread of its own."""

    def __init__(self, client: Client, catalog: Catalog, count: int) -> None:
        planned = plan_of(catalog, count)
        self._catalog = catalog
        lease = Lease(catalog, planned.job.batch, 10.0, time.monotonic)
        lease.open()
        with show(quiet=True) as display:
            self.driver = Driver(
                lease,
                replace(load_settings({}), backoff=0.01, window=4, retries=0),
                replace(planned.job, work=Isolated(by_plan)),
                BatchStatus(planned.job.batch, count),
                display,
                stop=threading.Event(),
                log=lambda _: None,
            )
        self._thread = threading.Thread(target=self.driver.run, args=(client, planned.plan))
        self._thread.start()

    def ended(self) -> dict[int, tuple[str, str | None]]:
        """Return state and kind of each run by hour, once all have ended."""
        self._thread.join(120)
        assert not self._thread.is_alive()
        return {_hour(one.basename): (one.state, one.kind) for one in self.driver.outcomes}

    def attempts(self) -> dict[int, int]:
        """Return by hour how many tries the catalogue knows of."""
        runs = self._catalog.select(RunQuery())
        return {run.datetime.hour: run.product.attempts for run in runs if run.product is not None}


def _hour(basename: str) -> int:
    return int(basename.partition("T")[2][:2])


def _mark(folder: Path, hour: int, what: str) -> Path:
    """Return the file that the run of an hour leaves when it has begun, or committed."""
    return folder / f"APLUWCOVISMBSONAR001_20140101T{hour:02}0000.000Z-IMAGING.{what}"


@contextmanager
def _cluster(*workers: dict[str, Any]) -> Iterator[Client]:
    """Give a client of a cluster with these workers, each a process under its nanny."""
    spec = {
        name: {"cls": Nanny, "options": {"nthreads": 1, "host": "127.0.0.1", "silence_logs": 50, **options}}
        for name, options in enumerate(workers)
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        SpecCluster(spec, scheduler, silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(len(workers))
        yield client


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Give an empty catalogue."""
    with open_catalog(f"sqlite:///{tmp_path}/c.sqlite") as catalog:
        yield catalog


def test_bad_runs_have_good_neighbours(folder: Path, catalog: Catalog) -> None:
    """On one worker each bad run ends by its name, with its first try, and every other run is done."""
    (folder / "plan").write_text("1 1 segfault\n2 1 hang in C\n4 1 exit\n5 1 killed\n7 1 SystemExit\n")
    with _cluster({}) as client:
        batch = _Batch(client, catalog, 9)
        assert batch.ended() == dict.fromkeys((0, 3, 6, 8), ("done", None)) | {
            1: ("failed", "engine-crashed"),
            2: ("failed", "timeout"),
            4: ("failed", "engine-crashed"),
            5: ("failed", "out-of-memory"),
            7: ("failed", "bug"),
        }
    assert set(batch.attempts().values()) == {1}


def test_a_killed_worker_costs_the_run_it_had(folder: Path, catalog: Catalog) -> None:
    """With no further try allowed, only the run at work has failed; its process commits it all the same."""
    (folder / "plan").write_text("0 1 slow 4\n")
    with _cluster({}) as client:
        (pid,) = client.run(os.getpid).values()
        batch = _Batch(client, catalog, 6)
        _wait_for(_mark(folder, 0, "begun"))
        os.kill(pid, signal.SIGKILL)
        assert batch.ended() == {0: ("failed", "worker-lost")} | dict.fromkeys(range(1, 6), ("done", None))
        _wait_for(_mark(folder, 0, "committed"))


def test_a_stopped_batch_leaves_nothing_at_work(folder: Path, catalog: Catalog) -> None:
    """A run that computes is ended, one that is past computing commits, though the cluster closes at once."""
    (folder / "plan").write_text("0 1 slow 30\n1 1 finish 6\n")
    with _cluster({}, {}) as client:
        batch = _Batch(client, catalog, 4)
        for hour in (0, 1):
            _wait_for(_mark(folder, hour, "begun"))
        time.sleep(0.5)
        batch.driver.stop.set()
        assert set(batch.ended().values()) == {("not-run", "cancelled")}
    _wait_for(_mark(folder, 1, "committed"))
    assert _left(folder) == []
    assert not _mark(folder, 0, "committed").exists()


def test_too_little_memory_is_tried_where_there_is_more(folder: Path, catalog: Catalog) -> None:
    """A run that needs more than its worker has is done, with its second try, on the one that offers more."""
    (folder / "plan").write_text("0 1 killed\n1 1 killed\n")
    large = {"resources": {MEMORY: 64e9}, "env": {_FOLDER: str(folder), _LARGE: "yes"}}
    with _cluster({}, large) as client:
        batch = _Batch(client, catalog, 2)
        assert set(batch.ended().values()) == {("done", None)}
    assert 2 in batch.attempts().values()


_ALONE = """
import sys, time
from distributed import Client, LocalCluster
from covis_dask.runs.isolation import Isolated
from tests._hostile import HostileTask, misbehave

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        with Client(cluster) as client:
            task = HostileTask(sys.argv[1], folder=sys.argv[2], seconds=3.0, timeout=4.0)
            client.submit(Isolated(misbehave), task).result()
"""


@pytest.mark.parametrize("what", ["well", "hang in C"])
def test_what_has_lost_everybody_finishes_or_ends(what: str, folder: Path) -> None:
    """Scheduler, nanny, driver are killed: the run is committed, or its own alarm ends it; nothing stays."""
    with subprocess.Popen(
        [sys.executable, "-c", _ALONE, what, str(folder)], start_new_session=True
    ) as process:
        child = int(_wait_for(folder / "RUN.begun"))
        os.killpg(process.pid, signal.SIGKILL)
    if what == "well":
        assert int(_wait_for(folder / "RUN.committed")) == child
    else:
        deadline = time.monotonic() + 60
        while psutil.pid_exists(child) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not psutil.pid_exists(child)
