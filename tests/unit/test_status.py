"""Counts, rates and what the terminal shows of them."""

import io

from rich.console import Console

from covis_dask.batches.durations import duration
from covis_dask.batches.status import BatchStatus
from covis_dask.monitor.terminal import panel, show
from covis_dask.runs.outcome import RunOutcome


def _outcome(name: str, state: str, **more: object) -> RunOutcome:
    return RunOutcome(name, state, f"p/{name}", **more)  # type: ignore[arg-type]


def test_counts_and_eta() -> None:
    """States are counted, what is left is known, and the time to go follows the recent rate."""
    now = [0.0]
    status = BatchStatus("b", 10, clock=lambda: now[0])
    assert status.eta is None
    for number in range(4):
        now[0] += 2.0
        status.add(_outcome(str(number), "done", seconds=2.0, bytes_in=100))
    status.add(_outcome("x", "failed", kind="timeout", reason="slow"))
    assert (status.ended, status.left) == (5, 5)
    assert status.eta == 10.0
    assert status.throughput == 50.0
    assert status.kinds == {"timeout": 1}


def test_a_stream_that_is_no_terminal_gets_plain_lines() -> None:
    """Each run that ends is one line with its state, and the reason when there is one."""
    stream, status = io.StringIO(), BatchStatus("b", 2)
    with show(stream) as display:
        for outcome in (_outcome("one", "done"), _outcome("two", "failed", kind="timeout", reason="slow")):
            status.add(outcome)
            display.update(status, outcome)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("[1/2] done")
    assert "two" in second
    assert "timeout: slow" in second


def test_panel_shows_states_and_failures() -> None:
    """The live panel names every state that occurs, the rates, and the latest failures."""
    status = BatchStatus("b", 3)
    status.add(_outcome("one", "done"))
    status.add(_outcome("two", "quarantined", kind="archive-truncated", reason="cut short"))
    console = Console(file=io.StringIO(), width=100)
    console.print(panel(status))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("done 1", "quarantined 1", "2/3 runs", "two: cut short", "to go: too early to tell"):
        assert words in text


def test_durations_read_like_speech() -> None:
    """Seconds, minutes and hours are written out."""
    assert [duration(value) for value in (None, 48.2, 200, 7500)] == [
        "unknown",
        "48 s",
        "3 min 20 s",
        "2 h 05 min",
    ]
