"""A cluster of workers that die, stand still and are doubted, as far as a driver notices any of it."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from catalog.vocabulary import RunState
from covis_dask.batches.job import Task
from covis_dask.errors import Cancelled, StorageUnavailable, WorkerLost
from covis_dask.products.commit import Adoption, NewLevel1, Standing, Verdict, commit, look, standing
from covis_dask.products.manifest import FileEntry, Manifest, Pings
from covis_dask.products.paths import ProductPaths
from covis_dask.runs.committing import concluded, whole
from covis_dask.runs.outcome import RunOutcome
from tests.faults.simulation.places import SimulatedStore
from tests.faults.simulation.world import Process, World

__all__ = ["SimulatedCluster", "SimulatedTask"]

T = TypeVar("T")

_OUTAGE, _BACKOFF = 120.0, 1.0
_DOUBTED = 30.0
"""A worker that stands still for longer than this is taken for dead, and its run given to another."""
_FILES = ("{}.nc", "output.txt")


@dataclass(frozen=True, slots=True)
class SimulatedTask:
    """What a worker is told."""

    basename: str
    path: str
    fingerprint: str
    batch: str
    force: bool = False
    attempt: int = 1
    token: int = 0
    label: str = "imaging"
    bytes_in: int = 0

    def again(self) -> "SimulatedTask":
        """See `Task`."""
        return replace(self, attempt=self.attempt + 1)

    def under(self, token: int) -> "SimulatedTask":
        """See `Task`."""
        return replace(self, token=token)


@dataclass(eq=False, slots=True)
class _Run:
    """A task in the hands of the cluster."""

    task: SimulatedTask
    worker: Process | None = None
    since: float = 0.0


@dataclass(eq=False)
class SimulatedCluster:
    """Two workers and the link of one driver to them.

    Parameters
    ----------
    world : World
    store : SimulatedStore
    driver : Process
        When it is killed, workers finish what they are at and end.
    """

    world: World
    store: SimulatedStore
    driver: Process
    over: bool = False
    _runs: dict[int, _Run] = field(default_factory=dict)
    _ended: list[tuple[Task, RunOutcome | None]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _workers: list[Process] = field(default_factory=list)

    def start(self) -> None:
        """Start the workers, and the nanny that watches them."""
        for _ in range(2):
            self._start_worker()
        self.world.start(Process(f"nanny of {self.driver.name}"), self._nanny)

    @property
    def _is_over(self) -> bool:
        return self.over or self.driver.killed

    def _start_worker(self) -> None:
        worker = Process(f"worker of {self.driver.name}", self.world.dice.uniform(0, 1e6))
        self._workers.append(worker)
        self.world.start(worker, lambda: self._work(worker), self.world.dice.uniform(0, 1))

    def _work(self, worker: Process) -> None:
        while not self._is_over:
            chosen = next(((number, run) for number, run in self._runs.items() if run.worker is None), None)
            if chosen is None:
                self.world.sleep(0.5)
                continue
            number, run = chosen
            run.worker, run.since = worker, self.world.now
            self.world.sleep(self.world.dice.choice((0.0, 0.0, 0.0, 60.0)))  # a word may take its time
            outcome = _processed(self.world, self.store, run.task)
            self._answer(number, worker, outcome)

    def _answer(self, number: int, worker: Process, outcome: RunOutcome | None) -> None:
        run = self._runs.get(number)
        if run is not None and run.worker is worker:
            del self._runs[number]
            self._ended.append((run.task, outcome))

    def _nanny(self) -> None:
        while not self._is_over:
            self.world.sleep(1.0)
            for number, run in list(self._runs.items()):
                if run.worker is not None and self._seems_dead(run):
                    self._give_away(number, run)
            for worker in [worker for worker in self._workers if worker.killed]:
                self._workers.remove(worker)
                self._start_worker()

    def _seems_dead(self, run: _Run) -> bool:
        worker = run.worker
        assert worker is not None
        return worker.killed or worker.stopped_until > self.world.now + _DOUBTED

    def _give_away(self, number: int, run: _Run) -> None:
        """Let another worker do it, or give it back: Dask does the one or the other."""
        chance = self.world.dice.random()
        if chance < 0.6:
            run.worker = None
        else:
            lost = RunOutcome.of_error(run.task, WorkerLost("the worker was lost while processing the run"))
            del self._runs[number]
            self._ended.append((run.task, lost if chance < 0.8 else None))

    def __len__(self) -> int:
        """See `ClusterLink`."""
        return len(self._runs) + len(self._ended)

    def tasks(self) -> Mapping[str, Task]:
        """See `ClusterLink`."""
        running = {run.task.basename: run.task for run in self._runs.values()}
        return running | {task.basename: task for task, _ in self._ended}

    def threads(self) -> int:
        """See `ClusterLink`."""
        return 2

    def submit(self, task: SimulatedTask) -> None:
        """See `ClusterLink`."""
        self._runs[next(self._numbers)] = _Run(task)

    def cancel(self, basenames: Iterable[str] | None = None) -> None:
        """See `ClusterLink`; what a worker has begun goes on, unheard."""
        names = set(self.tasks()) if basenames is None else set(basenames)
        self._runs = {number: run for number, run in self._runs.items() if run.task.basename not in names}
        self._ended = [(task, outcome) for task, outcome in self._ended if task.basename not in names]

    def finds_room(self, *_: object) -> bool:
        """See `ClusterLink`."""
        return False

    def ended(self, timeout: float) -> list[tuple[Task, RunOutcome | None]]:
        """See `ClusterLink`; looking less often shortens the story, not what happens in it."""
        self.world.sleep(4 * timeout)
        ended, self._ended = self._ended, []
        return ended


def _processed(world: World, store: SimulatedStore, task: SimulatedTask) -> RunOutcome:
    """Do what `covis_dask.runs.execution.RunExecution` does, but for the computing."""
    try:
        return _executed(world, store, task)
    except StorageUnavailable as error:
        return RunOutcome.of_error(task, error)


def _executed(world: World, store: SimulatedStore, task: SimulatedTask) -> RunOutcome:
    seen = _patiently(world, lambda: look(store, task.path))
    stands = standing(
        seen,
        fingerprint=task.fingerprint,
        formats=frozenset({"nc"}),
        token=task.token,
        forced_by=task.batch if task.force else None,
    )
    if stands is Standing.ALREADY:
        adoption = Adoption(task.fingerprint, frozenset({"nc"}), task.token)
        if _patiently(world, lambda: commit(store, task.path, seen, adoption)) is not Verdict.ALREADY:
            return _executed(world, store, task)
        return RunOutcome(task.basename, RunState.ALREADY, task.path)
    if stands is Standing.BEHIND:
        behind = seen.manifest.token if seen.manifest else 0
        return RunOutcome.of_error(task, Cancelled("a newer claim stands"), behind=behind)
    world.sleep(world.dice.uniform(1.0, 40.0))
    folder = f"v/{task.fingerprint[:8]}-{world.dice.getrandbits(32):08x}"
    files = {f"{folder}/{name.format(task.basename)}": name.encode() for name in _FILES}
    for name, data in files.items():
        _patiently(world, partial(store.put_bytes, ProductPaths.file(task.path, name), data))
    manifest = _manifest(task, folder, files)
    change = NewLevel1(manifest, renew=task.force)
    verdict = _patiently(
        world, lambda: commit(store, task.path, seen, change, whole(store.as_store, task.path))
    )
    done = RunOutcome(task.basename, RunState.DONE, task.path)
    return concluded(verdict, task, manifest, store.as_store, done)


def _patiently(world: World, call: Callable[[], T]) -> T:
    begun = world.now
    while True:
        try:
            return call()
        except StorageUnavailable:
            if world.now - begun > _OUTAGE:
                raise
            world.sleep(_BACKOFF)


def _manifest(task: SimulatedTask, folder: str, files: Mapping[str, bytes]) -> Manifest:
    when = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return Manifest(
        basename=task.basename,
        engine="native",
        version="1",
        fingerprint=task.fingerprint,
        preset="END",
        profile="matlab",
        parameters={},
        software={},
        batch=task.batch,
        attempt=task.attempt,
        started=when,
        finished=when,
        token=task.token,
        files=tuple(FileEntry(name, len(data), "0" * 64) for name, data in files.items()),
        pings=Pings(1, 1),
        folder=folder,
    )
