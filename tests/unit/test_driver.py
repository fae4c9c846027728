"""The driver brings every run of a plan to one end, on a real (in-process) Dask cluster."""

import datetime as dt
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from distributed import Client, KilledWorker, LocalCluster

from catalog.errors import CatalogUnavailable
from catalog.model import RawFile, Run
from catalog.query import RunQuery
from catalog.store import Catalog, open_catalog
from covis_dask.batches.driver import Driver
from covis_dask.batches.plan import Plan, make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.batches.status import BatchStatus
from covis_dask.config import load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import (
    Cancelled,
    ConfigurationError,
    StorageRefused,
    StorageUnavailable,
    SweepIncomplete,
)
from covis_dask.monitor.terminal import show
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask

_NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


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


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Give an empty catalogue."""
    with open_catalog(f"sqlite:///{tmp_path}/c.sqlite") as catalog:
        yield catalog


@dataclass(frozen=True, slots=True)
class _Planned:
    """A plan and the job it was made by."""

    job: PostProcessing
    plan: Plan

    @property
    def names(self) -> list[str]:
        return [task.basename for task in self.plan.tasks]


def _plan(catalog: Catalog, count: int) -> _Planned:
    runs = []
    for number in range(count):
        moment = dt.datetime(2014, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=number)
        name = f"APLUWCOVISMBSONAR001_{moment:%Y%m%dT%H%M%S}.000Z-IMAGING"
        runs.append(Run(name, moment, "IMAGING", "Endeavour", (RawFile("COVIS-NAS", f"{name}.tar", 10),)))
    catalog.add_raw(runs)
    spec = ProductSpec(
        profile="matlab",
        prefix="p",
        store="s",
        hosts=frozenset({"COVIS-NAS"}),
        host_order=(),
    )
    job = PostProcessing(spec, engine_named("native"), uuid.uuid4().hex, _NOW)
    return _Planned(job, make_plan(catalog.select(RunQuery()), job))


def _driver(catalog: Catalog, planned: _Planned, work: Callable[[RunTask], RunOutcome]) -> Driver:
    settings = replace(load_settings({}), backoff=0.01, max_outage=0.0, window=2, retries=2)
    job = replace(planned.job, work=work)
    with show(quiet=True) as display:
        return Driver(
            catalog,
            settings,
            job,
            BatchStatus(job.batch, len(planned.plan.items)),
            display,
            stop=threading.Event(),
            log=lambda _: None,
        )


def _done(task: RunTask) -> RunOutcome:
    return RunOutcome(task.run.basename, "done", task.path, seconds=0.1)


def _flaky(task: RunTask) -> RunOutcome:
    """Fail in a way that passes, until the third try."""
    if task.attempt < 3:
        return RunOutcome.of_error(task, StorageUnavailable("try again"))
    return _done(task)


def _away(task: RunTask) -> RunOutcome:
    return RunOutcome.of_error(task, StorageUnavailable("never there"))


def _damaged(task: RunTask) -> RunOutcome:
    return RunOutcome.of_error(task, SweepIncomplete("no index.csv"))


def _misconfigured(task: RunTask) -> RunOutcome:
    return RunOutcome.of_error(task, ConfigurationError("wrong store"))


def _without_nas(task: RunTask) -> RunOutcome:
    """Every other run has its only copy on a host that refuses us."""
    return _refused(task) if task.run.datetime.hour % 2 else _done(task)


def _refused(task: RunTask) -> RunOutcome:
    error = StorageRefused("the store refuses (The provided token has expired; ExpiredToken; HTTP 400)")
    error.place = "COVIS-NAS"
    return RunOutcome.of_error(task, error)


_GO = threading.Event()
"""Whether runs that are `_held` may end."""


def _held(task: RunTask) -> RunOutcome:
    assert _GO.wait(60)
    return _done(task)


def _cancelled(task: RunTask) -> RunOutcome:
    return RunOutcome.of_error(task, Cancelled("the worker was told to stop"))


def _killed(task: RunTask) -> RunOutcome:
    last: Any = SimpleNamespace(address="tcp://127.0.0.1:1")
    raise KilledWorker(task.basename, last, 0)


def _broken(_: RunTask) -> RunOutcome:
    raise ModuleNotFoundError("No module named 'covis_dask'")


@pytest.mark.parametrize(
    ("work", "state", "attempts"),
    [(_done, "done", 1), (_flaky, "done", 3), (_away, "failed", 3), (_damaged, "quarantined", 1)],
)
def test_every_run_ends_once_and_is_recorded(
    client: Client, catalog: Catalog, work: Callable[[RunTask], RunOutcome], state: str, attempts: int
) -> None:
    """Passing faults are tried again as often as asked, bad data never; the catalogue knows how all ended."""
    plan = _plan(catalog, 5)
    driver = _driver(catalog, plan, work)
    driver.run(client, plan.plan)
    assert [outcome.state for outcome in driver.outcomes] == [state] * 5
    for run in catalog.select(RunQuery()):
        assert run.product is not None
        assert (run.product.state, run.product.attempts) == (state, attempts)


@pytest.mark.parametrize("work", [_misconfigured, _broken])
def test_configuration_error_stops_the_batch(
    client: Client, catalog: Catalog, work: Callable[[RunTask], RunOutcome]
) -> None:
    """When no run can succeed the rest is not tried but accounted for, and no run is blamed."""
    plan = _plan(catalog, 30)
    driver = _driver(catalog, plan, work)
    with pytest.raises(ConfigurationError, match=r"wrong store|install the same covis-dask"):
        driver.run(client, plan.plan)
    assert [outcome.state for outcome in driver.outcomes] == ["not-run"] * 30
    assert all(run.product is None for run in catalog.select(RunQuery()))


def test_stopped_batch_accounts_for_every_run(client: Client, catalog: Catalog) -> None:
    """After a stop nothing more is submitted, every run has a state, and no claim is left."""
    plan = _plan(catalog, 12)
    driver = _driver(catalog, plan, _done)
    driver.stop.set()
    driver.run(client, plan.plan)
    assert {outcome.state for outcome in driver.outcomes} == {"not-run"}
    assert {outcome.kind for outcome in driver.outcomes} == {"cancelled"}
    names = plan.names
    assert catalog.claim(names, "another").keys() == set(names)


def test_stopped_batch_lets_go_of_the_runs_at_work(client: Client, catalog: Catalog) -> None:
    """What a stopped batch had claimed, and not ended, another batch can take at once."""
    planned = _plan(catalog, 2)
    driver = _driver(catalog, planned, _held)
    clock = _Clock(1.0, lambda status: status.running > 0)
    driver.display = clock
    seen = clock.update

    def stopping(status: BatchStatus, outcome: RunOutcome | None = None) -> None:
        seen(status, outcome)
        if status.running:
            driver.stop.set()

    with patch.object(clock, "update", stopping):
        driver.run(client, planned.plan)
    _GO.set()
    assert {outcome.kind for outcome in driver.outcomes} == {"cancelled"}
    names = [task.basename for task in planned.plan.tasks]
    assert catalog.claim(names, "another").keys() == set(names)


def test_a_run_that_was_not_tried_is_not_recorded(client: Client, catalog: Catalog) -> None:
    """A worker that was told to stop says nothing of the run: the catalogue keeps what it knew."""
    planned = _plan(catalog, 2)
    driver = _driver(catalog, planned, _cancelled)
    driver.run(client, planned.plan)
    assert [outcome.state for outcome in driver.outcomes] == ["not-run"] * 2
    assert all(run.product is None for run in catalog.select(RunQuery()))


def test_a_run_whose_workers_die_is_tried_again(client: Client, catalog: Catalog) -> None:
    """Dask gives up on a run that kills its workers: the run has failed, and the batch goes on."""
    planned = _plan(catalog, 2)
    driver = _driver(catalog, planned, _killed)
    driver.run(client, planned.plan)
    assert {(outcome.state, outcome.kind) for outcome in driver.outcomes} == {("failed", "worker-lost")}
    for run in catalog.select(RunQuery()):
        assert run.product is not None
        assert run.product.attempts == 3


def test_two_batches_never_compute_the_same_run(client: Client, catalog: Catalog) -> None:
    """A run that another batch has claimed is left to it."""
    plan = _plan(catalog, 3)
    first = plan.names[0]
    catalog.open_lease("another")
    catalog.claim([first], "another")
    driver = _driver(catalog, plan, _done)
    driver.run(client, plan.plan)
    states = {outcome.basename: outcome.state for outcome in driver.outcomes}
    assert states.pop(first) == "not-run"
    assert set(states.values()) == {"done"}


class _Leaky:
    """A catalogue that goes away now and then; each outage lasts some calls."""

    def __init__(self, catalog: Catalog, calls: int) -> None:
        self._catalog = catalog
        self.calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._catalog, name)

        def call(*arguments: Any) -> Any:
            if self.calls > 0:
                self.calls -= 1
                raise CatalogUnavailable("away")
            return method(*arguments)

        return call


def test_catalogue_that_goes_away_delays_the_batch(client: Client, catalog: Catalog) -> None:
    """Claims and records wait for the catalogue; once it is back all are made."""
    plan = _plan(catalog, 5)
    leaky = _Leaky(catalog, 4)
    said: list[str] = []
    driver = _driver(leaky, plan, _done)
    driver.log = said.append
    driver.settings = replace(driver.settings, max_outage=60.0)
    driver.run(client, plan.plan)
    assert all(run.product is not None and run.product.state == "done" for run in catalog.select(RunQuery()))
    assert [line.partition(",")[0] for line in said] == [
        "the catalogue does not answer",
        "the catalogue answers again",
    ]


def test_catalogue_that_stays_away_ends_the_batch(client: Client, catalog: Catalog) -> None:
    """Patience has an end; every run is accounted for all the same."""
    plan = _plan(catalog, 5)
    driver = _driver(_Leaky(catalog, 10**9), plan, _done)
    with pytest.raises(CatalogUnavailable):
        driver.run(client, plan.plan)
    assert {outcome.state for outcome in driver.outcomes} == {"not-run"}


def _until(task: RunTask) -> RunOutcome:
    """Fail for want of the product store six times, more often than runs are tried again."""
    if task.attempt < 7:
        return RunOutcome.of_error(task, StorageUnavailable("away"))
    return _done(task)


def test_store_that_goes_away_costs_no_run_its_tries(client: Client, catalog: Catalog) -> None:
    """While a store is away as a whole, runs are tried again for as long as the batch has patience."""
    plan = _plan(catalog, 3)
    driver = _driver(catalog, plan, _until)
    driver.settings = replace(driver.settings, max_outage=60.0)
    driver.run(client, plan.plan)
    assert [outcome.state for outcome in driver.outcomes] == ["done"] * 3


class _Clock:
    """A display by which the driver's clock goes: so many seconds with each look at the batch.

    Parameters
    ----------
    seconds : float
    counts : callable
        Says of a status whether the clock moves.
    until : float
        When to let the runs go that are `_held`.
    """

    def __init__(self, seconds: float, counts: Callable[[BatchStatus], bool], until: float = np.inf) -> None:
        self.now = 1000.0
        self._seconds, self._counts, self._until = seconds, counts, until
        _GO.clear()

    def update(self, status: BatchStatus, outcome: RunOutcome | None = None) -> None:
        if outcome is None and self._counts(status):
            self.now += self._seconds
        if self.now >= self._until:
            _GO.set()

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the driver go by this clock."""
        monkeypatch.setattr(
            sys.modules[Driver.__module__], "time", SimpleNamespace(monotonic=lambda: self.now)
        )


def test_each_pause_is_twice_the_last(
    client: Client, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is tried again after the back-off, then after twice and four times that, but a minute at most."""
    planned = _plan(catalog, 1)
    clock = _Clock(5.0, lambda status: status.retrying > 0)
    clock.rule(monkeypatch)
    driver = _driver(catalog, planned, _away)
    driver.display = clock
    driver.settings = replace(driver.settings, backoff=10.0, retries=4)
    tried: list[float] = []
    submit = client.submit

    def timed(*arguments: Any, **words: Any) -> Any:
        tried.append(clock.now)
        return submit(*arguments, **words)

    with patch.object(client, "submit", timed):
        driver.run(client, planned.plan)
    assert np.diff(tried).tolist() == [10, 20, 40, 60]


def test_no_more_than_the_window_is_in_flight(client: Client, catalog: Catalog) -> None:
    """The cluster is never given more runs than the window for each thread, and keeps no trace of them."""
    plan = _plan(catalog, 40)
    driver = _driver(catalog, plan, _done)
    most = driver.settings.window * sum(client.nthreads().values())
    flying: list[int] = []
    submit = client.submit

    def counting(*arguments: Any, **words: Any) -> Any:
        flying.append(len(driver._flying) + 1)
        return submit(*arguments, **words)

    with patch.object(client, "submit", counting):
        driver.run(client, plan.plan)
    assert len(flying) == 40
    assert max(flying) == most < 40
    cluster: Any = client.cluster
    # What it learns of tasks it keeps by the first word of their keys: let that be the mode, not the run.
    assert not [name for name in cluster.scheduler.task_prefixes if plan.names[0][:30] in name]


def test_a_raw_host_that_refuses_stops_only_what_needs_it(client: Client, catalog: Catalog) -> None:
    """Runs with another copy are done; of the others nothing is recorded, and why is told once."""
    planned = _plan(catalog, 6)
    driver = _driver(catalog, planned, _without_nas)
    said: list[str] = []
    driver.log = said.append
    driver.run(client, planned.plan)
    states = {outcome.basename: outcome.state for outcome in driver.outcomes}
    assert sorted(states.values()) == ["done"] * 3 + ["not-run"] * 3
    assert sum("ExpiredToken" in line for line in said) == 1
    for name, state in states.items():
        run = catalog.get(name)
        assert run is not None
        assert (run.product is not None) == (state == "done")


def test_raw_hosts_that_refuse_everything_stop_the_batch(client: Client, catalog: Catalog) -> None:
    """Where no run can be, the batch ends in the service's words, as an error of configuration."""
    planned = _plan(catalog, 3)
    driver = _driver(catalog, planned, _refused)
    with pytest.raises(ConfigurationError, match="ExpiredToken"):
        driver.run(client, planned.plan)
    assert {outcome.state for outcome in driver.outcomes} == {"not-run"}
