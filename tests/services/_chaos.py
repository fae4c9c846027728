"""Commands whose processes are killed and stopped at random, on real stores: the promises hold all the same.

Each seed is one schedule: one driver or two, SQLite or MongoDB, a local store or S3. A driver that was killed
is started again by the same command, as a user would. Someone outside looks at the store all the while. The
protocol itself goes through far more schedules in tests/faults/test_schedules.py. The tests are two files,
so that two of them can run at once.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import psutil  # type: ignore[import-untyped]  # comes with Dask

from catalog.query import RunQuery
from catalog.store import open_catalog
from cluster.servers import S3Server
from tests._place import Place, diffuse, imaging

SCHEDULES = int(os.environ.get("COVIS_TEST_CHAOS", "20"))
"""How many, local and S3 together."""
_RUNS = [diffuse(1), imaging(2), diffuse(3), imaging(4)]
_BATCH = ("covis_dask.batch", "--year", "2014", "--workers", "2")
_MARK = "COVIS_TEST_CHAOS_STORY"
_TWICE = 4
"""So many schedules give the command once more, when all is done."""
_LINGER = 60.0
"""Longest time, s, that a process may outlive the command it belonged to."""


@dataclass(frozen=True)
class Setting:
    """Where the batches of one schedule work."""

    place: Place
    environ: Mapping[str, str]
    products: Any
    root: str
    catalogue: Mapping[str, str]
    mark: str

    def processes(self) -> list[psutil.Process]:
        """Return every process that belongs to this schedule, whoever its parent is by now."""
        ours = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    ours.append(process)
        return ours

    def start(self) -> "subprocess.Popen[bytes]":
        """Give the command."""
        with (self.place.path / f"said-{uuid.uuid4().hex[:6]}").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", *_BATCH],
                cwd=self.place.path,
                env={**os.environ, **self.environ},
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )


@dataclass
class _Watcher:
    """Looks at the products from outside, again and again."""

    setting: Setting
    seen: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def look(self) -> None:
        """Look once; what must not be is noted."""
        fs, root = self.setting.products, self.setting.root
        try:
            paths = [path for path in fs.find(root) if path.endswith("/metadata.json")]
        except FileNotFoundError:
            paths = []
        for lost in set(self.seen) - set(paths):
            if not fs.exists(lost):  # a listing that was made beside a change may lack it
                self.faults.append(f"{lost} was committed, and is gone")
        for path in paths:
            manifest = json.loads(fs.cat_file(path))
            told = self.seen.setdefault(path, [])
            if told and told[-1]["folder"] == manifest["folder"]:
                continue
            told.append(manifest)
            for entry in manifest["files"]:
                file = f"{path.rpartition('/')[0]}/{entry['name']}"
                if not fs.exists(file) or fs.size(file) != entry["size"]:
                    self.faults.append(f"{path} names {entry['name']}, which is not there as it says")


@contextlib.contextmanager
def made(tmp_path: Path, mongo_url: str | None, nas: S3Server | None) -> Iterator[Setting]:
    """Give four runs in a catalogue: on MongoDB and S3 where they are given."""
    place, mark = Place(tmp_path), uuid.uuid4().hex
    for spec in _RUNS:
        place.store(spec)
    environ = {"DASK_CONFIG": str(tmp_path / "config"), "DASK_COVIS__BATCH__HEARTBEAT": "1s", _MARK: mark}
    environ["DASK_COVIS__BACKOFF"] = "1s"
    database = f"chaos-{mark[:8]}"
    if mongo_url is not None:
        environ |= {"DASK_COVIS__CATALOG__URL": mongo_url, "DASK_COVIS__CATALOG__DATABASE": database}
        catalogue = {"url": mongo_url, "database": database}
    else:
        catalogue = {"url": f"sqlite:///{tmp_path}/covis-data/catalog.sqlite"}
    if nas is not None:
        fs, root = nas.filesystem(), f"postprocessed/{mark}"
        environ |= {"CHAOS_KEY": nas.key, "CHAOS_SECRET": nas.secret}
        location = {"endpoint": nas.endpoint, "key": "${CHAOS_KEY}", "secret": "${CHAOS_SECRET}"}
        environ["DASK_COVIS__PRODUCTS"] = json.dumps({"url": f"s3://{root}", **location})
    else:
        fs, root = fsspec.filesystem("file"), str(tmp_path / "covis-data" / "products")
    made = place.run("catalog", "import", "--walk", "covis-data/raw", "--host", "COVIS-NAS", **environ)
    assert made.returncode == 0, made.stderr
    setting = Setting(place, environ, fs, root, catalogue, mark)
    try:
        yield setting
    finally:
        for process in setting.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


def tell(setting: Setting, seed: int) -> None:
    """Let one schedule happen.

    Raises
    ------
    AssertionError
        When a promise is broken.
    """
    dice, watcher = random.Random(seed), _Watcher(setting)
    drivers = [setting.start()]
    with watcher.watching():
        begun = time.monotonic()
        second = begun + dice.uniform(0.0, 5.0) if dice.random() < 0.5 else None
        blows = sorted(begun + dice.uniform(1.0, 12.0) for _ in range(dice.randint(1, 5)))
        stopped: list[tuple[float, psutil.Process]] = []
        restarts = 2
        while blows or stopped or any(driver.poll() is None for driver in drivers):
            assert time.monotonic() < begun + 150, "it does not come to an end"
            time.sleep(0.05)
            now = time.monotonic()
            if second is not None and now > second:
                drivers.append(setting.start())
                second = None
            if blows and now > blows[0]:
                blows.pop(0)
                stopped += _blow(setting, dice, now)
            for until, process in [one for one in stopped if now > one[0]]:
                stopped.remove((until, process))
                with contextlib.suppress(psutil.Error):
                    process.resume()
            for driver in [driver for driver in drivers if driver.poll() == -signal.SIGKILL]:
                drivers.remove(driver)
                if restarts:
                    restarts -= 1
                    drivers.append(setting.start())
        for states in ({"done", "already"}, {"already"})[: 1 + (seed < _TWICE)]:
            done = setting.place.run(*_BATCH, "--json", **setting.environ)
            assert done.returncode == 0, done.stderr
            report = json.loads(done.stdout)
            assert {state for state, count in report["counts"].items() if count} <= states, report["counts"]
            assert report["expected"] == len(_RUNS)
    watcher.look()
    assert not watcher.faults
    assert len(watcher.seen) == len(_RUNS)
    for path, manifests in watcher.seen.items():
        assert not [1 for one, other in pairwise(manifests) if one["fingerprint"] == other["fingerprint"]], (
            path
        )
        _assert_recorded(setting, manifests[-1])
    deadline = time.monotonic() + _LINGER
    while setting.processes():
        assert time.monotonic() < deadline, [process.cmdline() for process in setting.processes()]
        time.sleep(0.5)


def _blow(setting: Setting, dice: random.Random, now: float) -> list[tuple[float, psutil.Process]]:
    """Kill or stop one process; return what was stopped, and until when."""
    there = sorted(setting.processes(), key=lambda process: process.pid)
    if not there:
        return []
    victim = dice.choice(there)
    with contextlib.suppress(psutil.Error):
        if dice.random() < 0.6:
            victim.kill()
        else:
            victim.suspend()
            return [(now + dice.uniform(0.5, 6.0), victim)]
    return []


def _assert_recorded(setting: Setting, manifest: Mapping[str, Any]) -> None:
    with open_catalog(**setting.catalogue) as catalog:
        run = catalog.get(manifest["basename"])
        assert run is not None
        assert run.product is not None
        assert run.product.fingerprint == manifest["fingerprint"]
        assert not set(catalog.holders([one.basename for one in catalog.select(RunQuery())]))
