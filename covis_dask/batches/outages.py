"""Which stores, hosts and catalogues do not answer, for how long, and how one waits for them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from catalog.errors import CatalogError
from covis_dask.storage.retry import LONGEST_PAUSE

__all__ = ["Outages", "Patience"]

T = TypeVar("T")

_CATALOGUE = "the catalogue"
_TICK = 0.25


class Outages:
    """Which places do not answer, and since when. A single answer ends an outage."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def failed(self, place: str) -> float:
        """Note that a place did not answer; return for how long it has not, s."""
        now = time.monotonic()
        return now - self._since.setdefault(place, now)

    def answered(self, place: str) -> float | None:
        """Note that a place has answered; return how long the outage was, s, if there was one."""
        since = self._since.pop(place, None)
        return None if since is None else time.monotonic() - since


@dataclass(slots=True)
class Patience:
    """Asks the catalogue, and puts up with one that is away for a while.

    Parameters
    ----------
    backoff : float
        Pause before the next question to one that is away, s.
    max_outage : float
        How long it may be away, s.
    log : callable
        Takes a line for the user.
    outages : Outages
    """

    backoff: float
    max_outage: float
    log: Callable[[str], None]
    outages: Outages = field(default_factory=Outages)
    _ask_after: float = 0.0

    def ask(self, call: Callable[[], T]) -> T | None:
        """Ask the catalogue, unless it has failed to answer a moment ago; None while it is away.

        Raises
        ------
        CatalogError
            When it has refused, or been away, for longer than it may.
        """
        if time.monotonic() < self._ask_after:
            return None
        try:
            answer = call()
        except CatalogError as error:
            away = self.outages.failed(_CATALOGUE)
            if away > self.max_outage:
                raise
            if away == 0:
                self.log(f"the catalogue does not answer, the batch waits for it: {error}")
            self._ask_after = time.monotonic() + min(self.backoff, LONGEST_PAUSE)
            return None
        away_for = self.outages.answered(_CATALOGUE)
        if away_for is not None:
            self.log(f"the catalogue answers again, after {away_for:.0f} s")
        return answer

    def insist(self, call: Callable[[], T]) -> T:
        """Ask the catalogue until it answers; see `ask` for what is raised when it never does."""
        while True:
            answer = self.ask(lambda: (call(),))
            if answer is not None:
                return answer[0]
            time.sleep(_TICK)
