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
        "which runs", "Every word narrows the choice. Repeat a word, or use commas, to allow several values."
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
    add("--to", metavar="WHEN", help="last day (the whole of it) or time, included")
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
        help="exactly this run; an archive's file name will do. @FILE takes the names in a file, one a line, "
        "- those on standard input",
    )
    add("--regex", metavar="RE", help="runs in whose basename this Python regular expression is found")
    add(
        "--sample",
        metavar="N[:SEED]",
        help="N of the matching runs at random, the same for the same SEED (0)",
    )
    add("--limit", metavar="N", help="at most N runs, the earliest, after --sample")


def selection_texts(arguments: argparse.Namespace) -> dict[str, list[str] | str | None]:
    """Return what was said of each selection word, for `RunQuery.from_text`."""
    return {word: getattr(arguments, word) for word in SELECTION_WORDS}
