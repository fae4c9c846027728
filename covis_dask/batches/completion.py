"""What the store remembers of runs: hosts, sizes and times, for a report that is made again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from catalog.model import utc
from catalog.vocabulary import RunState
from covis_dask.products.paths import FAILURE, MANIFEST
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
    notes = {
        outcome.basename: f"{outcome.path}/{MANIFEST if outcome.state == RunState.DONE else FAILURE}"
        for outcome in outcomes
        if outcome.path
        and not outcome.seconds
        and outcome.state in {RunState.DONE, RunState.FAILED, RunState.QUARANTINED}
    }
    known = {
        basename: _known(document)
        for basename, document in zip(notes, store.read_jsons(notes.values()), strict=True)
        if isinstance(document, Mapping) and document.get("batch") == batch
    }
    return tuple(replace(outcome, **known.get(outcome.basename, {})) for outcome in outcomes)


def _known(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest, or the note of a failure, says of a run's work."""
    source = document.get("input") or {}
    lasted = utc(document["finished"]) - utc(document["started"])
    return {
        "host": source.get("host"),
        "bytes_in": int(source.get("size") or 0),
        "bytes_out": sum(int(entry["size"]) for entry in document.get("files") or ()),
        "seconds": lasted.total_seconds(),
        "timings": dict(document.get("timings") or {}),
        "worker": str(document.get("worker") or ""),
    }
