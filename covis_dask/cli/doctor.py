"""``covis doctor``: one line for each thing a batch needs, and what to do where it is red."""

import argparse
import datetime as dt
import email.utils
import importlib.metadata
import os
import platform
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from dask.system import CPU_COUNT

from catalog.errors import CatalogError
from covis_dask._version import __version__
from covis_dask.batches.stores import known_store, marked_store
from covis_dask.cli._finding import Finding
from covis_dask.cli._hosts import check_host, quick
from covis_dask.cli._places import check_kernels, check_scratch, scratch_space
from covis_dask.cli.exits import Exit
from covis_dask.config import Location, Settings, expand, load_settings, settings_faults, web_address
from covis_dask.errors import ConfigurationError, CovisError
from covis_dask.storage import ProductStore

__all__ = ["Finding", "examine", "main"]

_SCHEDULER_SECONDS = 5
_CLOCK_RED = 300.0
_CLOCK_ENOUGH = 10.0
_SHARED = ("dask", "distributed", "numpy")


def parser(prog: str = "covis doctor") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Check what a batch needs, one line each. The exit code is 1 if any line is RED.",
    )
    parser.add_argument(
        "--scheduler", default="local", metavar="ADDRESS", help="tcp://host:8786, or local (local)"
    )
    parser.add_argument(
        "--new-store",
        action="store_true",
        help="the product store was emptied or replaced on purpose: mark it as the one to use from now on",
    )
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "covis doctor") -> int:
    """Run the checks."""
    arguments = parser(prog).parse_args(argv)
    if faults := settings_faults():
        for fault in faults:
            print(Finding("configuration", "RED", fault, "covis config show"))
        return Exit.CONFIGURATION
    try:
        settings = load_settings()
    except (ConfigurationError, CatalogError) as error:
        print(Finding("configuration", "RED", str(error), "covis config show"))
        return Exit.CONFIGURATION
    red = False
    for finding in examine(settings, arguments.scheduler, new_store=arguments.new_store):
        red = red or finding.state == "RED"
        print(finding, flush=True)
    return Exit.SOME_FAILED if red else Exit.DONE


def examine(settings: Settings, scheduler: str = "local", *, new_store: bool = False) -> Iterator[Finding]:
    """Check everything, at the same time; yield findings in a fixed order.

    Parameters
    ----------
    settings : Settings
    scheduler : str
        Address, or ``local``.
    new_store : bool
        Mark the product store although batches have used one at its URL that had a mark.
    """
    checks: list[Callable[[], list[Finding]]] = [
        lambda: [Finding("versions", "ok", f"covis-dask {__version__}, Python {platform.python_version()}")],
        lambda: [_catalogue(settings)],
    ]
    seen: list[Location] = []
    for name, location in settings.hosts.items():
        if location not in seen:  # a host may be there under two spellings of its name
            seen.append(location)
            checks.append(lambda name=name, location=location: [check_host(name, location, settings)])  # type: ignore[misc]
    checks += [
        lambda: [_products(settings, new=new_store)],
        lambda: [check_scratch("scratch here", *scratch_space(settings))],
        lambda: [check_kernels()],
        lambda: [_clock(location) for location in _with_clock(settings)],
        lambda: _scheduler(scheduler, settings),
    ]
    with ThreadPoolExecutor(8, thread_name_prefix="covis-doctor") as pool:
        for future in [pool.submit(check) for check in checks]:
            yield from future.result()


def _catalogue(settings: Settings) -> Finding:
    start = time.perf_counter()
    try:
        with settings.catalog.open() as catalog:
            runs = sum(catalog.years().values())
    except CatalogError as error:
        return Finding("catalogue", "RED", str(error), "start it, or correct covis.catalog.url")
    took = f"{1000 * (time.perf_counter() - start):.0f} ms"
    if not runs:
        return Finding("catalogue", "warn", f"it has no runs ({took})", "covis catalog import --help")
    return Finding("catalogue", "ok", f"{runs:,} runs ({took})")


def _products(settings: Settings, *, new: bool) -> Finding:
    location = settings.products
    where = location.url + (f" at {location.endpoint}" if location.endpoint else "")
    try:
        store = _marked(ProductStore.open(quick(location)), settings, new=new).probed()
    except CovisError as error:
        return Finding("products", "RED", str(error), "correct covis.products, or mount its disk")
    if not store.conditional:
        return Finding(
            "products",
            "warn",
            f"{where} accepts writes, but keeps no conditions on them (If-None-Match, If-Match; locks)",
            "each batch commits its products itself, under its claims; use one catalogue for all batches",
        )
    return Finding("products", "ok", f"{where} accepts writes, including conditional ones")


def _marked(store: ProductStore, settings: Settings, *, new: bool) -> ProductStore:
    """Make sure that the store is the one that batches use; mark it if it is new, or if told to."""
    try:
        with settings.catalog.open() as catalog:
            known = known_store(catalog, store.url)
    except CatalogError:
        return store  # the catalogue has a line of its own, and only it could say what is known
    return marked_store(store, None if new else known)


def _with_clock(settings: Settings) -> Iterator[str]:
    """Choose the web addresses whose clock matters: signatures of S3 depend on it."""
    seen = set()
    for location in (settings.products, *settings.hosts.values()):
        if location.endpoint and location.endpoint not in seen:
            seen.add(location.endpoint)
            yield location.endpoint


def _clock(endpoint: str) -> Finding:
    name = "clock"
    try:
        parts = urlsplit(web_address(expand(endpoint)))
        address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        request = urllib.request.Request(address, method="HEAD")  # noqa: S310 (an S3 server's)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                said = answer.headers.get("Date")
        except urllib.error.HTTPError as error:
            with error:
                said = error.headers.get("Date")
    except (OSError, ValueError, HTTPException, ConfigurationError):
        return Finding(name, "warn", f"{endpoint} does not say what time it is")
    if not said:
        return Finding(name, "warn", f"{endpoint} does not say what time it is")
    there = email.utils.parsedate_to_datetime(said)
    # The header has whole seconds.
    return _skew(name, endpoint, (dt.datetime.now(dt.UTC) - there).total_seconds() - 0.5)


def _skew(name: str, other: str, seconds: float) -> Finding:
    text = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {other}"
    if abs(seconds) > _CLOCK_ENOUGH:
        state = "RED" if abs(seconds) > _CLOCK_RED else "warn"
        return Finding(name, state, text, "set the clock (chrony, timesyncd): signatures depend on it")
    return Finding(name, "ok", f"agrees with {other}")


def _worker_state() -> dict[str, Any]:
    """Say what a worker is; runs there."""
    states: dict[str, Any] = {
        "covis-dask": __version__,
        "python": platform.python_version(),
        "time": time.time(),
        **{name: importlib.metadata.version(name) for name in _SHARED},
    }
    try:
        settings = load_settings()
    except (ConfigurationError, CatalogError) as error:
        return {**states, "fault": str(error)}
    return {**states, "products": settings.products.url, "scratch": scratch_space(settings)}


def _scheduler(address: str, settings: Settings) -> list[Finding]:
    if address == "local":
        cores = f"{CPU_COUNT} cores of {os.uname().nodename}"
        return [Finding("scheduler", "ok", f"local: a batch makes its own cluster on {cores}")]
    from distributed import Client

    try:
        with Client(address, timeout=_SCHEDULER_SECONDS, set_as_default=False) as client:
            workers = client.scheduler_info(n_workers=-1)["workers"]
            if not workers:
                return [Finding("scheduler", "RED", f"{address} has no workers", "start some: dask worker")]
            finding = Finding(
                "scheduler", "ok", f"{address}: {len(workers)} workers, {client.dashboard_link}"
            )
            before = time.time()
            states = client.run(_worker_state, on_error="return")
            middle = (before + time.time()) / 2
            names = {key: str(worker["name"]) for key, worker in workers.items()}
            return [finding, *_workers(states, names, settings, middle)]
    except (OSError, TimeoutError, ValueError) as error:
        return [
            Finding("scheduler", "RED", f"{address} does not answer ({error})", "start it: dask scheduler")
        ]


def _workers(
    states: dict[str, Any], names: dict[str, str], settings: Settings, now: float
) -> Iterator[Finding]:
    ours = {"covis-dask": __version__, "python": platform.python_version()}
    ours |= {name: importlib.metadata.version(name) for name in _SHARED}
    for address, theirs in states.items():
        title = f"worker {names.get(address, address)}"
        if isinstance(theirs, Exception):
            what = f"it cannot run this code ({type(theirs).__name__}: {theirs})"
            yield Finding(title, "RED", what, f"install covis-dask {__version__} there")
            continue
        other = [
            f"{name} {theirs[name]} not {wanted}" for name, wanted in ours.items() if theirs[name] != wanted
        ]
        if "fault" in theirs:
            yield Finding(title, "RED", theirs["fault"], "give the worker the configuration of this machine")
        elif theirs["products"] != settings.products.url:
            yield Finding(
                title,
                "RED",
                f"it writes products to {theirs['products']}, not to {settings.products.url}",
                "give the worker the configuration of this machine",
            )
        elif other:
            state = "RED" if theirs["covis-dask"] != __version__ else "warn"
            yield Finding(title, state, ", ".join(other), "install the same versions on workers and here")
        else:
            yield Finding(title, "ok", f"covis-dask {theirs['covis-dask']}, the same versions as here")
        for finding in (
            check_scratch(f"{title}: scratch", *theirs["scratch"]) if "scratch" in theirs else None,
            _skew(f"{title}: clock", "this machine", theirs["time"] - now),
        ):
            if finding is not None and finding.state != "ok":
                yield finding


if __name__ == "__main__":
    sys.exit(main())
