"""Products that workers have uploaded and the driver commits, beside its loop: a store may take its time."""

import concurrent.futures
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from catalog.errors import CatalogUnavailable
from covis_dask.batches.job import Job, Task
from covis_dask.batches.leases import Lease
from covis_dask.errors import Bug, Cancelled, CovisError
from covis_dask.runs.outcome import RunOutcome

__all__ = ["Completing"]

_PAUSE = 0.25


def _one_hand() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="covis-completing")


@dataclass(slots=True)
class Completing:
    """Completes outcomes, one after the other; see `Job.complete`.

    Parameters
    ----------
    lease : Lease
        Of the batch: a run is completed only while the batch holds it.
    job : Job
    held_up : bool
        Whether the catalogue was away when a run was to be completed last.
    """

    lease: Lease
    job: Job
    held_up: bool = False
    _begun: "dict[concurrent.futures.Future[RunOutcome], tuple[Task, RunOutcome]]" = field(
        default_factory=dict
    )
    _hand: ThreadPoolExecutor = field(default_factory=_one_hand)

    def __len__(self) -> int:
        """Count the runs that are being completed."""
        return len(self._begun)

    def take(self, task: Task, outcome: RunOutcome) -> None:
        """Begin to complete a run."""
        self._begun[self._hand.submit(self._complete, task, outcome)] = (task, outcome)

    def ended(self) -> list[tuple[Task, RunOutcome]]:
        """Return the runs that are complete now; while the catalogue is away they are tried again."""
        ended: list[tuple[Task, RunOutcome]] = []
        for future in [future for future in self._begun if future.done()]:
            task, outcome = self._begun.pop(future)
            error = future.exception()
            self.held_up = isinstance(error, CatalogUnavailable)
            if error is None:
                ended.append((task, future.result()))
            elif self.held_up:
                self.take(task, outcome)
            elif isinstance(error, CovisError):
                ended.append((task, RunOutcome.of_error(task, error)))
            else:
                bug = Bug(f"its product could not be committed: {type(error).__name__}: {error}")
                ended.append((task, RunOutcome.of_error(task, bug)))
        return ended

    def rest(self, timeout: float) -> Iterable[tuple[Task, RunOutcome]]:
        """Wait for the runs that are being completed; what takes longer than `timeout` s is given up."""
        deadline, ended = time.monotonic() + timeout, list[tuple[Task, RunOutcome]]()
        while self._begun and (left := deadline - time.monotonic()) > 0:
            concurrent.futures.wait(self._begun, left, concurrent.futures.FIRST_COMPLETED)
            ended += self.ended()
            if self.held_up:
                time.sleep(_PAUSE)
        self._hand.shutdown(wait=False, cancel_futures=True)
        return ended

    def _complete(self, task: Task, outcome: RunOutcome) -> RunOutcome:
        # The store cannot tell a driver that has lost a run from one that has it. A beat that is taken says
        # that nobody can take the lease over for two heartbeats.
        lease = self.lease
        if not lease.beat() or lease.catalog.holders([task.basename]).get(task.basename) != lease.batch:
            taken = "another batch has taken the run over while its product was uploaded; that one's counts"
            return RunOutcome.of_error(task, Cancelled(taken))
        return replace(self.job.complete(task, outcome), uncommitted=None)
