"""What one types in a notebook; `covis_dask.notebook` gives it all."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

import pandas as pd
from fsspec.implementations.local import LocalFileSystem

from catalog.ingest import walk_store
from catalog.model import Run
from catalog.names import mode_family
from covis_dask.api import batches as api
from covis_dask.api.batches import list_batches, select_runs
from covis_dask.api.keywords import Options, Selection, request_of
from covis_dask.config import load_settings
from covis_dask.monitor.coverage import Coverage
from covis_dask.notebook.view import BatchView
from covis_dask.simulate.archive import write_demo_archive

__all__ = ["attach", "batches", "coverage", "demo", "plan", "runs", "submit"]


def runs(**selection: Unpack[Selection]) -> pd.DataFrame:
    """Return the runs that the words choose.

    Returns
    -------
    DataFrame
        One row per run, by time: ``run``, ``time`` (UTC), ``mode``, ``family``, ``site``, ``size`` (bytes),
        ``hosts``, and what became of it: ``state``, ``kind``, ``reason``, ``path`` below the product store.

    Raises
    ------
    ConfigurationError
        For words that make no sense.
    CatalogError
        When there is no catalogue, or it does not answer.
    """
    return pd.DataFrame([_row(run) for run in select_runs(**selection)], columns=_COLUMNS)


def coverage(**selection: Unpack[Selection]) -> Coverage:
    """Return a picture of the runs that the words choose: a panel per mode, a row per month, a cell per day.

    See `runs` for the errors.
    """
    return Coverage.of(
        (run.basename, run.product.state if run.product else "") for run in select_runs(**selection)
    )


def submit(**options: Unpack[Options]) -> BatchView:
    """Start a batch in the background, and return what shows it.

    The batch goes on as long as this kernel does; `attach` follows it from another one. What is committed
    when the kernel ends is safe, and the same call goes on from there.

    Raises
    ------
    ConfigurationError
        For words or settings that make no sense; `NothingSelected` when no run is chosen.
    CatalogError
        When there is no catalogue, or it does not answer.
    """
    return BatchView.begin(request_of(options))


def plan(**options: Unpack[Options]) -> pd.DataFrame:
    """Return what `submit` would do with each run, and why, and do nothing; see there for the errors.

    Returns
    -------
    DataFrame
        ``run``, ``action`` (``run``, ``already``, ``quarantined``, ``unsupported``, ``failed``), ``reason``.
    """
    items = api.plan(**options).items
    return pd.DataFrame(
        [(item.run.basename, item.action, item.reason) for item in items], columns=["run", "action", "reason"]
    )


def demo(folder: Path | str = "covis-data/raw", *, full: bool = False) -> None:
    """Simulate the demonstration's runs and list them in the catalogue; what is there stays as it is.

    Parameters
    ----------
    folder : Path or str
        Where the archives go; the place of the host COVIS-NAS unless that is configured otherwise.
    full : bool
        Add runs of every mode of the Ashes era.
    """
    write_demo_archive(folder, full=full)
    listed = walk_store(LocalFileSystem(), str(folder), "COVIS-NAS")
    with load_settings().catalog.open() as catalog:
        catalog.add_raw(listed.runs)


def attach(batch: str, *, scheduler: str | None = None) -> BatchView:
    """Follow a batch that another process carries out, or look at one that is over.

    Parameters
    ----------
    batch : str
        Identifier, or the beginning of one.
    scheduler : str, optional
        Address of its scheduler, where the catalogue does not say it.

    Raises
    ------
    CatalogError
        When the catalogue does not know it.
    """
    return BatchView.follow(batch, scheduler)


def batches(limit: int = 20) -> pd.DataFrame:
    """Return the newest batches, newest first: identifier, start, end, and runs by state."""
    rows = [
        {"batch": batch.id, "start": _to_seconds(batch.start), "end": _to_seconds(batch.end), **batch.counts}
        for batch in list_batches(limit)
    ]
    return pd.DataFrame(rows)


def _to_seconds(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.replace(microsecond=0)


_COLUMNS = ["run", "time", "mode", "family", "site", "size", "hosts", "state", "kind", "reason", "path"]


def _row(run: Run) -> tuple[Any, ...]:
    product = run.product
    of_product: Callable[[str], Any] = lambda name: getattr(product, name) if product else None  # noqa: E731
    return (
        run.basename,
        run.datetime,
        run.mode,
        mode_family(run.mode, run.site),
        run.site,
        next((raw.filesize for raw in run.raw if raw.filesize), None),
        ", ".join(raw.host for raw in run.raw),
        of_product("state") or "",
        of_product("kind"),
        of_product("reason"),
        of_product("path"),
    )
