"""Runs by day and mode: the calendar behind every picture of a selection."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from catalog.names import BadName, mode_family, parse_basename
from catalog.vocabulary import RunState

__all__ = ["STATES", "TROUBLE", "Calendar", "Cell", "place_of"]

STATES = tuple(map(str, RunState))
"""States a selected run can end in; their counts add up to the number selected."""

TROUBLE = (*STATES[2:], "", *STATES[:2])
"""States in the order in which a person wants to hear of them; the empty one is a run that has none yet."""

_NO_DAY = dt.date(1970, 1, 1)


def place_of(basename: str) -> tuple[dt.date, str]:
    """Return day and family of modes of a run, by its name; 1970 and ``unknown`` for no name of ours."""
    try:
        name = parse_basename(basename)
    except BadName:
        return _NO_DAY, "unknown"
    return name.datetime.date(), mode_family(name.mode, name.site)


@dataclass(slots=True)
class Cell:
    """The runs of one mode on one day.

    Parameters
    ----------
    runs : dict
        State by basename; empty while a run has none.
    version : int
        Of the calendar, when this cell last changed.
    """

    runs: dict[str, str] = field(default_factory=dict)
    version: int = 0

    @property
    def counts(self) -> Counter[str]:
        """Runs by state; those without one are under the empty word."""
        return Counter(self.runs.values())

    def by_trouble(self) -> list[tuple[str, str]]:
        """Return (basename, state), what went wrong first."""
        return sorted(self.runs.items(), key=lambda run: (TROUBLE.index(run[1]), run[0]))


@dataclass(slots=True)
class _Month:
    """Runs of a month by state, and the calendar's version when they last changed."""

    counts: Counter[str] = field(default_factory=Counter)
    version: int = 0


@dataclass(slots=True)
class _Year:
    """Cells and months of a year, and the calendar's version when they last changed."""

    cells: dict[tuple[dt.date, str], Cell] = field(default_factory=dict)
    months: dict[int, _Month] = field(default_factory=dict)
    version: int = 0


@dataclass(slots=True)
class Calendar:
    """Cells by day and family of modes.

    Parameters
    ----------
    version : int
        Grows with every change, so that a view need only look at what is new.
    """

    version: int = 0
    _years: dict[int, _Year] = field(default_factory=dict)
    _where: dict[str, tuple[dt.date, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._where)

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def put(self, runs: Iterable[tuple[str, str]]) -> None:
        """Add runs, or give those that are there a new state.

        Parameters
        ----------
        runs : iterable of (str, str)
            Basename and state (empty: none yet).
        """
        self.version += 1
        for basename, state in runs:
            where = self._where.get(basename)
            if where is None:
                where = self._where[basename] = place_of(basename)
            day, _ = where
            year = self._years.setdefault(day.year, _Year())
            cell = year.cells.setdefault(where, Cell())
            month = year.months.setdefault(day.month, _Month())
            if basename in cell.runs:
                month.counts[cell.runs[basename]] -= 1
            month.counts[state] += 1
            cell.runs[basename] = state
            cell.version = month.version = year.version = self.version

    def family(self, basename: str) -> str:
        """Return the family of modes of a run."""
        return (self._where.get(basename) or place_of(basename))[1]

    def where(self, basename: str) -> tuple[dt.date, str] | None:
        """Return day and family of a run, or None for one that is not in the calendar."""
        return self._where.get(basename)

    def cell(self, day: dt.date, family: str) -> Cell | None:
        """Return the runs of a mode on a day."""
        year = self._years.get(day.year)
        return None if year is None else year.cells.get((day, family))

    def year(self, year: int, newer_than: int = -1) -> Iterator[tuple[dt.date, str, Cell]]:
        """Yield the cells of a year that have changed after a version."""
        entry = self._years.get(year)
        if entry is None or entry.version <= newer_than:
            return
        for (day, family), cell in entry.cells.items():
            if cell.version > newer_than:
                yield day, family, cell

    def months(self, newer_than: int = -1) -> Iterator[tuple[int, int, Counter[str]]]:
        """Yield year, month and runs by state, for the months that have changed after a version."""
        for number, year in self._years.items():
            if year.version > newer_than:
                for month, entry in year.months.items():
                    if entry.version > newer_than:
                        yield number, month, +entry.counts

    @property
    def years(self) -> tuple[int, ...]:
        """Years in which there are runs."""
        return tuple(sorted(self._years))

    @property
    def families(self) -> tuple[str, ...]:
        """Families of modes that occur, the most frequent first."""
        counts: Counter[str] = Counter()
        for year in self._years.values():
            for (_, family), cell in year.cells.items():
                counts[family] += len(cell.runs)
        return tuple(family for family, _ in counts.most_common())
