"""What is left of a batch whose driver died: its document is closed with what it had done."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from catalog.model import Batch, Run
from catalog.store import Catalog
from covis_dask.batches.history import query_of
from covis_dask.batches.status import ABANDONED
from covis_dask.errors import DocumentError

__all__ = ["close_abandoned", "closed"]


def closed(batch: Batch, runs: Iterable[Run], end: dt.datetime) -> Batch:
    """Return the document of a batch that nobody carries out any more.

    Parameters
    ----------
    batch : Batch
        As it was begun; its counts are of the runs that needed no worker.
    runs : iterable of Run
        Its selection, with what is recorded of each.
    end : datetime
        UTC.
    """
    done = Counter(run.product.state for run in runs if run.product and run.product.batch == batch.id)
    return replace(batch, counts=Counter(batch.counts) + done, end=end, ending=ABANDONED)


def close_abandoned(catalog: Catalog, batch_id: str, end: dt.datetime) -> None:
    """Close the document of a batch that has none to carry it out; one that is closed stays as it is."""
    batch = catalog.get_batch(batch_id)
    if batch is None or batch.end is not None:
        return
    try:
        runs = list(catalog.select(query_of(batch)))
    except DocumentError:  # a later release has chosen in words we do not know
        runs = []
    catalog.put_batch(closed(batch, runs, end))
