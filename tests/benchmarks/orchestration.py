"""``python -m tests.benchmarks.orchestration``: what a run costs the driver and the scheduler.

Runs that do nothing go through plan, claim, submission, watching and recording. The scheduler lives in this
process, the workers in others, so this process's CPU time is what is asked for. Planning runs that are all
done already is timed too.
"""

import argparse
import datetime as dt
import json
import os
import resource
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from distributed import Client, LocalCluster

from catalog.model import RawFile, Run
from catalog.query import RunQuery
from catalog.store import Catalog, open_catalog
from covis_dask.config import load_settings
from covis_dask.driver import Driver
from covis_dask.engines import engine_named
from covis_dask.monitor.status import BatchStatus
from covis_dask.monitor.terminal import show
from covis_dask.plan import Plan, PlanOptions, make_plan
from covis_dask.task import RunOutcome, RunTask

__all__ = ["main", "nothing"]


def nothing(task: RunTask) -> RunOutcome:
    """Do a run that takes no time."""
    return RunOutcome(task.run.basename, "done", task.path)


def _runs(count: int) -> list[Run]:
    start = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(minutes=65 * number) for number in range(count)]
    names = [f"APLUWCOVISMBSONAR001_{moment:%Y%m%dT%H%M%S}.000Z-IMAGING" for moment in moments]
    return [
        Run(name, moment, "IMAGING", "Endeavour", (RawFile("COVIS-NAS", f"{name}.tar.gz", 500_000_000),))
        for name, moment in zip(names, moments, strict=True)
    ]


def _plan(catalog: Catalog) -> Plan:
    options = PlanOptions(
        profile="matlab", prefix="p", store="s", hosts=frozenset({"COVIS-NAS"}), host_order=()
    )
    now = dt.datetime.now(dt.UTC)
    return make_plan(catalog.select(RunQuery()), options, engine_named("native"), batch="b", created=now)


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.orchestration", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    words = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_catalog(f"sqlite:///{Path(folder)}/c.sqlite") as catalog,
    ):
        catalog.add_raw(_runs(words.runs))
        found = _measured(catalog)
    print(json.dumps({"runs": words.runs, "load": os.getloadavg()[0], **found}, indent=1))


def _measured(catalog: Catalog) -> dict[str, float]:
    start = time.process_time()
    plan = _plan(catalog)
    first = time.process_time() - start
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, Client(cluster) as client, show(quiet=True) as display:
        status = BatchStatus("b", len(plan.items))
        driver = Driver(
            catalog,
            replace(load_settings({})),
            status,
            display,
            0,
            threading.Event(),
            lambda _: None,
            nothing,
        )
        client.submit(nothing, plan.tasks[0], pure=False).result()
        before, start, wall = _memory(), time.process_time(), time.perf_counter()
        driver.run(client, plan)
        spent, elapsed, after = time.process_time() - start, time.perf_counter() - wall, _memory()
    start = time.process_time()
    again = _plan(catalog)
    return {
        "plan_s": first,
        "plan_done_s": time.process_time() - start,
        "already": again.counts["already"],
        "cpu_ms_per_run": 1000 * spent / len(plan.items),
        "runs_per_s": len(plan.items) / elapsed,
        "memory_before_mb": before,
        "memory_peak_mb": after,
    }


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
