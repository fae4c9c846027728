"""Leases and claims as a batch sees them, by clocks that the tests turn: who is dead, waits, or has lost."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog.claims import Claim, claimed
from catalog.errors import CatalogUnavailable
from catalog.model import RawFile, Run
from catalog.names import parse_basename
from catalog.store import Catalog, open_catalog
from covis_dask.batches.keeper import kept
from covis_dask.batches.leases import Claims, Lease, LeaseWatch
from covis_dask.runs.outcome import RunOutcome

_NAMES = [f"APLUWCOVISMBSONAR001_20140101T0{hour}0043.076Z-IMAGING" for hour in range(4)]


class _Task:
    """A task that knows its run and its token."""

    path, attempt, label, bytes_in = "", 1, "imaging", 0

    def __init__(self, basename: str, token: int = 0) -> None:
        self.basename, self.token = basename, token

    def again(self) -> "_Task":
        return self

    def under(self, token: int) -> "_Task":
        return _Task(self.basename, token)


class _Clock:
    """A monotonic clock of one machine: it starts anywhere, and may go fast or slow."""

    def __init__(self, start: float, speed: float = 1.0) -> None:
        self.now, self._speed = start, speed

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds * self._speed


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Give a catalogue of four runs."""
    with open_catalog(f"sqlite:///{tmp_path}/c.sqlite") as catalog:
        for basename in _NAMES:
            name = parse_basename(basename)
            catalog.add_raw([Run(basename, name.datetime, name.mode, name.site, (RawFile("H", "x"),))])
        yield catalog


class _Batch:
    """A batch with a clock of its own."""

    def __init__(self, catalog: Catalog, name: str, clock: _Clock) -> None:
        self.clock, self.said = clock, list[str]()
        self.lease = Lease(catalog, name, 10.0, clock)
        self.claims = Claims(self.lease, self.said.append)
        self.lease.open()

    def claim(self, *names: str) -> dict[str, int]:
        return {task.basename: task.token for task in self.claims.claim([_Task(name) for name in names])}


def _live(seconds: float, *batches: _Batch, silent: tuple[_Batch, ...] = ()) -> None:
    """Let time pass for all; those that are silent give no sign of life."""
    for _ in range(int(seconds / 2.5)):
        for batch in (*batches, *silent):
            batch.clock.pass_(2.5)
        for batch in batches:
            batch.lease.round()


@pytest.fixture(params=[(0.0, 1.0), (1e6, 1.0), (-1e6, 1.0), (5.0, 1.02), (5.0, 0.98)], ids=str)
def two(catalog: Catalog, request: pytest.FixtureRequest) -> tuple[_Batch, _Batch]:
    """Give two batches whose clocks have different origins, and do not go alike."""
    start, speed = request.param
    return _Batch(catalog, "a", _Clock(100.0)), _Batch(catalog, "b", _Clock(100.0 + start, speed))


def test_a_batch_that_lives_keeps_its_runs(two: tuple[_Batch, _Batch]) -> None:
    """Who wants a run of a batch that lives is told so within two heartbeats, whatever the clocks say."""
    first, second = two
    assert first.claim(_NAMES[0]) == {_NAMES[0]: 1}
    assert second.claim(*_NAMES[:2]) == {_NAMES[1]: 1}
    taken: list[tuple[str, str]] = []
    for _ in range(8):
        _live(2.5, first, second)
        settled = second.claims.settle()
        assert not settled.free
        taken += [(task.basename, batch) for task, batch in settled.taken]
    assert taken == [(_NAMES[0], "a")]
    assert len(second.claims) == 0
    _live(1000, first, second)
    assert not first.lease.is_lost


def test_a_batch_that_is_silent_loses_its_runs(two: tuple[_Batch, _Batch]) -> None:
    """After two heartbeats under one's own eyes, not sooner, a silent batch is taken over; that is said."""
    first, second = two
    first.claim(_NAMES[0])
    second.claim(_NAMES[0])
    waited = 0.0
    while not (settled := second.claims.settle()).free:
        assert not settled.taken
        assert waited < 25
        _live(2.5, second, silent=(first,))
        waited += 2.5
    assert waited >= 20
    assert ([task.basename for task in settled.free], settled.dead) == ([_NAMES[0]], ("a",))
    assert [line.partition(":")[0] for line in second.said] == [
        "1 run is held by batch a",
        "batch a has given no sign of life for 20 s",
    ]
    assert second.claim(_NAMES[0]) == {_NAMES[0]: 2}
    _live(10, first)
    assert first.lease.is_lost
    assert first.claims.lost([_NAMES[0]]) == {_NAMES[0]: "b"}


def test_a_clock_that_is_set_changes_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock may be set by a day, forth and back, in the midst of it: nobody dies of that."""
    real, jumps = time.time, iter([86400.0, -86400.0] * 1000)
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    first, second = (_Batch(catalog, name, _Clock(0.0)) for name in "ab")
    first.claim(_NAMES[0])
    second.claim(_NAMES[0])
    _live(100, first, second)
    assert [batch for _, batch in second.claims.settle().taken] == []  # one look, to see where it stands
    _live(10, first, second)
    assert [batch for _, batch in second.claims.settle().taken] == ["a"]
    assert not first.lease.is_lost


def test_a_batch_with_slower_heartbeats_gets_more_time(catalog: Catalog) -> None:
    """A batch that says in its document that it beats every minute has two minutes."""
    from catalog.model import Batch, utc

    first, second = (_Batch(catalog, name, _Clock(0.0)) for name in "ab")
    catalog.put_batch(Batch("a", {}, {"heartbeat": 60.0}, {}, {}, utc("2026-01-01T00:00:00")))
    first.claim(_NAMES[0])
    second.claim(_NAMES[0])
    second.claims.settle()
    _live(110, second, silent=(first,))
    assert not second.claims.settle().free
    _live(15, second, silent=(first,))
    assert second.claims.settle().free


def test_time_nobody_watched_does_not_count(catalog: Catalog) -> None:
    """A batch that was stopped itself, or had no catalogue, begins anew to count the silence of others."""
    first, second = (_Batch(catalog, name, _Clock(0.0)) for name in "ab")
    first.claim(_NAMES[0])
    second.claim(_NAMES[0])
    second.claims.settle()
    _live(15, second, silent=(first,))
    second.clock.pass_(3600)
    assert not second.claims.settle().free
    _live(17.5, second, silent=(first,))
    assert not second.claims.settle().free
    _live(5, second, silent=(first,))
    assert second.claims.settle().free


def test_a_lease_that_nobody_took_is_renewed(catalog: Catalog) -> None:
    """A batch that was silent for an hour, and nobody wanted its runs, goes on as if nothing had been."""
    (first,) = (_Batch(catalog, name, _Clock(0.0)) for name in "a")
    assert first.claim(_NAMES[0]) == {_NAMES[0]: 1}
    first.clock.pass_(3600)
    first.lease.round()
    assert not first.lease.is_lost
    assert first.claim(_NAMES[0]) == {_NAMES[0]: 1}
    assert first.claims.lost([_NAMES[0]]) == {}


def test_only_one_takes_over(catalog: Catalog) -> None:
    """Of two batches that wait for the same dead one, one gets each run; the other sees that it lives."""
    dead, first, second = (_Batch(catalog, name, _Clock(0.0)) for name in "abc")
    dead.claim(*_NAMES)
    first.claim(*_NAMES)
    second.claim(*_NAMES)
    got: dict[str, list[str]] = {"b": [], "c": []}
    told: list[str] = []
    for _ in range(20):
        _live(2.5, first, second, silent=(dead,))
        for name, batch in (("b", first), ("c", second)):
            settled = batch.claims.settle()
            got[name] += batch.claim(*(task.basename for task in settled.free))
            told += [holder for _, holder in settled.taken]
    assert sorted(got["b"] + got["c"]) == _NAMES
    assert len(told) == len(_NAMES)
    assert set(told) <= {"b", "c"}


def test_a_holder_that_ends_in_good_order_is_no_dead_one(catalog: Catalog) -> None:
    """Runs that a batch lets go of are claimed at once, and nothing is said of silence."""
    first, second = (_Batch(catalog, name, _Clock(0.0)) for name in "ab")
    first.claim(*_NAMES[:2])
    second.claim(*_NAMES[:2])
    second.claims.settle()
    catalog.release("a")
    first.lease.close()
    _live(2.5, second)
    assert [task.basename for task in second.claims.settle().free] == _NAMES[:2]
    assert len(second.said) == 1


def test_a_run_that_the_catalogue_lost(catalog: Catalog) -> None:
    """A run that cannot be claimed although nobody holds it is given up, not waited for."""
    batch = _Batch(catalog, "a", _Clock(0.0))
    assert batch.claim("no such run") == {}
    gone: list[tuple[str, str]] = []
    for _ in range(3):
        _live(2.5, batch)
        settled = batch.claims.settle()
        batch.claim(*(task.basename for task in settled.free))
        gone += [(task.basename, holder) for task, holder in settled.taken]
    assert gone == [("no such run", "")]
    assert len(batch.claims) == 0


class _Failing:
    """A catalogue whose k-th call of each kind fails."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.left = 10**9

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            self.left -= 1
            if self.left == 0:
                raise CatalogUnavailable("away")
            answer: object = getattr(self._catalog, name)(*arguments)
            return answer

        return call


@pytest.mark.parametrize("call", range(1, 12))
def test_a_catalogue_that_fails_at_any_call(catalog: Catalog, call: int) -> None:
    """Whichever call fails while runs are taken over, no run is forgotten: the next round goes on."""
    dead = _Batch(catalog, "a", _Clock(0.0))
    dead.claim(*_NAMES[:3])
    failing: Catalog = _Failing(catalog)  # type: ignore[assignment]
    batch = _Batch(failing, "b", _Clock(0.0))
    batch.claim(*_NAMES[:3])
    batch.claims.settle()
    _live(22.5, batch, silent=(dead,))
    failing.left = call  # type: ignore[attr-defined]
    ours: dict[str, int] = {}
    waiting = list[str]()
    for _ in range(4):
        batch.clock.pass_(2.5)
        try:
            waiting += [task.basename for task in batch.claims.settle().free]
            ours |= batch.claim(*waiting)
            waiting = []
        except CatalogUnavailable:
            continue
    assert ours == dict.fromkeys(_NAMES[:3], 2)


def test_the_keeper_goes_on_through_an_outage(catalog: Catalog) -> None:
    """The thread that keeps a lease survives a catalogue that is away, and beats again when it is back."""
    failing: Catalog = _Failing(catalog)  # type: ignore[assignment]
    lease = Lease(failing, "a", 0.04, time.monotonic)
    lease.open()
    failing.left = 3  # type: ignore[attr-defined]
    before = catalog.leases()["a"]
    with kept(lease):
        deadline = time.monotonic() + 20
        while catalog.leases()["a"] < before + 5 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert catalog.leases()["a"] >= before + 5
    assert not [thread for thread in threading.enumerate() if thread.name == "covis-lease-a"]


def test_a_watch_sees_only_what_it_has_seen() -> None:
    """A counter stands still from the moment it was first seen there, and a lease that is gone has none."""
    watch = LeaseWatch(10.0)
    for now, beat in ((0.0, 1), (5.0, 1), (10.0, 2), (15.0, 2), (24.0, 2)):
        watch.look({"a": beat}, now)
    assert (watch.beat_of("a"), watch.still_for("a")) == (2, 14.0)
    watch.look({}, 30.0)
    assert (watch.beat_of("a"), watch.still_for("a")) == (None, 0.0)


@pytest.mark.parametrize(
    ("claim", "floor", "open_leases", "expected"),
    [
        (Claim(), 0, set(), Claim("us", 1)),
        (Claim(None, 4), 0, set(), Claim("us", 5)),
        (Claim(None, 4), 9, set(), Claim("us", 10)),
        (Claim("us", 4), 0, {"us"}, Claim("us", 4)),
        (Claim("us", 4), 4, {"us"}, Claim("us", 4)),
        (Claim("us", 4), 5, {"us"}, Claim("us", 6)),
        (Claim("other", 4), 0, {"us"}, Claim("us", 5)),
        (Claim("other", 4), 9, {"us", "other"}, None),
    ],
)
def test_the_rule_of_claims(claim: Claim, floor: int, open_leases: set[str], expected: Claim | None) -> None:
    """A new holder's token is above all before it and above the floor; an open lease is respected."""
    assert claimed(claim, "us", floor, open_leases) == expected


def test_an_outcome_for_the_driver_alone_goes_no_further() -> None:
    """What only the driver needs to know is in no page, report or snapshot."""
    outcome = RunOutcome("x", "done", "p", behind=4, uncommitted={"schema": "m"})
    for document in (outcome.to_plain(), outcome.to_document()):
        assert not {"behind", "uncommitted"} & document.keys()
