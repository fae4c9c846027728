"""Stores and catalogues that go away for a while: how long they have been away, and waiting for them."""

import time
from collections.abc import Callable
from typing import TypeVar

from covis_dask.errors import StorageUnavailable

__all__ = ["LONGEST_PAUSE", "Outages", "ride_out"]

LONGEST_PAUSE = 60.0
"""Longest time, s, between two tries; whoever comes back is noticed soon."""

T = TypeVar("T")


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


def ride_out(call: Callable[[], T], patience: float, pause: float, log: Callable[[str], None]) -> T:
    """Repeat a call while a store does not answer.

    Parameters
    ----------
    call : callable
        May be repeated without harm.
    patience : float
        Longest time, s, to go on trying.
    pause : float
        Before the second try, s; doubles up to `LONGEST_PAUSE`.
    log : callable
        Takes a line on each failure.

    Raises
    ------
    StorageUnavailable
        The last one, when patience is at its end.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return call()
        except StorageUnavailable as error:
            if time.monotonic() + pause > end:
                raise
            log(f"{error}; trying again in {pause:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
