"""The calendar as Bokeh figures: one panel per family of modes, a row per month, a cell per day."""

import calendar
import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from html import escape

from bokeh.layouts import column
from bokeh.models import (
    Column,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    InlineStyleSheet,
    Range1d,
    TapTool,
)
from bokeh.plotting import figure

from catalog.names import FAMILIES
from covis_dask.monitor.calendar import Calendar, Cell
from covis_dask.monitor.palette import COLORS, EDGE, INK, parts

__all__ = ["CalendarView"]

_NAMED = 8
_ROW = 19
_GAP = 0.08
_TOOLTIP = """
<div style="font:13px system-ui,sans-serif;max-width:30rem">
  <b>@title</b><div style="margin:.2rem 0">@summary</div>
  <div style="font-size:11px;line-height:1.5">@names{safe}</div>
</div>
"""


@dataclass(slots=True)
class _Panel:
    figure: figure
    segments: ColumnDataSource
    cells: ColumnDataSource
    now: ColumnDataSource
    rows: dict[dt.date, int] = field(default_factory=dict)


class CalendarView:
    """Draws a calendar and keeps it up to date; only what has changed is sent.

    Parameters
    ----------
    chosen : callable
        Called with day and family when somebody clicks on a cell.
    """

    def __init__(self, chosen: Callable[[dt.date, str], None]) -> None:
        self._panels = {family: _panel(family, chosen) for family in FAMILIES}
        self._of: Calendar | None = None
        self._year = 0
        self._first_month = 1
        self._version = -1
        self.root: Column = column(
            *(panel.figure for panel in self._panels.values()),
            sizing_mode="stretch_width",
            name="calendar",
            stylesheets=[
                InlineStyleSheet(
                    css=":host{display:grid!important;gap:4px 18px;"
                    "grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr))}"
                )
            ],
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
            Runs that workers are at.
        """
        changed = list(of.year(year, self._version if of is self._of and year == self._year else -1))
        known = all(day in self._panels[family].rows for day, family, _ in changed)
        if of is not self._of or year != self._year or not known:
            self._of, self._year = of, year
            self._build(list(of.year(year)))
        elif changed:
            self._patch(changed)
        self._version = of.version
        self._mark(of, now)

    def _build(self, cells: list[tuple[dt.date, str, Cell]]) -> None:
        months = [day.month for day, _, _ in cells] or [1]
        self._first_month, last = min(months), max(months)
        found = Counter(family for _, family, _ in cells)
        for family, panel in self._panels.items():
            own = sorted((day, cell) for day, name, cell in cells if name == family)
            panel.rows = {day: row for row, (day, _) in enumerate(own)}
            panel.segments.data = _columns([_segments(self._y(day), day, cell) for day, cell in own])
            panel.cells.selected.indices = []
            panel.cells.data = {
                "x": [day.day for day, _ in own],
                "y": [self._y(day) for day, _ in own],
                "day": [day.isoformat() for day, _ in own],
                "title": [_title(day, family) for day, _ in own],
                "summary": [_summary(cell) for _, cell in own],
                "names": [_names(cell) for _, cell in own],
            }
            panel.figure.visible = found[family] > 0
            panel.figure.height = 46 + _ROW * (last - self._first_month + 1)
            panel.figure.y_range.start = last - self._first_month + 0.5  # the first month is on top
            panel.figure.yaxis.formatter.args = {"first": self._first_month}

    def _y(self, day: dt.date) -> int:
        return day.month - self._first_month

    def _patch(self, changed: list[tuple[dt.date, str, Cell]]) -> None:
        for family, panel in self._panels.items():
            own = [(panel.rows[day], day, cell) for day, name, cell in changed if name == family]
            if not own:
                continue
            panel.cells.patch({
                "summary": [(row, _summary(cell)) for row, _, cell in own],
                "names": [(row, _names(cell)) for row, _, cell in own],
            })  # fmt: skip
            drawn = [
                (3 * row + part, segment)
                for row, day, cell in own
                for part, segment in enumerate(_segments(self._y(day), day, cell))
            ]
            panel.segments.patch({
                name: [(row, segment[place]) for row, segment in drawn]
                for place, name in enumerate(_NAMES)
                if name in ("bottom", "top", "color")
            })  # fmt: skip

    def _mark(self, of: Calendar, now: Collection[str]) -> None:
        """Frame the cells that workers are at."""
        places = {of.where(basename) for basename in now}
        for family, panel in self._panels.items():
            days = sorted(place[0] for place in places if place is not None and place[1] == family)
            data = {
                "x": [day.day for day in days if day.year == self._year],
                "y": [self._y(day) for day in days if day.year == self._year],
            }
            if data != panel.now.data:
                panel.now.data = data


_NAMES = ("left", "right", "bottom", "top", "color")
_Segment = tuple[float, float, float, float, str]


def _segments(y: int, day: dt.date, cell: Cell) -> list[_Segment]:
    """Divide a cell into three, each perhaps empty, so that a cell always has its own three rows."""
    left, right = day.day - 0.5 + _GAP, day.day + 0.5 - _GAP
    segments, bottom = [], y + 0.5 - _GAP  # y grows downwards
    for share, color in parts(cell.counts):
        top = bottom - (1 - 2 * _GAP) * share
        segments.append((left, right, bottom, top, color))
        bottom = top
    return segments


def _columns(cells: list[list[_Segment]]) -> dict[str, list[float | str]]:
    rows = [segment for cell in cells for segment in cell]
    return {name: [row[place] for row in rows] for place, name in enumerate(_NAMES)}


def _title(day: dt.date, family: str) -> str:
    return f"{day:%a} {day.day} {day:%B %Y}, {family}"


def _summary(cell: Cell) -> str:
    counts = cell.counts
    return ", ".join(f"{count} {state or 'waiting'}" for state, count in counts.most_common())


def _names(cell: Cell) -> str:
    runs = cell.by_trouble()
    lines = [
        f"<span style='color:{COLORS.get(state, '#8795a3')}'>{'&#9632;' if state else '&#9633;'}</span> "
        f"{escape(basename)} {state or 'waiting'}"
        for basename, state in runs[:_NAMED]
    ]
    more = [f"and {len(runs) - _NAMED} more"] if len(runs) > _NAMED else []
    return "<br>".join([*lines, *more])


def _panel(family: str, chosen: Callable[[dt.date, str], None]) -> _Panel:
    segments = ColumnDataSource({name: [] for name in _NAMES})
    cells = ColumnDataSource({name: [] for name in ("x", "y", "day", "title", "summary", "names")})
    now = ColumnDataSource({"x": [], "y": []})
    fig = figure(
        title=family,
        height=80,
        sizing_mode="stretch_width",
        x_range=Range1d(0.4, 31.6),
        y_range=Range1d(0.5, -0.5),
        tools="",
        toolbar_location=None,
        visible=False,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_right=2,
        min_border_left=34,
    )
    fig.quad("left", "right", "top", "bottom", source=segments, fill_color="color", line_color=None)
    frame = {"x": "x", "y": "y", "width": 1 - 2 * _GAP, "height": 1 - 2 * _GAP}
    target = fig.rect(
        **frame, source=cells, fill_alpha=0, line_color=EDGE, line_width=0.6,
        nonselection_fill_alpha=0, nonselection_line_alpha=1, nonselection_line_color=EDGE,
        selection_fill_alpha=0, selection_line_color=INK, selection_line_width=2.5,
    )  # fmt: skip
    fig.rect(**frame, source=now, fill_alpha=0, line_color=INK, line_width=1.5)
    fig.add_tools(
        HoverTool(renderers=[target], tooltips=_TOOLTIP, point_policy="follow_mouse"),
        TapTool(renderers=[target]),
    )

    def tapped(_name: str, _old: list[int], new: list[int]) -> None:
        if new:
            chosen(dt.date.fromisoformat(cells.data["day"][new[0]]), family)

    cells.selected.on_change("indices", tapped)
    fig.grid.visible = False
    fig.title.text_font_size, fig.title.text_color = "13px", INK
    fig.axis.axis_line_color = fig.axis.major_tick_line_color = fig.axis.minor_tick_line_color = None
    fig.axis.major_label_text_color = "#5d6b79"
    fig.axis.major_label_text_font_size = "10px"
    fig.xaxis.ticker = FixedTicker(ticks=[1, 5, 10, 15, 20, 25, 30])
    fig.yaxis.ticker = FixedTicker(ticks=list(range(12)))
    names = [calendar.month_abbr[month] for month in range(1, 13)]
    fig.yaxis.formatter = CustomJSTickFormatter(
        args={"first": 1}, code=f"return {names}[first - 1 + tick] ?? ''"
    )
    return _Panel(fig, segments, cells, now)
