"""Each run in a process of its own: what happens there is that run's, and no neighbour's.

A worker hands its runs to warm children (`covis_dask.runs._forkserver`), one for each thread, and keeps their
time and memory. A child whose worker has gone finishes its run, commits it, and ends.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from covis_dask.config import Settings, load_settings
from covis_dask.errors import Cancelled, CovisError, OutOfMemory, WorkerLost
from covis_dask.runs._calls import Call, Surroundings
from covis_dask.runs._children import Child, ForkServer
from covis_dask.runs._watch import Watch
from covis_dask.runs.events import BEGUN, dask_worker, listener_here, rest_event
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.versions import require

__all__ = ["MEMORY", "Isolated", "await_children", "stop_batch", "stop_everywhere", "warm_up"]


class _Task(Protocol):
    @property
    def basename(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def attempt(self) -> int: ...


MEMORY = "MEMORY"
"""Dask resource by which a worker offers more memory than others, bytes: ``--resources MEMORY=16e9``."""

_TICK = 0.1
_MOMENT = 2.0


@dataclass(frozen=True, slots=True)
class Isolated:
    """Work on a run, done in a child of the worker; the work function of a batch.

    Parameters
    ----------
    work : callable
        Takes a task and returns its outcome.
    autopsy : callable, optional
        Takes the task, the error and the folder of a run whose process has ended, to keep what is left of it,
        and returns where its log lies; called in another child.
    """

    work: Callable[[Any], RunOutcome]
    autopsy: Callable[[Any, CovisError, Path], str | None] | None = None

    def __call__(self, task: _Task) -> RunOutcome:
        """Carry out a task; no error leaves it."""
        try:
            require(getattr(task, "versions", {}), socket.gethostname())
            settings = load_settings()
            return _Run(self, task, settings).outcome()
        except CovisError as error:  # it could not even begin
            return RunOutcome.of_error(task, error, worker=socket.gethostname())
        except OSError as error:  # no descriptors, processes or memory are left here
            lost = WorkerLost(f"this worker could not start a process for the run: {error}")
            return RunOutcome.of_error(task, lost, worker=socket.gethostname())


class _Children:
    """The children of this process: those at work, and those that wait for the next run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: ForkServer | None = None
        self._idle: list[Child] = []
        self.busy: dict[Watch, str] = {}
        self.stopped: set[str] = set()

    def take(self, settings: Settings) -> Child:
        """Return a child that has nothing to do, and has what this process has now."""
        surroundings = Surroundings.here()
        with self._lock:
            if self._server is None or not self._server.alive:
                self._server = ForkServer(surroundings)
            while self._idle:
                child = self._idle.pop()
                if child.is_idle and child.surroundings == surroundings:
                    return child
                child.end()
            server = self._server
        return server.fork(settings.scratch, surroundings)

    def give_back(self, child: Child, settings: Settings) -> None:
        """Keep a child for the next run, unless it has had enough of them."""
        if child.runs < settings.recycle:
            with self._lock:
                self._idle.append(child)
        else:
            child.end()

    def dismiss(self) -> None:
        """End the children that wait."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()


_children = _Children()


@dataclass(slots=True)
class _Run:
    """One task on its way through a child."""

    isolated: Isolated
    task: _Task
    settings: Settings

    def outcome(self) -> RunOutcome:
        task, batch = self.task, getattr(self.task, "batch", "")
        if batch in _children.stopped:
            return RunOutcome.of_error(task, Cancelled("the batch was stopped"))
        _tell_begun(task, batch)
        child = _children.take(self.settings)
        watch = Watch(child, self._call(self.isolated.work, task), self._memory(), listener_here())
        try:
            with _at_work(watch, batch):
                if batch in _children.stopped:  # while the child was being started
                    watch.stop(Cancelled("the batch was stopped"))
                outcome: RunOutcome = watch.wait()
        except CovisError as fault:
            return self._failed(fault, watch)
        _children.give_back(child, self.settings)
        return self._with_memory(outcome)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Call:
        timeout = getattr(self.task, "timeout", None) or self.settings.timeout
        return Call(function, arguments, timeout, timeout + self.settings.max_outage)

    def _memory(self) -> int | None:
        """Return how much the run may have: what is set, else its share of what Dask allows the worker."""
        worker = dask_worker()
        if self.settings.memory is not None or worker is None:
            return self.settings.memory
        allowed = worker.memory_manager.memory_limit
        return int(allowed / worker.state.nthreads) if allowed else None

    def _with_memory(self, outcome: RunOutcome) -> RunOutcome:
        """Say of a run that had too little memory how much that was, so that its next worker offers more."""
        if outcome.kind != OutOfMemory.kind:
            return outcome
        worker = dask_worker()
        offered = 0 if worker is None else worker.state.total_resources.get(MEMORY, 0)
        return replace(outcome, memory=int(max(self._memory() or 0, offered)))

    def _failed(self, fault: CovisError, watch: Watch) -> RunOutcome:
        """Say what became of a run that did not answer, and keep what it left."""
        log = None if isinstance(fault, Cancelled) else self._examine(fault, watch.child.folder)
        watch.child.end()
        known = {"seconds": watch.seconds, "timings": watch.timings, "worker": socket.gethostname()}
        outcome = self._with_memory(RunOutcome.of_error(self.task, fault, log=log, **known))
        if watch.listener is not None:
            with suppress(OSError, RuntimeError):
                watch.listener(rest_event(self.task, outcome))
        return outcome

    def _examine(self, fault: CovisError, folder: Path) -> str | None:
        """Keep what is left; returns where the log is."""
        autopsy = self.isolated.autopsy
        if autopsy is None:
            return None
        try:
            child = _children.take(self.settings)
            try:
                log: str | None = Watch(child, self._call(autopsy, self.task, fault, folder)).wait()
            except CovisError:
                child.end()
                raise
        except CovisError:  # what cannot be kept is no reason to lose the outcome as well
            return None
        _children.give_back(child, self.settings)
        return log


@contextmanager
def _at_work(watch: Watch, batch: str) -> Iterator[None]:
    """Note a run that is at work."""
    _children.busy[watch] = batch
    try:
        yield
    finally:
        del _children.busy[watch]


def _tell_begun(task: _Task, batch: str) -> None:
    """Let the driver know, should this worker be lost, which of its runs was at work."""
    worker = dask_worker()
    if worker is not None:
        with suppress(OSError, RuntimeError):
            worker.log_event(BEGUN, {"batch": batch, "run": task.basename, "attempt": task.attempt})


def warm_up() -> None:
    """Make a child, so that the first run need not wait for it."""
    settings = load_settings()
    _children.give_back(_children.take(settings), settings)


def stop_batch(batch: str) -> None:
    """Begin no more runs of a batch in this process, and end those that compute; others may commit."""
    _children.stopped.add(batch)
    for watch, whose in list(_children.busy.items()):
        if whose == batch and watch.computing:
            watch.stop(Cancelled("the batch was stopped"))


def await_children() -> None:
    """Wait until no child of this process is at a run; each has a deadline."""
    while _children.busy:
        time.sleep(_TICK)


async def stop_everywhere(batch: str, dask_scheduler: Any) -> None:
    """Call `stop_batch` on every worker; runs on the scheduler, and waits for nobody longer than a moment."""
    from distributed.protocol.pickle import dumps

    order = {"op": "run", "function": dumps(stop_batch), "args": dumps((batch,))}
    telling = asyncio.ensure_future(dask_scheduler.broadcast(msg=order, on_error="ignore"))
    await asyncio.wait({telling}, timeout=_MOMENT)
