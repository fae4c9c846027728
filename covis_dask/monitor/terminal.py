"""Progress for the person at the terminal: a live panel on one, plain lines anywhere else."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from dask.utils import format_bytes
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from catalog.vocabulary import RunState
from covis_dask.batches.driver import Display
from covis_dask.batches.durations import duration
from covis_dask.batches.status import STATES, BatchStatus
from covis_dask.runs.outcome import RunOutcome

__all__ = ["panel", "show", "to_go"]

# Colours that stay apart for colour-blind eyes; the words carry the meaning all the same.
_STYLES: Mapping[str, str] = {
    RunState.DONE: "bold cyan",
    RunState.ALREADY: "cyan",
    RunState.FAILED: "bold yellow",
    RunState.QUARANTINED: "magenta",
    RunState.UNSUPPORTED: "blue",
    RunState.NOT_RUN: "dim",
}


def to_go(status: BatchStatus, seconds: float | None) -> str:
    """Say how long it will take, in the words of every view."""
    if not status.left:
        return "about to end"
    return "too early to tell" if seconds is None else f"about {duration(seconds)}"


class _Live:
    """Redraws one panel in place."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def update(self, status: BatchStatus, outcome: RunOutcome | None = None) -> None:  # noqa: ARG002
        """Draw the panel anew."""
        self._live.update(panel(status))


class _Lines:
    """One line per run that ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def update(self, status: BatchStatus, outcome: RunOutcome | None = None) -> None:
        """Print the line of a run."""
        if outcome is None:
            return
        why = f"  {outcome.kind}: {outcome.reason}" if outcome.kind else ""
        print(
            f"[{status.ended}/{status.expected}] {outcome.state:<11} {outcome.basename}"
            f"  {outcome.seconds:.1f} s{why}",
            file=self._stream,
            flush=True,
        )


def panel(status: BatchStatus) -> Group:
    """Draw a status: bar, states, rates, latest failures."""
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(ratio=1)
    bar.add_column(justify="right", no_wrap=True)
    bar.add_row(
        ProgressBar(total=max(status.expected, 1), completed=status.ended, complete_style="cyan"),
        f"{status.ended:,}/{status.expected:,} runs",
    )
    states = Text("  ").join(
        Text(f"{state} {status.counts[state]:,}", style=_STYLES[state])
        for state in STATES
        if status.counts[state]
    )
    rate = status.rate
    fields = [
        "" if status.over else f"running {status.running}",
        f"waiting to try again {status.retrying}" if status.retrying else "",
        f"{format_bytes(int(status.throughput))}/s in" if status.bytes_in else "",
        f"{format_bytes(int(status.throughput_out))}/s out" if status.bytes_out else "",
        f"{rate * 3600:,.0f} runs/h" if rate is not None and not status.over else "",
        f"{'took' if status.over else 'elapsed'} {duration(status.seconds)}",
        "" if status.over else f"to go: {to_go(status, status.eta)}",
    ]
    rows: list[object] = [Text(f"batch {status.batch}", style="bold"), bar, states]
    rows += [_modes(status)] if len(status.modes) > 1 else []
    rows.append(Text("   ".join(fact for fact in fields if fact)))
    rows += [
        Text(
            f"{outcome.state} {outcome.basename}: {outcome.reason}",
            style=_STYLES[outcome.state],
            overflow="fold",
        )
        for outcome in status.failures
    ]
    return Group(*rows)  # type: ignore[arg-type]


def _modes(status: BatchStatus) -> Table:
    """Draw progress and time to go of every family of modes."""
    table = Table.grid(padding=(0, 2))
    for family, mode in status.modes.items():
        table.add_row(
            Text(family),
            ProgressBar(total=max(mode.expected, 1), completed=mode.ended, width=24, complete_style="cyan"),
            Text(f"{mode.ended:,}/{mode.expected:,}", justify="right"),
            Text("" if mode.mean is None else f"{duration(mode.mean)} each", style="dim"),
            Text("" if not mode.left or status.over else f"to go: {to_go(status, status.eta_of(family))}"),
        )
    return table


@contextmanager
def show(stream: TextIO = sys.stderr, *, quiet: bool = False) -> Iterator[Display]:
    """Choose the display that suits the stream.

    Parameters
    ----------
    stream : text file
        A terminal gets the live panel.
    quiet : bool
        Show nothing.
    """
    if quiet:
        yield _Silent()
    elif stream.isatty():
        console = Console(file=stream)
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield _Live(live)
    else:
        yield _Lines(stream)


class _Silent:
    """Shows nothing."""

    def update(self, status: BatchStatus, outcome: RunOutcome | None = None) -> None:
        """Do nothing."""
