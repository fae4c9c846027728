"""All years of a calendar at a glance: a row per year, a cell per month, all modes together."""

import calendar
from collections import Counter
from collections.abc import Callable, Mapping

from bokeh.models import CustomJSTickFormatter, FixedTicker
from bokeh.plotting import figure

from covis_dask.batches.calendar import Calendar
from covis_dask.monitor.page._cells import CellView, Drawn

__all__ = ["YearsView"]

_LETTERS = [name[0] for name in list(calendar.month_abbr)[1:]]
_ROW = 24
_MARGINS = 46
_EVERY = 5  # a month fills slowly, so that not every look at it needs a message

_Month = tuple[int, int]


class YearsView:
    """Draws the overview; it is of use where a calendar has several years.

    Parameters
    ----------
    chosen : callable
        Called with the year of the cell that somebody clicks on.
    """

    def __init__(self, chosen: Callable[[int], None]) -> None:
        self._cells = CellView(self._tapped)
        self._chosen = chosen
        self._rows: dict[_Month, int] = {}
        self._years: tuple[int, ...] = ()
        self._of: Calendar | None = None
        self._year = 0
        self._version = -1
        self._looks = 0
        fig = self._cells.add("years", "all years, all modes (click for a year)", 12, list(range(1, 13)))
        fig.xaxis.formatter = CustomJSTickFormatter(code=f"return {_LETTERS}[tick - 1]")
        fig.yaxis.formatter = CustomJSTickFormatter(
            args={"years": []}, code="return String(years[tick] ?? '')"
        )
        self.figure: figure = fig

    @property
    def needed(self) -> bool:
        """Whether there is more than one year."""
        return len(self._years) > 1

    def update(self, of: Calendar, year: int, height: int) -> None:
        """Show a calendar.

        Parameters
        ----------
        of : Calendar
        year : int
            The one that is shown beside, and has a frame here.
        height : int
            Of a panel of the calendar, in points: no higher, however many years there are.
        """
        self._looks += 1
        same = of is self._of
        if same and year == self._year and self._looks % _EVERY:
            return
        changed = {
            (number, month): counts for number, month, counts in of.months(self._version if same else -1)
        }
        if not same or not changed.keys() <= self._rows.keys():
            self._of, self._year, self._years = of, year, of.years
            self._build({(number, month): counts for number, month, counts in of.months()}, height)
        elif self.needed:
            if year != self._year:
                turned = {year, self._year}
                every = {(number, month): counts for number, month, counts in of.months()}
                changed |= {position: counts for position, counts in every.items() if position[0] in turned}
                self._year = year
            self._cells.patch(
                {self._rows[position]: self._drawn(position, counts) for position, counts in changed.items()}
            )
        self._version = of.version

    def _build(self, months: Mapping[_Month, Counter[str]], height: int) -> None:
        self._rows = {position: row for row, position in enumerate(sorted(months))}
        if not self.needed:
            return
        fig, years = self.figure, len(self._years)
        fig.height = min(_MARGINS + _ROW * years, height)
        fig.y_range.start = years - 0.5
        fig.yaxis.ticker = FixedTicker(ticks=list(range(years)))
        fig.yaxis.formatter.args = {"years": list(self._years)}
        self._cells.show(
            [self._drawn(position, months[position]) for position in self._rows],
            {"years": list(self._rows.values())},
        )

    def _drawn(self, position: _Month, counts: Counter[str]) -> Drawn:
        year, month = position
        title = f"{calendar.month_name[month]} {year}"
        return Drawn(month, self._years.index(year), counts, title, "", year == self._year)

    def _tapped(self, row: int) -> None:
        self._cells.unselect()  # it is the frame that says which year is shown
        self._chosen(list(self._rows)[row][0])
