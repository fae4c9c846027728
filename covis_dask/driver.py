"""Carry out a plan on a cluster: claim, submit, watch, try again, record.

Submission is windowed, so that a hundred thousand runs cost the scheduler no more than a hundred. The driver
alone talks to the catalogue. Whatever is lost here can be started again: products are committed by workers.
"""

import datetime as dt
import heapq
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from distributed import Client, Future, KilledWorker

from catalog.errors import CatalogError
from catalog.model import ProductRecord
from catalog.store import Catalog
from covis_dask.config import Settings
from covis_dask.errors import Cancelled, ConfigurationError, WorkerLost
from covis_dask.monitor.status import BatchStatus
from covis_dask.monitor.terminal import Display
from covis_dask.plan import Plan, PlanItem
from covis_dask.task import RunOutcome, RunTask
from covis_dask.worker import process_run

__all__ = ["Driver"]

_TICK = 0.25
_RECORD_EVERY = 1.0


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(slots=True)
class Driver:
    """Runs one plan to its end.

    Parameters
    ----------
    catalog : Catalog
    settings : Settings
    status : BatchStatus
    display : Display
    retries : int
        Further tries of a run after a passing fault.
    stop : threading.Event
        Set from a signal handler: submit no more, cancel what waits, and return.
    log : callable
        Takes a line that belongs to no single run.
    work : callable
        RunTask -> RunOutcome, on the worker.
    """

    catalog: Catalog
    settings: Settings
    status: BatchStatus
    display: Display
    retries: int
    stop: threading.Event
    log: Callable[[str], None] = print
    work: Callable[[RunTask], RunOutcome] = process_run
    outcomes: list[RunOutcome] = field(default_factory=list)
    _waiting: deque[RunTask] = field(default_factory=deque)
    _later: list[tuple[float, str, RunTask]] = field(default_factory=list)
    _flying: dict[Future[RunOutcome], RunTask] = field(default_factory=dict)
    _ended: "queue.SimpleQueue[Future[RunOutcome]]" = field(default_factory=queue.SimpleQueue)
    _unrecorded: dict[str, ProductRecord] = field(default_factory=dict)
    _recorded_at: float = 0.0
    _claimed_at: float = 0.0
    _fault: ConfigurationError | None = None

    def settle(self, plan: Plan) -> None:
        """Account for the runs that need no worker."""
        for item in plan.items:
            if item.task is None:
                self._end_without_task(item)

    def run(self, client: Client, plan: Plan) -> None:
        """Compute every task of the plan.

        Raises
        ------
        ConfigurationError
            When a worker found that no run can succeed; all that was not done is accounted for as not run.
        CatalogError
            When outcomes could not be recorded at the end; the products themselves are safe.
        """
        self._waiting.extend(plan.tasks)
        try:
            while self._waiting or self._later or self._flying:
                if self.stop.is_set() or self._fault:
                    client.cancel(list(self._flying))
                    break
                self._wake()
                self._submit(client)
                self._collect(client)
                self._keep_claims()
                self._record()
                self.status.running, self.status.retrying = len(self._flying), len(self._later)
                self.display.update(self.status)
        finally:
            self.abandon(plan)
            self._record(at_last=True)
            self.catalog.release(self.status.batch)
        if self._fault:
            raise self._fault

    def _end_without_task(self, item: PlanItem) -> None:
        outcome = RunOutcome(item.run.basename, item.action, "", kind=item.kind, reason=item.reason)
        self._end(outcome, None)

    def _end(self, outcome: RunOutcome, task: RunTask | None) -> None:
        """Give a run its final state."""
        self.outcomes.append(outcome)
        self.status.add(outcome)
        # Runs that were settled by the plan alone are many and say nothing new one by one.
        self.display.update(self.status, outcome if outcome.path else None)
        if task is not None and outcome.state != "not-run":
            self._unrecorded[outcome.basename] = outcome.record(task, _utc_now())

    def _wake(self) -> None:
        """Bring back the runs whose pause is over."""
        while self._later and self._later[0][0] <= time.monotonic():
            self._waiting.appendleft(heapq.heappop(self._later)[2])

    def _submit(self, client: Client) -> None:
        room = self.settings.window * max(1, sum(client.nthreads().values())) - len(self._flying)
        chosen = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if not chosen:
            return
        ours = self._claim([task.run.basename for task in chosen])
        for task in chosen:
            if task.run.basename not in ours:
                taken = Cancelled("another batch is at work on it; its outcome will be in the catalogue")
                self._end(RunOutcome.of_error(task, taken), None)
                continue
            key = f"{task.run.basename}-{task.batch}-{task.attempt}"
            future = client.submit(self.work, task, key=key, pure=False)
            self._flying[future] = task
            future.add_done_callback(self._ended.put)

    def _collect(self, client: Client) -> None:
        """Take in what has ended, in one round trip."""
        ended: list[Future[RunOutcome]] = []
        try:
            ended.append(self._ended.get(timeout=_TICK))
            while True:
                ended.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        ended = [future for future in ended if future in self._flying]
        good = [future for future in ended if future.status == "finished"]
        results = dict(zip(good, client.gather(good), strict=True)) if good else {}
        for future in ended:
            task = self._flying.pop(future)
            self._judge(task, results[future] if future in results else _lost(task, future))
            future.release()

    def _judge(self, task: RunTask, outcome: RunOutcome) -> None:
        """Decide what an outcome means: another try, the end of the run, or the end of the batch."""
        if outcome.state == "not-run" and outcome.kind != Cancelled.kind:
            self._fault = self._fault or ConfigurationError(outcome.reason)
            self._end(outcome, None)
        elif outcome.retry and task.attempt <= self.retries:
            pause = self.settings.backoff * 2 ** (task.attempt - 1)
            again = replace(task, attempt=task.attempt + 1)
            heapq.heappush(self._later, (time.monotonic() + pause, task.run.basename, again))
        else:
            self._end(outcome, task)

    def abandon(self, plan: Plan) -> None:
        """Account for every task that has not ended; what is committed stays, and the next batch finds it."""
        why = "an error of configuration stopped the batch" if self._fault else "the batch was stopped"
        ended = {outcome.basename for outcome in self.outcomes}
        for task in plan.tasks:
            if task.run.basename not in ended:
                self._end(
                    RunOutcome.of_error(task, Cancelled(f"{why}; the same command goes on from here")), None
                )
        self.status.running = self.status.retrying = 0

    def _claim(self, basenames: list[str]) -> frozenset[str]:
        until = _utc_now() + dt.timedelta(seconds=self.settings.claim)
        return self.catalog.claim(basenames, self.status.batch, until)

    def _keep_claims(self) -> None:
        """Extend our claims well before they run out."""
        if self._flying and time.monotonic() - self._claimed_at > self.settings.claim / 3:
            self._claimed_at = time.monotonic()
            self._claim([task.run.basename for task in self._flying.values()])

    def _record(self, *, at_last: bool = False) -> None:
        """Write outcomes to the catalogue, many at once; while it is away they wait here."""
        due = time.monotonic() - self._recorded_at > _RECORD_EVERY
        if not self._unrecorded or not (due or at_last):
            return
        self._recorded_at = time.monotonic()
        try:
            self.catalog.record(self._unrecorded)
        except CatalogError as error:
            if at_last:
                raise
            self.log(f"the catalogue does not answer, outcomes wait: {error}")
        else:
            self._unrecorded = {}


def _lost(task: RunTask, future: Future[RunOutcome]) -> RunOutcome:
    """Make the outcome of a run whose worker, or whose scheduler, went away."""
    error = future.exception() if future.status == "error" else None
    if error is not None and not isinstance(error, KilledWorker):
        # `process_run` lets no error out, so the worker could not even call it.
        return RunOutcome.of_error(
            task,
            ConfigurationError(
                f"a worker cannot run our tasks ({type(error).__name__}: {error}); "
                "install the same covis-dask on workers and here"
            ),
        )
    reason = (
        "it was killed, perhaps for want of memory"
        if error
        else f"the scheduler has lost it: {future.status}"
    )
    return RunOutcome.of_error(task, WorkerLost(f"the worker went away while it had the run ({reason})"))
