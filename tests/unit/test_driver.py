"""The driver brings every run of a plan to one end, on a real (in-process) Dask cluster."""

import datetime as dt
import threading
import time
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
from catalog.model import Batch, ProductRecord, RawFile, Run
from catalog.query import RunQuery
from catalog.store import Catalog, open_catalog
from covis_dask.batches.driver import Driver
from covis_dask.batches.keeper import kept
from covis_dask.batches.leases import Lease
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


def _driver(
    catalog: Catalog, planned: _Planned, work: Callable[[RunTask], RunOutcome], **changes: Any
) -> Driver:
    """Make the driver of a plan; changes are settings, `log` or `clock`."""
    log, clock = changes.pop("log", lambda _: None), changes.pop("clock", time.monotonic)
    usual: dict[str, Any] = {"backoff": 0.01, "max_outage": 0.0, "window": 2, "retries": 2, "heartbeat": 0.4}
    settings = replace(load_settings({}), **{**usual, **changes})
    job = replace(planned.job, work=work)
    lease = Lease(catalog, job.batch, settings.heartbeat, clock)
    lease.open()
    status = BatchStatus(job.batch, len(planned.plan.items))
    with show(quiet=True) as display:
        return Driver(lease, settings, job, status, display, threading.Event(), log=log, clock=clock)


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


def _holding(catalog: Catalog, names: list[str]) -> Lease:
    """Make another batch that holds runs."""
    lease = Lease(catalog, "another", 0.4, time.monotonic)
    lease.open()
    catalog.claim(names, "another")
    return lease


def test_two_batches_never_compute_the_same_run(client: Client, catalog: Catalog) -> None:
    """A run that a batch holds which is alive is left to it, and who that is is said."""
    plan = _plan(catalog, 3)
    first = plan.names[0]
    driver = _driver(catalog, plan, _done)
    with kept(_holding(catalog, [first])):
        driver.run(client, plan.plan)
    outcomes = {outcome.basename: outcome for outcome in driver.outcomes}
    left = outcomes.pop(first)
    assert (left.state, left.kind) == ("not-run", "cancelled")
    assert "batch another is processing it" in str(left.reason)
    assert {outcome.state for outcome in outcomes.values()} == {"done"}
    assert catalog.holders([first]) == {first: "another"}


def test_the_runs_of_a_dead_batch_are_taken_over(client: Client, catalog: Catalog) -> None:
    """A batch that gives no sign of life for two heartbeats loses its runs, and its document is closed."""
    planned = _plan(catalog, 6)
    *names, done = planned.names
    plan = Plan(planned.plan.items[:-1])
    catalog.put_batch(Batch("another", RunQuery().to_document(), {}, {}, {"already": 2}, _NOW))
    _holding(catalog, [*names[:2], done])
    catalog.record({done: ProductRecord("done", "native", "1", "f", "p", 1, "another", _NOW, token=1)})
    said: list[str] = []
    driver = _driver(catalog, planned, _done, log=said.append)
    begun = time.monotonic()
    driver.run(client, plan)
    assert 0.8 <= time.monotonic() - begun < 10
    assert [outcome.state for outcome in driver.outcomes] == ["done"] * 5
    tokens = [run.product and run.product.token for run in catalog.select(RunQuery())]
    assert tokens == [2, 2, 1, 1, 1, 1]
    assert [line.partition(":")[0] for line in said] == [
        "2 runs are held by batch another",
        "batch another has given no sign of life for 0.8 s",
    ]
    closed = catalog.get_batch("another")
    assert closed is not None
    assert (closed.ending, closed.counts) == ("abandoned", {"already": 2, "done": 1})
    assert closed.end is not None


def test_a_batch_whose_lease_was_taken_over(client: Client, catalog: Catalog) -> None:
    """A driver that was thought dead cancels what another batch has now, says who, and does the rest."""
    planned = _plan(catalog, 3)
    said: list[str] = []
    driver = _driver(catalog, planned, _held, log=said.append)
    first, batch = planned.names[0], planned.job.batch

    def steal(status: BatchStatus, outcome: RunOutcome | None = None) -> None:  # noqa: ARG001
        if status.running == 3 and not said:
            assert catalog.take_over(batch, catalog.leases()[batch])
            _holding(catalog, [first])
            driver.lease.beat()
        if said:
            _GO.set()

    driver.display = SimpleNamespace(update=steal)
    _GO.clear()
    driver.run(client, planned.plan)
    outcomes = {outcome.basename: outcome for outcome in driver.outcomes}
    taken = outcomes.pop(first)
    assert (taken.state, taken.kind) == ("not-run", "cancelled")
    assert "batch another" in str(taken.reason)
    assert {outcome.state for outcome in outcomes.values()} == {"done"}
    assert "1 of its runs are in other hands" in said[0]
    assert catalog.holders(planned.names) == {first: "another"}
    assert driver.lease.beat()


class _Thief:
    """A display that lets another batch take over what the driver has handed to the cluster."""

    def __init__(self, catalog: Catalog, planned: _Planned) -> None:
        self._catalog, self._planned = catalog, planned
        _GO.clear()

    def update(self, status: BatchStatus, outcome: RunOutcome | None = None) -> None:  # noqa: ARG002
        if status.running and not _GO.is_set():
            self._catalog.close_lease(self._planned.job.batch)
            _holding(self._catalog, self._planned.names)
            _GO.set()


def test_a_record_that_is_refused(client: Client, catalog: Catalog) -> None:
    """What a batch made of a run that another has taken over is not recorded, and it is said who has it."""
    planned = _plan(catalog, 1)
    said: list[str] = []
    driver = _driver(catalog, planned, _held, log=said.append)
    driver.display = _Thief(catalog, planned)
    driver.run(client, planned.plan)
    assert said == [
        f"{planned.names[0]}: batch another has taken the run over; what this one made of it is not recorded"
    ]
    assert catalog.holders(planned.names) == {planned.names[0]: "another"}


def _behind(task: RunTask) -> RunOutcome:
    """Find a manifest with a token of 7, as another catalogue may have given."""
    if task.token <= 7:
        return replace(_away(task), behind=7)
    return _done(task)


def test_a_store_that_knows_a_higher_token(client: Client, catalog: Catalog) -> None:
    """A run whose task came behind a token in the store is claimed above it, and that costs no try."""
    planned = _plan(catalog, 2)
    driver = _driver(catalog, planned, _behind, retries=0)
    driver.run(client, planned.plan)
    assert [outcome.state for outcome in driver.outcomes] == ["done"] * 2
    records = [run.product for run in catalog.select(RunQuery())]
    assert [(record.token, record.attempts) for record in records if record] == [(8, 1), (8, 1)]


def _always_behind(task: RunTask) -> RunOutcome:
    return replace(_away(task), behind=task.token + 1)


def test_a_store_whose_tokens_run_away(client: Client, catalog: Catalog) -> None:
    """Two catalogues that fight for a run are not followed for ever: it fails, with the worker's word."""
    planned = _plan(catalog, 1)
    driver = _driver(catalog, planned, _always_behind, retries=0)
    driver.run(client, planned.plan)
    assert [(outcome.state, outcome.reason) for outcome in driver.outcomes] == [("failed", "never there")]


def _uncommitted(task: RunTask) -> RunOutcome:
    return replace(_held(task), uncommitted={"token": task.token})


@dataclass(frozen=True)
class _Committer:
    """A job whose products the driver commits."""

    job: PostProcessing
    committed: list[tuple[str, Any]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)

    def complete(self, task: RunTask, outcome: RunOutcome) -> RunOutcome:
        self.committed.append((task.basename, outcome.uncommitted))
        return outcome


def test_what_workers_cannot_commit_the_driver_does(client: Client, catalog: Catalog) -> None:
    """An outcome that holds its manifest is completed by the job, once, and only then counts as done."""
    planned = _plan(catalog, 4)
    driver = _driver(catalog, planned, _uncommitted)
    committed: list[tuple[str, Any]] = []
    job: Any = _Committer(replace(planned.job, work=_uncommitted), committed)
    driver = replace(driver, job=job)
    _GO.set()
    driver.run(client, planned.plan)
    assert sorted(committed) == [(name, {"token": 1}) for name in planned.names]
    assert [(outcome.state, outcome.uncommitted) for outcome in driver.outcomes] == [("done", None)] * 4
    assert all(run.product and run.product.state == "done" for run in catalog.select(RunQuery()))


def test_a_run_that_was_lost_is_not_completed(client: Client, catalog: Catalog) -> None:
    """The driver commits nothing of a run that another batch has taken over while it was uploaded."""
    planned = _plan(catalog, 1)
    committed: list[tuple[str, Any]] = []
    job: Any = _Committer(replace(planned.job, work=_uncommitted), committed)
    driver = replace(_driver(catalog, planned, _uncommitted), job=job)
    driver.display = _Thief(catalog, planned)
    driver.run(client, planned.plan)
    assert committed == []
    assert [outcome.state for outcome in driver.outcomes] == ["not-run"]
    assert all(run.product is None for run in catalog.select(RunQuery()))


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
    leaky = _Leaky(catalog, 0)
    said: list[str] = []
    driver = _driver(leaky, plan, _done, log=said.append, max_outage=60.0)
    leaky.calls = 4
    driver.run(client, plan.plan)
    assert all(run.product is not None and run.product.state == "done" for run in catalog.select(RunQuery()))
    assert [line.partition(",")[0] for line in said] == [
        "the catalogue does not answer",
        "the catalogue answers again",
    ]


def test_catalogue_that_stays_away_ends_the_batch(client: Client, catalog: Catalog) -> None:
    """Patience has an end; every run is accounted for all the same."""
    plan = _plan(catalog, 5)
    leaky = _Leaky(catalog, 0)
    driver = _driver(leaky, plan, _done)
    leaky.calls = 10**9
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
    driver = _driver(catalog, plan, _until, max_outage=60.0)
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

    def __call__(self) -> float:
        return self.now


def test_each_pause_is_twice_the_last(client: Client, catalog: Catalog) -> None:
    """A run is tried again after the back-off, then after twice and four times that, but a minute at most."""
    planned = _plan(catalog, 1)
    clock = _Clock(5.0, lambda status: status.retrying > 0)
    driver = _driver(catalog, planned, _away, clock=clock, backoff=10.0, retries=4)
    driver.display = clock
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
    submitted: list[str] = []
    submit = client.submit

    def counting(*arguments: Any, **words: Any) -> Any:
        submitted.append(arguments[1].basename)
        flying.append(len(submitted) - len(driver.outcomes))
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
