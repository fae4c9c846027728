"""Products that the driver commits: what keeps one from being committed, and what becomes of it then."""

import time
from typing import Any

from catalog.errors import CatalogUnavailable
from covis_dask.batches.completing import Completing
from covis_dask.errors import StorageUnavailable
from covis_dask.runs.outcome import RunOutcome


class _Task:
    basename, path, attempt, label, bytes_in, token = "a-run", "p/a-run", 1, "imaging", 0, 1


class _Lease:
    """A lease whose catalogue is away for the first so many questions."""

    batch = "b"

    def __init__(self, away: int) -> None:
        self.away = away
        self.catalog = self

    def beat(self) -> bool:
        self.away -= 1
        if self.away >= 0:
            raise CatalogUnavailable("the catalogue does not answer")
        return True

    def holders(self, names: list[str]) -> dict[str, str]:
        return dict.fromkeys(names, self.batch)


class _Job:
    """A job that completes a run, or whose store refuses."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def complete(self, _: Any, outcome: RunOutcome) -> RunOutcome:
        if self.error is not None:
            raise self.error
        return outcome


def _begun(away: int, error: Exception | None = None) -> Completing:
    lease: Any = _Lease(away)
    job: Any = _Job(error)
    task: Any = _Task()
    completing = Completing(lease, job)
    completing.take(task, RunOutcome("a-run", "done", "p/a-run", uncommitted={"token": 1}))
    return completing


def test_a_catalogue_that_is_away_is_said() -> None:
    """So that whoever waits for the runs may lose patience with it; the run is tried again."""
    completing = _begun(away=1)
    while not any(future.done() for future in completing._begun):
        time.sleep(0.01)
    assert completing.ended() == []
    assert completing.held_up
    ((_, outcome),) = completing.rest(10)
    assert (outcome.state, outcome.uncommitted, completing.held_up) == ("done", None, False)


def test_the_rest_is_waited_for_through_an_outage() -> None:
    """At the end of a batch a catalogue that comes back in time costs no product."""
    ((_, outcome),) = _begun(away=3).rest(10)
    assert outcome.state == "done"


def test_the_rest_is_given_up_in_the_end() -> None:
    """A catalogue that stays away holds the batch no longer than it may."""
    begun = time.monotonic()
    assert list(_begun(away=10_000).rest(0.6)) == []
    assert time.monotonic() - begun < 5


def test_a_store_that_is_away_is_no_bug() -> None:
    """It is the run's failure under its own word, and worth another try."""
    ((_, outcome),) = _begun(0, StorageUnavailable("the store does not answer")).rest(10)
    assert (outcome.kind, outcome.retry) == ("storage-unavailable", True)
