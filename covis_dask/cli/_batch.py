"""What the batch command shows a person at a terminal: plan, progress, final table."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dask.utils import format_bytes

from catalog.redaction import redact
from covis_dask.batches.plan import Plan
from covis_dask.batches.report import final_table
from covis_dask.batches.request import BatchRequest
from covis_dask.batches.service import (
    Ended,
    NothingSelected,
    PreparedBatch,
    Watchers,
    prepare,
    settings_for,
)
from covis_dask.cli._answer import put
from covis_dask.cli.exits import Exit, exit_for
from covis_dask.monitor.scheduler.plugin import bring_page
from covis_dask.monitor.terminal import show

__all__ = ["run"]


def run(request: BatchRequest, *, dry_run: bool, as_json: bool) -> int:
    """Run a batch; returns the exit code.

    Raises
    ------
    CovisError, CatalogError
        When nothing can be done at all.
    """
    settings = settings_for(request)
    with settings.catalog.open() as catalog:
        try:
            prepared = prepare(request, settings, catalog)
        except NothingSelected as nothing:
            _say(str(nothing))
            return Exit.NOTHING_SELECTED
        for note in prepared.plan.notes:
            _say(f"note: {note}")
        if dry_run:
            put(_plan_as_json(prepared.plan) if as_json else _plan_as_text(prepared.plan))
            return Exit.DONE
        return _carry_out(prepared, as_json=as_json)


def _say(line: str) -> None:
    """Tell the user something on standard error."""
    print(redact(line), file=sys.stderr, flush=True)


def _carry_out(prepared: PreparedBatch, *, as_json: bool) -> int:
    stop = threading.Event()
    with _stoppable(stop), show(sys.stderr) as display:
        ended = prepared.run(Watchers(display, _say, bring_page), stop)
    if as_json:
        put(json.dumps(ended.report.to_document(), indent=1))
    else:
        put(final_table(ended.report))
        if ended.report_path:
            put(f"report    {prepared.settings.products.url}/{ended.report_path}")
    return _exit(ended, stopped=stop.is_set())


def _exit(ended: Ended, *, stopped: bool) -> int:
    if ended.fault:
        _say(f"error: {ended.fault}")
        return Exit.CONFIGURATION
    if stopped:
        _say("interrupted; the same command resumes where this one stopped")
        return Exit.INTERRUPTED
    return exit_for(ended.report.counts)


@contextmanager
def _stoppable(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) stop the batch cleanly, and the second at once."""

    def handler(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        _say("stopping: no more runs are submitted (Ctrl-C again to stop at once)")

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _plan_as_json(plan: Plan) -> str:
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
    return json.dumps(document, indent=1)


def _plan_as_text(plan: Plan) -> str:
    lines = [f"{item.action:<11} {item.run.basename}  {item.reason}" for item in plan.items]
    totals = ", ".join(f"{count} {action}" for action, count in sorted(plan.counts.items()))
    unsized = f" (and {plan.unsized} of unknown size)" if plan.unsized else ""
    expected = f"EXPECTED {len(plan.items)}: {totals}; {format_bytes(plan.bytes_in)} to read{unsized}"
    return "\n".join([*lines, "", expected])
