"""What the batch command does: select, plan, carry out, report (see `covis_dask.batch`)."""

import argparse
import datetime as dt
import json
import platform
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import xarray as xr
from dask.system import CPU_COUNT
from dask.utils import format_bytes
from distributed import performance_report

from catalog.model import Batch, Run
from catalog.query import RunQuery
from catalog.store import Catalog
from catalog.words import explain_empty
from covis_dask import __version__
from covis_dask.ancillary import open_ancillary
from covis_dask.batches.clusters import ClusterSpec, open_client
from covis_dask.batches.driver import Driver
from covis_dask.batches.history import facts_of, report_folder
from covis_dask.batches.plan import Plan, PlanOptions, make_plan
from covis_dask.batches.report import PERFORMANCE, Report, compared, final_table, write_report
from covis_dask.batches.status import BatchStatus
from covis_dask.cli.batch import adapt_of, say
from covis_dask.cli.exits import Exit, exit_for
from covis_dask.cli.options import chosen_formats, chosen_overrides
from covis_dask.config import Location, Settings, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import ConfigurationError, CovisError
from covis_dask.monitor.terminal import show
from covis_dask.runs.task import MANIFEST
from covis_dask.storage import ProductStore, open_location

__all__ = ["Ended", "NothingSelected", "Prepared", "carry_out", "prepare", "run", "settings_for"]


_PERFORMANCE_TASKS = 2000
"""Dask's report draws every task; of more than this no browser would be fond."""


class NothingSelected(CovisError):
    """No run is chosen by the words; the message says why, and what there is."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that could begin: what it will do, and its document for the catalogue."""

    plan: Plan
    batch: Batch

    def status(self) -> BatchStatus:
        """Return a status with nothing done yet."""
        return BatchStatus(
            self.batch.id, len(self.plan.items), facts=facts_of(self.batch), start=self.batch.start
        )


def run(arguments: argparse.Namespace, query: RunQuery) -> int:
    """Run a batch; returns the exit code.

    Raises
    ------
    CovisError, CatalogError
        When nothing can be done at all.
    """
    settings = settings_for(arguments)
    with settings.catalog.open() as catalog:
        try:
            prepared = prepare(arguments, query, settings, catalog)
        except NothingSelected as nothing:
            say(str(nothing))
            return Exit.NOTHING_SELECTED
        for note in prepared.plan.notes:
            say(f"note: {note}")
        if arguments.dry_run:
            _print_plan(prepared.plan, as_json=arguments.json)
            return Exit.DONE
        return _command(arguments, settings, catalog, prepared)


def settings_for(arguments: argparse.Namespace) -> Settings:
    """Return the settings in force, with what the command line changes."""
    settings = load_settings()
    return settings if arguments.retries is None else replace(settings, retries=arguments.retries)


def prepare(arguments: argparse.Namespace, query: RunQuery, settings: Settings, catalog: Catalog) -> Prepared:
    """Select and plan.

    Raises
    ------
    NothingSelected
        When there is nothing to plan for.
    ConfigurationError
        When the words make no sense together.
    """
    runs = list(catalog.select(query))
    if not runs:
        raise NothingSelected(explain_empty(catalog, query))
    created = dt.datetime.now(dt.UTC).replace(microsecond=0)
    batch_id = f"{created:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    plan, options = _plan(arguments, settings, runs, batch_id, created)
    if not plan.items:
        raise NothingSelected(f"none of the {len(runs)} selected runs is {arguments.only}")
    batch = Batch(
        id=batch_id,
        selection=query.to_document(),
        settings={
            "engine": arguments.engine,
            "profile": options.profile,
            "preset": options.preset,
            "set": dict(options.overrides),
            "formats": list(options.formats),
            "prefix": options.prefix,
            "store": settings.products.url,
            "force": options.force,
            "only": options.only,
            "retries": settings.retries,
        },
        versions=_versions(arguments.engine),
        counts={},
        start=created,
    )
    return Prepared(plan, batch)


def _versions(engine: str) -> dict[str, str]:
    return {
        "covis-dask": __version__,
        f"engine {engine}": engine_named(engine).version,
        "python": platform.python_version(),
        "dask": version("dask"),
        "distributed": version("distributed"),
        "numpy": np.__version__,
        "xarray": xr.__version__,
    }


def _plan(
    arguments: argparse.Namespace, settings: Settings, runs: list[Run], batch: str, created: dt.datetime
) -> tuple[Plan, PlanOptions]:
    engine = engine_named(arguments.engine)
    ancillary = settings.ancillary if arguments.ancillary is None else Location(arguments.ancillary)
    options = PlanOptions(
        profile=arguments.profile,
        preset=arguments.preset,
        overrides=chosen_overrides(arguments),
        formats=chosen_formats(arguments),
        prefix=(arguments.prefix or settings.prefix or f"{engine.name}-{arguments.profile}").strip("/"),
        store=settings.products.url,
        hosts=frozenset(settings.hosts),
        host_order=settings.host_order,
        force=arguments.force,
        only=arguments.only,
        ancillary=arguments.ancillary,
    )
    manifest = None
    if arguments.verify:
        store = ProductStore.open(settings.products)

        def manifest(path: str) -> Any:
            return store.read_json(f"{path}/{MANIFEST}")

    seafloors = open_ancillary(*open_location(ancillary))
    plan = make_plan(
        runs,
        options,
        engine,
        batch=batch,
        created=created,
        bathymetry=seafloors.identities(),
        manifest=manifest,
    )
    return plan, options


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        document = {
            "expected": len(plan.items),
            "counts": dict(plan.counts),
            "bytes": plan.bytes_in,
            "runs": [
                {
                    "basename": item.run.basename,
                    "action": item.action,
                    "reason": item.reason,
                    "kind": item.kind,
                    "path": item.task.path if item.task else None,
                }
                for item in plan.items
            ],
        }
        print(json.dumps(document, indent=1))  # noqa: T201
        return
    for item in plan.items:
        print(f"{item.action:<11} {item.run.basename}  {item.reason}")  # noqa: T201
    totals = ", ".join(f"{count} {action}" for action, count in sorted(plan.counts.items()))
    unsized = f" (and {plan.unsized} of unknown size)" if plan.unsized else ""
    print(f"\nEXPECTED {len(plan.items)}: {totals}; {format_bytes(plan.bytes_in)} to read{unsized}")  # noqa: T201


@contextmanager
def _stoppable(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) stop the batch cleanly, and the second at once."""

    def handler(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        say("stopping: nothing more is submitted (Ctrl-C again to leave at once)")

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _command(arguments: argparse.Namespace, settings: Settings, catalog: Catalog, prepared: Prepared) -> int:
    """Carry out a batch for a person at a terminal, and say how it ended."""
    stop = threading.Event()
    with _stoppable(stop), show(sys.stderr) as display:
        driver = Driver(catalog, settings, prepared.status(), display, settings.retries, stop, say)
        ended = carry_out(arguments, prepared, driver)
    if arguments.json:
        print(json.dumps(ended.report.to_document(), indent=1))  # noqa: T201
    else:
        print(final_table(ended.report))  # noqa: T201
        if ended.place:
            print(f"report    {settings.products.url}/{ended.place}")  # noqa: T201
    if ended.fault:
        say(f"error: {ended.fault}")
        return Exit.CONFIGURATION
    if stop.is_set():
        say("interrupted; the same command goes on where this one stopped")
        return Exit.INTERRUPTED
    return exit_for(ended.report.counts)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a batch ended: its report, where that lies, and the error of configuration that stopped it."""

    report: Report
    place: str | None
    fault: ConfigurationError | None


def carry_out(arguments: argparse.Namespace, prepared: Prepared, driver: Driver) -> Ended:
    """Carry out a batch to its end, report included.

    Parameters
    ----------
    arguments : argparse.Namespace
        Which cluster.
    prepared : Prepared
    driver : Driver
        Whose status is `Prepared.status`.
    """
    plan, batch, fault = prepared.plan, prepared.batch, None
    driver.catalog.put_batch(batch)
    driver.settle(plan)
    if plan.tasks:
        try:
            _run(arguments, prepared, driver)
        except ConfigurationError as error:
            fault = error
            driver.abandon(plan)
    report = Report.of(batch, plan, driver.outcomes, dt.datetime.now(dt.UTC), driver.status.seconds)
    report, place = _keep_report(report, driver.settings, fault)
    ended = replace(batch, counts=report.counts, end=report.end, report=place)
    driver.patiently(lambda: driver.catalog.put_batch(ended))
    driver.status.finish("stopped" if fault or driver.stop.is_set() else "finished", place)
    return Ended(report, place, fault)


def _run(arguments: argparse.Namespace, prepared: Prepared, driver: Driver) -> None:
    plan, batch = prepared.plan, prepared.batch
    workers = arguments.workers
    where = arguments.cluster or arguments.scheduler
    if where == "local" and workers is None:
        workers = min(len(plan.tasks), CPU_COUNT)
    resources = engine_named(arguments.engine).resources
    with open_client(ClusterSpec(where, workers, adapt_of(arguments), resources)) as client:
        link = client.dashboard_link
        driver.log(f"{len(plan.tasks)} of {len(plan.items)} runs to process; dashboard {link}")
        driver.status.facts["dashboard"] = link
        # Whoever attaches to the batch finds the scheduler in the catalogue.
        here = {"scheduler": client.scheduler_info()["address"], "dashboard": link}
        driver.patiently(
            lambda: driver.catalog.put_batch(replace(batch, settings={**batch.settings, **here}))
        )
        with _performance_kept(prepared, driver):
            driver.run(client, plan)


@contextmanager
def _performance_kept(prepared: Prepared, driver: Driver) -> Iterator[None]:
    """Keep Dask's own report of the work beside ours; a batch does not fail for want of it."""
    if len(prepared.plan.tasks) > _PERFORMANCE_TASKS:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="covis-", dir=driver.settings.scratch) as folder:
        kept = Path(folder) / PERFORMANCE
        report = performance_report(filename=str(kept))
        report.__enter__()
        yield
        # Only after work that has come to its end: a batch that is broken off should end at once.
        if driver.stop.is_set():
            return
        try:
            report.__exit__(None, None, None)
            ProductStore.open(driver.settings.products).put_file(
                kept, f"{report_folder(prepared.batch)}/{PERFORMANCE}"
            )
        except (OSError, RuntimeError, TimeoutError, CovisError) as error:
            driver.log(f"Dask's performance report could not be kept: {error}")


def _keep_report(
    report: Report, settings: Settings, fault: ConfigurationError | None
) -> tuple[Report, str | None]:
    """Store the report beside the products; a store that refuses has had its say already."""
    if fault is not None:
        return report, None
    try:
        store = ProductStore.open(settings.products)
        report = compared(report, store)
        return report, write_report(report, store)
    except CovisError as error:
        say(f"the report could not be stored: {error}")
        return report, None
