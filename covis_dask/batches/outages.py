"""Which stores, hosts and catalogues do not answer, and for how long."""

import time

__all__ = ["Outages"]


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
