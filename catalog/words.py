"""The selection words of the command line, for every command that selects runs.

See docs/method.md#selection-words.
"""

import argparse
import datetime as dt
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from catalog.errors import BadName, SelectionError
from catalog.model import utc
from catalog.names import UNKNOWN_MODE, basename_of, families, mode_family, parse_basename
from catalog.query import RunQuery, describe, spans
from catalog.store import Catalog
from catalog.vocabulary import Family, Site

__all__ = ["SelectionError", "add_selection_arguments", "explain_empty", "query_from_arguments"]

_LAST_MOMENT = dt.time(23, 59, 59, 999999)


def add_selection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the selection words to a command, as a group of their own.

    What was said is turned into a query by `query_from_arguments`.
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


def query_from_arguments(args: argparse.Namespace, stdin: TextIO | None = None) -> RunQuery:
    """Turn what was said into a query.

    Parameters
    ----------
    args : argparse.Namespace
        Of a parser with `add_selection_arguments`.
    stdin : file, optional
        Read for ``--basename -``; standard input by default.

    Raises
    ------
    SelectionError
        When a word is nonsense, or words contradict each other.
    """
    start = None if args.from_ is None else _moment(args.from_, "--from", dt.time.min)
    stop = None if args.to is None else _moment(args.to, "--to", _LAST_MOMENT)
    if start is not None and stop is not None and start > stop:
        raise SelectionError(f"--from {args.from_} is later than --to {args.to}: nothing lies between them")
    words = [word.lower() for word in _split(args.mode, "--mode")]
    for word in words:
        _check_mode(word)
    sample, seed = (None, 0) if args.sample is None else _sample(args.sample)
    query = RunQuery(
        years=_numbers(args.year, "--year", 1990, 2199),
        months=_numbers(args.month, "--month", 1, 12),
        start=start,
        stop=stop,
        families=frozenset(
            Family.UNKNOWN if word == UNKNOWN_MODE else word for word in words if _is_family(word)
        ),
        modes=frozenset(word for word in words if not _is_family(word)),
        sites=frozenset(_site(word) for word in _split(args.site, "--site")),
        basenames=frozenset() if args.basename is None else _basenames(args.basename, stdin or sys.stdin),
        regex=None if args.regex is None else _regex(args.regex),
        sample=sample,
        seed=seed,
        limit=None if args.limit is None else _count(args.limit, "--limit"),
    )
    if spans(query) == []:
        raise SelectionError("--year and --month contradict --from and --to: no moment is in all of them")
    return query


def explain_empty(catalog: Catalog, query: RunQuery) -> str:
    """Say that no run matches, and what there is instead."""
    years = catalog.years()
    if not years:
        return "The catalogue holds no runs yet: fill it with `python -m catalog import`."
    held = ", ".join(f"{year} ({count:,})" for year, count in years.items())
    return f"No run matches {describe(query)}. The catalogue holds runs of {held}."


def _split(texts: Iterable[str] | None, word: str) -> Iterator[str]:
    for text in texts or ():
        for part in text.split(","):
            if not part.strip():
                raise SelectionError(f"{word} {text!r} has an empty value")
            yield part.strip()


def _numbers(texts: Iterable[str] | None, word: str, low: int, high: int) -> frozenset[int]:
    numbers: set[int] = set()
    for part in _split(texts, word):
        found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part, re.ASCII)
        if found is None:
            raise SelectionError(
                f"{word} {part!r} is neither a number nor a range: say {low} or {low}-{low + 3}"
            )
        first, last = int(found[1]), int(found[2] or found[1])
        for number in (first, last):
            if not low <= number <= high:
                raise SelectionError(f"{word} {number} cannot be: it goes from {low} to {high}")
        if first > last:
            raise SelectionError(
                f"{word} {part} runs backwards: say {last}-{first}, or list the values with commas"
            )
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def _moment(text: str, word: str, time_of_day: dt.time) -> dt.datetime:
    """Read a moment: a bare date means its first or last one, a time without a zone UTC."""
    text = text.strip()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{8}", text, re.ASCII):
            return dt.datetime.combine(dt.date.fromisoformat(text), time_of_day, dt.UTC)
        if re.match(r"\d{4}-?\d{2}-?\d{2}[T ]", text, re.ASCII):
            return utc(text)
        reason = ""
    except (ValueError, OverflowError) as error:
        reason = f" ({error})"
    raise SelectionError(
        f"{word} {text!r} is no date or time{reason}: say 2014-03-01 or 2014-03-01T12:00 (UTC)"
    )


def _is_family(word: str) -> bool:
    return word in families() or word == UNKNOWN_MODE


def _check_mode(word: str) -> None:
    """Refuse a word that no site gives a family: it is a slip of the pen."""
    if not _is_family(word) and all(mode_family(word, site) == Family.UNKNOWN for site in Site):
        raise SelectionError(
            f"--mode {word!r} is no mode: families are {', '.join(families())}; exact words diffuse3 ..."
        )


def _site(word: str) -> str:
    site = word.capitalize()
    if site not in set(Site):
        raise SelectionError(f"--site {word!r} is none: sites are {' and '.join(Site)}")
    return site


def _basenames(texts: Iterable[str], stdin: TextIO) -> frozenset[str]:
    names: set[str] = set()
    for text in texts:
        if text == "-":
            found = _listed(stdin.read(), "on standard input")
        elif text.startswith("@"):
            try:
                found = _listed(Path(text[1:]).read_text(encoding="utf-8"), f"in {text[1:]}")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                raise SelectionError(f"--basename {text}: the file cannot be read: {reason}") from error
        else:
            found = {_basename(text)}
        names |= found
    return frozenset(names)


def _listed(text: str, where: str) -> set[str]:
    """Read a list of names; an empty one must not come to mean every run."""
    lines = [line.strip() for line in text.splitlines()]
    names = {_basename(line) for line in lines if line and not line.startswith("#")}
    if not names:
        raise SelectionError(f"--basename: there is no name {where}")
    return names


def _basename(text: str) -> str:
    name = basename_of(text.strip().rstrip("/"))
    try:
        return parse_basename(name).basename
    except BadName as error:
        raise SelectionError(f"--basename: {error}") from error


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise SelectionError(f"--regex {text!r} is no regular expression: {error}") from error
    return text


def _sample(text: str) -> tuple[int, int]:
    number, colon, seed = text.partition(":")
    if colon and not re.fullmatch(r"-?\d+", seed, re.ASCII):
        raise SelectionError(f"--sample {text!r}: the seed after ':' is a whole number, as in 100:7")
    return _count(number, "--sample"), int(seed or 0)


def _count(text: str, word: str) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII) or int(text) == 0:
        raise SelectionError(f"{word} {text!r} is no number of runs: say 1 or more")
    return int(text)
