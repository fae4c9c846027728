"""A batch from request to report: select and plan (`prepare`), then carry out (`PreparedBatch.run`)."""

import datetime as dt
import platform
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
from dask.system import CPU_COUNT
from distributed import Client, performance_report

from catalog.model import Batch
from catalog.query import explain_empty
from catalog.store import Catalog
from covis_dask._version import __version__
from covis_dask.batches.clusters import open_client, page_link
from covis_dask.batches.driver import Display, Driver
from covis_dask.batches.history import batch_attributes, report_folder
from covis_dask.batches.job import Job, JobContext, job_named
from covis_dask.batches.plan import Plan, make_plan
from covis_dask.batches.report import PERFORMANCE, Report, compared, write_report
from covis_dask.batches.request import LOCAL, BatchRequest, ClusterSpec
from covis_dask.batches.status import BatchStatus
from covis_dask.batches.stores import known_store, marked_store
from covis_dask.config import Settings, load_settings
from covis_dask.errors import ConfigurationError, CovisError, StorageUnavailable
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.storage import ProductStore

__all__ = ["Ended", "NothingSelected", "PreparedBatch", "Watchers", "prepare", "settings_for"]

_PERFORMANCE_TASKS = 2000
"""Dask's report draws every task; of more than this no browser would be fond."""


class NothingSelected(CovisError):
    """The request selects no run; the message says why, and what there is."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a batch ended: its report, where that lies, and the error of configuration that stopped it."""

    report: Report
    report_path: str | None
    fault: ConfigurationError | None


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
    job = job_named(JobContext(request, settings, batch_id, created))
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

    def run(self, watchers: Watchers, stop: threading.Event) -> Ended:
        """Carry the batch out to its end, report included.

        Parameters
        ----------
        watchers : Watchers
        stop : threading.Event
            Set from elsewhere: submit no more, cancel what waits, and return.

        Raises
        ------
        CatalogError
            When the catalogue stays away for too long; products are safe, and the next batch adopts them.
        """
        driver = self._driver(watchers, stop)
        fault = None
        try:
            placed = self._placed(driver)
        except ConfigurationError as error:
            placed, fault = self, error
        self.catalog.put_batch(placed.batch)
        driver.settle(placed.plan)
        if placed.plan.tasks and fault is None:
            try:
                placed._compute(driver)
            except ConfigurationError as error:
                fault = error
        if fault is not None:
            driver.abandon(placed.plan)
        return placed._end(driver, fault)

    def _driver(self, watchers: Watchers, stop: threading.Event) -> Driver:
        return Driver(
            self.catalog,
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
            if isinstance(item.task, RunTask)
            else item
            for item in self.plan.items
        )
        settings = {**self.batch.settings, "store-id": identity}
        return replace(
            self, plan=replace(self.plan, items=items), batch=replace(self.batch, settings=settings)
        )

    def _compute(self, driver: Driver) -> None:
        """Bring the tasks to a cluster, and wait for them."""
        spec = replace(self.cluster, resources=self.job.resources)
        if spec.where == LOCAL and spec.workers is None:
            spec = replace(spec, workers=min(len(self.plan.tasks), CPU_COUNT))
        with open_client(spec) as client:
            if driver.bring_page is not None:
                driver.bring_page(client)
            link = page_link(client)
            driver.log(f"{len(self.plan.tasks)} of {len(self.plan.items)} runs to process; dashboard {link}")
            self.status.attributes["dashboard"] = link
            # Whoever attaches to the batch finds the scheduler in the catalogue.
            here = {"scheduler": client.scheduler_info()["address"], "dashboard": link}
            known = replace(self.batch, settings={**self.batch.settings, **here})
            driver.patiently(lambda: self.catalog.put_batch(known))
            with self._performance_kept(driver):
                driver.run(client, self.plan)

    @contextmanager
    def _performance_kept(self, driver: Driver) -> Iterator[None]:
        """Keep Dask's own report of the work beside ours; a batch does not fail for want of it."""
        if len(self.plan.tasks) > _PERFORMANCE_TASKS:
            yield
            return
        with tempfile.TemporaryDirectory(prefix="covis-", dir=self.settings.scratch) as folder:
            kept = Path(folder) / PERFORMANCE
            report = performance_report(filename=str(kept))
            report.__enter__()
            yield
            # Only after work that has come to its end: a batch that is broken off should end at once.
            if driver.stop.is_set():
                return
            try:
                report.__exit__(None, None, None)
                store = ProductStore.open(self.settings.products)
                store.put_file(kept, f"{report_folder(self.batch)}/{PERFORMANCE}")
            except (OSError, RuntimeError, TimeoutError, CovisError) as error:
                driver.log(f"Dask's performance report could not be saved: {error}")

    def _end(self, driver: Driver, fault: ConfigurationError | None) -> Ended:
        """Write the report, and close the batch's document."""
        end = dt.datetime.now(dt.UTC)
        report = Report.of(self.batch, self.plan, self.outcomes, end, self.status.seconds)
        report, path = self._keep_report(report, driver, fault)
        closed = replace(self.batch, counts=report.counts, end=report.end, report=path)
        driver.patiently(lambda: self.catalog.put_batch(closed))
        self.status.finish("stopped" if fault or driver.stop.is_set() else "finished", path)
        return Ended(report, path, fault)

    def _keep_report(
        self, report: Report, driver: Driver, fault: ConfigurationError | None
    ) -> tuple[Report, str | None]:
        """Store the report beside the products; a store that refuses has had its say already."""
        if fault is not None:
            return report, None
        try:
            store = ProductStore.open(self.settings.products)
            report = compared(report, store)
            return report, write_report(report, store)
        except CovisError as error:
            driver.log(f"the report could not be stored: {error}")
            return report, None
