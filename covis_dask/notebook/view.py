"""One batch in a notebook: a view that keeps up to date, and what one asks of a batch."""

import importlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import xarray as xr

from catalog.model import Batch
from covis_dask.batches.calendar import place_of
from covis_dask.batches.history import History
from covis_dask.batches.request import BatchRequest
from covis_dask.batches.service import PreparedBatch, Watchers, prepare, settings_for
from covis_dask.batches.status import BatchStatus
from covis_dask.errors import ConfigurationError
from covis_dask.monitor.page.sections import css, section
from covis_dask.monitor.scheduler.client import ask_scheduler
from covis_dask.monitor.scheduler.plugin import bring_page
from covis_dask.monitor.terminal import show
from covis_dask.products.paths import ProductPaths
from covis_dask.runs.outcome import RunOutcome

__all__ = ["BatchView"]

_EVERY = 1.0
_CATALOGUE_EVERY = 5.0


class BatchView:
    """A batch: begun here (`notebook.submit`), or followed (`notebook.attach`).

    At the end of a cell it shows itself, and keeps what it shows up to date until the batch is over.

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
    def begin(cls, request: BatchRequest) -> "BatchView":
        """Start a batch; see `notebook.submit`."""
        settings = settings_for(request)
        catalog = settings.catalog.open()
        try:
            prepared = prepare(request, settings, catalog)
            catalog.put_batch(prepared.batch)  # so that it can be attached to as soon as it has a name
        except BaseException:
            catalog.close()
            raise
        view = cls(
            prepared.batch,
            History(settings),
            lambda: prepared.status,
            lambda: tuple(prepared.outcomes),
        )
        view._start(prepared)
        return view

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
    def follow(cls, history: History, batch: Batch, scheduler: str | None) -> "BatchView":
        """Look at a batch of another process; see `notebook.attach`."""
        source = _Source(history, batch, scheduler)
        return cls(batch, history, source.status, lambda: history.outcomes(history.batch(batch.id)))

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
            raise ConfigurationError("this batch is carried out elsewhere; stop it there (Ctrl-C)")
        self._stop.set()

    def table(self) -> pd.DataFrame:
        """Return the runs that have ended, by time.

        Returns
        -------
        DataFrame
            ``run``, ``day``, ``family`` (of modes), ``state``, ``kind``, ``reason``, ``seconds`` (on the
            worker), ``path`` (below the product store).
        """
        rows = [
            (
                outcome.basename,
                *place_of(outcome.basename),
                outcome.state,
                outcome.kind,
                outcome.reason,
                outcome.seconds,
                outcome.path or None,
            )
            for outcome in sorted(self._outcomes(), key=lambda outcome: outcome.basename)
        ]
        return pd.DataFrame(
            rows, columns=["run", "day", "family", "state", "kind", "reason", "seconds", "path"]
        )

    def failures(self) -> pd.DataFrame:
        """Return the runs of `table` that are not as they should be."""
        table = self.table()
        return table[~table.state.isin(["done", "already"])].reset_index(drop=True)

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

    def picture(self, run: str) -> Any:
        """Return the quick look of a run, as notebooks show it.

        Raises
        ------
        CovisError
            When there is none, or the store does not answer.
        """
        display: Any = importlib.import_module("IPython.display")
        return display.Image(data=self._history.picture(run, self._path(run)), format="png", width=900)

    def _path(self, run: str) -> str:
        return ProductPaths(str(self._batch.settings["prefix"])).run(run)

    def _repr_html_(self) -> str:
        status = self.status
        dashboard = str(status.facts.get("dashboard") or "")
        link = (
            f'<p class="soft"><a href="{dashboard.removesuffix("/status")}/covis" target="_blank">'
            "the page on the dashboard</a></p>"
            if dashboard and not status.over
            else ""
        )
        failures = section("kinds", status) if status.groups else ""
        return (
            f"<style>{css()}</style><div class='covis' style='max-width:60rem'>"
            f"{section('headline', status)}<div style='height:.9rem'></div>{section('modes', status)}"
            f"{failures}{link}</div>"
        )

    def _ipython_display_(self) -> None:
        ipython: Any = importlib.import_module("IPython.display")
        shown = ipython.display(ipython.HTML(self._drawn()), display_id=True)
        if not self.over:
            threading.Thread(target=self._keep_up, args=(shown, ipython.HTML), daemon=True).start()

    def _drawn(self) -> str:
        """Draw, while another thread may be changing what is drawn."""
        while True:
            try:
                return self._repr_html_()
            except RuntimeError:  # a dictionary changed its size under our eyes
                time.sleep(0.01)

    def _keep_up(self, shown: Any, html: Any) -> None:
        before = ""
        while True:
            over = self.over
            text = self._drawn()
            if text != before:
                shown.update(html(text))
            if over:
                return
            before = text
            time.sleep(_EVERY)


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
        status = ask_scheduler(address, "covis_snapshot", batch=self._batch.id)
        return status if isinstance(status, BatchStatus) else None
