"""Hosts that refuse: what a worker remembers of them, so that a refusal is heard once, not for every run."""

import time
from dataclasses import dataclass, field
from typing import Final

from covis_dask.config import Location
from covis_dask.errors import CovisError

__all__ = ["Refusals", "refusals_of"]

ASKED_AGAIN: Final = 600.0
"""Time, s, after which a host that refused everything is asked once more: its clock may have been set."""
_SHUT: Final = 8
"""Files refused in a row after which a host is asked last. It may merely lack those: S3 says so of what is
not there to whoever may not list, so it is never left out."""

_Key = tuple[str, str | None, str | None]


@dataclass(slots=True)
class Refusals:
    """What the hosts of one batch have refused, as one worker has heard it."""

    _whole: dict[_Key, tuple[float, CovisError]] = field(default_factory=dict)
    _in_a_row: dict[_Key, int] = field(default_factory=dict)

    def remember(self, location: Location, error: CovisError) -> None:
        """Note that a host has nothing at all for us, and why."""
        self._whole[_key(location)] = time.monotonic(), error

    def known(self, location: Location) -> CovisError | None:
        """Return why a host has nothing at all for us; None when it is to be asked."""
        at, error = self._whole.get(_key(location), (0.0, None))
        if error is None or time.monotonic() - at > ASKED_AGAIN:
            return None
        return type(error)(str(error))

    def one_denied(self, location: Location) -> None:
        """Note that a host has refused one file."""
        self._in_a_row[_key(location)] = self._in_a_row.get(_key(location), 0) + 1

    def one_read(self, location: Location) -> None:
        """Note that a host has let us have a file: it is open."""
        self._in_a_row[_key(location)] = 0

    def seems_shut(self, location: Location | None) -> bool:
        """Say whether a host has refused file after file, so that others had better be asked first."""
        return location is not None and self._in_a_row.get(_key(location), 0) >= _SHUT


def _key(location: Location) -> _Key:
    return location.url, location.endpoint, location.key


_current: tuple[str, Refusals] = ("", Refusals())


def refusals_of(batch: str) -> Refusals:
    """Return what this process has heard in a batch; the next batch asks anew, for it may be mended."""
    global _current  # a process is at one batch at a time
    if not batch or batch != _current[0]:
        _current = batch, Refusals()
    return _current[1]
