"""What all open pages of a scheduler share, so that the fifth page costs little more than the first."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from catalog.model import Batch
from covis_dask.batches.history import History
from covis_dask.batches.status import BatchStatus
from covis_dask.monitor.page.sections import section

__all__ = ["Shared"]

_MOST_PARTS = 200
_MOST_BATCHES = 4
_FRESH = {
    "headline": 1.9,
    "batches": 1.9,
    "modes": 1.9,
    "workers": 1.9,
    "failures": 3.9,
    "pictures": 59.0,  # to make a picture small costs more than all else
}
_FRESH_OTHERS = 9.9


class Shared:
    """Parts of pages, drawn at most once per tick, and batches of the past, read once.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._parts: OrderedDict[tuple[str, object], tuple[float, str]] = OrderedDict()
        self._past: OrderedDict[str, asyncio.Task[BatchStatus]] = OrderedDict()

    def part(self, name: str, of: object, *values: Any) -> str:
        """Draw a part of a page, or return it as another page has just shown it.

        Parameters
        ----------
        name : str
            See `covis_dask.monitor.page.sections.section`.
        of : hashable
            What it tells of: parts of the same name that tell of the same are the same.
        *values
            What the part is drawn from.
        """
        now, key = self._clock(), (name, of)
        at, text = self._parts.get(key, (None, ""))
        if at is None or now - at >= _FRESH.get(name, _FRESH_OTHERS):
            text = section(name, *values)
            self._parts[key] = (now, text)
            self._parts.move_to_end(key)
            while len(self._parts) > _MOST_PARTS:
                self._parts.popitem(last=False)
        return text

    async def past(self, history: History, batch: Batch) -> BatchStatus:
        """Return the status of a batch of the past; it is read away from the event loop, once for all pages.

        A batch whose end is not recorded may be going on elsewhere, and is read anew.

        Raises
        ------
        CatalogError, CovisError, ValueError
            When it cannot be read.
        """
        reading = self._past.get(batch.id)
        if reading is None or batch.end is None or (reading.done() and reading.exception() is not None):
            reading = asyncio.ensure_future(asyncio.to_thread(history.status, batch))
            self._past[batch.id] = reading
            while len(self._past) > _MOST_BATCHES:
                self._past.popitem(last=False)
        return await asyncio.shield(reading)
