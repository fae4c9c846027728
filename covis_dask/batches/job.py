"""What can be done to many runs: the seam between a batch and the work it carries out.

Plan, driver, status, report, page and notebook know a `Job`, and nothing of what it does. Post-processing
(`covis_dask.batches.processing`) is the first; others register under the entry point ``covis_dask.jobs``.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Protocol, Self

from catalog.model import Run
from catalog.store import Catalog
from covis_dask.batches.request import BatchRequest
from covis_dask.config import Settings
from covis_dask.errors import ConfigurationError
from covis_dask.runs.outcome import RunOutcome

__all__ = ["Decision", "Finished", "Job", "JobContext", "Task", "job_named"]


class Task(Protocol):
    """Work on one run; small, picklable, free of secrets."""

    @property
    def basename(self) -> str:
        """The run."""

    @property
    def path(self) -> str:
        """Folder of the result below the product store, empty when there is none."""

    @property
    def attempt(self) -> int:
        """1 for the first try."""

    @property
    def label(self) -> str:
        """A word shared by tasks of a kind, such as the family of modes; Dask keeps statistics by it."""

    @property
    def bytes_in(self) -> int:
        """Bytes to be read, 0 where nobody knows."""

    @property
    def token(self) -> int:
        """Fencing token of the batch's claim on the run; 0 before it is claimed."""

    def again(self) -> Self:
        """Return the task of the next attempt."""

    def under(self, token: int) -> Self:
        """Return the task as it is under a claim with this fencing token."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One run, what is to be done with it, and one sentence that says why.

    Parameters
    ----------
    run : Run
    action : str
        ``run``, or the state the run has without any work: ``already``, ``quarantined``, ``unsupported``,
        ``failed``.
    reason : str
    kind : str, optional
        The stable word, for what cannot be done.
    task : Task, optional
        For ``run``.
    """

    run: Run
    action: str
    reason: str
    kind: str | None = None
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended, with the task it had and the moment (UTC)."""

    task: Task
    outcome: RunOutcome
    at: dt.datetime


class Job(Protocol):
    """Something that can be done to every run of a selection.

    A job is made for one batch; `decide` is pure, `work` runs on a worker, `complete` and `record` in the
    driver.
    """

    @property
    def name(self) -> str:
        """The word of `BatchRequest.job`."""

    @property
    def resources(self) -> Mapping[str, float]:
        """What a worker must offer, by Dask's names; empty for any worker."""

    @property
    def prefix(self) -> str:
        """Folder below the product store in which results and report lie."""

    @property
    def work(self) -> "Callable[[Any], RunOutcome]":
        """The function that carries out a task on a worker; it lets no exception out."""

    def decide(self, run: Run) -> Decision:
        """Decide what is to be done with a run, and why."""

    def notes(self) -> tuple[str, ...]:
        """Return what the user may not have meant, once every run is decided."""

    def settings(self) -> Mapping[str, Any]:
        """Return what the batch document and the report say of the job; no secrets."""

    def versions(self) -> Mapping[str, str]:
        """Return the versions that the result depends on, besides those of the libraries."""

    def complete(self, task: Any, outcome: RunOutcome) -> RunOutcome:
        """Do what a worker has left to the driver, in the driver, while it holds the run.

        Called for an outcome with `RunOutcome.uncommitted`, before it counts; may take as long as a store
        does.

        Returns
        -------
        RunOutcome
            Of the run, complete: what could not be done is said in it, no error is let out.
        """

    def record(self, catalog: Catalog, finished: Iterable[Finished]) -> frozenset[str]:
        """Store what became of runs; may be repeated without harm.

        Returns
        -------
        frozenset of str
            Runs that another batch has claimed since, so nothing of them was stored; see `Catalog.record`.
        """


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job is made from.

    Parameters
    ----------
    request : BatchRequest
    settings : Settings
    batch : str
        Identifier of the batch.
    created : datetime
        Now, UTC.
    store_id : str, optional
        Identity of the product store, when a batch has used it before.
    doubted : frozenset of str
        Runs whose records may be behind the store; see `catalog.store.Catalog.doubted`.
    """

    request: BatchRequest
    settings: Settings
    batch: str
    created: dt.datetime
    store_id: str | None = None
    doubted: frozenset[str] = frozenset()


_GROUP = "covis_dask.jobs"
_BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "process": "covis_dask.batches.processing:post_processing",
        "upgrade": "covis_dask.batches.upgrading:upgrading",
    }
)


def job_named(context: JobContext) -> Job:
    """Make the job that a request names.

    Raises
    ------
    ConfigurationError
        When there is no such job, or it cannot do what is asked.
    """
    name = context.request.job
    target = _BUILT_IN.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        make: Callable[[JobContext], Job] = getattr(import_module(module), attribute)
        return make(context)
    registered = {entry.name: entry for entry in entry_points(group=_GROUP)}
    if name not in registered:
        known = ", ".join(sorted({*_BUILT_IN, *registered}))
        raise ConfigurationError(f"there is no job {name!r}; there are: {known}")
    make = registered[name].load()
    return make(context)
