"""The products of selected runs, as the store has them now."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from catalog.model import Run
from catalog.query import RunQuery
from catalog.store import Catalog
from covis_dask.batches.history import History, open_for_reading
from covis_dask.batches.stores import known_store, marked_store
from covis_dask.errors import LegacyProduct, ProductDamaged, RunError, UnreadableDocument
from covis_dask.products.paths import ProductPaths
from covis_dask.products.stored import StoredProduct
from covis_dask.storage import ProductStore

__all__ = ["Found", "expected_store", "find_products", "folder_of", "look_up", "looked_up"]

_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Found:
    """What the store holds of a run.

    Parameters
    ----------
    run : Run
    path : str, optional
        Its folder below the store; None while nothing has been made of it.
    product : StoredProduct, optional
    fault : RunError or UnreadableDocument, optional
        Why what lies there cannot be used.
    """

    run: Run
    path: str | None = None
    product: StoredProduct | None = None
    fault: RunError | UnreadableDocument | None = None


def folder_of(run: Run, prefix: str | None = None) -> str | None:
    """Return where a run's product lies below the store: under a prefix, or where its newest outcome does."""
    if prefix:
        return ProductPaths(prefix.strip("/")).run(run.basename)
    return run.product.path or None if run.product is not None else None


def expected_store(history: History, catalog: Catalog) -> ProductStore:
    """Open the product store, and make sure that it is the one that the batches have used.

    Raises
    ------
    StorageUnavailable
        When it is away.
    """
    store = history.store()
    known = known_store(catalog, store.url)
    return store if known is None else marked_store(store, known)


def look_up(store: ProductStore, run: Run, prefix: str | None = None) -> Found:
    """Look at the manifest of one run; errors as of `looked_up`."""
    if run.fault is not None:
        return Found(run, fault=UnreadableDocument(run.fault))
    path = folder_of(run, prefix)
    if path is None:
        return Found(run)
    try:
        return Found(run, path, StoredProduct.at(store, path))
    except (LegacyProduct, ProductDamaged) as fault:
        return Found(run, path, fault=fault)


def looked_up(store: ProductStore, runs: Iterable[Run], prefix: str | None = None) -> Iterator[Found]:
    """Look at the manifests of runs, many at a time; in the order of the runs.

    Raises
    ------
    StorageUnavailable, StorageRefused
        When the store does not answer.
    """
    rest = iter(runs)
    while chunk := list(islice(rest, _AT_ONCE)):
        yield from store.at_once(lambda run: look_up(store, run, prefix), chunk)


def find_products(history: History, query: RunQuery, prefix: str | None = None) -> Iterator[Found]:
    """Find the products of the runs that a query selects.

    Parameters
    ----------
    history : History
    query : RunQuery
    prefix : str, optional
        Folder below the product store; by default that of each run's newest outcome.

    Raises
    ------
    CatalogError
        When there is no catalogue, or it does not answer.
    StorageUnavailable, StorageRefused
        When the store does not answer, or is not the one that the batches have used.
    """
    with open_for_reading(history.settings) as catalog:
        store = expected_store(history, catalog)
        yield from looked_up(store, list(catalog.select(query)), prefix)
