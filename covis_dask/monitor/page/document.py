"""The COVIS page: one Bokeh document per browser, fed from the scheduler's state every two seconds."""

import datetime as dt
from html import escape
from pathlib import Path
from typing import Any

import distributed.http
import jinja2
from bokeh.document import Document
from bokeh.models import CustomJS, Div, InlineStyleSheet, RadioButtonGroup, Select

from catalog.errors import CatalogError
from covis_dask.batches.status import BatchStatus
from covis_dask.errors import CovisError
from covis_dask.monitor.page._calendar import CalendarView
from covis_dask.monitor.page._choices import batch_asked_for, year_at_work
from covis_dask.monitor.page._rates import RatesView
from covis_dask.monitor.page.sections import css, section
from covis_dask.monitor.page.source import PageSource

__all__ = ["covis_page"]

_EVERY_MS = 2000
_NO_RATES = "Drawn while a batch goes on, as far as this scheduler has seen it."
_STORE = "covis/store"
_RUN = "covis/run"
_SECTIONS = (
    "headline",
    "batches",
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
_SCROLLED = {
    "workers": {"max-height": "25rem", "overflow-y": "auto"},
    "day": {"max-height": "22rem", "overflow-y": "auto"},
    "history": {"max-height": "22rem", "overflow-y": "auto"},
}
"""Parts with a height of their own; what scrolls is the element around the text, which outlives each text."""

_WRAPPED = ".bk-btn-group{flex-wrap:wrap}.bk-btn-group .bk-btn{flex:0 0 3.6rem}"
_TEMPLATES = jinja2.Environment(
    loader=jinja2.ChoiceLoader([
        jinja2.PackageLoader("covis_dask.monitor.page"),
        jinja2.FileSystemLoader(Path(distributed.http.__file__).parent / "templates"),
    ]),
    autoescape=False,  # noqa: S701 (Bokeh's own script and Dask's menu; what comes from runs is escaped)
)  # fmt: skip


class _Page:
    """What one browser sees.

    Parameters
    ----------
    source : PageSource
    document : Document
    """

    def __init__(self, source: PageSource, document: Document) -> None:
        self._source, self._document = source, document
        self._past: dict[str, BatchStatus] = {}
        self._loading: set[str] = set()
        self._note = ""
        self._followed = True
        self._asked = batch_asked_for(document)
        self._day: tuple[dt.date, str] | None = None
        sheet = InlineStyleSheet(css=css())
        self._parts = {
            name: Div(
                name=name,
                stylesheets=[sheet],
                sizing_mode="stretch_width",
                margin=0,
                styles=_SCROLLED.get(name, {}),
            )
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
        self._parts["batches"].margin = (0, 0, 12, 0)
        for name in ("pace_note", "flow_note"):
            self._parts[name].text = f"<p class='soft'>{_NO_RATES}</p>"
        self._years = RadioButtonGroup(
            name="years",
            labels=[],
            margin=(0, 0, 8, 0),
            visible=False,
            stylesheets=[InlineStyleSheet(css=_WRAPPED)],
        )
        self._year: int | None = None
        self._years.on_change("active", self._choose_year)
        self._calendar = CalendarView(self._choose_day, self._turn_to)
        self._rates = RatesView()

    def attach(self) -> None:
        """Put everything into the document and keep it up to date."""
        self.update()
        with self._document.models.freeze():  # else every root has all models counted again
            for root in (
                *self._parts.values(),
                self._chooser,
                self._years,
                self._calendar.root,
                self._rates.pace,
                self._rates.flow,
            ):
                self._document.add_root(root)
        config = self._document.config
        config.reconnect_session = config.notify_connection_status = False
        self._document.js_on_event("connection_lost", CustomJS(code="window.covisLost()"))
        self._document.add_periodic_callback(self.update, _EVERY_MS)

    def update(self) -> None:
        """Bring what has changed up to date."""
        state = self._source.state
        self._offer()
        status = self._shown()
        self._say("workers", "", sorted(state.workers.values(), key=_busy_first), state.clock())
        past = state.history()
        self._say("history", (len(past), state.past_note), past, state.past_note, _STORE)
        running = [one for one in state.batches.values() if not one.over]
        self._parts["batches"].visible = len(running) > 1
        if len(running) > 1:
            self._say("batches", len(running), running)
        if status is None:
            sentence = self._note or "No batch has been started on this scheduler yet."
            self._set("headline", f"<p class='soft'>{escape(sentence)}</p>")
            return
        key = (status.batch, status.ending)
        for name in ("headline", "modes", "stages"):
            self._say(name, key, status)
        self._say("failures", key, status, _RUN)
        note = self._picture_note()
        self._say("pictures", (*key, note, len(status.pictures)), status, _RUN, note)
        self._show_calendar(status)
        drawn = self._rates.update(status)
        for name in ("pace_note", "flow_note"):
            self._parts[name].visible = not drawn

    def _say(self, name: str, of: object, *values: Any) -> None:
        self._set(name, self._source.shared.part(name, of, *values))

    def _set(self, name: str, text: str) -> None:
        if text != self._parts[name].text:
            self._parts[name].text = text

    def _offer(self) -> None:
        """Keep the list of batches; the newest is shown until somebody chooses another."""
        state = self._source.state
        options = [
            (name, f"{name}  {status.expected:,} runs, {status.ending}")
            for name, status in reversed(state.batches.items())
        ]
        options += [(batch.id, f"{batch.id}  in the catalogue") for batch in state.history()]
        names = [name for name, _ in options]
        if options != self._chooser.options:
            self._chooser.options = options
            self._chooser.visible = len(options) > 1
        if self._asked in names:
            self._turn_chooser(self._asked)
            self._asked, self._followed = "", False
        newest = state.newest
        wanted = newest.batch if newest is not None else (names[0] if names else "")
        if self._followed and wanted and self._chooser.value != wanted:
            self._turn_chooser(wanted)

    def _turn_chooser(self, name: str) -> None:
        """Show a batch that nobody has chosen by hand."""
        self._chooser.remove_on_change("value", self._choose)
        self._chooser.value = name
        self._chooser.on_change("value", self._choose)

    def _choose(self, _name: str, _old: str, new: str) -> None:
        newest = self._source.state.newest
        self._followed = newest is not None and new == newest.batch
        self._year = None
        self._close_day()
        self.update()

    def _shown(self) -> BatchStatus | None:
        name = self._chooser.value
        live = self._source.state.batches.get(name)
        if live is None and name and name not in self._past and name not in self._loading:
            self._loading.add(name)
            self._note = "reading this batch from catalogue and store"
            self._document.add_next_tick_callback(lambda: self._load(name))
        return live or self._past.get(name)

    async def _load(self, name: str) -> None:
        """Fetch a batch of the past, away from the scheduler's event loop."""
        history = self._source.history
        batch = next((batch for batch in self._source.state.past if batch.id == name), None)
        if history is None or batch is None:
            return
        try:
            self._past[name] = await self._source.shared.past(history, batch)
            self._note = ""
        except (CatalogError, CovisError, ValueError) as error:
            self._note = f"this batch cannot be read: {error}"

    def _picture_note(self) -> str | None:
        if self._source.history is not None and self._source.store_note is None:
            return None
        return (
            "The scheduler cannot read the product store, so there are no pictures here"
            f" ({self._source.store_note or self._source.state.past_note}). "
            "Give it the same covis.products as the workers."
        )

    def _show_calendar(self, status: BatchStatus) -> None:
        years = status.calendar.years
        labels = [str(year) for year in years]
        if years:
            now = self._source.state.working_on(status.batch)
            year = self._year if self._year in years else year_at_work(status, now, self._calendar.year)
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

    def _turn_to(self, year: int) -> None:
        """Show a year, as if its button had been pressed."""
        self._years.active = self._years.labels.index(str(year))

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
        prefix = status.attributes.get("prefix")
        runs = [
            (basename, state, f"{prefix}/{day:%Y/%m/%d}/{basename}" if prefix else None)
            for basename, state in (cell.by_trouble() if cell else [])
        ]
        self._parts["day"].visible = True
        title = f"{family} on {day:%A} {day.day} {day:%B %Y}"
        self._set("day", section("day", title, runs, _RUN))


def _busy_first(worker: Any) -> tuple[bool, str]:
    return worker.run is None, worker.name.zfill(8)


def covis_page(source: PageSource, extra: dict[str, Any], document: Document) -> None:
    """Fill a document for one browser.

    Parameters
    ----------
    source : PageSource
    extra : dict
        What Dask's templates want: pages, plots, prefix.
    document : Document
    """
    document.title = "COVIS"
    _Page(source, document).attach()
    document.template = _TEMPLATES.get_template("covis.html.j2")
    document.template_variables.update(extra)
