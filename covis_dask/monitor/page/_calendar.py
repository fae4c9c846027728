"""The calendar as Bokeh figures: one panel per family of modes, a row per month, a cell per day."""

import calendar
import datetime as dt
from collections.abc import Callable, Collection
from html import escape

from bokeh.layouts import column
from bokeh.models import Column, CustomJSTickFormatter, FixedTicker, InlineStyleSheet

from catalog.names import families
from covis_dask.batches.calendar import Calendar, Cell
from covis_dask.monitor.page._cells import CellView, Drawn
from covis_dask.monitor.page._years import YearsView
from covis_dask.monitor.palette import COLORS

__all__ = ["CalendarView"]

_NAMED = 8
_ROW = 19
_MARGINS = 46
_MONTHS = list(calendar.month_abbr)[1:]
_GRID = (
    ":host{display:grid!important;gap:4px 18px;"
    "grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr))}"
)


class CalendarView:
    """Draws a calendar and keeps it up to date; only what has changed is sent.

    Parameters
    ----------
    chosen : callable
        Called with day and family when somebody clicks on a cell.
    year_chosen : callable
        Called with the year when somebody clicks into the overview.
    """

    def __init__(self, chosen: Callable[[dt.date, str], None], year_chosen: Callable[[int], None]) -> None:
        self._cells = CellView(lambda row: chosen(*list(self._rows)[row]))
        self._overview = YearsView(year_chosen)
        self._of: Calendar | None = None
        self._year = 0
        self._first_month = 1
        self._version = -1
        self._rows: dict[tuple[dt.date, str], int] = {}
        self._marked: set[int] = set()
        self.root: Column = column(
            sizing_mode="stretch_width", name="calendar", stylesheets=[InlineStyleSheet(css=_GRID)]
        )

    @property
    def year(self) -> int:
        """The year that is shown; 0 for none."""
        return self._year

    def update(self, of: Calendar, year: int, now: Collection[str]) -> None:
        """Show a year of a calendar.

        Parameters
        ----------
        of : Calendar
        year : int
        now : collection of str
            Runs that workers are at: their cells have a strong frame.
        """
        positions = {of.where(basename) for basename in now}
        same = of is self._of and year == self._year
        changed = list(of.year(year, self._version)) if same else []
        if not same or any((day, family) not in self._rows for day, family, _ in changed):
            self._of, self._year = of, year
            self._build(list(of.year(year)), positions)
        else:
            marked = {
                self._rows[position] for position in positions & self._rows.keys() if position is not None
            }
            touched = {(day, family): cell for day, family, cell in changed}
            by_row = list(self._rows)
            for row in marked ^ self._marked:
                position = by_row[row]
                touched.setdefault(position, of.cell(*position) or Cell())
            self._marked = marked
            self._cells.patch(
                {
                    self._rows[position]: self._drawn(position, cell, positions)
                    for position, cell in touched.items()
                }
            )
        self._version = of.version
        self._overview.update(of, year, _MARGINS + 12 * _ROW)
        self._arrange()

    def _build(
        self, cells: list[tuple[dt.date, str, Cell]], positions: set[tuple[dt.date, str] | None]
    ) -> None:
        cells.sort(key=lambda cell: cell[:2])
        months = [day.month for day, _, _ in cells] or [1]
        self._first_month, last = min(months), max(months)
        self._rows = {(day, family): row for row, (day, family, _) in enumerate(cells)}
        self._marked = {
            self._rows[position] for position in positions & self._rows.keys() if position is not None
        }
        panels: dict[str, list[int]] = {}
        for (_, family), row in self._rows.items():
            panels.setdefault(family, []).append(row)
        for family in panels.keys() - self._cells.figures.keys():
            self._add(family)  # a figure is many models: there are only those that are used
        for family, fig in self._cells.figures.items():
            fig.visible = family in panels
            fig.height = _MARGINS + _ROW * (last - self._first_month + 1)
            fig.y_range.start = last - self._first_month + 0.5  # the first month is on top
            fig.yaxis.formatter.args = {"first": self._first_month}
        self._cells.show([self._drawn((day, family), cell, positions) for day, family, cell in cells], panels)

    def _add(self, family: str) -> None:
        fig = self._cells.add(family, family, 31, [1, 5, 10, 15, 20, 25, 30])
        fig.yaxis.ticker = FixedTicker(ticks=list(range(12)))
        fig.yaxis.formatter = CustomJSTickFormatter(
            args={"first": 1}, code=f"return {_MONTHS}[first - 1 + tick] ?? ''"
        )

    def _drawn(self, position: tuple[dt.date, str], cell: Cell, positions: Collection[object]) -> Drawn:
        day, family = position
        title = f"{day:%a} {day.day} {day:%B %Y}, {family}"
        return Drawn(
            day.day, day.month - self._first_month, cell.counts, title, _names(cell), position in positions
        )

    def _arrange(self) -> None:
        """Put the panels that show something in their order, the overview first."""
        own = [self._cells.figures[name] for name in families() if name in self._cells.figures]
        wanted = [fig for fig in own if fig.visible]
        if self._overview.needed:
            wanted.insert(0, self._overview.figure)
        if wanted != self.root.children:
            self.root.children = wanted


def _names(cell: Cell) -> str:
    runs = cell.by_trouble()
    lines = [
        f"<span style='color:{COLORS.get(state, '#8795a3')}'>{'&#9632;' if state else '&#9633;'}</span> "
        f"{escape(basename)} {state or 'waiting'}"
        for basename, state in runs[:_NAMED]
    ]
    more = [f"and {len(runs) - _NAMED} more"] if len(runs) > _NAMED else []
    return "<br>".join([*lines, *more])
