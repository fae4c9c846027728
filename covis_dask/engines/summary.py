"""How the engines' products differ over many runs: the comparisons of all of them, summed by variable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["COMPARISON", "Summary", "summarise", "summary_table"]

COMPARISON = "comparison.json"
"""What ``--engine both`` leaves beside a product; see `covis_dask.engines.comparison`."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One variable over all runs of a batch.

    Parameters
    ----------
    variable : str
    runs : int
        Runs in which it could be compared.
    agreeing : int
        Those of them in which no cell differs; see `comparison.Difference.agrees`.
    cells, different : int
        Sums over the runs.
    largest_relative : float
        Largest difference of all runs, divided by the largest value of its run.
    worst : str
        The run with that difference; empty where none differs.
    not_compared : int
        Runs in which it could not be compared.
    note : str
        Why, in the first of them.
    """

    variable: str
    runs: int = 0
    agreeing: int = 0
    cells: int = 0
    different: int = 0
    largest_relative: float = 0.0
    worst: str = ""
    not_compared: int = 0
    note: str = ""


def summarise(documents: Mapping[str, Any]) -> tuple[Summary, ...]:
    """Sum the comparisons of several runs, variable by variable, in the order in which they first come.

    Parameters
    ----------
    documents : mapping
        Basename to what `comparison.to_json` wrote.
    """
    rows: dict[str, list[tuple[str, Any]]] = {}
    for basename, document in documents.items():
        for row in document["variables"]:
            rows.setdefault(str(row["variable"]), []).append((basename, row))
    return tuple(_summary(variable, of_variable) for variable, of_variable in rows.items())


def _summary(variable: str, rows: Sequence[tuple[str, Any]]) -> Summary:
    compared = [(basename, row) for basename, row in rows if not row["note"]]
    notes = [str(row["note"]) for _, row in rows if row["note"]]
    largest, worst = max(
        ((float(row["largest_relative"]), basename) for basename, row in compared), default=(0.0, "")
    )
    return Summary(
        variable,
        runs=len(compared),
        agreeing=sum(bool(row["agrees"]) for _, row in compared),
        cells=sum(int(row["cells"]) for _, row in compared),
        different=sum(int(row["different"]) for _, row in compared),
        largest_relative=largest,
        worst=worst if largest else "",
        not_compared=len(notes),
        note=notes[0] if notes else "",
    )


def summary_table(summaries: Sequence[Summary]) -> list[str]:
    """Return the summary as lines of text, one per variable."""
    lines = [f"{'variable':<36}{'runs':>6}{'agree':>7}{'cells':>12}{'different':>11}  largest difference"]
    for summary in summaries:
        if not summary.runs:
            lines.append(f"{summary.variable:<36}{'':>36}  not compared: {summary.note}")
            continue
        counts = f"{summary.runs:>6}{summary.agreeing:>7}{summary.cells:>12}{summary.different:>11}"
        where = (
            f"{summary.largest_relative:.1e} of the largest value, in {summary.worst}"
            if summary.worst
            else "none"
        )
        lines.append(f"{summary.variable:<36}{counts}  {where}")
    return lines
