"""What the store remembers of runs: hosts, sizes and times, for a report that is made again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from catalog.vocabulary import RunState
from covis_dask.errors import LegacyProduct, ProductDamaged
from covis_dask.products.manifest import Failure, Manifest
from covis_dask.products.stored import StoredProduct, tries
from covis_dask.runs.outcome import RunOutcome
from covis_dask.storage import ProductStore

__all__ = ["complete_from_manifests"]


def complete_from_manifests(
    outcomes: Sequence[RunOutcome], store: ProductStore, batch: str
) -> tuple[RunOutcome, ...]:
    """Complete outcomes that come from the catalogue, which keeps no sizes and times.

    Parameters
    ----------
    outcomes : sequence of RunOutcome
        Those that have times, and those of runs that no worker has seen, stay as they are.
    store : ProductStore
    batch : str
        Manifests of other batches say nothing of this one.

    Raises
    ------
    CovisError
        When the store does not answer.
    """
    wanting = [
        outcome
        for outcome in outcomes
        if outcome.path
        and not outcome.seconds
        and outcome.state in {RunState.DONE, RunState.FAILED, RunState.QUARANTINED}
    ]
    documents = store.at_once(lambda outcome: _document(store, outcome, batch), wanting)
    known = {
        outcome.basename: _known(document)
        for outcome, document in zip(wanting, documents, strict=True)
        if document is not None
    }
    return tuple(replace(outcome, **known.get(outcome.basename, {})) for outcome in outcomes)


def _document(store: ProductStore, outcome: RunOutcome, batch: str) -> Manifest | Failure | None:
    """Return what a batch has left of a run; what cannot be read, or is another batch's, is left out."""
    if outcome.state != RunState.DONE:
        ours = [one.failure for one in tries(store, outcome.path) if one.failure.batch == batch]
        return ours[-1] if ours else None
    try:
        product = StoredProduct.at(store, outcome.path)
    except (LegacyProduct, ProductDamaged):
        return None
    return product.manifest if product is not None and product.manifest.batch == batch else None


def _known(document: Manifest | Failure) -> dict[str, Any]:
    """Return what a manifest, or the note of a failure, says of a run's work."""
    source = document.input
    files = document.files if isinstance(document, Manifest) else ()
    return {
        "host": None if source is None else source.host,
        "bytes_in": 0 if source is None else source.size or 0,
        "bytes_out": sum(entry.size for entry in files),
        "seconds": (document.finished - document.started).total_seconds(),
        "timings": dict(document.timings),
        "worker": document.worker,
    }
