"""A batch from request to report: select and plan (`prepare`), then carry out (`PreparedBatch.run`)."""

import datetime as dt
import logging
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from dask.system import CPU_COUNT
from distributed import Client, performance_report

from catalog.errors import CatalogError
from catalog.model import Batch
from catalog.query import explain_empty
from catalog.store import Catalog
from catalog.vocabulary import RunState
from covis_dask._version import __version__
from covis_dask.batches.clusters import open_client, page_link, steering_note
from covis_dask.batches.driver import Display, Driver
from covis_dask.batches.history import batch_attributes, report_folder
from covis_dask.batches.job import Job, JobContext, job_named
from covis_dask.batches.keeper import kept
from covis_dask.batches.leases import Lease
from covis_dask.batches.plan import Plan, make_plan
from covis_dask.batches.report import PERFORMANCE, Report, compared, write_report
from covis_dask.batches.request import LOCAL, BatchRequest, ClusterSpec
from covis_dask.batches.status import FINISHED, STOPPED, BatchStatus
from covis_dask.batches.stores import known_store, marked_store
from covis_dask.config import Settings, load_settings
from covis_dask.errors import Bug, ConfigurationError, CovisError, StorageUnavailable
from covis_dask.raw.leftovers import scratch_folder
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.upgrade_task import UpgradeTask
from covis_dask.storage import ProductStore

__all__ = ["Ended", "NothingSelected", "PreparedBatch", "Watchers", "prepare", "settings_for"]

logger = logging.getLogger(__name__)

_PERFORMANCE_TASKS = 2000
"""Dask's report draws every task; of more than this no browser would be fond."""


class NothingSelected(CovisError):
    """The request selects no run; the message says why, and what there is."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a batch ended: its report, where that lies, and the error that stopped it."""

    report: Report
    report_path: str | None
    fault: CovisError | None


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told how a batch goes.

    Parameters
    ----------
    display : Display
        Is shown the status, again and again.
    say : callable
        Takes a line that belongs to no single run.
    bring_page : callable, optional
        Gives the scheduler a page to show the batch on.
    """

    display: Display
    say: Callable[[str], None]
    bring_page: Callable[[Client], None] | None = None


def settings_for(request: BatchRequest) -> Settings:
    """Return the settings in force, with what the request changes."""
    settings = load_settings()
    return settings if request.retries is None else replace(settings, retries=request.retries)


def prepare(request: BatchRequest, settings: Settings, catalog: Catalog) -> "PreparedBatch":
    """Select and plan.

    Parameters
    ----------
    request : BatchRequest
    settings : Settings
        See `settings_for`.
    catalog : Catalog
        Stays open until the batch is over.

    Raises
    ------
    NothingSelected
        When there is nothing to plan for.
    ConfigurationError
        When the job cannot be done as it is asked for.
    """
    runs = list(catalog.select(request.query))
    if not runs:
        years = catalog.years()
        raise NothingSelected(explain_empty(request.query, years, () if years else catalog.elsewhere()))
    created = dt.datetime.now(dt.UTC).replace(microsecond=0)
    batch_id = f"{created:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    known = known_store(catalog, settings.products.url)
    job = job_named(JobContext(request, settings, batch_id, created, known, catalog.doubted()))
    plan = make_plan(runs, job, request.only)
    if not plan.items:
        raise NothingSelected(f"none of the {len(runs)} selected runs is {request.only}")
    batch = Batch(
        id=batch_id,
        selection=request.query.to_document(),
        settings={
            "job": job.name,
            "prefix": job.prefix,
            "store": settings.products.url,
            **job.settings(),
            "only": request.only,
            "retries": settings.retries,
            "heartbeat": settings.heartbeat,
        },
        versions={"covis-dask": __version__, **job.versions(), **_library_versions()},
        counts={},
        start=created,
    )
    status = BatchStatus(batch_id, len(plan.items), attributes=batch_attributes(batch), start=created)
    return PreparedBatch(request.cluster, settings, catalog, job, plan, batch, status)


def _library_versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "dask": version("dask"),
        "distributed": version("distributed"),
        "numpy": np.__version__,
        "xarray": xr.__version__,
    }


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch that could begin.

    Parameters
    ----------
    cluster : ClusterSpec
    settings : Settings
    catalog : Catalog
    job : Job
    plan : Plan
        What it will do.
    batch : Batch
        Its document for the catalogue.
    status : BatchStatus
        How far it is; nothing is done yet.
    outcomes : list of RunOutcome
        Of the runs that have ended.
    """

    cluster: ClusterSpec
    settings: Settings
    catalog: Catalog
    job: Job
    plan: Plan
    batch: Batch
    status: BatchStatus
    outcomes: list[RunOutcome] = field(default_factory=list)

    def announce(self) -> None:
        """Put the batch into the catalogue, where it can be found and is known to live; again is no harm."""
        self.catalog.open_lease(self.batch.id)
        self.catalog.put_batch(self.batch)

    def run(self, watchers: Watchers, stop: threading.Event) -> Ended:
        """Carry the batch out to its end, report included.

        Parameters
        ----------
        watchers : Watchers
        stop : threading.Event
            Set from elsewhere: submit no more, cancel what waits, and return.

        Raises
        ------
        ConfigurationError
            When there is no cluster to be had; then nothing has been claimed or recorded.
        CatalogError
            When the catalogue fails before anything has begun.
        """
        with ExitStack() as stack:
            lease = Lease(self.catalog, self.batch.id, self.settings.heartbeat, time.monotonic)
            driver = self._driver(lease, watchers, stop)
            stack.enter_context(kept(lease))
            if self.catalog.get_batch(self.batch.id) is not None:  # it was announced, so it is to live
                lease.open()
            try:
                client = stack.enter_context(self._client(watchers.say)) if self.plan.tasks else None
            except BaseException:
                self._never_begun()
                raise
            lease.open()
            fault: CovisError | None = None
            try:
                placed = self._placed(driver)
            except ConfigurationError as error:
                placed, fault = self, error
            placed.announce()
            driver.settle(placed.plan)
            if client is not None and fault is None:
                fault = placed._compute(driver, client)
            if fault is not None:
                driver.abandon(placed.plan)
            return placed._end(driver, fault)

    def _driver(self, lease: Lease, watchers: Watchers, stop: threading.Event) -> Driver:
        return Driver(
            lease,
            self.settings,
            self.job,
            self.status,
            watchers.display,
            stop,
            log=watchers.say,
            bring_page=watchers.bring_page,
            outcomes=self.outcomes,
        )

    def _placed(self, driver: Driver) -> "PreparedBatch":
        """Tell every task which store is meant, and mark that store if no batch has used it before.

        A store that other batches have used and that has lost its mark is away; its runs wait for it.
        """
        known = known_store(self.catalog, self.settings.products.url)
        try:
            identity = marked_store(ProductStore.open(self.settings.products), known).id
        except StorageUnavailable as error:
            identity = known
            driver.log(str(error))
        items = tuple(
            replace(item, task=replace(item.task, store_id=identity))
            if isinstance(item.task, (RunTask, UpgradeTask))
            else item
            for item in self.plan.items
        )
        settings = {**self.batch.settings, "store-id": identity}
        return replace(
            self, plan=replace(self.plan, items=items), batch=replace(self.batch, settings=settings)
        )

    def _never_begun(self) -> None:
        """Close the document of a batch that was announced before it had a cluster."""
        with suppress(CatalogError):
            if self.catalog.get_batch(self.batch.id) is not None:
                counts = {str(RunState.NOT_RUN): len(self.plan.items)}
                end = dt.datetime.now(dt.UTC)
                self.catalog.put_batch(replace(self.batch, counts=counts, end=end, ending=STOPPED))
                self.catalog.close_lease(self.batch.id)

    def _client(self, say: Callable[[str], None]) -> AbstractContextManager[Client]:
        spec = replace(self.cluster, resources=self.job.resources)
        if spec.where == LOCAL and spec.workers is None:
            spec = replace(spec, workers=min(len(self.plan.tasks), CPU_COUNT))
        return open_client(spec, say)

    def _compute(self, driver: Driver, client: Client) -> CovisError | None:
        """Bring the tasks to a cluster, and wait for them; return what stopped that."""
        try:
            if driver.bring_page is not None:
                driver.bring_page(client)
            link = page_link(client)
            driver.log(
                f"{len(self.plan.tasks)} of {len(self.plan.items)} runs to process; dashboard {link}"
                f"{steering_note(client)}"
            )
            self.status.attributes["dashboard"] = link
            # Whoever attaches to the batch finds the scheduler in the catalogue; and whoever has to close its
            # document in our stead, what the plan alone has settled.
            scheduler: Any = client.scheduler
            here = {"scheduler": scheduler.address, "dashboard": link}
            counts = dict(self.status.counts)
            known = replace(self.batch, settings={**self.batch.settings, **here}, counts=counts)
            driver.patience.insist(lambda: self.catalog.put_batch(known))
            with self._performance_kept(driver):
                driver.run(client, self.plan)
        except CovisError as error:
            return error
        except Exception as error:
            logger.exception("an error that nobody foresaw stopped batch %s", self.batch.id)
            return Bug(f"{type(error).__name__}: {error}; this is a bug, please report it with these lines")
        return None

    @contextmanager
    def _performance_kept(self, driver: Driver) -> Iterator[None]:
        """Keep Dask's own report of the work beside ours; a batch does not fail for want of it."""
        if len(self.plan.tasks) > _PERFORMANCE_TASKS:
            yield
            return
        with scratch_folder(self.settings.scratch) as folder:
            kept = folder / PERFORMANCE
            report = performance_report(filename=str(kept))
            report.__enter__()
            yield
            # Only after work that has come to its end: a batch that is broken off should end at once.
            if driver.stop.is_set():
                return
            try:
                report.__exit__(None, None, None)
                self._store().put_file(kept, f"{report_folder(self.batch)}/{PERFORMANCE}")
            except (OSError, RuntimeError, TimeoutError, CovisError) as error:
                driver.log(f"Dask's performance report could not be saved: {error}")

    def _store(self) -> ProductStore:
        """Open the product store, where nothing is written while its mark is away."""
        return replace(ProductStore.open(self.settings.products), id=self.batch.settings.get("store-id"))

    def _end(self, driver: Driver, fault: CovisError | None) -> Ended:
        """Write the report, and close the batch's document."""
        end = dt.datetime.now(dt.UTC)
        ending = STOPPED if fault or driver.stop.is_set() else FINISHED
        report = Report.of(self.batch, self.plan, self.outcomes, end, self.status.seconds)
        report, path = self._keep_report(report, driver, fault)
        closed = replace(self.batch, counts=report.counts, end=report.end, report=path, ending=ending)
        try:
            driver.patience.insist(lambda: self.catalog.put_batch(closed))
            driver.patience.insist(driver.lease.close)
        except CatalogError as error:
            fault = fault or error
        self.status.finish(ending, path)
        return Ended(report, path, fault)

    def _keep_report(
        self, report: Report, driver: Driver, fault: CovisError | None
    ) -> tuple[Report, str | None]:
        """Store the report beside the products, as far as it can be; no batch fails for want of it."""
        try:
            store = self._store()
            report = compared(report, store)
            return report, write_report(report, store, driver.log)
        except Exception as error:  # of whatever kind: the runs are done, and the table tells of them
            if not isinstance(fault, ConfigurationError):  # a store that refuses has had its say already
                driver.log(f"the report could not be stored: {error}")
            return report, None
