"""Nothing that a cluster fails to answer holds the driver up."""

import asyncio
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from distributed import Client, LocalCluster

from covis_dask.batches import clusters, link
from covis_dask.batches.link import ClusterLink
from covis_dask.runs.outcome import RunOutcome


class _Task:
    """A task that Dask can carry."""

    path, label, attempt, bytes_in, token = "", "imaging", 1, 0, 0

    def __init__(self, basename: str) -> None:
        self.basename = basename

    def again(self) -> "_Task":
        return self

    def under(self, token: int) -> "_Task":  # noqa: ARG002
        return self


def _work(task: _Task) -> RunOutcome:
    return RunOutcome(task.basename, "done", "p")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Give a client of a small cluster in this process."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _linked(client: Client) -> ClusterLink:
    job: Any = SimpleNamespace(work=_work, resources={})
    return ClusterLink(client, job, "b")


def _all(linked: ClusterLink, count: int, seconds: float = 20.0) -> list[str]:
    """Collect what ends, until so many have."""
    ended: list[str] = []
    deadline = time.monotonic() + seconds
    while len(ended) < count and time.monotonic() < deadline:
        ended += [task.basename for task, outcome in linked.ended(0.05) if outcome is not None]
    return sorted(ended)


def test_a_result_that_does_not_come(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result whose worker vanished keeps no other waiting: those that came with it are fetched alone."""
    monkeypatch.setattr(link, "_SLOW", 0.2)
    gather: Any = client.gather

    def stuck(futures: Any, **words: Any) -> Any:
        if any("lost" in future.key for future in futures):
            return asyncio.sleep(60)
        return gather(futures, **words)

    linked = _linked(client)
    with patch.object(client, "gather", stuck):
        names = ["a", "b", "lost"]
        for name in names:
            linked.submit(_Task(name))
        time.sleep(0.5)  # so that they are asked for together
        begun = time.monotonic()
        assert _all(linked, 2) == ["a", "b"]
        assert time.monotonic() - begun < 10
        assert [task.basename for task in linked.tasks().values()] == ["lost"]
        begun = time.monotonic()
        linked.cancel()
        assert time.monotonic() - begun < 5
    assert len(linked) == 0


def test_results_that_fail_together_are_fetched_alone(client: Client) -> None:
    """One result that cannot be had makes no others lost."""
    gather: Any = client.gather

    async def broken() -> None:
        raise OSError("the worker is gone")

    def fails_together(futures: Any, **words: Any) -> Any:
        return broken() if len(futures) > 1 else gather(futures, **words)

    linked = _linked(client)
    with patch.object(client, "gather", fails_together):
        for name in "abc":
            linked.submit(_Task(name))
        time.sleep(0.5)
        assert _all(linked, 3) == ["a", "b", "c"]


def test_a_cluster_that_cannot_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that fails or hangs in closing is a sentence; what was done within stands."""
    monkeypatch.setattr(clusters, "_CLOSING", 0.2)
    said: list[str] = []

    def fails() -> None:
        raise RuntimeError("scancel: not found")

    released = threading.Event()
    for close in (fails, released.wait):
        with clusters._left("the slurm cluster", close, said.append):
            pass
    released.set()
    assert said == [
        "the slurm cluster could not be closed (scancel: not found): look for jobs or processes that are "
        "left of it",
        "the slurm cluster could not be closed (it takes longer than 0.2 s): look for jobs or processes that "
        "are left of it",
    ]
