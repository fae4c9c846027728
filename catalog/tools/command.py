"""Command line of the run catalogue: ``python -m catalog --help``."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError, ListingError, SelectionError
from catalog.query import RunQuery
from catalog.redaction import watch_errors
from catalog.settings import locate
from catalog.store import Catalog
from catalog.tools.arguments import add_selection_arguments, selection_texts
from catalog.tools.exits import Exit, UsageError
from catalog.tools.filling import check_import, copy, import_runs
from catalog.tools.showing import batches, count, select, years

__all__ = ["main", "parser"]

Command = Callable[[Catalog, argparse.Namespace], int]

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
    watch_errors()
    args = parser(prog).parse_args(arguments)
    args.open_host = open_host
    command: Command = args.command
    try:
        args.query = (
            RunQuery.from_text(selection_texts(args), sys.stdin) if "basename" in args else RunQuery()
        )
        if command is import_runs:
            check_import(args)
        with locate(args.catalog).open() as catalog:
            code = command(catalog, args)
        sys.stdout.flush()
    except (SelectionError, UsageError) as error:
        return _complain(error, Exit.USAGE)
    except (CatalogError, ListingError) as error:
        return _complain(error, Exit.UNREADABLE)
    except BrokenPipeError:
        # Who reads our lines has enough of them; keep the interpreter from flushing into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        return _complain(
            "interrupted; what was written is kept, and the same command resumes from there", Exit.INTERRUPTED
        )
    return code


def parser(prog: str = "python -m catalog") -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(
        prog=prog,
        description="The catalogue of COVIS runs: what exists, where it is stored, what became of it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    located = argparse.ArgumentParser(add_help=False)
    located.add_argument(
        "--catalog",
        metavar="URL",
        help="sqlite:///FILE, sqlite:////ABSOLUTE or mongodb://... (see python -m catalog -h)",
    )

    def add(name: str, command: Command, text: str, *, anywhere: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            parents=[] if anywhere else [located],
            help=text,
            description=text[0].upper() + text[1:] + ".",
        )
        sub.set_defaults(command=command)
        return sub

    _describe_import(add("import", import_runs, "import runs from archive listings, or by walking a store"))
    sub = add("select", select, "print the basenames of the matching runs, one per line, earliest first")
    add_selection_arguments(sub)
    sub.add_argument("--json", action="store_true", help="print the documents, one per line")
    sub = add("count", count, "count the matching runs by mode")
    add_selection_arguments(sub)
    sub.add_argument(
        "--by-year", action="store_true", help="one row per year, one column per family of modes"
    )
    sub.add_argument("--json", action="store_true", help="print the counts as JSON")
    add("years", years, "count all runs by year")
    sub = add("batches", batches, "list the newest batches")
    sub.add_argument("--limit", type=_number, default=20, metavar="N", help="how many (20)")
    sub.add_argument("--json", action="store_true", help="print the documents, one per line")
    sub = add("copy", copy, "copy everything in one catalogue into another", anywhere=True)
    sub.add_argument(
        "catalog", metavar="FROM", help="URL of the catalogue to read, as for --catalog elsewhere"
    )
    sub.add_argument("target", metavar="TO", help="URL of the catalogue to copy into; created if missing")
    return whole


def _describe_import(sub: argparse.ArgumentParser) -> None:
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


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def _complain(error: Exception | str, code: int) -> int:
    print(f"catalog: {error}", file=sys.stderr)
    return code
