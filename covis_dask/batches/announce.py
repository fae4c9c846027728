"""What drivers tell the scheduler of their batches, as plain values; workers' own words are in `reporter`.

============ =========================================================================
``batch``    a batch begins: identifier, number of runs, what was asked for
``plan``     its runs, some thousands at a time
``ended``    runs that have ended, as they do, and what ``tick`` says
``tick``     runs handed to the cluster, and runs that wait for another try
``over``     the batch has ended, its report
``work``     (worker) a stage begins, or pings done of total
``rest``     (worker) a run has left the worker
============ =========================================================================
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from distributed import Client
from distributed.comm.core import CommClosedError

from covis_dask.batches.status import BatchStatus
from covis_dask.runs.events import TOPIC
from covis_dask.runs.outcome import RunOutcome

__all__ = ["BatchAnnouncer"]

_CHUNK = 2000
_EVERY = 1.0
_PATIENCE = 5


class BatchAnnouncer:
    """Keeps the scheduler's page informed of one batch; a scheduler without one does not mind.

    Parameters
    ----------
    client : Client
    status : BatchStatus
        The driver's own; its calendar knows the runs.
    bring_page : callable, optional
        Gives a scheduler that was started again its page back.
    """

    def __init__(
        self, client: Client, status: BatchStatus, bring_page: Callable[[Client], None] | None = None
    ) -> None:
        self._client = client
        self._status = status
        self._bring_page = bring_page
        self._told_runs = 0
        self._told_to: object = None
        self._queue: deque[dict[str, Any]] = deque()
        self._told = 0.0
        self._told_work: dict[str, int] = {}

    def tell(self, outcomes: list[RunOutcome], *, now: bool = False) -> None:
        """Tell what is new, at most once a second: each word costs the scheduler more than what it says.

        Parameters
        ----------
        outcomes : list of RunOutcome
            All so far.
        now : bool
            At once.
        """
        if not now and time.monotonic() - self._told < _EVERY:
            return
        self._told = time.monotonic()
        again = False
        scheduler = getattr(self._client, "_scheduler_identity", {}).get("id")
        if scheduler != self._told_to:
            # A scheduler we have not met, or one that was started again: it knows nothing.
            if self._told_to is not None and self._bring_page is not None:
                self._bring_page(self._client)
            self._told_to, self._told_runs, self._told_work = scheduler, 0, {}
            self._queue = deque(self._introduction())
            again = bool(outcomes)
        fresh, self._told_runs = outcomes[self._told_runs :], len(outcomes)
        work = {"running": self._status.running, "retrying": self._status.retrying}
        for first in range(0, len(fresh), _CHUNK):
            chunk = [outcome.to_plain() for outcome in fresh[first : first + _CHUNK]]
            self._queue.append({"op": "ended", "outcomes": chunk, "just_now": not again, **work})
        if not fresh and work != self._told_work:
            self._queue.append({"op": "tick", **work})
        self._told_work = work
        self._flush()

    def over(self, outcomes: list[RunOutcome], ending: str) -> None:
        """Tell that the batch has ended."""
        self.tell(outcomes, now=True)
        self._queue.append({"op": "over", "ending": ending})
        self._flush()

    def _introduction(self) -> Iterator[dict[str, Any]]:
        status = self._status
        yield {
            "op": "batch",
            "client": self._client.id,
            "expected": status.expected,
            "start": status.start.isoformat(),
            "seconds": status.seconds,
            "attributes": status.attributes,
        }
        names = list(status.calendar)
        for first in range(0, len(names), _CHUNK):
            yield {"op": "plan", "runs": names[first : first + _CHUNK]}

    def _flush(self) -> None:
        """Send what waits; when nobody takes it, it waits for the next time."""
        while self._queue:
            scheduler: Any = self._client.scheduler
            event = {"batch": self._status.batch, **self._queue[0]}
            try:
                self._client.sync(scheduler.log_event, topic=TOPIC, msg=event, callback_timeout=_PATIENCE)
            except (OSError, CommClosedError, TimeoutError, RuntimeError, AttributeError):
                return
            self._queue.popleft()
