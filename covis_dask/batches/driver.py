"""Carry out a plan on a cluster: claim, submit, watch, try again, record.

Submission is windowed, so that a hundred thousand runs cost the scheduler no more than a hundred. The driver
alone talks to the catalogue. Whatever is lost here can be started again: products are committed by workers.
"""

import datetime as dt
import heapq
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from distributed import Client

from catalog.store import Catalog
from catalog.vocabulary import COMPLETE, RunState
from covis_dask.batches.abandoned import close_abandoned
from covis_dask.batches.announce import BatchAnnouncer
from covis_dask.batches.completing import Completing
from covis_dask.batches.job import Decision, Finished, Job, Task
from covis_dask.batches.leases import Claims, Lease
from covis_dask.batches.link import ClusterLink
from covis_dask.batches.outages import Patience
from covis_dask.batches.plan import Plan
from covis_dask.batches.status import BatchStatus
from covis_dask.config import Settings
from covis_dask.errors import Cancelled, ConfigurationError, RunError
from covis_dask.runs.outcome import RunOutcome
from covis_dask.storage.retry import LONGEST_PAUSE

__all__ = ["Display", "Driver"]

_TICK = 0.25
_RECORD_EVERY = 1.0
_MOST_LIFTS = 3
"""How often a run is claimed anew because the store knows a higher token, before somebody must look."""


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
    lease : Lease
        Of this batch, open and kept; with the catalogue.
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
    clock : callable
        Monotonic seconds.
    """

    lease: Lease
    settings: Settings
    job: Job
    status: BatchStatus
    display: Display
    stop: threading.Event
    log: Callable[[str], None] = print
    bring_page: Callable[[Client], None] | None = None
    clock: Callable[[], float] = time.monotonic
    outcomes: list[RunOutcome] = field(default_factory=list)
    patience: Patience = field(init=False)
    _claims: Claims = field(init=False)
    _completing: Completing = field(init=False)
    _waiting: deque[Task] = field(default_factory=deque)
    _later: list[tuple[float, str, Task]] = field(default_factory=list)
    _behind: dict[str, tuple[Task, int]] = field(default_factory=dict)
    _lifts: Counter[str] = field(default_factory=Counter)
    _dead: list[str] = field(default_factory=list)
    _unrecorded: list[Finished] = field(default_factory=list)
    _recorded_at: float = 0.0
    _fault: ConfigurationError | None = None
    _refusing: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.patience = Patience(self.settings.backoff, self.settings.max_outage, self.log)
        self._claims = Claims(self.lease, self.log)
        self._completing = Completing(self.lease, self.job)

    @property
    def _catalog(self) -> Catalog:
        return self.lease.catalog

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
        link = ClusterLink(client, self.job, self.status.batch)
        announcer = BatchAnnouncer(client, self.status, self.bring_page)
        try:
            while self._is_at_work(link):
                if self.stop.is_set() or self._fault:
                    link.cancel()
                    break
                self._go_on(link)
                self.status.running, self.status.retrying = len(link), len(self._later)
                self.display.update(self.status)
                announcer.tell(self.outcomes)
        except ConfigurationError as error:  # the scheduler is lost
            self._fault = error
        finally:
            self._finish_completing()
            self.abandon(plan)
            announcer.over(self.outcomes, "stopped" if self.stop.is_set() or self._fault else "finished")
            self.patience.insist(self._record_now)
            self.patience.insist(lambda: self._catalog.release(self.status.batch))
        fault = self._fault or self._all_refused(plan)
        if fault:
            raise fault

    def _is_at_work(self, link: ClusterLink) -> bool:
        waiting = self._waiting or self._later or self._behind or self._claims or self._dead
        return bool(waiting or link or self._completing)

    def _go_on(self, link: ClusterLink) -> None:
        """Do whatever there is to be done just now."""
        self._wake()
        self._keep_what_is_ours(link)
        self._settle_held()
        self._lift(link)
        self._submit(link)
        for task, outcome in link.ended(_TICK):
            if outcome is not None and link.finds_room(task, outcome):
                self._put_off(task.again(), task.attempt)
            else:
                self._judge(task, outcome)
        for task, outcome in self._completing.ended():
            self._judge(task, outcome)
        if self._completing.held_up:
            self.patience.ask(self._catalog.leases)
        self._record()

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

    def _end_taken(self, task: Task, batch: str) -> None:
        """End a run that another batch holds."""
        who = f"batch {batch}" if batch else "another batch"
        taken = Cancelled(f"{who} is processing it; its outcome will be in the catalogue")
        self._end(RunOutcome.of_error(task, taken), None)

    def _wake(self) -> None:
        """Bring back the runs whose pause is over."""
        while self._later and self._later[0][0] <= self.clock():
            self._waiting.appendleft(heapq.heappop(self._later)[2])

    def _submit(self, link: ClusterLink) -> None:
        room = max(0, self.settings.window * link.threads() - len(link))
        chosen = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        ours = self.patience.ask(lambda: self._claims.claim(chosen)) if chosen else []
        if ours is None:
            self._waiting.extendleft(reversed(chosen))
            return
        for task in ours:
            link.submit(task)

    def _lift(self, link: ClusterLink) -> None:
        """Claim anew, above the token that lies in the store, the runs whose task came behind it.

        Only those that are ours still: what another batch has claimed since, and made, stands before ours.
        """
        if not self._behind or not link.threads():
            return

        def lifted() -> tuple[Mapping[str, str], list[Task]]:
            taken = self._claims.lost(list(self._behind))
            kept = {name: one for name, one in self._behind.items() if name not in taken}
            floors = {name: token for name, (_, token) in kept.items()}
            return taken, self._claims.claim([task for task, _ in kept.values()], floors)

        answer = self.patience.ask(lifted)
        if answer is not None:
            taken, ours = answer
            for name, batch in taken.items():
                self._end_taken(self._behind[name][0], batch)
            self._behind = {}
            for task in ours:
                link.submit(task)

    def _settle_held(self) -> None:
        """Go on with the runs that other batches held."""
        settled = self.patience.ask(self._claims.settle) if self._claims else None
        if settled is not None:
            self._waiting.extendleft(reversed(settled.free))
            self._dead.extend(settled.dead)
            for task, batch in settled.taken:
                if batch:
                    self._end_taken(task, batch)
                else:
                    gone = RunError("the catalogue does not hold the run any more")
                    self._end(RunOutcome.of_error(task, gone), None)
        for batch in list(self._dead):
            if not self.patience.ask(partial(self._close, batch)):
                return
            self._dead.remove(batch)

    def _close(self, dead: str) -> bool:
        close_abandoned(self._catalog, dead, _utc_now())
        return True

    def _keep_what_is_ours(self, link: ClusterLink) -> None:
        """Begin our lease anew when it was taken over, and cancel the runs that another batch has now."""
        if not self.lease.is_lost:
            return
        flying = link.tasks()

        def lost() -> Mapping[str, str]:
            self._catalog.open_lease(self.status.batch)
            taken = self._claims.lost(list(flying))
            self.lease.open()
            return taken

        taken = self.patience.ask(lost)
        if taken is None:
            return
        self.log(
            "this batch gave no sign of life for a while, and another has taken over its lease: "
            f"{len(taken)} of its runs are in other hands, the others go on"
        )
        link.cancel(taken)
        for name, batch in taken.items():
            self._end_taken(flying[name], batch)

    def _judge(self, task: Task, outcome: RunOutcome | None) -> None:
        """Decide what an outcome means: another try, the end of the run, or the end of the batch."""
        if outcome is None:  # the scheduler went away with the run: no try of the run's
            self._put_off(task, task.attempt)
        elif outcome.behind is not None and self._lifts[task.basename] < _MOST_LIFTS:
            self._lifts[task.basename] += 1
            self._behind[task.basename] = (task, outcome.behind)
        elif outcome.uncommitted is not None:
            self._completing.take(task, outcome)
        elif outcome.state == RunState.NOT_RUN and outcome.place is not None:
            self._refused(outcome)
        elif outcome.state == RunState.NOT_RUN and outcome.kind != Cancelled.kind:
            self._fault = self._fault or ConfigurationError(outcome.reason)
            self._end(outcome, None)
        elif self._try_again(task, outcome):
            self._put_off(task.again(), task.attempt)
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

    def _put_off(self, task: Task, tries: int) -> None:
        """Let a run wait for its next try, longer with each."""
        pause = min(self.settings.backoff * 2 ** min(tries - 1, 16), LONGEST_PAUSE)
        heapq.heappush(self._later, (self.clock() + pause, task.basename, task))

    def _try_again(self, task: Task, outcome: RunOutcome) -> bool:
        """Say whether a run gets another try; while a store is away as a whole, tries are not counted."""
        outages = self.patience.outages
        if outcome.state in COMPLETE:
            for place in {"products", f"scratch of {outcome.worker}", outcome.host} - {None}:
                if outages.answered(str(place)) is not None:
                    self.log(f"{place} answers again")
        if not outcome.retry:
            return False
        away = None if outcome.place is None else outages.failed(outcome.place)
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

    def _finish_completing(self) -> None:
        """Wait for the products that are being committed here: what was computed is not thrown away."""
        for task, outcome in self._completing.rest(self.settings.max_outage):
            self._end(outcome, task)

    def _record(self) -> None:
        """Write outcomes to the catalogue, many at once; while it is away they wait here."""
        if self._unrecorded and self.clock() - self._recorded_at > _RECORD_EVERY:
            self._recorded_at = self.clock()
            self.patience.ask(self._record_now)

    def _record_now(self) -> None:
        if self._unrecorded:
            refused = self.job.record(self._catalog, self._unrecorded)
            self._unrecorded = []
            self._say_refused(refused)

    def _say_refused(self, refused: Iterable[str]) -> None:
        names = sorted(refused)
        for name, batch in self._claims.lost(names).items():
            who = f"batch {batch}" if batch else "another batch"
            self.log(f"{name}: {who} has taken the run over; what this one made of it is not recorded")
