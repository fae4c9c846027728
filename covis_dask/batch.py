"""``python -m covis_dask.batch``: process the runs that the selection words choose."""

import argparse
import datetime as dt
import json
import platform
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from types import FrameType
from typing import Any

import numpy as np
import xarray as xr
from dask.system import CPU_COUNT
from dask.utils import format_bytes

from catalog.errors import CatalogError
from catalog.model import Batch, Run
from catalog.query import RunQuery
from catalog.store import Catalog
from catalog.words import SelectionError, add_selection_arguments, explain_empty, query_from_arguments
from covis_dask import __version__
from covis_dask.ancillary import open_ancillary
from covis_dask.arguments import add_product_arguments, chosen_formats, chosen_overrides
from covis_dask.clusters import open_client
from covis_dask.config import Location, Settings, load_settings
from covis_dask.driver import Driver
from covis_dask.engines import engine_named
from covis_dask.errors import ConfigurationError, CovisError
from covis_dask.exits import EPILOG, Exit, exit_for
from covis_dask.monitor.status import BatchStatus
from covis_dask.monitor.terminal import show
from covis_dask.plan import ONLY, Plan, PlanOptions, make_plan
from covis_dask.report import Report, final_table, write_report
from covis_dask.storage import ProductStore, open_location
from covis_dask.task import MANIFEST

__all__ = ["main"]


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    it = argparse.ArgumentParser(
        prog="python -m covis_dask.batch",
        description="Process COVIS runs on a Dask cluster: those that the selection words choose, "
        "each of them once. Runs whose product exists are left alone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_selection_arguments(it)
    add_product_arguments(it)
    it.add_argument("--prefix", help="folder below the product store (ENGINE-PROFILE, such as native-matlab)")
    which = it.add_argument_group("which of the selected runs")
    which.add_argument("--force", action="store_true", help="process them even if their products exist")
    which.add_argument(
        "--verify", action="store_true", help="believe the manifests in the store rather than the catalogue"
    )
    which.add_argument("--only", choices=ONLY, help="narrow the selection to runs in this state")
    how = it.add_argument_group("how to run")
    how.add_argument(
        "--dry-run", action="store_true", help="show the plan, one reason per run, and do nothing"
    )
    how.add_argument("--retries", type=int, metavar="N", help="further tries after a passing fault (2)")
    how.add_argument(
        "--scheduler",
        default="local",
        metavar="ADDRESS",
        help="tcp://host:8786, or local for this machine (local)",
    )
    how.add_argument("--workers", type=int, metavar="N", help="local worker processes (one per core)")
    how.add_argument("--json", action="store_true", help="print plan or report as JSON on standard output")
    it.add_argument("--version", action="version", version=f"covis-dask {__version__}")
    return it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are in `covis_dask.exits`."""
    arguments = parser().parse_args(argv)
    try:
        _refuse_contradictions(arguments)
        query = query_from_arguments(arguments, sys.stdin)
        if query == RunQuery():
            raise ConfigurationError(
                "say which runs: --year 2014, --mode diffuse, --basename NAME ... (--regex . takes them all)"
            )
        settings = _settings(arguments)
        with settings.catalog.open() as catalog:
            return _batch(arguments, query, settings, catalog)
    except (CovisError, SelectionError, CatalogError) as error:
        _say(f"error: {error}")
        return Exit.CONFIGURATION
    except KeyboardInterrupt:
        _say("left at once; products already committed are safe, the same command goes on from there")
        return Exit.INTERRUPTED


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 (a command line talks)


def _refuse_contradictions(arguments: argparse.Namespace) -> None:
    if arguments.force and arguments.verify:
        raise ConfigurationError(
            "--verify looks whether products are there, --force makes them anyway: choose one of the two"
        )
    if arguments.workers is not None and arguments.scheduler != "local":
        raise ConfigurationError("--workers is for the local cluster; a scheduler has the workers it has")
    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigurationError("--workers must be at least 1")
    if arguments.retries is not None and arguments.retries < 0:
        raise ConfigurationError("--retries cannot be negative")
    if arguments.scheduler != "local" and "://" not in arguments.scheduler:
        raise ConfigurationError(
            f"--scheduler {arguments.scheduler}: write local, or an address such as tcp://host:8786"
        )


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = load_settings()
    return settings if arguments.retries is None else replace(settings, retries=arguments.retries)


def _batch(arguments: argparse.Namespace, query: RunQuery, settings: Settings, catalog: Catalog) -> int:
    runs = list(catalog.select(query))
    if not runs:
        _say(explain_empty(catalog, query))
        return Exit.NOTHING_SELECTED
    created = dt.datetime.now(dt.UTC).replace(microsecond=0)
    batch_id = f"{created:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    plan, options = _plan(arguments, settings, runs, batch_id, created)
    if not plan.items:
        _say(f"none of the {len(runs)} selected runs is {arguments.only}")
        return Exit.NOTHING_SELECTED
    if arguments.dry_run:
        _print_plan(plan, as_json=arguments.json)
        return Exit.DONE
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
    return _carry_out(arguments, settings, catalog, plan, batch)


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
        _say("stopping: nothing more is submitted (Ctrl-C again to leave at once)")

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _carry_out(
    arguments: argparse.Namespace, settings: Settings, catalog: Catalog, plan: Plan, batch: Batch
) -> int:
    stop = threading.Event()
    status = BatchStatus(batch.id, len(plan.items))
    catalog.put_batch(batch)
    fault: ConfigurationError | None = None
    with _stoppable(stop), show(sys.stderr) as display:
        driver = Driver(catalog, settings, status, display, settings.retries, stop, _say)
        driver.settle(plan)
        if plan.tasks:
            try:
                _run(arguments, plan, driver, _say)
            except ConfigurationError as error:
                fault = error
                driver.abandon(plan)
    report = Report.of(batch, plan, driver.outcomes, dt.datetime.now(dt.UTC), status.seconds)
    place = _keep_report(report, settings, fault)
    catalog.put_batch(replace(batch, counts=report.counts, end=report.end, report=place))
    if arguments.json:
        print(json.dumps(report.to_document(), indent=1))  # noqa: T201
    else:
        print(final_table(report))  # noqa: T201
        if place:
            print(f"report    {settings.products.url}/{place}")  # noqa: T201
    if fault:
        _say(f"error: {fault}")
        return Exit.CONFIGURATION
    if stop.is_set():
        _say("interrupted; the same command goes on where this one stopped")
        return Exit.INTERRUPTED
    return exit_for(report.counts)


def _run(arguments: argparse.Namespace, plan: Plan, driver: Driver, say: Callable[[str], None]) -> None:
    workers = arguments.workers
    if arguments.scheduler == "local" and workers is None:
        workers = min(len(plan.tasks), CPU_COUNT)
    with open_client(arguments.scheduler, workers) as client:
        say(f"{len(plan.tasks)} of {len(plan.items)} runs to process; dashboard {client.dashboard_link}")
        driver.run(client, plan)


def _keep_report(report: Report, settings: Settings, fault: ConfigurationError | None) -> str | None:
    """Store the report beside the products; a store that refuses has had its say already."""
    if fault is not None:
        return None
    try:
        return write_report(report, ProductStore.open(settings.products))
    except CovisError as error:
        _say(f"the report could not be stored: {error}")
        return None


if __name__ == "__main__":
    sys.exit(main())
