"""What pages draw, and that many of them cost little more than one."""

import asyncio
import datetime as dt
from collections import Counter
from dataclasses import replace

import pytest
from bokeh.document import Document

from catalog.model import Batch
from covis_dask.batches.calendar import Calendar
from covis_dask.batches.history import History
from covis_dask.batches.status import BatchStatus
from covis_dask.config import load_settings
from covis_dask.monitor.page._calendar import CalendarView
from covis_dask.monitor.page._rates import even
from covis_dask.monitor.page.sections import section
from covis_dask.monitor.page.shared import Shared

_BATCH = Batch(
    id="20260101T000000-abcdef",
    selection={"years": [2014]},
    settings={},
    versions={},
    counts={},
    start=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    end=dt.datetime(2026, 1, 1, 1, tzinfo=dt.UTC),
)


def _name(year: int, month: int, day: int, mode: str = "IMAGING") -> str:
    return f"APLUWCOVISMBSONAR001_{year}{month:02d}{day:02d}T030000.000Z-{mode}"


def test_parts_are_drawn_once_for_all_pages() -> None:
    """Another page within the same two seconds gets the same words; a later look is a fresh one."""
    now = [0.0]
    shared = Shared(lambda: now[0])
    status = BatchStatus("B", 2000, clock=lambda: now[0])
    first = shared.part("headline", "B", status)
    assert "2,000" in first
    status.counts["done"] = 1500
    assert shared.part("headline", "B", status) == first
    assert "1,500" in shared.part("headline", ("B", "finished"), status)
    now[0] = 2.0
    assert "75 %" in shared.part("headline", "B", status)


def test_a_batch_of_the_past_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages that want it at the same time wait for one reading; one without an end is read anew."""
    read: Counter[str] = Counter()

    def status(self: History, batch: Batch) -> BatchStatus:  # noqa: ARG001
        read[batch.id] += 1
        return BatchStatus(batch.id, 0)

    monkeypatch.setattr(History, "status", status)
    history, going_on = History(load_settings()), replace(_BATCH, id="going on", end=None)

    async def look() -> None:
        shared = Shared(lambda: 0.0)
        one, other = await asyncio.gather(shared.past(history, _BATCH), shared.past(history, _BATCH))
        assert one is other
        await shared.past(history, going_on)
        await shared.past(history, going_on)

    asyncio.run(look())
    assert read == {_BATCH.id: 1, "going on": 2}


def test_calendar_of_years_has_an_overview_and_sends_little() -> None:
    """Panels only of the modes there are, the overview first; whatever ends and begins is one message."""
    calendar, chosen, years = Calendar(), list[object](), list[int]()
    calendar.put(
        (_name(year, month, 5, mode), "")
        for year in (2013, 2014)
        for month in range(1, 13)
        for mode in ("IMAGING", "DIFFUSE")
    )
    view = CalendarView(lambda day, family: chosen.append((day, family)), years.append)
    view.update(calendar, 2014, [])
    assert [panel.title.text for panel in view.root.children[1:]] == ["imaging", "diffuse"]
    assert view.root.children[0].title.text.startswith("all years")

    document, sent = Document(), list[object]()
    document.add_root(view.root)
    document.on_change(sent.append)
    view.update(calendar, 2014, [])
    assert not sent
    calendar.put([(_name(2014, 3, 5), "done"), (_name(2014, 4, 5, "DIFFUSE"), "failed")])
    view.update(calendar, 2014, [_name(2014, 6, 5)])
    assert len(sent) == 1

    cells = view.root.children[1].renderers[-1].data_source
    row = cells.data["title"].index("Wed 5 March 2014, imaging")
    assert cells.data["summary"][row] == "1 done"
    cells.selected.indices = [row]
    assert chosen == [(dt.date(2014, 3, 5), "imaging")]
    months = view.root.children[0].renderers[-1].data_source
    months.selected.indices = [0]
    assert years == [2013]


def test_calendar_knows_its_months() -> None:
    """Sums by month follow the runs from state to state, and only what is new is told."""
    calendar = Calendar()
    calendar.put([(_name(2014, 1, 1), ""), (_name(2014, 1, 2), ""), (_name(2013, 5, 2), "done")])
    seen = calendar.version
    calendar.put([(_name(2014, 1, 2), "failed")])
    assert list(calendar.months(seen)) == [(2014, 1, Counter({"": 1, "failed": 1}))]
    assert len(list(calendar.months())) == 2
    assert not list(calendar.year(2013, seen))


def test_rates_of_few_runs_are_evened_out() -> None:
    """A run now and then is no comb of peaks, and its rate is the true one; many runs stay as they are."""
    comb = [0.2 if span % 4 == 0 else 0.0 for span in range(40)]
    runs, read = even([comb, comb], 5.0)
    assert runs[20:] == pytest.approx([0.05] * 20)
    assert read == runs
    busy = [2.0, 3.0, 1.0]
    assert even([busy], 5.0) == [busy]
    assert even([[], [], []], 5.0) == [[], [], []]


def test_shares_are_honest() -> None:
    """100 % means that nothing is left, and 0 % that nothing is done."""

    def share(done: int) -> str:
        status = BatchStatus("B", 55_000)
        status.counts["done"] = done
        return section("headline", status).split('class="lead"><span><b>')[1].split("</b>")[0]

    assert [share(done) for done in (0, 1, 27_500, 54_999, 55_000)] == [
        "0 %", "0.1 %", "50 %", "99.9 %", "100 %",
    ]  # fmt: skip
