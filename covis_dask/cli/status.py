"""``covis status``: batches and their states by the catalogue, and what runs where since when."""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from catalog.model import Batch
from covis_dask.batches.durations import duration
from covis_dask.batches.history import History, batch_attributes
from covis_dask.batches.status import ABANDONED, LOST, STATES
from covis_dask.cli._answer import answered, put
from covis_dask.monitor.scheduler.client import SchedulerClient
from covis_dask.monitor.terminal import panel

__all__ = ["main", "parser"]


def parser(prog: str = "python -m covis_dask.cli.status") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description="List the batches in the catalogue, and what their workers are doing."
    )
    parser.add_argument("batch", nargs="?", help="show only this batch; the beginning of its name is enough")
    parser.add_argument(
        "--limit", type=int, default=10, metavar="N", help="number of batches, newest first (10)"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="ask this scheduler too: tcp://host:8786")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.status") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)
    return answered(lambda: _one(arguments) if arguments.batch else _all(arguments))


def _one(arguments: argparse.Namespace) -> int:
    history = History.here()
    batch = history.batch(arguments.batch)
    address = arguments.scheduler or batch.settings.get("scheduler")
    live = SchedulerClient(str(address)).snapshot(batch.id) if address and not batch.end else None
    status = live or history.status(batch)
    if not status.over and live is None and history.endings([batch])[batch.id] == ABANDONED:
        status.finish(ABANDONED)
        status.end = None
    if arguments.json:
        put(json.dumps(status.to_document(), indent=1))
    else:
        console = Console()
        console.print(panel(status))
        if batch.report:
            console.print(f"report    {batch.settings.get('store')}/{batch.report}", soft_wrap=True)
    return 0


def _all(arguments: argparse.Namespace) -> int:
    history = History.here()
    batches = history.batches(arguments.limit)
    going_on = [batch for batch in batches if batch.end is None]
    known = [str(batch.settings["scheduler"]) for batch in going_on if batch.settings.get("scheduler")]
    addresses = dict.fromkeys([*([arguments.scheduler] if arguments.scheduler else []), *known])
    boards = {address: SchedulerClient(address).status() for address in addresses}
    live = {
        entry["batch"]: entry for board in boards.values() if board is not None for entry in board["batches"]
    }
    # What was killed could not say so, but its lease tells; a scheduler has only lost sight of it.
    told = {name: str(entry["state"]) for name, entry in live.items() if entry["state"] != LOST}
    states = {**told, **history.endings(batch for batch in batches if batch.id not in told)}
    workers = [worker for board in boards.values() if board is not None for worker in board["workers"]]
    if arguments.json:
        document = {
            "batches": [_document(batch, states[batch.id], live.get(batch.id)) for batch in batches],
            "workers": workers,
        }
        put(json.dumps(document, indent=1))
        return 0
    if not batches:
        put("the catalogue has no batch yet")
    console = Console(width=None if sys.stdout.isatty() else 160)
    if batches:
        console.print(_table(batches, states, live))
    if workers:
        console.print(_work(workers))
    silent = [address for address, board in boards.items() if board is None]
    for address in silent:
        put(f"no scheduler with the COVIS plugin answers at {address}")
    return 0


def _document(batch: Batch, state: str, live: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "batch": batch.id,
        "state": state,
        "start": batch.start.isoformat(),
        "end": batch.end.isoformat() if batch.end else None,
        "counts": dict(live["counts"] if live else batch.counts),
        "selection": batch_attributes(batch)["selection"],
        "report": batch.report,
    }


def _table(
    batches: Iterable[Batch], states: Mapping[str, str], live: Mapping[str, Mapping[str, Any]]
) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("batch", "started (UTC)", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("took", "runs", *STATES):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("selection")
    for batch in batches:
        entry = live.get(batch.id)
        counts = entry["counts"] if entry else batch.counts
        took = (batch.end - batch.start).total_seconds() if batch.end else (entry or {}).get("seconds")
        # The counts of a batch that has not ended, or was abandoned, are not all of its runs.
        is_whole = batch.end is not None and batch.ending != ABANDONED
        expected = entry["expected"] if entry else sum(batch.counts.values()) if is_whole else 0
        table.add_row(
            batch.id,
            f"{batch.start.astimezone(dt.UTC):%Y-%m-%d %H:%M}",
            states[batch.id],
            duration(took) if took is not None else "",
            str(expected or ""),
            *(str(counts.get(state, 0) or "") for state in STATES),
            str(batch_attributes(batch)["selection"]),
        )
    return table


def _work(workers: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, title_justify="left")
    for name in ("worker", "host", "run", "stage", "pings", "for"):
        table.add_column(name, no_wrap=True)
    for worker in workers:
        pings = f"{worker['pings_done']}/{worker['pings_total']}" if worker["pings_total"] else ""
        table.add_row(
            worker["name"],
            worker["host"],
            worker["run"] or "waits for work",
            worker["stage"] or "",
            pings,
            duration(worker["seconds"]),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
