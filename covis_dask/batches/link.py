"""What a driver says to its cluster: no answer that fails to come holds the driver up.

A result is fetched beside the driver's loop. The worker that has it may vanish just then; Dask computes the
run again, which may take hours, and the other runs need the driver meanwhile.
"""

import asyncio
import concurrent.futures
import queue
import time
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from distributed import Client, Future, KilledWorker

from covis_dask.batches.job import Job, Task
from covis_dask.batches.losses import Losses, roomier
from covis_dask.errors import ConfigurationError, OutOfMemory, WorkerLost
from covis_dask.runs.events import BEGUN
from covis_dask.runs.isolation import stop_everywhere
from covis_dask.runs.outcome import RunOutcome

__all__ = ["ClusterLink"]

_ANSWER = 5.0
_SLOW = 5.0


class ClusterLink:
    """Submits the tasks of one batch, and takes in how they end.

    Parameters
    ----------
    client : Client
    job : Job
        What is done with a task, and what that needs of a worker.
    batch : str
    """

    def __init__(self, client: Client, job: Job, batch: str) -> None:
        self._client = client
        self._job = job
        self._batch = batch
        self._tasks: dict[Future[RunOutcome], Task] = {}
        self._events: queue.SimpleQueue[_Gather | Future[RunOutcome]] = queue.SimpleQueue()
        self._gathers: set[_Gather] = set()
        self._numbers = count()
        self._losses = Losses(batch)
        self._needs: dict[str, Mapping[str, float]] = {}
        self._threads: int | None = None
        self._asked: concurrent.futures.Future[Any] | None = None

    def __len__(self) -> int:
        """Count the runs that are handed to the cluster."""
        return len(self._tasks)

    def tasks(self) -> Mapping[str, Task]:
        """Return the tasks that are handed to the cluster, by run."""
        return {task.basename: task for task in self._tasks.values()}

    def threads(self) -> int:
        """Return how many runs can be at work at once, by the last answer; 0 while the scheduler is away.

        Raises
        ------
        ConfigurationError
            When it did not come back in time.
        """
        if self._client.status == "closed":
            raise ConfigurationError(
                "the scheduler went away and did not return; start it again, and the same command resumes"
            )
        if self._client.status != "running":
            self._threads = self._asked = None
            return 0
        if self._asked is None:
            self._asked = self._beside(self._client.nthreads(asynchronous=True))
        if self._threads is None:
            concurrent.futures.wait([self._asked], _ANSWER)
        if self._asked.done():
            with suppress(Exception):  # it goes away just now
                self._threads = max(1, sum(self._asked.result().values()))
            self._asked = None
        return self._threads or 0

    def submit(self, task: Task) -> None:
        """Hand a task to the cluster."""
        # Dask keeps what it learns of tasks by the first word of their keys, for ever; so let that be the
        # mode, not the run. The number sets apart what is submitted anew.
        key = f"{task.label}-{self._batch}-{task.basename}-{task.attempt}-{next(self._numbers)}"
        resources = {**self._job.resources, **self._needs.get(task.basename, {})} or None
        future = self._client.submit(self._job.work, task, key=key, pure=False, resources=resources)
        self._tasks[future] = task
        future.add_done_callback(self._events.put)

    def cancel(self, basenames: Iterable[str] | None = None) -> None:
        """Take runs back; all of them when none is named. What becomes of them is not told any more.

        When it is all of them, those that compute are ended; what is past computing may commit.
        """
        names = None if basenames is None else set(basenames)
        chosen = [future for future, task in self._tasks.items() if names is None or task.basename in names]
        for future in chosen:
            del self._tasks[future]
        if chosen and self._client.status == "running":
            told = self._beside(self._client.cancel(chosen, asynchronous=True))
            concurrent.futures.wait([told], _ANSWER)
            if names is None:
                stop = self._client.run_on_scheduler(stop_everywhere, self._batch, asynchronous=True)
                concurrent.futures.wait([self._beside(stop)], _ANSWER)

    def finds_room(self, task: Task, outcome: RunOutcome) -> bool:
        """Say whether a run that needed more memory can have it, and see that its next try is there."""
        if outcome.kind != OutOfMemory.kind:
            return False
        scheduler: Any = self._client.scheduler
        known = self._answer(scheduler.identity(n_workers=-1), {})
        room = roomier(known.get("workers", {}), outcome)
        if room:
            self._needs[task.basename] = room
        return bool(room)

    def ended(self, timeout: float) -> list[tuple[Task, RunOutcome | None]]:
        """Return the runs that have ended since the last call, after at most `timeout` s.

        Returns
        -------
        list of (Task, RunOutcome or None)
            None where no try is counted: the scheduler went away with the run (what is committed will be
            found so), or its worker did, where it had not begun.
        """
        answers: dict[Future[RunOutcome], RunOutcome | None] = {}
        finished: list[Future[RunOutcome]] = []
        for event in self._waiting(timeout):
            if isinstance(event, _Gather):
                answers.update(self._fetched(event))
            elif event.status == "finished":
                finished.append(event)
            else:
                answers[event] = _lost(self._tasks[event], event) if event in self._tasks else None
        self._gather([future for future in finished if future in self._tasks])
        self._split_slow()
        self._excuse(answers)
        told = [future for future in answers if future in self._tasks]
        for future in told:
            future.release()
        return [(self._tasks.pop(future), answers[future]) for future in told]

    def _excuse(self, answers: "dict[Future[RunOutcome], RunOutcome | None]") -> None:
        """Count no try of runs that only waited on a worker that was lost."""
        lost = [one for one, outcome in answers.items() if outcome and outcome.kind == WorkerLost.kind]
        lost = [one for one in lost if one in self._tasks and one.status == "error"]
        if lost:
            scheduler: Any = self._client.scheduler
            self._losses.learn(self._answer(scheduler.events(topic=BEGUN), ()))
        for future in lost:
            if self._losses.excuse(self._tasks[future]):
                answers[future] = None

    def _answer(self, work: Any, otherwise: Any) -> Any:
        """Return what the scheduler answers, unless that takes long."""
        asked = self._beside(work)
        try:
            return asked.result(_ANSWER)
        except Exception:  # it goes away just now
            return otherwise

    def _waiting(self, timeout: float) -> "list[_Gather | Future[RunOutcome]]":
        events: list[_Gather | Future[RunOutcome]] = []
        with suppress(queue.Empty):
            events.append(self._events.get(timeout=timeout))
            while True:
                events.append(self._events.get_nowait())
        return events

    def _gather(self, futures: "list[Future[RunOutcome]]") -> None:
        """Fetch results, all in one round trip."""
        if futures:
            gather = _Gather(futures, self._beside(self._client.gather(futures, asynchronous=True)))
            self._gathers.add(gather)
            gather.fetched.add_done_callback(lambda _: self._events.put(gather))

    def _fetched(self, gather: "_Gather") -> "dict[Future[RunOutcome], RunOutcome | None]":
        """Take in results; when they could not be fetched together, each is fetched by itself."""
        if gather not in self._gathers:
            return {}
        self._gathers.discard(gather)
        try:
            return dict(zip(gather.futures, gather.fetched.result(), strict=True))
        except (Exception, asyncio.CancelledError, concurrent.futures.CancelledError):
            if len(gather.futures) > 1 and self._client.status == "running":
                self._one_by_one(gather)
                return {}
            return {one: _lost(self._tasks[one], one) for one in gather.futures if one in self._tasks}

    def _split_slow(self) -> None:
        """Fetch one by one what does not come together: one of them is being computed again."""
        for gather in list(self._gathers):
            if len(gather.futures) > 1 and time.monotonic() - gather.since > _SLOW:
                self._gathers.discard(gather)
                self._one_by_one(gather)

    def _one_by_one(self, gather: "_Gather") -> None:
        for future in gather.futures:
            if future in self._tasks:
                self._gather([future])

    def _beside(self, work: Coroutine[Any, Any, Any] | Any) -> "concurrent.futures.Future[Any]":
        loop: Any = self._client.loop
        return asyncio.run_coroutine_threadsafe(work, loop.asyncio_loop)


@dataclass(eq=False, slots=True)
class _Gather:
    """Results that are being fetched, and since when."""

    futures: "list[Future[RunOutcome]]"
    fetched: "concurrent.futures.Future[list[RunOutcome]]"
    since: float = field(default_factory=time.monotonic)


def _lost(task: Task, future: "Future[RunOutcome]") -> RunOutcome | None:
    """Make the outcome of a run whose worker went away; None when the scheduler did."""
    error = future.exception() if future.status == "error" else None
    if error is None:
        return None
    if isinstance(error, KilledWorker):
        lost = WorkerLost(
            "the worker was lost while processing the run (it was killed, perhaps for lack of memory)"
        )
        return RunOutcome.of_error(task, lost)
    # The work function lets no error out, so the worker could not even call it.
    return RunOutcome.of_error(
        task,
        ConfigurationError(
            f"a worker cannot run our tasks ({type(error).__name__}: {error}); "
            "install the same covis-dask on workers and here"
        ),
    )
