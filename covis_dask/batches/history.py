"""Batches that are over, and runs that are done: what catalogue and store still say of them. Reads only."""

import datetime as dt
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from catalog.errors import CatalogError
from catalog.model import Batch, ProductRecord, Run
from catalog.query import RunQuery, describe
from catalog.store import Catalog
from catalog.vocabulary import Kind, RunState
from covis_dask.batches.endings import endings, is_dead
from covis_dask.batches.leases import LeaseWatch
from covis_dask.batches.status import ABANDONED, FINISHED, BatchStatus
from covis_dask.config import Settings, load_settings
from covis_dask.errors import CovisError
from covis_dask.products.stored import ProductMissing, StoredProduct, newest_log
from covis_dask.runs.outcome import RunOutcome
from covis_dask.storage import ProductStore, storage_errors

__all__ = ["History", "batch_attributes", "open_for_reading", "query_of", "report_folder"]


def open_for_reading(settings: Settings) -> Catalog:
    """Open the catalogue, unless that would make a new one.

    Raises
    ------
    CatalogError
        When there is none.
    """
    file = settings.catalog.sqlite_file()
    if file is not None and not file.exists():
        raise CatalogError(f"there is no catalogue at {file}")
    return settings.catalog.open()


def query_of(batch: Batch) -> RunQuery:
    """Return the selection of a batch.

    Raises
    ------
    DocumentError
        When a later version has written words we do not know.
    """
    return RunQuery.from_document(batch.selection, f"the selection of batch {batch.id}")


@dataclass(frozen=True, slots=True)
class History:
    """Reads catalogue and product store by this process's own configuration.

    Parameters
    ----------
    settings : Settings
    """

    settings: Settings
    _watch: LeaseWatch = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_watch", LeaseWatch(self.settings.heartbeat))

    @classmethod
    def here(cls) -> "History":
        """Read by the configuration of this process."""
        return cls(load_settings())

    def store(self) -> ProductStore:
        """Open the product store."""
        return ProductStore.open(self.settings.products)

    def check_store(self) -> None:
        """Make sure that the product store is there and can be read.

        Raises
        ------
        CovisError
            When it cannot.
        """
        store = self.store()
        with storage_errors(f"looking into {store.url}"):
            store.fs.ls(store.root)

    def batches(self, limit: int = 20) -> tuple[Batch, ...]:
        """Return the newest batches, newest first."""
        with open_for_reading(self.settings) as catalog:
            return tuple(catalog.batches(limit))

    def batch(self, batch_id: str) -> Batch:
        """Return one batch by its identifier, or by the beginning of it.

        Raises
        ------
        CatalogError
            When there is none, or more than one.
        """
        with open_for_reading(self.settings) as catalog:
            exact = catalog.get_batch(batch_id)
            if exact is not None:
                return exact
            matches = [batch for batch in catalog.batches(1000) if batch.id.startswith(batch_id)]
        if len(matches) != 1:
            many = f"{len(matches)} batches begin with" if matches else "the catalogue has no batch"
            raise CatalogError(f"{many} {batch_id}: `covis status` lists them")
        return matches[0]

    def run(self, basename: str) -> Run:
        """Return one run by its name.

        Raises
        ------
        CatalogError
            When the catalogue does not know it.
        """
        with open_for_reading(self.settings) as catalog:
            run = catalog.get(basename)
        if run is None:
            raise CatalogError(f"the catalogue has no run {basename}: `covis catalog select` lists them")
        return run

    def newest_path(self, basename: str) -> str:
        """Return the folder of a run's newest outcome, below the store.

        Raises
        ------
        ProductMissing
            When nothing has been made of it yet; `CatalogError` when the catalogue does not know it.
        """
        record = self.run(basename).product
        if record is None or not record.path:
            raise ProductMissing(f"{basename} has not been processed yet")
        return record.path

    def product(self, basename: str, path: str) -> StoredProduct:
        """Return the product of a run, whose folder below the store is `path`.

        Raises
        ------
        ProductMissing
            When there is none; `ProductDamaged` when what is there cannot be used.
        """
        product = StoredProduct.at(self.store(), path)
        if product is None:
            raise ProductMissing(f"{basename} is not done: it has no product")
        return product

    def log(self, basename: str, path: str) -> str:
        """Return the log of a run's latest attempt; see `product`."""
        store = self.store()
        where = newest_log(store, path)
        data = None if where is None else store.read_bytes(where)
        if data is None:
            raise ProductMissing(f"no worker has finished {basename}: there is no log")
        return data.decode(errors="replace")

    def picture(self, basename: str, path: str) -> bytes:
        """Return the quick look of a run as PNG; see `product`."""
        data = self.product(basename, path).picture()
        if data is None:
            raise ProductMissing(f"the product of {basename} has no picture")
        return data

    def open(self, basename: str, path: str) -> xr.Dataset:
        """Return the product of a run, in memory; see `product`."""
        return self.product(basename, path).dataset()

    def outcomes(self, batch: Batch) -> tuple[RunOutcome, ...]:
        """Return how the runs of a batch ended: by the stored report, or else by the catalogue.

        The catalogue keeps the newest outcome of a run only, so what a later batch did again is counted as
        that batch left it. Runs of a batch that is going on and has not recorded them yet are left out.
        """
        return self._outcomes(batch)[1]

    def _outcomes(self, batch: Batch) -> tuple[tuple[str, ...], tuple[RunOutcome, ...]]:
        """Return the names of all runs of a batch, and the outcomes."""
        document = None
        if batch.end is not None:
            try:
                document = self.store().read_json(f"{report_folder(batch)}/report.json")
            except CovisError:
                document = None  # the catalogue has to do
        if document:
            outcomes = tuple(RunOutcome.from_plain(run) for run in document["runs"])
            return tuple(outcome.basename for outcome in outcomes), outcomes
        with open_for_reading(self.settings) as catalog:
            runs = list(catalog.select(query_of(batch)))
        recorded = (_recorded(run, batch) for run in runs)
        return (
            tuple(run.basename for run in runs),
            tuple(outcome for outcome in recorded if outcome is not None),
        )

    def status(self, batch: Batch) -> BatchStatus:
        """Return the status of a batch that is over, or that another process carries out."""
        names, outcomes = self._outcomes(batch)
        status = BatchStatus(batch.id, len(names), attributes=batch_attributes(batch), start=batch.start)
        status.expect(names)
        for outcome in outcomes:
            status.add(outcome, just_now=False)
        status.start_earlier(((batch.end or dt.datetime.now(dt.UTC)) - batch.start).total_seconds())
        if batch.end is not None:
            status.finish(batch.ending or FINISHED, report=batch.report)
            status.end = batch.end
        elif self._is_abandoned(batch):
            status.finish(ABANDONED)
            status.end = None
        return status

    def _is_abandoned(self, batch: Batch) -> bool:
        """Tell whether the driver of a batch without an end is dead, as far as the looks up to now tell."""
        with open_for_reading(self.settings) as catalog:
            self._watch.look(catalog.leases(), time.monotonic())
            found = catalog.get_batch(batch.id)
        return is_dead(batch, self._watch) and (found is None or found.end is None)

    def endings(self, batches: Iterable[Batch]) -> Mapping[str, str]:
        """Return how batches stand; see `covis_dask.batches.endings.endings`."""
        with open_for_reading(self.settings) as catalog:
            return endings(catalog, batches)


def _recorded(run: Run, batch: Batch) -> RunOutcome | None:
    """Make of a catalogue's record what is known of a run in a batch; None while it may still be coming."""
    if run.fault is not None:
        return RunOutcome(run.basename, RunState.FAILED, "", kind=Kind.UNREADABLE, reason=run.fault)
    record = run.product
    if record is not None and record.batch == batch.id:
        state = record.state
    elif batch.end is None:
        return None
    elif record is None or not _came_to_its_end(batch):
        reason = "this batch has recorded nothing about it"
        return RunOutcome(run.basename, RunState.NOT_RUN, "", kind=Kind.CANCELLED, reason=reason)
    else:
        state = RunState.ALREADY if _was_found_done(record, batch) else record.state
    return RunOutcome(run.basename, state, record.path, kind=record.kind, reason=record.reason)


def _came_to_its_end(batch: Batch) -> bool:
    """Tell whether a batch has decided about each of its runs."""
    return batch.ending == FINISHED or (batch.ending is None and not batch.counts.get(RunState.NOT_RUN))


def _was_found_done(record: ProductRecord, batch: Batch) -> bool:
    """Tell whether a batch left a run alone because its product had the fingerprint that was wanted.

    A batch that came to its end, and was not forced, has made anew every product with another fingerprint; so
    one that is older than the batch was compared, and found to be right.
    """
    is_older = record.at < batch.start and record.path.startswith(f"{batch.settings.get('prefix', '')}/")
    return record.state == RunState.DONE and is_older and not batch.settings.get("force")


def report_folder(batch: Batch) -> str:
    """Return where the report of a batch lies below the product store."""
    return f"{batch.settings.get('prefix', '')}/batches/{batch.id}"


def batch_attributes(batch: Batch) -> dict[str, Any]:
    """Return what was asked for, as every view shows it."""
    settings = batch.settings
    named = {name: settings.get(name) for name in ("engine", "profile", "prefix", "store")}
    try:
        return {"selection": describe(query_of(batch)), **named}
    except ValueError:
        return {"selection": "", **named}
