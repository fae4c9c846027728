"""Command line of the run catalogue: ``python -m catalog --help``."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError
from catalog.ingest import ImportReport, ListingError, Skipped, import_listing, walk_store
from catalog.model import to_json
from catalog.names import families, mode_family
from catalog.query import RunQuery
from catalog.settings import locate
from catalog.store import Catalog
from catalog.words import SelectionError, add_selection_arguments, explain_empty, query_from_arguments

__all__ = ["main"]

_DONE, _NOTHING, _USAGE, _UNREADABLE, _INTERRUPTED = 0, 1, 2, 3, 130

_EPILOG = """\
exit codes:
  0    done
  1    nothing there: no run matches, or a listing holds no run
  2    wrong words on the command line
  3    the catalogue or a listing cannot be opened, read or written
  130  interrupted

the catalogue:
  --catalog URL, else covis.catalog.url of the configuration (DASK_COVIS__CATALOG__URL), else
  MONGODB_URL (database MONGODB_DB, collection MONGODB_RUNS_TABLE), else
  sqlite:///covis-data/catalog.sqlite.

examples:
  python -m catalog import covis_dmas_2014.json --host DMAS
  python -m catalog import covis-nas5.txt
  python -m catalog import --walk s3://covis-raw --host WASABI
  python -m catalog copy sqlite:///covis-data/catalog.sqlite 'mongodb://${USER}:${PASSWORD}@db:27017'
  python -m catalog count --year 2014
  python -m catalog select --year 2014 --mode diffuse --limit 5
"""


class _Refused(Exception):
    """Words that do not go together."""


OpenHost = Callable[[str], tuple[Any, str]]
"""Host name -> fsspec file system and root on it."""


def main(
    arguments: Sequence[str] | None = None,
    *,
    prog: str = "python -m catalog",
    open_host: OpenHost | None = None,
) -> int:
    """Run a command; return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words of the command line; those of this process by default.
    prog : str
        Name of the command, for its help.
    open_host : callable, optional
        Opens a host by its name, for ``import --walk`` without a URL. Addresses of hosts are no business of
        the catalogue; ``covis catalog`` brings them from the configuration.
    """
    args = parser(prog).parse_args(arguments)
    args.open_host = open_host
    command: Callable[[Catalog, argparse.Namespace], int] = args.command
    try:
        args.query = query_from_arguments(args) if "basename" in args else RunQuery()
        if command is _import:
            _check_import(args)
        with locate(args.catalog).open() as catalog:
            code = command(catalog, args)
        sys.stdout.flush()
    except (SelectionError, _Refused) as error:
        return _complain(error, _USAGE)
    except (CatalogError, ListingError) as error:
        return _complain(error, _UNREADABLE)
    except BrokenPipeError:
        # Who reads our lines has enough of them; keep the interpreter from flushing into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _DONE
    except KeyboardInterrupt:
        return _complain(
            "interrupted; what was written stays, the same command goes on from there", _INTERRUPTED
        )
    return code


def parser(prog: str = "python -m catalog") -> argparse.ArgumentParser:
    """Describe the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--catalog",
        metavar="URL",
        help="sqlite:///FILE, sqlite:////ABSOLUTE or mongodb://... (see python -m catalog -h)",
    )
    it = argparse.ArgumentParser(
        prog=prog,
        description="The catalogue of COVIS runs: what there is, where it lies, what became of it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = it.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str,
        command: Callable[[Catalog, argparse.Namespace], int],
        text: str,
        parents: Sequence[argparse.ArgumentParser] = (common,),
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, parents=parents, help=text, description=text[0].upper() + text[1:] + "."
        )
        sub.set_defaults(command=command)
        return sub

    sub = add("import", _import, "take runs from listings of the archives, or from a walk over a store")
    sub.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="JSON list of ONC, NAS listing or CSV metadata report",
    )
    sub.add_argument(
        "--host",
        help="host that holds the files: COVIS-NAS, OLD-COVIS-NAS1..6, WASABI, DMAS or a name of your own. A "
        "NAS listing knows its host; a metadata report without one makes runs without raw files",
    )
    sub.add_argument(
        "--walk",
        metavar="URL",
        nargs="?",
        const="",
        help="list the archives below this folder or bucket instead: a path, s3://... or any URL that fsspec "
        "opens (keys and endpoints come from its own configuration). Without URL: the host as it is "
        "configured (covis catalog only)",
    )
    sub = add("select", _select, "print the basenames of the matching runs, one a line, earliest first")
    add_selection_arguments(sub)
    sub.add_argument("--json", action="store_true", help="print the documents, one a line")
    sub = add("count", _count, "count the matching runs by mode")
    add_selection_arguments(sub)
    sub.add_argument(
        "--by-year", action="store_true", help="one row per year, one column per family of modes"
    )
    sub.add_argument("--json", action="store_true", help="print the counts as JSON")
    add("years", _years, "count all runs by year")
    sub = add("batches", _batches, "list the newest batches")
    sub.add_argument("--limit", type=_number, default=20, metavar="N", help="how many (20)")
    sub.add_argument("--json", action="store_true", help="print the documents, one a line")
    sub = add("copy", _copy, "add everything that one catalogue knows to another", parents=[])
    sub.add_argument(
        "catalog", metavar="FROM", help="URL of the catalogue to read, as for --catalog elsewhere"
    )
    sub.add_argument("target", metavar="TO", help="URL of the catalogue to add to; made when missing")
    return it


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _complain(error: Exception | str, code: int) -> int:
    print(f"catalog: {error}", file=sys.stderr)
    return code


def _check_import(args: argparse.Namespace) -> None:
    if bool(args.files) == (args.walk is not None):
        raise _Refused("import takes either listings (FILE) or a store (--walk URL)")
    if args.walk is not None and args.host is None:
        raise _Refused("--walk needs --host: the name under which the catalogue shall know this store")
    if args.walk == "" and args.open_host is None:
        raise _Refused(
            "--walk without a URL asks the configuration where the host is: use `covis catalog import --walk "
            f"--host {args.host}`"
        )


def _import(catalog: Catalog, args: argparse.Namespace) -> int:
    found = False
    for source in args.files or [args.walk]:
        report = import_listing(source, args.host) if args.walk is None else _walk(args)
        new, changed = catalog.add_raw(report.runs)
        found = found or bool(report.runs)
        _print_import(str(source) or args.host, report, new, changed)
    return _DONE if found else _NOTHING


def _walk(args: argparse.Namespace) -> ImportReport:
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(args.walk) if args.walk else args.open_host(args.host)
    except (ImportError, OSError, ValueError) as error:
        raise ListingError(f"{args.walk or args.host!r} cannot be walked: {error}") from error
    return walk_store(fs, root, args.host)


def _copy(catalog: Catalog, args: argparse.Namespace) -> int:
    from catalog.copying import copy_catalog

    with locate(args.target).open() as target:
        done = copy_catalog(catalog, target)
    print(
        f"{done.runs:,} runs: {done.new:,} new, {done.changed:,} changed; {done.products:,} outcomes, "
        f"{done.batches:,} batches copied"
    )
    return _DONE if done.runs else _NOTHING


def _print_import(source: str, report: ImportReport, new: int, changed: int) -> None:
    hosts = sorted({file.host for run in report.runs for file in run.raw})
    where = f" on {', '.join(hosts)}" if hosts else ""
    print(f"{source} ({report.kind}): {report.entries:,} entries, {len(report.runs):,} runs{where}")
    if report.runs and not new and not changed:
        print("  nothing changed: the catalogue knew all of it")
    else:
        print(f"  {new:,} new, {changed:,} changed, {len(report.runs) - new - changed:,} unchanged")
    _print_sorts("left out", report.skipped)
    _print_sorts("taken, but with a faulty name", report.faulty)


def _print_sorts(what: str, sorts: Any) -> None:
    sort: Skipped
    for reason, sort in sorts.items():
        print(f"  {what}: {sort.count:,} {reason}, such as {sort.examples[0]}")


def _select(catalog: Catalog, args: argparse.Namespace) -> int:
    empty = True
    for run in catalog.select(args.query):
        empty = False
        print(to_json(run.to_document()) if args.json else run.basename)
    return _say_empty(catalog, args.query) if empty else _DONE


def _count(catalog: Catalog, args: argparse.Namespace) -> int:
    if args.by_year:
        return _count_by_year(catalog, args)
    counts = catalog.count(args.query)
    total = sum(counts.values())
    if args.json:
        print(json.dumps({"modes": counts, "total": total}))
    else:
        _print_table([*counts.items(), ("total", total)])
    return _DONE if total else _say_empty(catalog, args.query)


def _count_by_year(catalog: Catalog, args: argparse.Namespace) -> int:
    cells = Counter(
        (run.datetime.year, mode_family(run.mode, run.site)) for run in catalog.select(args.query)
    )
    years = sorted({year for year, _ in cells})
    shown = [family for family in families() if any((year, family) in cells for year in years)]
    if args.json:
        print(json.dumps({year: {family: cells[year, family] for family in shown} for year in years}))
    else:
        table = [(year, *(cells[year, family] for family in shown)) for year in years]
        totals = ("total", *(sum(column) for column in list(zip(*table, strict=True))[1:]))
        rows = [(first, *numbers, sum(numbers)) for first, *numbers in [*table, totals]]
        _print_table([("year", *shown, "total"), *rows])
    return _DONE if cells else _say_empty(catalog, args.query)


def _years(catalog: Catalog, args: argparse.Namespace) -> int:
    years = catalog.years()
    if years:
        _print_table([*years.items(), ("total", sum(years.values()))])
    return _DONE if years else _say_empty(catalog, args.query)


def _batches(catalog: Catalog, args: argparse.Namespace) -> int:
    batches = catalog.batches(args.limit)
    for batch in batches:
        if args.json:
            print(to_json(batch.to_document()))
        else:
            counts = ", ".join(f"{count} {state}" for state, count in batch.counts.items() if count)
            ended = f"ended {batch.end:%Y-%m-%d %H:%M:%S}" if batch.end else "not ended"
            print(f"{batch.id}  began {batch.start:%Y-%m-%d %H:%M:%S}, {ended}  {counts or 'no runs yet'}")
    if not batches:
        print("catalog: no batch has been recorded", file=sys.stderr)
    return _DONE if batches else _NOTHING


def _say_empty(catalog: Catalog, query: RunQuery) -> int:
    print(f"catalog: {explain_empty(catalog, query)}", file=sys.stderr)
    return _NOTHING


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


if __name__ == "__main__":
    sys.exit(main())
