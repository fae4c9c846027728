"""The selection words as options of a command line, for every command that selects runs."""

import argparse

from catalog.names import families
from catalog.selection import SELECTION_WORDS

__all__ = ["add_selection_arguments", "selection_texts"]


def add_selection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the selection words to a command, as a group of their own.

    What was said is turned into a query by ``RunQuery.from_text(selection_texts(arguments))``.
    """
    group = parser.add_argument_group(
        "which runs", "Every option narrows the selection. Repeat one, or use commas, for several values."
    )
    add = group.add_argument
    add("--year", action="append", metavar="Y", help="year of the start, UTC: 2014, 2011-2014, 2011,2013")
    add("--month", action="append", metavar="M", help="month of the start: 3, 6-8, 1,12")
    add(
        "--from",
        dest="from_",
        metavar="WHEN",
        help="first day or time, included: 2014-03-01, 2014-03-01T12:00 (UTC)",
    )
    add("--to", metavar="WHEN", help="last day (all of it) or time, included")
    add(
        "--mode",
        action="append",
        metavar="MODE",
        help=f"family of modes ({', '.join(families())}) or exact mode word (diffuse3); any case",
    )
    add("--site", action="append", metavar="SITE", help="Endeavour (to 2015) or Ashes (from 2018); any case")
    add(
        "--basename",
        action="append",
        metavar="NAME",
        help="this run, by basename or archive file name. @FILE reads names from a file, one per line, "
        "- from standard input",
    )
    add("--regex", metavar="RE", help="runs whose basename matches this Python regular expression anywhere")
    add(
        "--sample",
        metavar="N[:SEED]",
        help="N of the matching runs at random, reproducible for the same SEED (0)",
    )
    add("--limit", metavar="N", help="at most N runs, earliest first, applied after --sample")


def selection_texts(arguments: argparse.Namespace) -> dict[str, list[str] | str | None]:
    """Return what was said of each selection word, for `RunQuery.from_text`."""
    return {word: getattr(arguments, word) for word in SELECTION_WORDS}
