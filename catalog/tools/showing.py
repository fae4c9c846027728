"""Commands that show what a catalogue holds: runs, counts, years, batches."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from catalog.model import to_json
from catalog.names import families, mode_family
from catalog.query import RunQuery, explain_empty
from catalog.store import Catalog
from catalog.tools.exits import Exit

__all__ = ["batches", "count", "select", "years"]


def select(catalog: Catalog, args: argparse.Namespace) -> int:
    """Print the basenames, or documents, of the matching runs."""
    empty = True
    for run in catalog.select(args.query):
        empty = False
        if run.fault is not None:
            print(f"catalog: {run.fault}", file=sys.stderr)
            continue
        print(to_json(run.to_document()) if args.json else run.basename)
    return _say_empty(catalog, args.query) if empty else Exit.DONE


def count(catalog: Catalog, args: argparse.Namespace) -> int:
    """Count the matching runs by mode."""
    if args.by_year:
        return _count_by_year(catalog, args)
    counts = catalog.count(args.query)
    total = sum(counts.values())
    if args.json:
        print(json.dumps({"modes": counts, "total": total}))
    else:
        _print_table([*counts.items(), ("total", total)])
    return Exit.DONE if total else _say_empty(catalog, args.query)


def _count_by_year(catalog: Catalog, args: argparse.Namespace) -> int:
    cells = Counter[tuple[int, str]]()
    for run in catalog.select(args.query):
        if run.fault is not None:
            print(f"catalog: {run.fault}", file=sys.stderr)
        else:
            cells[run.datetime.year, mode_family(run.mode, run.site)] += 1
    rows_of = sorted({year for year, _ in cells})
    shown = [family for family in families() if any((year, family) in cells for year in rows_of)]
    if args.json:
        print(json.dumps({year: {family: cells[year, family] for family in shown} for year in rows_of}))
    else:
        table = [(year, *(cells[year, family] for family in shown)) for year in rows_of]
        totals = ("total", *(sum(column) for column in list(zip(*table, strict=True))[1:]))
        rows = [(first, *numbers, sum(numbers)) for first, *numbers in [*table, totals]]
        _print_table([("year", *shown, "total"), *rows])
    return Exit.DONE if cells else _say_empty(catalog, args.query)


def years(catalog: Catalog, args: argparse.Namespace) -> int:
    """Count all runs by year."""
    counts = catalog.years()
    if counts:
        _print_table([*counts.items(), ("total", sum(counts.values()))])
    return Exit.DONE if counts else _say_empty(catalog, args.query)


def batches(catalog: Catalog, args: argparse.Namespace) -> int:
    """List the newest batches."""
    newest = catalog.batches(args.limit)
    for batch in newest:
        if args.json:
            print(to_json(batch.to_document()))
        else:
            counts = ", ".join(f"{count} {state}" for state, count in batch.counts.items() if count)
            ended = f"ended {batch.end:%Y-%m-%d %H:%M:%S}" if batch.end else "not ended"
            print(f"{batch.id}  began {batch.start:%Y-%m-%d %H:%M:%S}, {ended}  {counts or 'no runs yet'}")
    if not newest:
        print("catalog: no batch has been recorded yet", file=sys.stderr)
    return Exit.DONE if newest else Exit.NOTHING


def _say_empty(catalog: Catalog, query: RunQuery) -> int:
    years = catalog.years()
    print(f"catalog: {explain_empty(query, years, () if years else catalog.elsewhere())}", file=sys.stderr)
    return Exit.NOTHING


def _print_table(rows: Iterable[Sequence[object]]) -> None:
    """First column to the left, numbers to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for first, *rest in texts:
        cells = [
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
        ]
        print("  ".join(cells).rstrip())
