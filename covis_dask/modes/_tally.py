"""Bookkeeping of one run: which pings and bursts were used, which were not, and why."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from covis_dask.errors import NoValidPings

__all__ = ["PingTally"]


@dataclass(slots=True)
class PingTally:
    """Tally of a run, kept by its mode program and written to the product's attributes.

    Parameters
    ----------
    log : callable
        Takes one line for the run's log.
    pings_total : int
        Rows of the ping table.

    Attributes
    ----------
    bad_ping : list of int
        Ping numbers whose file exists and is bad (docs/method.md#bad-and-missing-pings), in the order met.
    missing_ping : list of int
        Ping numbers of the table without a file.
    pings_used : int
        Pings that entered the result.
    used : list of int
        Their numbers, as far as the mode has told them.
    bursts_used : int
    skipped : list of dict
        Bursts left out: `pitch` (degrees), `pings` (numbers), `reason`.
    """

    log: Callable[[str], None]
    pings_total: int = 0
    bad_ping: list[int] = field(default_factory=list)
    missing_ping: list[int] = field(default_factory=list)
    pings_used: int = 0
    used: list[int] = field(default_factory=list)
    bursts_used: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    _reasons: dict[int, str] = field(default_factory=dict)

    def bad(self, number: int, why: str) -> None:
        """Note a bad ping, once."""
        if number not in self._reasons:
            self._reasons[number] = why
            self.bad_ping.append(number)
            self.log(f"ping {number} is bad: {why}")

    def missing(self, numbers: Iterable[int]) -> None:
        """Note pings of the table that have no file."""
        pings = [int(number) for number in numbers]
        self.missing_ping += pings
        if pings:
            self.log(f"{len(pings)} pings of index.csv have no .bin file: {_some(pings)}")

    def skip(self, pitch: float, pings: Iterable[int], reason: str) -> None:
        """Note a burst that is left out."""
        numbers = [int(number) for number in pings]
        self.skipped.append({"pitch": float(pitch), "pings": numbers, "reason": reason})
        self.log(f"burst at pitch {pitch:g} (pings {_some(numbers)}) skipped: {reason}")

    def use(self, pings: int | Iterable[int]) -> None:
        """Note a burst that entered the result.

        Parameters
        ----------
        pings : iterable of int, or int
            Numbers of its valid pings, or how many there are: then the product does not tell which, and its
            time is the middle of all pings of the run.
        """
        self.bursts_used += 1
        if isinstance(pings, int):
            self.pings_used += pings
            return
        numbers = [int(number) for number in pings]
        self.pings_used += len(numbers)
        self.used += numbers

    def require_pings(self) -> None:
        """Refuse a run of which nothing is left.

        Raises
        ------
        NoValidPings
            With the reasons met, most frequent first.
        """
        if self.pings_used:
            return
        reasons: dict[str, int] = {}
        for reason in [*self._reasons.values(), *(burst["reason"] for burst in self.skipped)]:
            reasons[reason] = reasons.get(reason, 0) + 1
        told = "; ".join(
            f"{reason} ({count})" for reason, count in sorted(reasons.items(), key=_frequency)[:3]
        )
        raise NoValidPings(
            f"None of the run's {self.pings_total} pings can be used"
            + (f": {told}." if told else ": no burst is complete, or no ping has a file.")
        )

    def attributes(self) -> dict[str, Any]:
        """Return the tally as attributes of a product."""
        return {
            "pings_total": self.pings_total,
            "pings_used": self.pings_used,
            "bad_ping": sorted(self.bad_ping),
            "missing_ping": sorted(self.missing_ping),
            "bad_ping_reasons": json.dumps({str(number): why for number, why in self._reasons.items()}),
            "bursts_used": self.bursts_used,
            "bursts_skipped": len(self.skipped),
            "bursts_skipped_reasons": json.dumps(self.skipped),
        }


def _frequency(item: tuple[str, int]) -> tuple[int, str]:
    """Sort key: most frequent first, then by words."""
    return -item[1], item[0]


def _some(numbers: list[int]) -> str:
    """Return numbers in words, not more than fit in a line."""
    shown = ", ".join(map(str, numbers[:8]))
    return shown + (" ..." if len(numbers) > 8 else "")
