"""``python -m tests.benchmarks.orchestration``: what a run costs the driver and the scheduler.

Runs that do nothing go the way of real ones: plan, claim, submission, watching, recording, report. The
scheduler lives in this process, status page included, and the workers in others, so this process's CPU time
is what is asked for. Its memory is looked at along the way. Planning runs that are all done already is timed
too.
"""

import argparse
import datetime as dt
import gc
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dask.config
import psutil  # type: ignore[import-untyped]  # comes with Dask

from catalog.model import RawFile, Run
from catalog.query import RunQuery
from catalog.store import Catalog, open_catalog
from covis_dask.batches.job import Finished
from covis_dask.batches.processing import PostProcessing
from covis_dask.batches.request import BatchRequest, ClusterSpec
from covis_dask.batches.service import PreparedBatch, Watchers, prepare
from covis_dask.batches.status import BatchStatus
from covis_dask.config import Settings, load_settings
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask

__all__ = ["main", "nothing"]

_SAMPLES = 5


def nothing(task: RunTask) -> RunOutcome:
    """Do a run that takes no time."""
    return RunOutcome(task.run.basename, "done", task.path, host="COVIS-NAS", bytes_in=500_000_000)


def _runs(count: int) -> list[Run]:
    start = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(minutes=65 * number) for number in range(count)]
    names = [f"APLUWCOVISMBSONAR001_{moment:%Y%m%dT%H%M%S}.000Z-IMAGING" for moment in moments]
    return [
        Run(name, moment, "IMAGING", "Endeavour", (RawFile("COVIS-NAS", f"{name}.tar.gz", 500_000_000),))
        for name, moment in zip(names, moments, strict=True)
    ]


def _resident() -> float:
    """Resident memory of this process, MB."""
    return float(psutil.Process().memory_info().rss) / 1e6


@dataclass(slots=True)
class _Sampler:
    """A display that shows nothing, and notes the memory each time so many runs have ended.

    Parameters
    ----------
    every : int
        Runs.
    """

    every: int
    memory: list[tuple[int, float]] = field(default_factory=list)
    most_flying: int = 0

    def update(self, status: BatchStatus, outcome: RunOutcome | None = None) -> None:  # noqa: ARG002
        """Look at the status."""
        self.most_flying = max(self.most_flying, status.running)
        due = self.memory[-1][0] + self.every if self.memory else 0
        if status.ended >= due:
            gc.collect()
            self.memory.append((due, _resident()))


def main(argv: list[str] | None = None) -> None:
    """Measure, and print one line of JSON."""
    words = argparse.ArgumentParser(prog="python -m tests.benchmarks.orchestration", description=__doc__)
    words.add_argument("--runs", type=int, default=10_000)
    words.add_argument("--done", type=int, default=8_020, help="finished runs to plan for")
    chosen = words.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        with dask.config.set(_places(Path(folder))), load_settings({}).catalog.open() as catalog:
            catalog.add_raw(_runs(chosen.runs))
            found = _carried_out(catalog, chosen.runs)
        with open_catalog(f"sqlite:///{folder}/done.sqlite") as catalog:
            found |= _planned(catalog, chosen.done)
    print(json.dumps({"runs": chosen.runs, "load": os.getloadavg()[0], **found}))


def _places(folder: Path) -> dict[str, Any]:
    return {
        "covis.catalog.url": f"sqlite:///{folder}/catalog.sqlite",
        "covis.products": {"url": str(folder / "products")},
        "covis.ancillary": {"url": str(folder / "ancillary")},
    }


def _carried_out(catalog: Catalog, count: int) -> dict[str, Any]:
    request = BatchRequest(query=RunQuery(years=frozenset({2014, 2015})), cluster=ClusterSpec(workers=2))
    settings = replace(load_settings({}), retries=0)
    start = time.process_time()
    prepared = _with_nothing_to_do(prepare(request, settings, catalog))
    planned = time.process_time() - start
    sampler = _Sampler(max(1, count // _SAMPLES))
    start, wall = time.process_time(), time.perf_counter()
    ended = prepared.run(Watchers(sampler, lambda _: None), threading.Event())
    spent, elapsed = time.process_time() - start, time.perf_counter() - wall
    if ended.report.counts["done"] != count:
        raise SystemExit(f"not all of the {count} runs were done: {ended.report.counts}")
    return {
        "plan_s": planned,
        "cpu_ms_per_run": 1000 * spent / count,
        "runs_per_s": count / elapsed,
        "most_flying": sampler.most_flying,
        "window": 2 * settings.window,
        "memory_mb": sampler.memory,
    }


def _with_nothing_to_do(prepared: PreparedBatch) -> PreparedBatch:
    """Return the batch with runs that take no time."""
    assert isinstance(prepared.job, PostProcessing)
    return replace(prepared, job=replace(prepared.job, work=nothing))


def _planned(catalog: Catalog, count: int) -> dict[str, Any]:
    """Time the plan of runs that are all done."""
    settings: Settings = replace(load_settings({}))
    catalog.add_raw(_runs(count))
    request = BatchRequest(query=RunQuery(years=frozenset({2014, 2015})))
    first, now = prepare(request, settings, catalog), dt.datetime.now(dt.UTC)
    tasks = [task for task in first.plan.tasks if isinstance(task, RunTask)]
    first.job.record(catalog, [Finished(task, nothing(task), now) for task in tasks])
    start = time.process_time()
    again = prepare(request, settings, catalog)
    return {
        "plan_done_s": time.process_time() - start,
        "plan_done_runs": count,
        "already": again.plan.counts["already"],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
