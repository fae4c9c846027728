"""What to select: the selection words, as one value each store compiles for itself."""

import datetime as dt
import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self, TextIO

from catalog.documents import decode
from catalog.errors import DocumentError, SelectionError
from catalog.model import Run, utc
from catalog.names import UNKNOWN_MODE, families, mode_family
from catalog.patterns import Searcher, check_pattern
from catalog.reading import NEVER
from catalog.selection import Texts, fields_from_text

__all__ = ["RunQuery", "choose", "describe", "explain_empty", "matches", "matches_mode", "spans"]

_MICROSECOND = dt.timedelta(microseconds=1)
_MILLISECOND = dt.timedelta(milliseconds=1)
_EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)
_SPELLING: dict[str, Callable[[str], str]] = {
    "families": str.lower,
    "modes": str.lower,
    "sites": str.capitalize,
}
_LATEST = dt.datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs; every word narrows the choice, an empty one does not.

    Sets may be given as any iterable of their members, mode words and families in any case, and a time
    without a zone means UTC.

    Parameters
    ----------
    years, months : frozenset of int
        Of the run's start, UTC.
    start, stop : datetime, optional
        First and last moment, both included, UTC.
    families : frozenset of str
        Mode families: ``imaging``, ``doppler``, ``diffuse``, ``bathy``, ``fullimaging`` ...
        (docs/method.md#dispatch).
    modes : frozenset of str
        Exact mode words, lower case, such as ``diffuse3``; a run matches a family or a mode word.
    sites : frozenset of str
        ``Endeavour``, ``Ashes``; any case.
    basenames : frozenset of str
        Exactly these runs.
    regex : str, optional
        Python regular expression searched for in the basename.
    sample : int, optional
        So many runs, chosen reproducibly by `seed` from those that match.
    seed : int
        Seed of `sample`.
    limit : int, optional
        At most so many, the earliest first, after `sample`.

    Raises
    ------
    TypeError
        When a set is given as one string.
    SelectionError
        When a family is none, `regex` is no regular expression, or a number is below nought.
    """

    years: frozenset[int] = field(default_factory=frozenset)
    months: frozenset[int] = field(default_factory=frozenset)
    start: dt.datetime | None = None
    stop: dt.datetime | None = None
    families: frozenset[str] = field(default_factory=frozenset)
    modes: frozenset[str] = field(default_factory=frozenset)
    sites: frozenset[str] = field(default_factory=frozenset)
    basenames: frozenset[str] = field(default_factory=frozenset)
    regex: str | None = None
    sample: int | None = None
    seed: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("years", "months", "families", "modes", "sites", "basenames"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise TypeError(f"{name} takes a set of words, not one string: {{{value!r}}}")
            as_kept = _SPELLING.get(name)
            object.__setattr__(self, name, frozenset(value if as_kept is None else map(as_kept, value)))
        if strange := self.families.difference(families()):
            raise SelectionError(f"{min(strange)!r} is not a mode family: they are {', '.join(families())}")
        for name in ("start", "stop"):
            if (moment := getattr(self, name)) is not None:
                object.__setattr__(self, name, utc(moment))
        for name in ("sample", "limit"):
            if (getattr(self, name) or 0) < 0:
                raise SelectionError(f"{name} cannot be negative")
        if self.regex is not None:
            check_pattern(self.regex)

    @classmethod
    def from_text(cls, texts: Texts, stdin: TextIO | None = None) -> Self:
        """Make a query of selection words as people write them.

        Parameters
        ----------
        texts : mapping
            Selection words (`catalog.selection.SELECTION_WORDS`) to one text, several, or None:
            ``{"year": "2011-2014", "mode": ["imaging", "diffuse3"], "from_": "2014-03-01"}``.
        stdin : file, optional
            Where basenames are read from when they are said to be ``-``.

        Raises
        ------
        SelectionError
            When a word is nonsense, or words contradict each other.
        """
        query = cls(**fields_from_text(texts, stdin))
        if spans(query) == []:
            raise SelectionError("--year and --month contradict --from and --to: they have no time in common")
        return query

    @classmethod
    def from_document(cls, document: Mapping[str, Any], name: str = "the selection") -> Self:
        """Read what `to_document` wrote.

        Raises
        ------
        DocumentError
            When a word is wrong, or none we know: to pass it over would choose more runs than were meant.
        """
        if unknown := document.keys() - set(cls.__slots__):
            raise DocumentError(f"{name} cannot be read: there is no word {min(unknown)!r}")
        return decode(cls, document, name)

    def to_document(self) -> dict[str, Any]:
        """Return the words that were said, as plain JSON values."""
        document: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, frozenset):
                value = sorted(value)
            elif isinstance(value, dt.datetime):
                value = value.isoformat()
            if value not in (None, []) and not (name == "seed" and self.sample is None):
                document[name] = value
        return document


def describe(query: RunQuery) -> str:
    """Say a query in words, for a sentence: ``year 2014, mode imaging or diffuse3``."""
    parts: list[str] = []

    def some(word: str, values: Iterable[object]) -> None:
        if texts := [str(value) for value in values]:
            parts.append(f"{word} {' or '.join(texts)}")

    some("year", sorted(query.years))
    some("month", sorted(query.months))
    some("from", (query.start.isoformat(),) if query.start else ())
    some("to", (query.stop.isoformat(),) if query.stop else ())
    some("mode", (*sorted(query.families), *sorted(query.modes)))
    some("site", sorted(query.sites))
    if len(query.basenames) == 1:
        parts.append(f"basename {min(query.basenames)}")
    elif query.basenames:
        parts.append(f"one of {len(query.basenames)} basenames")
    some("regex", () if query.regex is None else (repr(query.regex),))
    some("sample", () if query.sample is None else (f"{query.sample}:{query.seed}",))
    some("limit", () if query.limit is None else (query.limit,))
    return ", ".join(parts) or "every run"


def explain_empty(query: RunQuery, years: Mapping[int, int], elsewhere: Sequence[str] = ()) -> str:
    """Say that no run matches, and what there is instead.

    Parameters
    ----------
    query : RunQuery
    years : mapping of int to int
        Runs that the catalogue holds, by year (`Catalog.years`).
    elsewhere : sequence of str
        Other places on the same server that hold runs (`Catalog.elsewhere`).
    """
    if not years and elsewhere:
        places = ", ".join(elsewhere)
        return (
            f"The catalogue has no runs here, but on the same server there are runs in {places}: let "
            "covis.catalog.database and covis.catalog.collection name the right ones."
        )
    if not years:
        return "The catalogue has no runs yet: fill it with `python -m catalog import`."
    held = ", ".join(f"{year} ({count:,})" for year, count in years.items())
    return f"No run matches {describe(query)}. The catalogue has runs from {held}."


def matches(query: RunQuery, run: Run) -> bool:
    """Say whether a run is one that `query` means, `sample` and `limit` apart.

    An unreadable run is meant unless what is known of it says otherwise.
    """
    if run.fault is not None:
        return _may_mean(query, run)
    moment = run.datetime
    return (
        (not query.years or moment.year in query.years)
        and (not query.months or moment.month in query.months)
        and (query.start is None or moment >= query.start)
        and (query.stop is None or moment <= query.stop)
        and matches_mode(query, run.mode, run.site)
        and (not query.sites or run.site.capitalize() in query.sites)
        and (not query.basenames or run.basename in query.basenames)
        and (query.regex is None or Searcher(query.regex)(run.basename))
    )


def _may_mean(query: RunQuery, run: Run) -> bool:
    """Say whether an unreadable run may be one that `query` means."""
    if run.datetime == NEVER:
        query = replace(query, years=frozenset(), months=frozenset(), start=None, stop=None)
    if run.mode == UNKNOWN_MODE:
        query = replace(query, families=frozenset(), modes=frozenset())
    if not run.site:
        query = replace(query, sites=frozenset())
    return matches(query, replace(run, fault=None))


def matches_mode(query: RunQuery, mode: str, site: str) -> bool:
    """Say whether `query` takes runs of a mode word at a site."""
    if not (query.families or query.modes):
        return True
    return mode.lower() in query.modes or mode_family(mode, site) in query.families


def choose(runs: Iterable[Run], query: RunQuery) -> Iterator[Run]:
    """Apply `regex`, then `sample`, then `limit`, to the runs that match the rest of a query.

    The sample is drawn by a hash of seed and basename: the same runs on any machine and store, and mostly
    the same ones when runs have been added in between.

    Parameters
    ----------
    runs : iterable of Run
        All that match, earliest first.

    Raises
    ------
    SelectionError
        When the regular expression takes too long.

    Yields
    ------
    Run
        Earliest first.
    """
    search = Searcher(query.regex)
    runs = (run for run in runs if search(run.basename))
    if query.sample is not None:
        drawn = heapq.nsmallest(query.sample, runs, key=lambda run: _lot(query.seed, run.basename))
        runs = sorted(drawn, key=lambda run: (run.datetime, run.basename))
    return islice(runs, query.limit)


def _lot(seed: int, basename: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{basename}".encode(), digest_size=8).digest()


def spans(query: RunQuery) -> list[tuple[dt.datetime, dt.datetime]] | None:
    """Return the spans of time that years, months (with years), start and stop leave.

    Months without years are no spans: a store checks them by themselves.

    Returns
    -------
    list of (datetime, datetime), or None
        Half-open spans, start included, to the millisecond (the precision of the stores), in order; an
        empty list when nothing can match; None when time is not bounded.
    """
    if not query.years and query.start is None and query.stop is None:
        return None
    first = _EARLIEST if query.start is None else _ceil(query.start)
    last = _LATEST if query.stop is None or query.stop >= _LATEST else _ceil(query.stop + _MICROSECOND)
    whole = [(_EARLIEST, _LATEST)]
    if query.years:
        months = sorted(query.months) or range(1, 13)
        whole = [
            (_month(year, month), _month(year, month + 1)) for year in sorted(query.years) for month in months
        ]
    cut = [(max(start, first), min(stop, last)) for start, stop in whole]
    return _joined([(start, stop) for start, stop in cut if start < stop])


def _joined(ordered: list[tuple[dt.datetime, dt.datetime]]) -> list[tuple[dt.datetime, dt.datetime]]:
    joined: list[tuple[dt.datetime, dt.datetime]] = []
    for start, stop in ordered:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, stop))
    return joined


def _month(year: int, month: int) -> dt.datetime:
    year, month = (year + 1, 1) if month == 13 else (year, month)
    return dt.datetime(year, month, 1, tzinfo=dt.UTC) if year <= 9999 else _LATEST


def _ceil(moment: dt.datetime) -> dt.datetime:
    spare = dt.timedelta(microseconds=moment.microsecond % 1000)
    return moment + (_MILLISECOND - spare) if spare else moment
