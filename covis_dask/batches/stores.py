"""Which product store is meant: a store that batches have used has a mark; without it, its disk is away."""

from catalog.store import Catalog
from covis_dask.errors import StorageUnavailable
from covis_dask.storage import ProductStore

__all__ = ["known_store", "marked_store"]

_BATCHES_ASKED = 200


def known_store(catalog: Catalog, url: str) -> str | None:
    """Return the identity of the store that a batch has last used at a URL; None when none has."""
    for batch in catalog.batches(_BATCHES_ASKED):
        if batch.settings.get("store") == url and batch.settings.get("store-id"):
            return str(batch.settings["store-id"])
    return None


def marked_store(store: ProductStore, known: str | None) -> ProductStore:
    """Return the store with its identity; one that nobody has used before is marked, and made if it is local.

    Parameters
    ----------
    store : ProductStore
    known : str, optional
        As `known_store` says.

    Raises
    ------
    StorageUnavailable
        When it has been used and has lost its mark: then nothing is made.
    """
    if known is None:
        return store.marked()
    if (identity := store.mark()) is None:
        raise StorageUnavailable(
            f"the store at {store.url} has lost its mark (.covis-store.json): its disk seems to be away, "
            "so mount it; if it was emptied or replaced on purpose, `covis doctor --new-store` marks it anew"
        )
    return store.expecting(identity)
