"""How batches stand: the catalogue says how one ended, and its lease whether one that has not ended lives."""

import time
from collections.abc import Callable, Iterable

from catalog.model import Batch
from catalog.store import Catalog
from covis_dask.batches.leases import BEATS, LeaseWatch, heartbeat_of
from covis_dask.batches.status import ABANDONED, FINISHED, RUNNING

__all__ = ["endings", "is_dead", "patience_with"]

_HEARTBEAT = 10.0
_LOOKS = 8


def patience_with(batch: Batch, heartbeat: float = 0.0) -> float:
    """Return how long the counter of a batch must stand still for the batch to be dead, s."""
    return BEATS * max(heartbeat, heartbeat_of(batch) or _HEARTBEAT)


def is_dead(batch: Batch, watch: LeaseWatch) -> bool:
    """Tell whether nobody carries out a batch that has no end; what is not known yet counts as life."""
    return watch.beat_of(batch.id) is None or watch.still_for(batch.id) >= patience_with(batch)


def endings(
    catalog: Catalog,
    batches: Iterable[Batch],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> dict[str, str]:
    """Return how batches stand: running, finished, stopped or abandoned.

    Where a batch has no end and its lease is open, it takes up to two of its heartbeats to see whether the
    lease is kept.
    """
    batches = list(batches)
    known = {batch.id: batch.ending or FINISHED for batch in batches if batch.end is not None}
    open_ones = {batch.id: batch for batch in batches if batch.end is None}
    if not open_ones:
        return known
    first = dict(catalog.leases())
    pause = min(patience_with(batch) for batch in open_ones.values()) / BEATS / _LOOKS
    watch, counters = LeaseWatch(_LOOKS * pause), first
    while True:
        watch.look(counters, clock())
        for name, batch in list(open_ones.items()):
            lives = name in first and counters.get(name, first[name]) != first[name]
            if lives or is_dead(batch, watch):
                known[name] = RUNNING if lives else _ended_meanwhile(catalog, name)
                del open_ones[name]
        if not open_ones:
            return known
        sleep(pause)
        counters = dict(catalog.leases())


def _ended_meanwhile(catalog: Catalog, batch_id: str) -> str:
    """Ask again: a batch closes its document before its lease."""
    batch = catalog.get_batch(batch_id)
    return ABANDONED if batch is None or batch.end is None else batch.ending or FINISHED
