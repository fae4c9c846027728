"""One batch in a notebook: a view that keeps up to date, and what one asks of a batch."""

import importlib
import threading
import time
from typing import Any

import pandas as pd

from catalog.vocabulary import COMPLETE
from covis_dask.api.handle import BatchHandle
from covis_dask.batches.calendar import place_of
from covis_dask.monitor.page.sections import css, section

__all__ = ["BatchView"]

_EVERY = 1.0


class BatchView(BatchHandle):
    """A batch that shows itself: begun here (`notebook.submit`), or followed (`notebook.attach`).

    At the end of a cell it keeps what it shows up to date until the batch is over.
    """

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
            for outcome in self.outcomes
        ]
        return pd.DataFrame(
            rows, columns=["run", "day", "family", "state", "kind", "reason", "seconds", "path"]
        )

    def failures(self) -> pd.DataFrame:
        """Return the runs of `table` that are not as they should be."""
        table = self.table()
        return table[~table.state.isin(COMPLETE)].reset_index(drop=True)

    def picture(self, run: str) -> Any:
        """Return the quick look of a run, as notebooks show it.

        Raises
        ------
        CovisError
            When there is none, or the store does not answer.
        """
        display: Any = importlib.import_module("IPython.display")
        return display.Image(data=self._history.picture(run, self._path(run)), format="png", width=900)

    def _repr_html_(self) -> str:
        status = self.status
        where, _, _ = str(status.attributes.get("dashboard") or "").partition(" on ")
        dashboard = where.removesuffix("/status").removesuffix("/covis")
        link = (
            f'<p class="soft"><a href="{dashboard}/covis" target="_blank">the page on the dashboard</a></p>'
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
