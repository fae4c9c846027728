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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from distributed import Client, Future, KilledWorker
from distributed.client import FutureCancelledError, FuturesCancelledError

from catalog.errors import CatalogError
from catalog.store import Catalog
from catalog.vocabulary import COMPLETE, RunState
from covis_dask.batches.announce import BatchAnnouncer
from covis_dask.batches.job import Decision, Finished, Job, Task
from covis_dask.batches.outages import Outages
from covis_dask.batches.plan import Plan
from covis_dask.batches.status import BatchStatus
from covis_dask.config import Settings
from covis_dask.errors import Cancelled, ConfigurationError, WorkerLost
from covis_dask.runs.outcome import RunOutcome
from covis_dask.storage.retry import LONGEST_PAUSE

__all__ = ["Display", "Driver"]

T = TypeVar("T")

_TICK = 0.25
_CATALOGUE = "the catalogue"
_RECORD_EVERY = 1.0


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Display(Protocol):
    """Something that shows a status."""

    def update(self, status: BatchStatus, outcome: RunOutcome | None = None) -> None:
        """Show the status, and the run that has just ended."""


@dataclass(slots=True)
class Driver:
    """Runs one plan to its end.

    Parameters
    ----------
    catalog : Catalog
    settings : Settings
    job : Job
        What is done with each run, and recorded of it.
    status : BatchStatus
    display : Display
    stop : threading.Event
        Set from a signal handler: submit no more, cancel what waits, and return.
    log : callable
        Takes a line that belongs to no single run.
    bring_page : callable, optional
        Gives the page back to a scheduler that was started again.
    """

    catalog: Catalog
    settings: Settings
    job: Job
    status: BatchStatus
    display: Display
    stop: threading.Event
    log: Callable[[str], None] = print
    bring_page: Callable[[Client], None] | None = None
    outcomes: list[RunOutcome] = field(default_factory=list)
    _waiting: deque[Task] = field(default_factory=deque)
    _later: list[tuple[float, str, Task]] = field(default_factory=list)
    _flying: dict[Future[RunOutcome], Task] = field(default_factory=dict)
    _ended: "queue.SimpleQueue[Future[RunOutcome]]" = field(default_factory=queue.SimpleQueue)
    _unrecorded: list[Finished] = field(default_factory=list)
    _recorded_at: float = 0.0
    _beaten_at: float = 0.0
    _fault: ConfigurationError | None = None
    _refusing: dict[str, str] = field(default_factory=dict)
    _outages: Outages = field(default_factory=Outages)
    _ask_after: float = 0.0

    def settle(self, plan: Plan) -> None:
        """Account for the runs that need no worker."""
        self.status.expect(item.run.basename for item in plan.items)
        for item in plan.items:
            if item.task is None:
                self._end_without_task(item)

    def run(self, client: Client, plan: Plan) -> None:
        """Compute every task of the plan.

        Raises
        ------
        ConfigurationError
            When a worker found that no run can succeed, or the scheduler went away and did not come back; all
            that was not done is accounted for as not run.
        CatalogError
            When the catalogue stays away for longer than ``covis.max-outage``; products are safe, and the
            next batch adopts them.
        """
        self._waiting.extend(plan.tasks)
        announcer = BatchAnnouncer(client, self.status, self.bring_page)
        try:
            self.patiently(lambda: self.catalog.open_lease(self.status.batch))
            while self._waiting or self._later or self._flying:
                if self.stop.is_set() or self._fault:
                    with suppress(OSError):  # a scheduler that is away has nothing to cancel
                        client.cancel(list(self._flying))
                    break
                self._wake()
                self._submit(client)
                self._collect(client)
                self._keep_lease()
                self._record()
                self.status.running, self.status.retrying = len(self._flying), len(self._later)
                self.display.update(self.status)
                announcer.tell(self.outcomes)
        finally:
            self.abandon(plan)
            announcer.over(self.outcomes, "stopped" if self.stop.is_set() or self._fault else "finished")
            self.patiently(self._record_now)
            self.patiently(lambda: self.catalog.release(self.status.batch))
            self.patiently(lambda: self.catalog.close_lease(self.status.batch))
        fault = self._fault or self._all_refused(plan)
        if fault:
            raise fault

    def _end_without_task(self, item: Decision) -> None:
        outcome = RunOutcome(item.run.basename, item.action, "", kind=item.kind, reason=item.reason)
        self._end(outcome, None)

    def _end(self, outcome: RunOutcome, task: Task | None) -> None:
        """Give a run its final state."""
        self.outcomes.append(outcome)
        self.status.add(outcome)
        # Runs that were settled by the plan alone are many and say nothing new one by one.
        self.display.update(self.status, outcome if outcome.path else None)
        if task is not None and outcome.state != RunState.NOT_RUN:
            self._unrecorded.append(Finished(task, outcome, _utc_now()))

    def _wake(self) -> None:
        """Bring back the runs whose pause is over."""
        while self._later and self._later[0][0] <= time.monotonic():
            self._waiting.appendleft(heapq.heappop(self._later)[2])

    def _threads(self, client: Client) -> int:
        """Return how many runs can be at work at once; 0 while the scheduler is away.

        What was in flight then comes back as lost, and is tried again once the client has found it again.
        """
        if client.status == "closed":
            self._fault = ConfigurationError(
                "the scheduler went away and did not return; start it again, and the same command resumes"
            )
        if client.status != "running":
            return 0
        try:
            threads: list[int] = list(client.nthreads().values())
        except OSError:  # it goes away just now
            return 0
        return max(1, sum(threads))

    def _submit(self, client: Client) -> None:
        room = max(0, self.settings.window * self._threads(client) - len(self._flying))
        chosen = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if not chosen:
            return
        ours = self._claim([task.basename for task in chosen])
        if ours is None:
            self._waiting.extendleft(reversed(chosen))
            return
        for unclaimed in chosen:
            task = unclaimed.under(ours.get(unclaimed.basename, 0))
            if task.basename not in ours:
                taken = Cancelled("another batch is processing it; its outcome will be in the catalogue")
                self._end(RunOutcome.of_error(task, taken), None)
                continue
            # Dask keeps what it learns of tasks by the first word of their keys, for ever; so let that be the
            # mode, not the run.
            key = f"{task.label}-{self.status.batch}-{task.basename}-{task.attempt}"
            resources = dict(self.job.resources) or None
            future = client.submit(self.job.work, task, key=key, pure=False, resources=resources)
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
        try:
            results = dict(zip(good, client.gather(good), strict=True)) if good else {}
        except (OSError, FutureCancelledError, FuturesCancelledError):
            results = {}  # the scheduler went away with them; what is committed will be found so
        for future in ended:
            task = self._flying.pop(future)
            outcome = results[future] if future in results else _lost(task, future)
            if outcome.uncommitted is not None:
                outcome = self.job.complete(task, outcome)
            self._judge(task, outcome)
            future.release()

    def _judge(self, task: Task, outcome: RunOutcome) -> None:
        """Decide what an outcome means: another try, the end of the run, or the end of the batch."""
        if outcome.state == RunState.NOT_RUN and outcome.place is not None:
            self._refused(outcome)
        elif outcome.state == RunState.NOT_RUN and outcome.kind != Cancelled.kind:
            self._fault = self._fault or ConfigurationError(outcome.reason)
            self._end(outcome, None)
        elif self._try_again(task, outcome):
            pause = min(self.settings.backoff * 2 ** (task.attempt - 1), LONGEST_PAUSE)
            heapq.heappush(self._later, (time.monotonic() + pause, task.basename, task.again()))
        else:
            self._end(outcome, task)

    def _all_refused(self, plan: Plan) -> ConfigurationError | None:
        """Return why nothing at all could be run, if that is because raw hosts refuse."""
        wanted = {task.basename for task in plan.tasks}
        ended = [outcome for outcome in self.outcomes if outcome.basename in wanted]
        refused = self._refusing and all(outcome.place in self._refusing for outcome in ended)
        return ConfigurationError("; ".join(self._refusing.values())) if refused else None

    def _refused(self, outcome: RunOutcome) -> None:
        """End a run that needs a raw host which refuses us; runs that have another copy go on."""
        if outcome.place not in self._refusing:
            self._refusing[str(outcome.place)] = str(outcome.reason)
            self.log(f"{outcome.place} refuses; runs that need it are not run: {outcome.reason}")
        self._end(outcome, None)

    def _try_again(self, task: Task, outcome: RunOutcome) -> bool:
        """Say whether a run gets another try; while a store is away as a whole, tries are not counted."""
        if outcome.state in COMPLETE:
            for place in {"products", f"scratch of {outcome.worker}", outcome.host} - {None}:
                if self._outages.answered(str(place)) is not None:
                    self.log(f"{place} answers again")
        if not outcome.retry:
            return False
        away = None if outcome.place is None else self._outages.failed(outcome.place)
        if away == 0:
            self.log(f"{outcome.place} does not answer; its runs wait for it: {outcome.reason}")
        return task.attempt <= self.settings.retries or (away is not None and away < self.settings.max_outage)

    def abandon(self, plan: Plan) -> None:
        """Account for every task that has not ended; what is committed stays, and the next batch finds it."""
        why = "an error of configuration stopped the batch" if self._fault else "the batch was stopped"
        ended = {outcome.basename for outcome in self.outcomes}
        for task in plan.tasks:
            if task.basename not in ended:
                self._end(
                    RunOutcome.of_error(task, Cancelled(f"{why}; the same command resumes from here")), None
                )
        self.status.running = self.status.retrying = 0

    def _claim(self, basenames: list[str]) -> Mapping[str, int] | None:
        """Claim runs; None while the catalogue is away."""
        return self._ask(lambda: self.catalog.claim(basenames, self.status.batch))

    def _keep_lease(self) -> None:
        """Say that we live."""
        if time.monotonic() - self._beaten_at > self.settings.heartbeat:
            self._beaten_at = time.monotonic()
            self._ask(lambda: self.catalog.beat(self.status.batch))

    def _record(self) -> None:
        """Write outcomes to the catalogue, many at once; while it is away they wait here."""
        if self._unrecorded and time.monotonic() - self._recorded_at > _RECORD_EVERY:
            self._recorded_at = time.monotonic()
            self._ask(self._record_now)

    def _record_now(self) -> None:
        if self._unrecorded:
            self.job.record(self.catalog, self._unrecorded)
            self._unrecorded = []

    def _ask(self, call: Callable[[], T]) -> T | None:
        """Ask the catalogue, unless it has failed to answer a moment ago; None while it is away.

        Raises
        ------
        CatalogError
            When it has refused, or been away, for longer than ``covis.max-outage``.
        """
        if time.monotonic() < self._ask_after:
            return None
        try:
            answer = call()
        except CatalogError as error:
            away = self._outages.failed(_CATALOGUE)
            if away > self.settings.max_outage:
                raise
            if away == 0:
                self.log(f"the catalogue does not answer, the batch waits for it: {error}")
            self._ask_after = time.monotonic() + min(self.settings.backoff, LONGEST_PAUSE)
            return None
        away_for = self._outages.answered(_CATALOGUE)
        if away_for is not None:
            self.log(f"the catalogue answers again, after {away_for:.0f} s")
        return answer

    def patiently(self, call: Callable[[], object]) -> None:
        """Ask the catalogue until it answers; see `_ask` for what is raised when it never does."""
        done = False

        def noting() -> bool:
            call()
            return True

        while not done:
            done = bool(self._ask(noting))
            if not done:
                time.sleep(_TICK)


def _lost(task: Task, future: Future[RunOutcome]) -> RunOutcome:
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
        "it was killed, perhaps for lack of memory"
        if error
        else f"the scheduler has lost it: {future.status}"
    )
    return RunOutcome.of_error(task, WorkerLost(f"the worker was lost while processing the run ({reason})"))
