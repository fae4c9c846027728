"""The status model behind page, terminal and notebook: what it makes of events, and that it stays small."""

import datetime as dt
import pickle

import pytest

from covis_dask.batches._rates import Series
from covis_dask.batches.calendar import Calendar, place_of
from covis_dask.batches.status import BatchStatus
from covis_dask.monitor.coverage import Coverage
from covis_dask.monitor.page.sections import section
from covis_dask.monitor.scheduler.metrics import metrics
from covis_dask.monitor.scheduler.state import SchedulerState
from covis_dask.runs.outcome import RunOutcome


def _name(day: int, mode: str = "IMAGING", year: int = 2014) -> str:
    return f"APLUWCOVISMBSONAR001_{year}01{day:02d}T030000.000Z-{mode}"


def _done(name: str, seconds: float = 10.0) -> RunOutcome:
    return RunOutcome(
        name, "done", f"p/{name}", seconds=seconds, bytes_in=100, bytes_out=10, timings={"compute": seconds}
    )


def _board(names: list[str]) -> tuple[SchedulerState, list[float]]:
    """Return a board that has heard of one batch, and the time by its clock."""
    now = [0.0]
    board = SchedulerState(clock=lambda: now[0])
    board.take({
        "op": "batch", "batch": "B", "client": "C", "expected": len(names),
        "start": "2026-01-01T00:00:00+00:00", "attributes": {"selection": "year 2014", "prefix": "p"},
    })  # fmt: skip
    board.take({"op": "plan", "batch": "B", "runs": names})
    return board, now


def test_scheduler_counts_as_the_driver_does() -> None:
    """A status fed by events has the same numbers as the one they were made from."""
    names = [_name(day, mode) for day in range(1, 6) for mode in ("IMAGING", "DIFFUSE")]
    outcomes = [
        *map(_done, names[:4]),
        RunOutcome(
            names[4],
            "quarantined",
            "p/x",
            kind="archive-truncated",
            reason="cut short",
            seconds=1.0,
            log="p/x/tries/1/output.txt",
        ),
        RunOutcome(names[5], "already", ""),
    ]
    board, now = _board(names)
    own = BatchStatus("B", len(names), clock=lambda: now[0], attributes=board.batches["B"].attributes)
    own.start = board.batches["B"].start
    own.expect(names)
    for outcome in outcomes:
        now[0] += 5.0
        own.add(outcome)
        board.take({"op": "ended", "batch": "B", "outcomes": [outcome.to_plain()]})
    assert board.batches["B"].to_document() == own.to_document()
    document = own.to_document()
    assert document["ended"] == 6
    assert document["failures"] == [{
        "state": "quarantined", "kind": "archive-truncated", "count": 1, "reason": "cut short",
        "run": names[4], "log": "p/x/tries/1/output.txt",
    }]  # fmt: skip
    assert RunOutcome.from_plain(outcomes[0].to_plain()) == outcomes[0]


def test_time_to_go_knows_that_modes_differ() -> None:
    """What is left is weighed by what runs of its mode take, not by the mean of all that have ended."""
    quick, slow = [_name(day, "DIFFUSE") for day in range(1, 11)], [_name(day) for day in range(1, 11)]
    now = [0.0]
    status = BatchStatus("B", 20, clock=lambda: now[0])
    status.expect([*quick, *slow])
    now[0] = 10.0
    status.add(_done(slow[0], 10.0))
    for name in quick:
        now[0] += 1.0
        status.add(_done(name, 1.0))
    assert status.eta == pytest.approx(90.0)  # nine slow runs, one worker
    assert status.eta_of("imaging") == status.eta
    assert status.eta_of("diffuse") is None


def test_board_knows_what_workers_do() -> None:
    """Stage and pings of a run, since when; then a waiting worker; a vanished driver leaves a lost batch."""
    board, now = _board([_name(1)])
    event = {"batch": "B", "run": _name(1), "worker": "tcp://w:1", "name": "0", "host": "h", "attempt": 1}
    board.take({"op": "work", "stage": "compute", "done": 3, "total": 9, **event})
    now[0] = 4.0
    worker = board.to_document()["workers"][0]
    assert (worker["stage"], worker["pings_done"], worker["pings_total"], worker["seconds"]) == (
        "compute",
        3,
        9,
        4.0,
    )
    assert list(board.working_on("B")) == [_name(1)]
    assert "3 of 9 pings" in section("workers", list(board.workers.values()), now[0])
    board.take({"op": "rest", **event})
    assert board.workers["tcp://w:1"].run is None
    board.remove_client("C")
    assert board.batches["B"].ending == "lost"
    board.take({"op": "nonsense"})
    board.take({"op": "ended", "batch": "never heard of", "outcomes": []})


def test_scheduler_that_was_started_again_catches_up_without_a_false_pace() -> None:
    """Outcomes told again all at once count, but say nothing about the rate."""
    names = [_name(day) for day in range(1, 11)]
    board, _ = _board(names)
    told = [_done(name).to_plain() for name in names[:5]]
    board.take({"op": "ended", "batch": "B", "outcomes": told, "just_now": False})
    assert board.batches["B"].ended == 5
    assert board.batches["B"].rate is None


def test_calendar_tells_what_is_new() -> None:
    """A view asks for the cells that have changed since it last looked, and gets no others."""
    calendar = Calendar()
    calendar.put((_name(day), "") for day in range(1, 6))
    seen = calendar.version
    calendar.put([(_name(2), "failed")])
    changed = list(calendar.year(2014, seen))
    assert [(day, family) for day, family, _ in changed] == [(dt.date(2014, 1, 2), "imaging")]
    assert changed[0][2].by_trouble() == [(_name(2), "failed")]
    assert calendar.years == (2014,)
    assert place_of("no name of ours") == (dt.date(1970, 1, 1), "unknown")


def test_series_stays_bounded() -> None:
    """A batch of days is drawn with as many points as one of minutes, and nothing is lost."""
    series = Series(width=1.0)
    for second in range(5000):
        series.add(second, 1.0, 2.0, 3.0)
    times, (runs, *_) = series.rates(5000.0)
    assert len(times) <= 120
    assert runs[0] == pytest.approx(1.0)
    assert sum(runs) * series.width == pytest.approx(len(times) * series.width)


def test_snapshot_travels_and_stands_still() -> None:
    """A copy for another process keeps its numbers, whatever that process's clock says."""
    board, now = _board([_name(day) for day in range(1, 9)])
    for day in range(1, 4):
        now[0] += 10.0
        board.take({"op": "ended", "batch": "B", "outcomes": [_done(_name(day)).to_plain()]})
    copy = pickle.loads(pickle.dumps(board.batches["B"].snapshot()))
    before = board.batches["B"].to_document()
    now[0] += 1000.0
    assert copy.to_document() == before


def test_metrics_are_what_prometheus_reads() -> None:
    """Runs by mode and state, workers, bytes, each with its batch."""
    board, _ = _board([_name(1), _name(2)])
    board.take({"op": "ended", "batch": "B", "outcomes": [_done(_name(1)).to_plain()]})
    text = metrics(board).decode()
    assert 'covis_runs{batch="B",mode="imaging",state="done"} 1.0' in text
    assert 'covis_read_bytes_total{batch="B"} 100.0' in text


def test_what_comes_from_runs_is_escaped() -> None:
    """A sentence with markup in it stays a sentence."""
    status = BatchStatus("B", 1)
    status.add(RunOutcome("x", "failed", "p", kind="bug", reason="<script>alert(1)</script>"))
    assert "<script>" not in section("failures", status, "store")
    assert "&lt;script&gt;" in section("failures", status, "store")


def test_coverage_is_a_picture() -> None:
    """Runs of several years and modes, or none at all, become a PNG."""
    names = [
        (_name(day, mode, year), "done")
        for day in (1, 2)
        for mode in ("IMAGING", "DIFFUSE")
        for year in (2013, 2014)
    ]
    for runs in (names, []):
        assert Coverage.of(runs)._repr_png_().startswith(b"\x89PNG")
