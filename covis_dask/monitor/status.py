"""What is known of a batch while it runs: one model, whatever shows it."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from covis_dask.task import RunOutcome

__all__ = ["STATES", "BatchStatus"]

STATES = ("done", "already", "failed", "quarantined", "unsupported", "not-run")
"""States a selected run can end in; their counts add up to the number selected."""

_RECENT = 30


@dataclass(slots=True)
class BatchStatus:
    """Counts, rates and the latest failures.

    Parameters
    ----------
    batch : str
        Identifier.
    expected : int
        Runs selected.
    clock : callable
        Monotonic seconds.
    """

    batch: str
    expected: int
    clock: Callable[[], float] = time.monotonic
    running: int = 0
    retrying: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    failures: deque[RunOutcome] = field(default_factory=lambda: deque(maxlen=5))
    _started: float = field(init=False)
    _computed: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def __post_init__(self) -> None:
        self._started = self.clock()

    def add(self, outcome: RunOutcome) -> None:
        """Count one more run that has ended."""
        self.counts[outcome.state] += 1
        if outcome.kind is not None:
            self.kinds[outcome.kind] += 1
        if outcome.state in {"failed", "quarantined"}:
            self.failures.append(outcome)
        self.bytes_in += outcome.bytes_in
        self.bytes_out += outcome.bytes_out
        if outcome.seconds:
            self._computed.append((self.clock(), outcome.bytes_in))

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
        """Since the start."""
        return self.clock() - self._started

    @property
    def rate(self) -> float | None:
        """Runs per second of late; None while too few have ended to tell."""
        if len(self._computed) < 2:
            return None
        since = self._started if len(self._computed) < _RECENT else self._computed[0][0]
        return len(self._computed) / max(self.clock() - since, 1e-6)

    @property
    def throughput(self) -> float:
        """Bytes read per second, over the whole batch."""
        return self.bytes_in / max(self.seconds, 1e-6)

    @property
    def eta(self) -> float | None:
        """Seconds to go at the recent rate; None while nobody can tell."""
        rate = self.rate
        return self.left / rate if rate else None
