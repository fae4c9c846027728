"""How fast things have been going: of late, and over the whole batch."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Recent", "Series"]

_RECENT = 30
_BUCKETS = 120


@dataclass(slots=True)
class Recent:
    """Runs, and seconds of work, that ended per second of late.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    clock: Callable[[], float]
    _start: float = field(init=False)
    _ends: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def __post_init__(self) -> None:
        self._start = self.clock()

    def standing_still(self, clock: Callable[[], float]) -> "Recent":
        """Return a copy by a clock that stands still."""
        copy = Recent(clock)
        copy._start, copy._ends = self._start, self._ends.copy()
        return copy

    def add(self, seconds: float) -> None:
        """Note that a run has just ended which took so long."""
        self._ends.append((self.clock(), seconds))

    def _span(self) -> float:
        since = self._start if len(self._ends) < _RECENT else self._ends[0][0]
        return max(self.clock() - since, 1e-6)

    @property
    def rate(self) -> float | None:
        """Runs per second; None while too few have ended to tell."""
        return None if len(self._ends) < 2 else len(self._ends) / self._span()

    @property
    def work(self) -> float | None:
        """Seconds of work done per second, so the workers that are truly at it; None as for `rate`."""
        return None if len(self._ends) < 2 else sum(seconds for _, seconds in self._ends) / self._span()


@dataclass(slots=True)
class Series:
    """Sums over equal spans of time since the start; the spans grow, their number stays bounded.

    Parameters
    ----------
    width : float
        Length of a span, s.
    """

    width: float = 5.0
    _sums: list[list[float]] = field(default_factory=list)

    def add(self, seconds: float, *values: float) -> None:
        """Add values to the span that a time since the start falls into."""
        while seconds >= self.width * _BUCKETS:
            self.width *= 2
            pairs = [self._sums[i : i + 2] for i in range(0, len(self._sums), 2)]
            self._sums = [[sum(column) for column in zip(*pair, strict=True)] for pair in pairs]
        number = int(seconds / self.width)
        while len(self._sums) <= number:
            self._sums.append([0.0] * len(values))
        for index, value in enumerate(values):
            self._sums[number][index] += value

    def rates(self, seconds: float) -> tuple[list[float], list[list[float]]]:
        """Return per-second rates.

        Parameters
        ----------
        seconds : float
            Since the start; the span that is not over yet is left out.

        Returns
        -------
        times : list of float
            Middle of each span, s since the start.
        rates : list of list of float
            One list per value.
        """
        whole = int(seconds / self.width)
        if not self._sums:
            return [], [[], [], []]
        columns = len(self._sums[0])
        sums = [*self._sums, *([[0.0] * columns] * max(0, whole - len(self._sums)))][:whole]
        times = [(number + 0.5) * self.width for number in range(len(sums))]
        return times, [[row[index] / self.width for row in sums] for index in range(columns)]
