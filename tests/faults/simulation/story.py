"""One schedule: commands are given, killed, given again; what must hold at every moment, and in the end."""

import datetime as dt
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from unittest import mock

from catalog.errors import CatalogError
from catalog.model import Batch, ProductRecord, RawFile, Run
from catalog.names import parse_basename
from catalog.query import RunQuery
from catalog.sqlite import SqliteCatalog
from catalog.store import Catalog
from catalog.vocabulary import COMPLETE, RunState
from covis_dask.batches.driver import Driver
from covis_dask.batches.job import Decision, Finished
from covis_dask.batches.leases import Lease
from covis_dask.batches.plan import Plan
from covis_dask.batches.status import BatchStatus
from covis_dask.config import Settings, load_settings
from covis_dask.runs.outcome import RunOutcome
from tests.faults.simulation.cluster import SimulatedCluster, SimulatedTask
from tests.faults.simulation.places import SimulatedStore, reached
from tests.faults.simulation.world import Faults, Process, World

__all__ = ["Request", "Story", "tell"]

_NAMES = tuple(f"APLUWCOVISMBSONAR001_20140101T0{hour}0043.076Z-IMAGING" for hour in range(3))
_HEARTBEAT = 10.0
_CALM = 600.0
"""When nothing goes wrong any more, s."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command as a user gives it."""

    fingerprint: str
    force: bool = False


class _Job:
    """Post-processing as a driver knows it."""

    name, prefix, resources = "process", "p", dict[str, float]()

    def record(self, catalog: Catalog, finished: Iterable[Finished]) -> frozenset[str]:
        return catalog.record({one.outcome.basename: _record(one) for one in finished})


def _record(one: Finished) -> ProductRecord:
    task = one.task
    assert isinstance(task, SimulatedTask)
    state = RunState.DONE if one.outcome.state in COMPLETE else one.outcome.state
    return ProductRecord(
        state=state,
        engine="native",
        version="1",
        fingerprint=task.fingerprint,
        path=task.path,
        attempts=task.attempt,
        batch=task.batch,
        at=one.at,
        kind=one.outcome.kind,
        reason=one.outcome.reason,
        token=task.token,
    )


@dataclass(eq=False)
class Story:
    """Everything there is in one schedule."""

    world: World
    store: SimulatedStore
    truth: Catalog
    settings: Settings
    drivers: list[Process] = field(default_factory=list)
    clusters: dict[Process, SimulatedCluster] = field(default_factory=dict)
    ended: list[tuple[Request, list[RunOutcome]]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    _checked: int = 0

    def give(self, request: Request, after: float = 0.0, restarts: int = 2) -> None:
        """Give a command, and give it again when it was killed."""
        dice = self.world.dice
        process = Process(f"driver {len(self.drivers)}", dice.uniform(0, 1e6), dice.uniform(0.99, 1.01))
        self.drivers.append(process)
        batch = f"batch-{len(self.drivers):02d}"
        self.requests[batch] = request
        self.world.start(process, lambda: self._drive(process, request, batch), after)
        user = Process("user")

        def wait() -> None:
            while not process.killed:
                if batch in self.said:
                    return
                self.world.sleep(5.0)
            self.world.sleep(dice.uniform(1.0, 60.0))
            self.give(request, restarts=restarts - 1)

        if restarts:
            self.world.start(user, wait, after)

    def _drive(self, process: Process, request: Request, batch: str) -> None:
        world, over = self.world, [False]
        catalog = reached(world, self.truth)
        lease = Lease(catalog, batch, _HEARTBEAT, world.clock)
        cluster = self.clusters[process] = SimulatedCluster(world, self.store, process)
        status, log = BatchStatus(batch, 0), self.said.append
        stop: Any = threading.Event()
        display = SimpleNamespace(update=lambda *_: None)
        driver = Driver(lease, self.settings, _Job(), status, display, stop, log=log, clock=world.clock)  # type: ignore[arg-type]

        def heart() -> None:
            while not over[0]:
                with suppress(CatalogError):
                    lease.round()
                world.sleep(_HEARTBEAT / 4)

        document = Batch(batch, {}, {"heartbeat": _HEARTBEAT}, {}, {}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        insist = driver.patience.insist
        insist(lease.open)
        world.start(process, heart)
        insist(lambda: catalog.put_batch(document))
        runs = list(insist(lambda: catalog.select(RunQuery())))
        doubted = insist(catalog.doubted)
        plan = Plan(tuple(_decided(run, request, batch, doubted) for run in runs))
        cluster.start()
        driver.settle(plan)
        driver.run(None, plan)  # type: ignore[arg-type]
        cluster.over = True
        insist(lease.close)
        over[0] = True
        self.said.append(batch)
        self.ended.append((request, list(driver.outcomes)))

    def check(self) -> None:
        """Object to whatever must never be so.

        Raises
        ------
        AssertionError
        """
        if self.store.changes == self._checked:
            return
        objects, self._checked = self.store.objects, self.store.changes
        for path, manifests in self.store.manifests.items():
            assert path in objects, f"{path}: a product that was committed is gone"
            folder = path.rpartition("/")[0]
            for entry in manifests[-1].files:
                data = objects.get(f"{folder}/{entry.name}")
                assert len(data or b"") == entry.size, f"{entry.name}: half a product is visible"
            tokens = [manifest.token for manifest in manifests]
            assert tokens == sorted(tokens), f"{path}: an older claim has overwritten a newer one: {tokens}"
            for before, manifest in pairwise(manifests):
                if manifest.folder == before.folder:
                    continue  # adopted
                forced = self.requests[manifest.batch].force and manifest.batch != before.batch
                assert forced or manifest.fingerprint != before.fingerprint, f"{path}: committed twice"

    def close(self) -> None:
        """Object to what must not be so in the end."""
        for request, outcomes in self.ended:
            names = sorted(outcome.basename for outcome in outcomes)
            assert names == sorted(_NAMES), "a run is not accounted for"
            for outcome in outcomes:
                if outcome.state in COMPLETE:
                    path = f"{_path(outcome.basename)}/metadata.json"
                    made = {manifest.fingerprint for manifest in self.store.manifests.get(path, [])}
                    assert request.fingerprint in made, f"{outcome.basename}: done, but never committed"


def _path(basename: str) -> str:
    return f"p/{basename}"


def _decided(run: Run, request: Request, batch: str, doubted: frozenset[str]) -> Decision:
    record = run.product
    done = record is not None and record.state == RunState.DONE and record.fingerprint == request.fingerprint
    if done and not request.force and run.basename not in doubted:
        return Decision(run, RunState.ALREADY, "committed before, same fingerprint")
    task = SimulatedTask(run.basename, _path(run.basename), request.fingerprint, batch, request.force)
    return Decision(run, "run", "no product yet", task=task)


@contextmanager
def _story(seed: int, faults: Faults) -> Iterator[Story]:
    world = World(seed, faults)
    with SqliteCatalog(":memory:") as catalog:
        for basename in _NAMES:
            name = parse_basename(basename)
            catalog.add_raw([Run(basename, name.datetime, name.mode, name.site, (RawFile("H", "x"),))])
        store = SimulatedStore(world)
        story = Story(world, store, catalog, _settings())
        world.watch = story.check

        def link(*_: object) -> SimulatedCluster:
            return story.clusters[world.process]

        time = SimpleNamespace(monotonic=world.clock, sleep=world.sleep)
        silent = SimpleNamespace(tell=lambda *_: None, over=lambda *_: None)
        with (
            mock.patch("covis_dask.batches.driver.ClusterLink", link),
            mock.patch("covis_dask.batches.driver.BatchAnnouncer", return_value=silent),
            mock.patch("covis_dask.batches.outages.time", time),
            mock.patch("covis_dask.batches.leases.threading", SimpleNamespace(Lock=lambda: _Lock(world))),
        ):
            try:
                yield story
            finally:
                world.watch = lambda: None
                world.close()


class _Lock:
    """A lock between the actors of one process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self._world.sleep(0.01)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


_SETTINGS: list[Settings] = []


def _settings() -> Settings:
    if not _SETTINGS:
        _SETTINGS.append(load_settings({}))
    return _SETTINGS[0]


def tell(seed: int) -> Story:
    """Let one schedule happen, calm down, and see that the same command then finishes all of it.

    Raises
    ------
    AssertionError
        When anything is so that must never be so.
    """
    dice = World(seed, Faults()).dice
    rough = dice.choice((0.3, 1.0, 3.0))
    faults = Faults(
        fail=0.02 * rough * dice.random(),
        lose=0.02 * rough * dice.random(),
        stop=0.01 * rough * dice.random(),
        kill=0.01 * rough * dice.random(),
        partition=0.01 * rough * dice.random(),
    )
    with _story(seed, faults) as story:
        first = Request("aaaaaaaa")
        second = dice.choice((first, first, Request("aaaaaaaa", force=True), Request("bbbbbbbb")))
        story.give(first)
        story.give(second, dice.uniform(0.0, 120.0))
        story.world.run(lambda: story.world.now > _CALM)
        story.world.heal()
        story.world.run()
        last = Request(second.fingerprint)
        for state in (COMPLETE, {RunState.ALREADY}):
            story.give(last, restarts=0)
            story.world.run()
            request, outcomes = story.ended[-1]
            assert request is last
            assert {outcome.state for outcome in outcomes} <= set(state), [
                (outcome.state, outcome.reason) for outcome in outcomes
            ]
        story.close()
        for run in story.truth.select(RunQuery()):
            manifest = story.store.manifests[f"{_path(run.basename)}/metadata.json"][-1]
            assert run.product is not None
            assert run.product.fingerprint == manifest.fingerprint, "the catalogue is behind the store"
        kept = set(story.truth.holders(_NAMES).values()) & set(story.said)
        assert not kept, f"batches that have ended still hold runs: {kept}"
        return story
