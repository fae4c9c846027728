"""What a lost worker, or one with too little memory, means for runs.

The run that was at work on a worker that is lost has had a try, those that waited there have not. A run that
needed more memory than its worker has gets another try where a worker offers more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from covis_dask.batches.job import Task
from covis_dask.runs.isolation import MEMORY
from covis_dask.runs.outcome import RunOutcome

__all__ = ["Losses", "roomier"]

_FREE = 10
"""A run that loses so many workers before it begins is not waited for any longer without counting."""


class Losses:
    """What a driver knows of runs that were lost.

    Parameters
    ----------
    batch : str
        Its batch.
    """

    def __init__(self, batch: str) -> None:
        self._batch = batch
        self._lost: Counter[str] = Counter()
        self._begun: frozenset[tuple[str, int]] = frozenset()

    def learn(self, events: Iterable[tuple[float, Mapping[str, Any]]]) -> None:
        """Learn from the scheduler's events which runs were begun; what an earlier one heard is not known."""
        self._begun = frozenset(
            (event["run"], event["attempt"]) for _, event in events if event["batch"] == self._batch
        )

    def excuse(self, task: Task) -> bool:
        """Say whether a run that was lost goes back without a try being counted, and note that."""
        self._lost[task.basename] += 1
        return (task.basename, task.attempt) not in self._begun and self._lost[task.basename] <= _FREE


def roomier(workers: Mapping[str, Any], outcome: RunOutcome) -> Mapping[str, float] | None:
    """Return the resources of the worker that offers most memory, when that is more than a run has had."""
    most = max((worker.get("resources", {}).get(MEMORY, 0) for worker in workers.values()), default=0)
    return {MEMORY: most} if most > outcome.memory else None
