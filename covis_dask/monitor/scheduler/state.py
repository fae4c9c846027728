"""The status model of a scheduler: its batches, what each worker does, and the batches before."""

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.model import Batch, utc
from covis_dask.batches.calendar import place_of
from covis_dask.batches.status import LOST, BatchStatus
from covis_dask.runs.outcome import RunOutcome

__all__ = ["SchedulerState", "WorkerNow"]

_KEPT = 20


@dataclass(slots=True)
class WorkerNow:
    """What a worker does at the moment.

    Parameters
    ----------
    address, name, host : str
    run, batch : str, optional
        None for a worker that waits for work.
    family : str
        Family of modes of the run.
    stage : str
    done, total : int
        Pings; a total of 0 when it is not known.
    attempt : int
    since : float
        When the run began, by this clock.
    """

    address: str
    name: str
    host: str
    run: str | None = None
    batch: str | None = None
    family: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    attempt: int = 1
    since: float = 0.0


@dataclass(slots=True)
class SchedulerState:
    """Takes in events and keeps what views need of them.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    batches : dict
        Statuses of the batches since this scheduler started, oldest first.
    workers : dict
        By address.
    past : tuple of Batch
        What the catalogue says of batches, newest first.
    past_note : str, optional
        Why there is no history, as a sentence.
    """

    clock: Callable[[], float] = time.monotonic
    batches: dict[str, BatchStatus] = field(default_factory=dict)
    workers: dict[str, WorkerNow] = field(default_factory=dict)
    past: tuple[Batch, ...] = ()
    past_note: str | None = "the history has not been read yet"
    _clients: dict[str, str] = field(default_factory=dict)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the ``covis`` topic; one that makes no sense is passed over."""
        match event:
            case {"op": "batch", "batch": str(name)}:
                self._begin(name, event)
            case {"op": "work" | "rest", "worker": str(address)}:
                self._work(address, event)
            case {"op": str(op), "batch": str(name)} if name in self.batches:
                self._go_on(op, self.batches[name], event)

    def _begin(self, name: str, event: Mapping[str, Any]) -> None:
        lead = float(event.get("seconds", 0.0))
        status = BatchStatus(
            name,
            int(event["expected"]),
            clock=self.clock,
            attributes=dict(event.get("attributes", {})),
            start=utc(event["start"]),
        )
        status.start_earlier(lead)
        self.batches[name] = status
        self._clients[str(event.get("client"))] = name
        over = [batch for batch, known in self.batches.items() if known.over]
        for batch in over[: max(0, len(self.batches) - _KEPT)]:
            del self.batches[batch]

    def _go_on(self, op: str, status: BatchStatus, event: Mapping[str, Any]) -> None:
        if op == "plan":
            status.expect(event["runs"])
        elif op == "ended":
            for outcome in event["outcomes"]:
                status.add(RunOutcome.from_plain(outcome), just_now=bool(event.get("just_now", True)))
        elif op == "over":
            status.finish(str(event.get("ending", "finished")), event.get("report"))
        if not status.over and "running" in event:
            status.running, status.retrying = int(event["running"]), int(event["retrying"])

    def _work(self, address: str, event: Mapping[str, Any]) -> None:
        worker = self.add_worker(address, str(event.get("name", "")), str(event.get("host", "")))
        if event["op"] == "rest":
            worker.run = worker.batch = None
            worker.since = self.clock()
            return
        run, stage = str(event["run"]), str(event.get("stage", ""))
        if worker.run != run:
            worker.since, worker.done, worker.total = self.clock(), 0, 0
            worker.family = place_of(run)[1]
        worker.host = str(event.get("host", worker.host))
        if stage != "compute":
            worker.done = worker.total  # what follows the pings begins when all are done
        worker.run, worker.batch, worker.stage = run, event.get("batch"), stage
        worker.attempt = int(event.get("attempt", 1))
        if "total" in event:
            worker.done, worker.total = int(event["done"]), int(event["total"])

    def add_worker(self, address: str, name: str, host: str) -> WorkerNow:
        """Note a worker; one that is known stays as it is."""
        if address not in self.workers:
            self.workers[address] = WorkerNow(address, name, host, since=self.clock())
        return self.workers[address]

    def remove_worker(self, address: str) -> None:
        """Forget a worker."""
        self.workers.pop(address, None)

    def remove_client(self, client: str) -> None:
        """Note that a driver has gone; without a word before, its batch is lost."""
        status = self.batches.get(self._clients.pop(client, ""))
        if status is not None and not status.over:
            status.finish(LOST)

    @property
    def newest(self) -> BatchStatus | None:
        """The batch to show first: the newest that runs, else the newest."""
        running = [status for status in self.batches.values() if not status.over]
        every = running or list(self.batches.values())
        return every[-1] if every else None

    def working_on(self, batch: str) -> Mapping[str, WorkerNow]:
        """Return the workers that are at a run of a batch, by run."""
        return {
            worker.run: worker
            for worker in self.workers.values()
            if worker.run is not None and worker.batch == batch
        }

    def history(self) -> Sequence[Batch]:
        """Return the batches of the catalogue that this scheduler has not seen itself."""
        return [batch for batch in self.past if batch.id not in self.batches]

    def to_document(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        now = self.clock()
        return {
            "schema": "covis-dask/status/1",
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            "batches": [status.to_document() for status in reversed(self.batches.values())],
            "workers": [
                {
                    "address": worker.address,
                    "name": worker.name,
                    "host": worker.host,
                    "run": worker.run,
                    "batch": worker.batch,
                    "stage": worker.stage if worker.run else None,
                    "pings_done": worker.done if worker.run else None,
                    "pings_total": worker.total if worker.run else None,
                    "seconds": round(now - worker.since, 1),
                }
                for worker in self.workers.values()
            ],
            "history": [
                {
                    "batch": batch.id,
                    "start": batch.start.isoformat(),
                    "end": batch.end.isoformat() if batch.end else None,
                    "counts": dict(batch.counts),
                    "report": batch.report,
                }
                for batch in self.history()
            ],
            "history_note": self.past_note,
        }
