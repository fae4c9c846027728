"""What is known of a batch: one model, whatever shows it (page, terminal, notebook, JSON, metrics)."""

import datetime as dt
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.vocabulary import COMPLETE, RunState
from covis_dask.batches._rates import Recent, Series
from covis_dask.batches.calendar import STATES, Calendar
from covis_dask.runs.outcome import RunOutcome

__all__ = [
    "ABANDONED",
    "FINISHED",
    "LOST",
    "RUNNING",
    "STATES",
    "STOPPED",
    "BatchStatus",
    "FailureGroup",
    "ModeStatus",
]

RUNNING, FINISHED, STOPPED, ABANDONED = "running", "finished", "stopped", "abandoned"
"""How a batch stands, or ended; abandoned: its driver died, and said nothing any more."""
LOST = "lost"
"""What a scheduler says of a batch whose driver has left it without a word."""

_PICTURES = 8


@dataclass(frozen=True, slots=True)
class _Still:
    """A clock that stands still."""

    now: float

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class ModeStatus:
    """How far one family of modes is.

    Parameters
    ----------
    recent : Recent
        Its own pace.
    expected : int
        Runs selected.
    counts : Counter
        Runs by state.
    computed : int
        Runs that a worker has spent time on.
    seconds : float
        That time.
    """

    recent: Recent
    expected: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    computed: int = 0
    seconds: float = 0.0

    @property
    def ended(self) -> int:
        """Runs that have a state."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Runs that have none yet."""
        return max(0, self.expected - self.ended)

    @property
    def mean(self) -> float | None:
        """Seconds a run takes; None while none has been computed."""
        return self.seconds / self.computed if self.computed else None


@dataclass(slots=True)
class FailureGroup:
    """Runs that ended the same way.

    Parameters
    ----------
    state, kind : str
    reason : str
        The sentence of the latest.
    basename, path : str
        The latest of them, and its folder below the product store.
    log : str, optional
        Where its log lies below the product store, when the worker could leave one.
    count : int
    """

    state: str
    kind: str
    reason: str
    basename: str
    path: str
    log: str | None = None
    count: int = 0

    def to_document(self) -> dict[str, Any]:
        """Return the group as JSON values."""
        return {
            "state": self.state,
            "kind": self.kind,
            "count": self.count,
            "reason": self.reason,
            "run": self.basename,
            "log": self.log,
        }


@dataclass(slots=True)
class BatchStatus:
    """Counts, rates, time to go, failures and calendar of one batch.

    Parameters
    ----------
    batch : str
        Identifier.
    expected : int
        Runs selected.
    clock : callable
        Monotonic seconds.
    attributes : dict
        What was asked for: ``selection`` (words), ``engine``, ``profile``, ``prefix``, ``store``.
    start, end : datetime, optional
        UTC.
    ending : str
        ``running``; then ``finished``, ``stopped``, ``abandoned``; a scheduler says ``lost`` when the driver
        went away without a word.
    running, retrying : int
        Runs handed to the cluster, and runs that wait for another try.
    odd : FailureGroup, optional
        Runs that became products although something about their data was odd.
    latest : int, optional
        Year of the run that a worker ended last.
    """

    batch: str
    expected: int
    clock: Callable[[], float] = time.monotonic
    attributes: dict[str, Any] = field(default_factory=dict)
    start: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    end: dt.datetime | None = None
    ending: str = RUNNING
    report: str | None = None
    running: int = 0
    retrying: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    modes: dict[str, ModeStatus] = field(default_factory=dict)
    groups: dict[tuple[str, str], FailureGroup] = field(default_factory=dict)
    failures: deque[RunOutcome] = field(default_factory=lambda: deque(maxlen=5))
    odd: FailureGroup | None = None
    pictures: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_PICTURES))
    calendar: Calendar = field(default_factory=Calendar)
    series: Series = field(default_factory=Series)
    latest: int | None = None
    _started: float = field(init=False)
    _stopped: float | None = None
    _recent: Recent = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()
        self._recent = Recent(self.clock)

    def start_earlier(self, seconds: float) -> None:
        """Say that the batch had been going for so long when this status was made."""
        self._started -= seconds

    def expect(self, basenames: Iterable[str]) -> None:
        """Say which runs the batch means; then there is a calendar, and progress by mode."""
        names = list(basenames)
        self.calendar.put((name, "") for name in names)
        for name in names:
            self._mode(name).expected += 1

    def _mode(self, basename: str) -> ModeStatus:
        return self.modes.setdefault(self.calendar.family(basename), ModeStatus(Recent(self.clock)))

    def add(self, outcome: RunOutcome, *, just_now: bool = True) -> None:
        """Count one more run that has ended.

        Parameters
        ----------
        outcome : RunOutcome
        just_now : bool
            False for what ended before this status was made: it says nothing about the pace.
        """
        self.counts[outcome.state] += 1
        mode = self._mode(outcome.basename)
        mode.counts[outcome.state] += 1
        self.calendar.put([(outcome.basename, outcome.state)])
        if outcome.seconds and (position := self.calendar.where(outcome.basename)) is not None:
            self.latest = position[0].year
        self.stages.update(outcome.timings)
        if outcome.kind is not None:
            self.kinds[outcome.kind] += 1
            group = FailureGroup(
                outcome.state, outcome.kind, outcome.reason or "", outcome.basename, outcome.path, outcome.log
            )
            before = self.groups.get((outcome.state, outcome.kind))
            group.count = 1 + (before.count if before else 0)
            self.groups[outcome.state, outcome.kind] = group
        if outcome.notes:
            count = 1 + (self.odd.count if self.odd else 0)
            note = "; ".join(outcome.notes)
            self.odd = FailureGroup(
                outcome.state, "odd data", note, outcome.basename, outcome.path, count=count
            )
        if outcome.state in {RunState.FAILED, RunState.QUARANTINED}:
            self.failures.append(outcome)
        if outcome.state in COMPLETE and outcome.path:
            self.pictures.append((outcome.basename, outcome.path))
        self.bytes_in += outcome.bytes_in
        self.bytes_out += outcome.bytes_out
        if outcome.seconds:
            mode.computed += 1
            mode.seconds += outcome.seconds
        if outcome.seconds and just_now:
            self._recent.add(outcome.seconds)
            mode.recent.add(outcome.seconds)
            self.series.add(self.seconds, 1, outcome.bytes_in, outcome.bytes_out)

    def finish(self, ending: str = FINISHED, report: str | None = None) -> None:
        """Say that the batch is over."""
        self.ending, self.report = ending, report
        self.end = dt.datetime.now(dt.UTC)
        self._stopped = self.clock()
        self.running = self.retrying = 0

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.ending != RUNNING

    @property
    def ended(self) -> int:
        """Runs that have a state."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Runs that have none yet."""
        return self.expected - self.ended

    @property
    def seconds(self) -> float:
        """Since the start, until the end."""
        return (self.clock() if self._stopped is None else self._stopped) - self._started

    @property
    def rate(self) -> float | None:
        """Runs per second of late; None while too few have ended to tell."""
        return self._recent.rate

    @property
    def throughput(self) -> float:
        """Bytes read per second, over the whole batch."""
        return self.bytes_in / max(self.seconds, 1e-6)

    @property
    def throughput_out(self) -> float:
        """Bytes written per second, over the whole batch."""
        return self.bytes_out / max(self.seconds, 1e-6)

    @property
    def eta(self) -> float | None:
        """Seconds to go: the work left, mode by mode, at the pace of late; None while nobody can tell."""
        pace = self._recent.work
        if not pace or not self.left:
            return None
        computed = sum(mode.computed for mode in self.modes.values())
        overall = sum(mode.seconds for mode in self.modes.values()) / computed
        known = sum(mode.left for mode in self.modes.values())
        work = sum(mode.left * (mode.mean or overall) for mode in self.modes.values())
        return (work + (self.left - known) * overall) / pace

    def eta_of(self, family: str) -> float | None:
        """Seconds to go for a family of modes at its own pace, no longer than the batch; None as `eta`."""
        mode, whole = self.modes[family], self.eta
        if whole is None or not mode.left:
            return None
        rate = mode.recent.rate
        return min(whole, mode.left / rate) if rate else whole

    def snapshot(self) -> "BatchStatus":
        """Return a copy that stands still and can be sent to another process; it has no calendar."""
        still = _Still(self.clock())
        modes = {
            family: replace(mode, recent=mode.recent.standing_still(still))
            for family, mode in self.modes.items()
        }
        copy = replace(self, clock=still, modes=modes, calendar=Calendar())
        copy._started, copy._recent = self._started, self._recent.standing_still(still)
        return copy

    def to_document(self) -> dict[str, Any]:
        """Return the numbers as JSON values; runs are not listed."""
        return {
            "batch": self.batch,
            "state": self.ending,
            **self.attributes,
            "start": self.start.isoformat(),
            "end": None if self.end is None else self.end.isoformat(),
            "report": self.report,
            "expected": self.expected,
            "ended": self.ended,
            "running": self.running,
            "retrying": self.retrying,
            "counts": {state: self.counts[state] for state in STATES},
            "seconds": round(self.seconds, 3),
            "eta_seconds": _rounded(self.eta),
            "runs_per_hour": _rounded(None if self.rate is None else 3600 * self.rate),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "stages": {stage: round(seconds, 3) for stage, seconds in self.stages.items()},
            "modes": {
                family: {
                    "expected": mode.expected,
                    "counts": {state: mode.counts[state] for state in STATES},
                    "mean_seconds": _rounded(mode.mean),
                    "eta_seconds": _rounded(self.eta_of(family)),
                }
                for family, mode in self.modes.items()
            },
            "failures": [group.to_document() for group in self.groups.values()],
            "odd": None if self.odd is None else self.odd.to_document(),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
