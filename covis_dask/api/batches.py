"""Runs chosen from the catalogue, and batches of them."""

from typing import Unpack

from catalog.model import Batch, Run
from catalog.query import RunQuery
from covis_dask.api.handle import BatchHandle
from covis_dask.api.keywords import Options, Selection, query_of, request_of
from covis_dask.batches.history import History, open_for_reading
from covis_dask.batches.plan import Plan
from covis_dask.batches.request import BatchRequest
from covis_dask.batches.service import prepare, settings_for
from covis_dask.config import load_settings

__all__ = ["attach", "list_batches", "plan", "select_runs", "submit"]


def select_runs(query: RunQuery | None = None, /, **selection: Unpack[Selection]) -> tuple[Run, ...]:
    """Return the runs that the catalogue has, of those that are asked for, by time.

    Parameters
    ----------
    query : RunQuery, optional
        Which runs; or say it in keywords.
    **selection
        ``year=2014, mode="diffuse"`` ..., as for ``covis catalog select``; none for all runs.

    Raises
    ------
    ConfigurationError
        For keywords that make no sense.
    CatalogError
        When there is no catalogue, or it does not answer.
    TypeError
        When there are both a query and keywords.

    Examples
    --------
    >>> runs = covis.select_runs(year=2014, mode="diffuse")
    >>> runs[0].basename, runs[0].datetime, runs[0].product
    """
    if query is None:
        query = query_of(selection)
    elif selection:
        raise TypeError("give a RunQuery or keywords, not both")
    with open_for_reading(load_settings()) as catalog:
        return tuple(catalog.select(query))


def plan(request: BatchRequest | None = None, /, **options: Unpack[Options]) -> Plan:
    """Return what `submit` would do with each run, and why; nothing is done.

    Parameters
    ----------
    request : BatchRequest, optional
        What is asked for; or say it in keywords.
    **options
        As for ``covis batch``: ``year=2014, profile="corrected", set={"filter.bw": 4}`` ...

    Returns
    -------
    Plan
        Its `items` have run, action, reason, and the task if there is something to compute.

    Raises
    ------
    ConfigurationError
        For keywords or settings that make no sense; `NothingSelected` when no run is chosen.
    CatalogError
        When there is no catalogue, or it does not answer.
    """
    request = _requested(request, options)
    settings = settings_for(request)
    with open_for_reading(settings) as catalog:
        return prepare(request, settings, catalog).plan


def submit(request: BatchRequest | None = None, /, **options: Unpack[Options]) -> BatchHandle:
    """Start a batch in the background, and return a handle on it.

    The batch goes on as long as this process does; `attach` follows it from another one. What is committed
    when the process ends is safe, and the same call goes on from there.

    Parameters
    ----------
    request, **options
        As for `plan`; see there for the errors as well.

    Examples
    --------
    >>> batch = covis.submit(year=2014, mode="diffuse", workers=4)
    >>> batch.wait()
    >>> [outcome.basename for outcome in batch.outcomes if outcome.state == "failed"]
    """
    return BatchHandle.begin(_requested(request, options))


def attach(batch: str, *, scheduler: str | None = None) -> BatchHandle:
    """Follow a batch that another process carries out, or look at one that is over.

    Parameters
    ----------
    batch : str
        Identifier, or the beginning of one.
    scheduler : str, optional
        Address of its scheduler, where the catalogue does not say it.

    Raises
    ------
    CatalogError
        When the catalogue does not know it.
    """
    return BatchHandle.follow(batch, scheduler)


def list_batches(limit: int = 20) -> tuple[Batch, ...]:
    """Return the newest batches, newest first.

    Raises
    ------
    CatalogError
        When there is no catalogue, or it does not answer.
    """
    return History.here().batches(limit)


def _requested(request: BatchRequest | None, options: Options) -> BatchRequest:
    if request is None:
        return request_of(options)
    if options:
        raise TypeError("give a BatchRequest or keywords, not both")
    return request
