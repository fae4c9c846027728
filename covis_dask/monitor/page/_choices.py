"""What a page shows while nobody has chosen anything on it."""

from collections.abc import Collection

from bokeh.document import Document

from covis_dask.batches.status import BatchStatus

__all__ = ["batch_asked_for", "year_at_work"]


def year_at_work(status: BatchStatus, now: Collection[str], before: int) -> int:
    """Choose the year to look at: where workers are, else where the batch has come to, else the last.

    With workers in several years the one that has been looked at `before` stays.
    """
    positions = [status.calendar.where(basename) for basename in now]
    years = [position[0].year for position in positions if position is not None]
    if years:
        return before if before in years else max(set(years), key=years.count)
    if status.latest is not None and not status.over:
        return status.latest
    return status.calendar.years[-1]


def batch_asked_for(document: Document) -> str:
    """Return the batch that the address asks for: ``/covis?batch=NAME``."""
    context = document.session_context
    arguments: dict[str, list[bytes]] = (
        context.request.arguments if context is not None and context.request is not None else {}
    )
    return (arguments.get("batch") or [b""])[0].decode(errors="replace")
