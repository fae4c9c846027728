"""A lease is kept from a thread of its own, so that nothing the batch is at can stop its heart."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from catalog.errors import CatalogError
from covis_dask.batches.leases import Lease

__all__ = ["kept"]

_ROUNDS = 4
"""Rounds a heartbeat."""
_PATIENCE = 1.0


@contextmanager
def kept(lease: Lease) -> Iterator[None]:
    """Give signs of life, and watch those of other batches, for as long as this lasts.

    A catalogue that is away is asked again in the next round: a lease that nobody has taken over meanwhile
    goes on.
    """
    over = threading.Event()

    def rounds() -> None:
        while True:
            with suppress(CatalogError):
                lease.round()
            if over.wait(lease.heartbeat / _ROUNDS):
                return

    thread = threading.Thread(target=rounds, name=f"covis-lease-{lease.batch}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_PATIENCE)
