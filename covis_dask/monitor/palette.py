"""Colours that stay apart for colour-blind eyes (Okabe and Ito); words carry the meaning all the same."""

from collections.abc import Mapping

from catalog.vocabulary import RunState

__all__ = ["COLORS", "EDGE", "INK", "WAITING", "WRITTEN", "parts"]

COLORS: Mapping[str, str] = {
    RunState.DONE: "#0072b2",
    RunState.ALREADY: "#56b4e9",
    RunState.FAILED: "#d55e00",
    RunState.QUARANTINED: "#cc79a7",
    RunState.UNSUPPORTED: "#999999",
    RunState.NOT_RUN: "#dddddd",
}
"""By the state of a run."""

WAITING = "#ffffff"
"""A run that has no state yet."""

INK = "#1b2733"

EDGE = "#c5ced6"
"""Around a cell, so that an empty one is seen."""

WRITTEN = "#009e73"
"""What goes out, beside what comes in (the colour of ``done``)."""

_TROUBLE = (RunState.FAILED, RunState.QUARANTINED, RunState.UNSUPPORTED, RunState.NOT_RUN)


def parts(counts: Mapping[str, int]) -> tuple[tuple[float, str], ...]:
    """Divide a cell of a calendar by the states of its runs.

    Parameters
    ----------
    counts : mapping of str to int
        Runs by state; those without one are under the empty word.

    Returns
    -------
    tuple of (float, str)
        Share and colour, from below: what is done, what went wrong (the worst gives the colour), what waits.
    """
    total = max(1, sum(counts.values()))
    wrong = sum(counts.get(state, 0) for state in _TROUBLE)
    good = counts.get(RunState.DONE, 0) + counts.get(RunState.ALREADY, 0)
    worst = next((state for state in _TROUBLE if counts.get(state, 0)), RunState.FAILED)
    return (
        (good / total, COLORS[RunState.DONE if counts.get(RunState.DONE, 0) else RunState.ALREADY]),
        (wrong / total, COLORS[worst]),
        ((sum(counts.values()) - good - wrong) / total, WAITING),
    )
