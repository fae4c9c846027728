"""A batch in the hands of a Python program: begun in the background, or followed from elsewhere."""

import threading
import time
from collections.abc import Callable
from typing import Self

import xarray as xr

from catalog.model import Batch
from covis_dask.batches.history import History
from covis_dask.batches.request import BatchRequest
from covis_dask.batches.service import PreparedBatch, Watchers, prepare, settings_for
from covis_dask.batches.status import BatchStatus
from covis_dask.errors import ConfigurationError
from covis_dask.monitor.scheduler.client import SchedulerClient
from covis_dask.monitor.scheduler.plugin import bring_page
from covis_dask.monitor.terminal import show
from covis_dask.products.paths import ProductPaths
from covis_dask.runs.outcome import RunOutcome

__all__ = ["BatchHandle"]

_EVERY = 1.0
_CATALOGUE_EVERY = 5.0


class BatchHandle:
    """A batch: begun here (`covis_dask.submit`), or followed (`covis_dask.attach`).

    Parameters
    ----------
    batch : Batch
    history : History
        Reads catalogue and store.
    status : callable
        Returns the present status.
    outcomes : callable
        Returns the outcomes so far.
    """

    def __init__(
        self,
        batch: Batch,
        history: History,
        status: Callable[[], BatchStatus],
        outcomes: Callable[[], "tuple[RunOutcome, ...]"],
    ) -> None:
        self._batch = batch
        self._history = history
        self._status = status
        self._outcomes = outcomes
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._fault: BaseException | None = None

    @classmethod
    def begin(cls, request: BatchRequest) -> Self:
        """Start a batch; see `covis_dask.submit`."""
        settings = settings_for(request)
        catalog = settings.catalog.open()
        try:
            prepared = prepare(request, settings, catalog)
            prepared.announce()  # so that it can be attached to as soon as it has a name
        except BaseException:
            catalog.close()
            raise
        handle = cls(
            prepared.batch,
            History(settings),
            lambda: prepared.status,
            lambda: tuple(prepared.outcomes),
        )
        handle._start(prepared)
        return handle

    def _start(self, prepared: PreparedBatch) -> None:
        """Carry the batch out in a thread of its own."""
        stop = self._stop = threading.Event()

        def work() -> None:
            try:
                with show(quiet=True) as display:
                    notes: list[str] = []
                    ended = prepared.run(Watchers(display, notes.append, bring_page), stop)
                self._fault = ended.fault
            except Exception as error:  # it is for the caller of `wait`, who may come later
                self._fault = error
                prepared.status.finish("stopped")
            finally:
                prepared.catalog.close()

        self._thread = threading.Thread(target=work, name=f"covis-{prepared.batch.id}", daemon=True)
        self._thread.start()

    @classmethod
    def follow(cls, batch: str, scheduler: str | None) -> Self:
        """Look at a batch of another process; see `covis_dask.attach`."""
        history = History.here()
        known = history.batch(batch)
        source = _Source(history, known, scheduler)
        return cls(known, history, source.status, lambda: history.outcomes(history.batch(known.id)))

    def __repr__(self) -> str:
        status = self.status
        counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
        return f"<batch {self.id} {status.ending}, {status.ended} of {status.expected} runs: {counts or '-'}>"

    @property
    def id(self) -> str:
        """Identifier of the batch."""
        return self._batch.id

    @property
    def status(self) -> BatchStatus:
        """Counts, rates and time to go, the same numbers as on the dashboard."""
        return self._status()

    @property
    def over(self) -> bool:
        """Whether the batch has ended."""
        return self.status.over and (self._thread is None or not self._thread.is_alive())

    @property
    def outcomes(self) -> tuple[RunOutcome, ...]:
        """How the runs ended that have ended, by time."""
        return tuple(sorted(self._outcomes(), key=lambda outcome: outcome.basename))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end.

        Parameters
        ----------
        timeout : float, optional
            Longest time to wait, s.

        Returns
        -------
        bool
            Whether the batch is over.

        Raises
        ------
        ConfigurationError
            When that is what stopped the batch; `CatalogError` when the catalogue has gone away.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.over and (end is None or time.monotonic() < end):
            time.sleep(0.2)
        if self.over and self._fault is not None:
            raise self._fault
        return self.over

    def stop(self) -> None:
        """Submit nothing more; what is committed stays, and the same call goes on from there.

        Raises
        ------
        ConfigurationError
            For a batch that another process carries out.
        """
        if self._stop is None:
            raise ConfigurationError("this batch is run elsewhere; stop it there (Ctrl-C)")
        self._stop.set()

    def log(self, run: str) -> str:
        """Return the log of a run.

        Raises
        ------
        CovisError
            When there is none, or the store does not answer.
        """
        return self._history.log(run, self._path(run))

    def open(self, run: str) -> xr.Dataset:
        """Return the product of a run, in memory.

        Raises
        ------
        CovisError
            When there is none, or the store does not answer.
        """
        return self._history.open(run, self._path(run))

    def _path(self, run: str) -> str:
        return ProductPaths(str(self._batch.settings["prefix"])).run(run)


class _Source:
    """Where the status of somebody else's batch comes from: its scheduler, else the catalogue."""

    def __init__(self, history: History, batch: Batch, scheduler: str | None) -> None:
        self._history = history
        self._batch = batch
        self._scheduler = scheduler
        self._last: BatchStatus | None = None
        self._read = 0.0

    def status(self) -> BatchStatus:
        """Return the present status."""
        if self._last is not None and (self._last.over or time.monotonic() - self._read < _EVERY):
            return self._last
        asked = self._ask()
        if asked is None or asked.over:  # a batch that is over has its calendar and its end in the catalogue
            if self._last is None or time.monotonic() - self._read >= _CATALOGUE_EVERY or asked is not None:
                self._batch = self._history.batch(self._batch.id)
                self._last = self._history.status(self._batch)
                self._read = time.monotonic()
            return self._last
        self._last, self._read = asked, time.monotonic()
        return asked

    def _ask(self) -> BatchStatus | None:
        address = self._scheduler or self._batch.settings.get("scheduler")
        if address is None or self._batch.end is not None:
            return None
        status = SchedulerClient(address).snapshot(self._batch.id)
        return status if isinstance(status, BatchStatus) else None
