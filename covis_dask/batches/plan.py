"""Which runs to work on, and why each of them or why not: pure, from catalogue records to tasks.

The plan trusts the catalogue, which makes it fast; with a store to verify against it reads the manifests too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from catalog.model import Run
from catalog.vocabulary import Kind, RunState
from covis_dask.batches.job import Decision, Job, Task

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Every selected run, in order.

    Parameters
    ----------
    items : tuple of Decision
    notes : tuple of str
        What the user may not have meant, such as a changed parameter without effect.
    """

    items: tuple[Decision, ...]
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What is to be computed."""
        return tuple(item.task for item in self.items if item.task is not None)

    @property
    def counts(self) -> Mapping[str, int]:
        """Runs by action."""
        return Counter(item.action for item in self.items)

    @property
    def bytes_in(self) -> int:
        """Bytes to be read, as far as the catalogue knows the sizes."""
        return sum(task.bytes_in for task in self.tasks)

    @property
    def unsized(self) -> int:
        """Number of tasks whose archive has no known size."""
        return sum(1 for task in self.tasks if not task.bytes_in)


def make_plan(runs: Iterable[Run], job: Job, only: str | None = None) -> Plan:
    """Decide about every run.

    Parameters
    ----------
    runs : iterable of Run
        The selection, in order.
    job : Job
    only : str, optional
        Keep only the runs in this state (`covis_dask.batches.request.ONLY`).

    Raises
    ------
    ConfigurationError
        When the job cannot work as it was asked to.
    """
    decisions = (
        job.decide(run) if run.fault is None else Decision(run, RunState.FAILED, run.fault, Kind.UNREADABLE)
        for run in runs
    )
    items = tuple(item for item in decisions if only is None or _is_in(item, only))
    return Plan(items, job.notes())


def _is_in(item: Decision, only: str) -> bool:
    """Tell whether a run is of the kind that `--only` names."""
    record = item.run.product
    state = "missing" if record is None else record.state
    if only == "stale":
        return item.action == "run" and state == RunState.DONE
    return state == only and item.action != RunState.ALREADY
