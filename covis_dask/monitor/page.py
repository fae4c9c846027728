"""The COVIS page: one Bokeh document per browser, fed from the scheduler's board every two seconds."""

import asyncio
import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import distributed.http
import jinja2
from bokeh.document import Document
from bokeh.models import (
    ColumnDataSource,
    DatetimeTickFormatter,
    Div,
    InlineStyleSheet,
    RadioButtonGroup,
    Select,
)
from bokeh.plotting import figure

from catalog.errors import CatalogError
from covis_dask.errors import CovisError
from covis_dask.monitor._calendar_view import CalendarView
from covis_dask.monitor.palette import COLORS, WRITTEN
from covis_dask.monitor.sections import css, section
from covis_dask.monitor.status import BatchStatus

if TYPE_CHECKING:
    from covis_dask.monitor.plugin import StatusPlugin

__all__ = ["covis_page"]

_EVERY_MS = 2000
_PICTURES_EVERY = 5.0
_NO_RATES = "Drawn while a batch goes on, as far as this scheduler has seen it."
_STORE = "covis/store"
_SECTIONS = (
    "headline",
    "modes",
    "workers",
    "stages",
    "failures",
    "pictures",
    "history",
    "day",
    "legend",
    "pace_note",
    "flow_note",
)
_TEMPLATES = jinja2.Environment(
    loader=jinja2.ChoiceLoader([
        jinja2.PackageLoader("covis_dask", "templates"),
        jinja2.FileSystemLoader(Path(distributed.http.__file__).parent / "templates"),
    ]),
    autoescape=False,  # noqa: S701 (Bokeh's own script and Dask's menu; what comes from runs is escaped)
)  # fmt: skip


class _Page:
    """What one browser sees.

    Parameters
    ----------
    plugin : StatusPlugin
    document : Document
    """

    def __init__(self, plugin: "StatusPlugin", document: Document) -> None:
        self._plugin, self._document = plugin, document
        self._past: dict[str, BatchStatus] = {}
        self._loading: set[str] = set()
        self._note = ""
        self._followed = True
        self._day: tuple[dt.date, str] | None = None
        sheet = InlineStyleSheet(css=css())
        self._parts = {
            name: Div(name=name, stylesheets=[sheet], sizing_mode="stretch_width", margin=0)
            for name in _SECTIONS
        }
        self._parts["legend"].text = section("legend")
        self._chooser = Select(
            name="chooser",
            title="",
            sizing_mode="stretch_width",
            max_width=560,
            visible=False,
            margin=(0, 0, 10, 0),
        )
        self._chooser.on_change("value", self._choose)
        self._parts["day"].visible = False
        for name in ("pace_note", "flow_note"):
            self._parts[name].text = f"<p class='soft'>{_NO_RATES}</p>"
        self._years = RadioButtonGroup(name="years", labels=[], margin=(0, 0, 8, 0), visible=False)
        self._year: int | None = None
        self._drawn, self._batch = 0.0, ""
        self._years.on_change("active", self._choose_year)
        self._calendar = CalendarView(self._choose_day)
        self._pace, self._pace_data = _plot("pace", {"rate": COLORS["done"]})
        self._flow, self._flow_data = _plot("flow", {"read": COLORS["done"], "written": WRITTEN})

    def attach(self) -> None:
        """Put everything into the document and keep it up to date."""
        for root in (
            *self._parts.values(),
            self._chooser,
            self._years,
            self._calendar.root,
            self._pace,
            self._flow,
        ):
            self._document.add_root(root)
        self.update()
        self._document.add_periodic_callback(self.update, _EVERY_MS)

    def update(self) -> None:
        """Bring what has changed up to date."""
        board = self._plugin.board
        self._offer()
        status = self._shown()
        self._say("workers", sorted(board.workers.values(), key=_busy_first), board.clock())
        self._say("history", board.history(), board.past_note, _STORE)
        if status is None:
            self._parts[
                "headline"
            ].text = f"<p class='soft'>{self._note or 'No batch has been started on this scheduler yet.'}</p>"
            return
        for name in ("headline", "modes", "stages"):
            self._say(name, status)
        self._say("failures", status, _STORE)
        if board.clock() - self._drawn >= _PICTURES_EVERY or status.batch != self._batch:
            self._drawn, self._batch = board.clock(), status.batch
            self._say("pictures", status, _STORE, self._picture_note())
        self._show_calendar(status)
        self._show_rates(status)

    def _say(self, name: str, *values: Any) -> None:
        text = section(name, *values)
        if text != self._parts[name].text:
            self._parts[name].text = text

    def _offer(self) -> None:
        """Keep the list of batches; the newest is shown until somebody chooses another."""
        board = self._plugin.board
        options = [
            (name, f"{name}  {status.expected} runs, {status.ending}")
            for name, status in reversed(board.batches.items())
        ]
        options += [(batch.id, f"{batch.id}  in the catalogue") for batch in board.history()]
        names = [name for name, _ in options]
        if options != self._chooser.options:
            self._chooser.options = options
            self._chooser.visible = len(options) > 1
        newest = board.newest
        wanted = newest.batch if newest is not None else (names[0] if names else "")
        if self._followed and wanted and self._chooser.value != wanted:
            self._chooser.remove_on_change("value", self._choose)
            self._chooser.value = wanted
            self._chooser.on_change("value", self._choose)

    def _choose(self, _name: str, _old: str, new: str) -> None:
        newest = self._plugin.board.newest
        self._followed = newest is not None and new == newest.batch
        self._year = None
        self._close_day()
        self.update()

    def _shown(self) -> BatchStatus | None:
        name = self._chooser.value
        live = self._plugin.board.batches.get(name)
        if live is None and name and name not in self._past and name not in self._loading:
            self._loading.add(name)
            self._note = "reading this batch from catalogue and store"
            self._document.add_next_tick_callback(lambda: self._load(name))
        return live or self._past.get(name)

    async def _load(self, name: str) -> None:
        """Fetch a batch of the past, away from the scheduler's event loop."""
        history = self._plugin.history
        batch = next((batch for batch in self._plugin.board.past if batch.id == name), None)
        if history is None or batch is None:
            return
        try:
            self._past[name] = await asyncio.to_thread(history.status, batch)
            self._note = ""
        except (CatalogError, CovisError, ValueError) as error:
            self._note = f"this batch cannot be read: {error}"

    def _picture_note(self) -> str | None:
        if self._plugin.history is not None and self._plugin.store_note is None:
            return None
        return (
            "The scheduler cannot read the product store, so there are no pictures here"
            f" ({self._plugin.store_note or self._plugin.board.past_note}). "
            "Give it the same covis.products as the workers."
        )

    def _show_calendar(self, status: BatchStatus) -> None:
        years = status.calendar.years
        labels = [str(year) for year in years]
        if years:
            now = self._plugin.board.working_on(status.batch)
            year = self._year if self._year in years else _year_at_work(status, now, self._calendar.year)
            if labels != self._years.labels or self._years.active != labels.index(str(year)):
                self._years.remove_on_change("active", self._choose_year)
                self._years.labels, self._years.active = labels, labels.index(str(year))
                self._years.on_change("active", self._choose_year)
                self._years.visible = len(labels) > 1
            self._calendar.update(status.calendar, year, now)
        if self._day is not None:
            self._show_day(status, *self._day)

    def _choose_year(self, _name: str, _old: int, new: int) -> None:
        self._year = int(self._years.labels[new])
        self._close_day()
        self.update()

    def _close_day(self) -> None:
        self._day = None
        self._parts["day"].visible = False

    def _choose_day(self, day: dt.date, family: str) -> None:
        self._day = (day, family)
        status = self._shown()
        if status is not None:
            self._show_day(status, day, family)

    def _show_day(self, status: BatchStatus, day: dt.date, family: str) -> None:
        cell = status.calendar.cell(day, family)
        prefix = status.facts.get("prefix")
        runs = [
            (basename, state, f"{prefix}/{day:%Y/%m/%d}/{basename}" if prefix else None)
            for basename, state in (cell.by_trouble() if cell else [])
        ]
        self._parts["day"].visible = True
        self._say("day", f"{family} on {day:%A} {day.day} {day:%B %Y}", runs, _STORE)

    def _show_rates(self, status: BatchStatus) -> None:
        times, rates = status.series.rates(status.seconds)
        moments = [(status.start + dt.timedelta(seconds=second)).replace(tzinfo=None) for second in times]
        if moments == list(self._pace_data.data["t"]):
            return
        for plot in (self._pace, self._flow):
            plot.visible = bool(moments)
        for name in ("pace_note", "flow_note"):
            self._parts[name].visible = not moments
        runs, read, written = rates
        self._pace_data.data = {"t": moments, "rate": [3600 * rate for rate in runs]}
        self._flow_data.data = {
            "t": moments,
            "read": [rate / 1e6 for rate in read],
            "written": [rate / 1e6 for rate in written],
        }


def _year_at_work(status: BatchStatus, now: Collection[str], before: int) -> int:
    """Choose the year to look at: where workers are, else where the batch has come to, else the last.

    With workers in several years the one that has been looked at `before` stays.
    """
    places = [status.calendar.where(basename) for basename in now]
    years = [place[0].year for place in places if place is not None]
    if years:
        return before if before in years else max(set(years), key=years.count)
    if status.latest is not None and not status.over:
        return status.latest
    return status.calendar.years[-1]


def _busy_first(worker: Any) -> tuple[bool, str]:
    return worker.run is None, worker.name.zfill(8)


def _plot(name: str, lines: dict[str, str]) -> tuple[figure, ColumnDataSource]:
    source = ColumnDataSource({"t": [], **{line: [] for line in lines}})
    fig = figure(
        name=name,
        height=205,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        tools="",
        toolbar_location=None,
        visible=False,
        outline_line_color=None,
        min_border_right=10,
        background_fill_color=None,
        border_fill_color=None,
    )
    for line, color in lines.items():
        fig.varea("t", 0, line, source=source, fill_color=color, fill_alpha=0.12)
        fig.line("t", line, source=source, line_color=color, line_width=2)
    fig.y_range.start = 0
    fig.axis.axis_line_color = "#c5ced6"
    fig.axis.minor_tick_line_color = fig.axis.major_tick_line_color = None
    fig.axis.major_label_text_color = "#5d6b79"
    fig.axis.major_label_text_font_size = "10px"
    fig.grid.grid_line_color = "#eef1f4"
    fig.xaxis.formatter = DatetimeTickFormatter(
        seconds="%H:%M:%S", minsec="%H:%M:%S", minutes="%H:%M", hourmin="%H:%M", hours="%H:%M", days="%d %b"
    )
    fig.xaxis.ticker.desired_num_ticks = 4
    fig.yaxis.ticker.desired_num_ticks = 4
    return fig, source


def covis_page(plugin: "StatusPlugin", extra: dict[str, Any], document: Document) -> None:
    """Fill a document for one browser.

    Parameters
    ----------
    plugin : StatusPlugin
    extra : dict
        What Dask's templates want: pages, plots, prefix.
    document : Document
    """
    document.title = "COVIS"
    _Page(plugin, document).attach()
    document.template = _TEMPLATES.get_template("covis.html.j2")
    document.template_variables.update(extra)
