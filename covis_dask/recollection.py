"""What the store remembers of runs: hosts, sizes and times, for a report that is made again."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from catalog.model import utc
from covis_dask.storage import ProductStore
from covis_dask.task import FAILURE, MANIFEST, RunOutcome

__all__ = ["remember"]

_AT_ONCE = 16


def remember(outcomes: Sequence[RunOutcome], store: ProductStore, batch: str) -> tuple[RunOutcome, ...]:
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

    def completed(outcome: RunOutcome) -> RunOutcome:
        if outcome.seconds or not outcome.path or outcome.state not in {"done", "failed", "quarantined"}:
            return outcome
        name = MANIFEST if outcome.state == "done" else FAILURE
        found = store.read_json(f"{outcome.path}/{name}")
        if not isinstance(found, Mapping) or found.get("batch") != batch:
            return outcome
        return replace(outcome, **_known(found))

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return tuple(threads.map(completed, outcomes))


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
