"""The plugin on a real scheduler: page, JSON, metrics, store, and the history after a restart."""

import asyncio
import datetime as dt
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from bokeh.document import Document
from bokeh.models import Div
from distributed import Client, LocalCluster, Scheduler

from catalog.model import Batch
from catalog.store import open_catalog
from covis_dask.batches.announce import BatchAnnouncer
from covis_dask.batches.history import History
from covis_dask.batches.status import BatchStatus
from covis_dask.monitor.page.document import covis_page
from covis_dask.monitor.scheduler.client import SchedulerClient
from covis_dask.monitor.scheduler.plugin import StatusPlugin
from covis_dask.runs.events import Reporter, listener_here
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask

_RUN = "APLUWCOVISMBSONAR001_20140101T030000.000Z-IMAGING"
_PRELOAD = ["covis_dask.monitor.preload"]
_BATCH = Batch(
    id="20260101T000000-abcdef",
    selection={"years": [2014]},
    settings={"engine": "native", "profile": "matlab", "prefix": "p", "store": "s"},
    versions={},
    counts={"done": 1},
    start=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    end=dt.datetime(2026, 1, 1, 1, tzinfo=dt.UTC),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with a catalogue that knows one batch, and a store that holds its report."""
    folder = tmp_path_factory.mktemp("history")
    with open_catalog(f"sqlite:///{folder}/catalog.sqlite") as catalog:
        catalog.put_batch(_BATCH)
    report = folder / "products" / "p" / "batches" / _BATCH.id
    report.mkdir(parents=True)
    run = {"basename": _RUN, "state": "done", "path": "p/x", "seconds": 3.0}
    (report / "report.json").write_text(json.dumps({"runs": [run]}))
    (report / "report.html").write_text("<h1>a report</h1>")
    settings = {
        "covis.catalog.url": f"sqlite:///{folder}/catalog.sqlite",
        "covis.products": {"url": f"{folder}/products"},
    }
    with dask.config.set(settings):
        yield folder


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[Client]:  # noqa: ARG001
    """Give a client of a scheduler that has just been started, with the plugin."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(StatusPlugin())
        yield client


def _get(client: Client, path: str) -> bytes:
    base = client.dashboard_link.removesuffix("/status")
    with urllib.request.urlopen(f"{base}/{path}", timeout=20) as answer:
        data: bytes = answer.read()
    return data


def _work(task: RunTask) -> bool:
    """Tell of a run as a worker does."""
    reporter = Reporter(task)
    reporter.stage("compute")
    reporter.pings(2, 5)
    return listener_here() is not None


class _Task:
    """As much of a task as a reporter reads."""

    def __init__(self) -> None:
        self.batch, self.attempt, self.basename = "B", 1, _RUN


def test_scheduler_shows_what_driver_and_workers_tell(client: Client) -> None:
    """Counts, worker, stage, pings come through Dask to JSON, metrics and a client; the menu has the page."""
    status = BatchStatus("B", 2, attributes={"selection": "year 2014", "prefix": "p"})
    status.expect([_RUN, _RUN.replace("IMAGING", "DIFFUSE")])
    announcer = BatchAnnouncer(client, status)
    outcome = RunOutcome(_RUN, "done", "p/x", seconds=2.0)
    announcer.tell([outcome], now=True)
    assert client.submit(_work, _Task()).result()
    time.sleep(0.1)  # the worker's events go their own way
    document = json.loads(_get(client, "covis/status.json"))
    batch = document["batches"][0]
    assert (batch["batch"], batch["expected"], batch["ended"], batch["counts"]["done"]) == ("B", 2, 1, 1)
    worker = document["workers"][0]
    assert (worker["run"], worker["stage"], worker["pings_total"]) == (_RUN, "compute", 5)
    assert b"covis_runs_expected" in _get(client, "covis/metrics")
    assert b'href="covis"' in _get(client, "status")
    assert b"batch processing" in _get(client, "covis")
    address = client.scheduler_info()["address"]
    snapshot = SchedulerClient(address).snapshot("B")
    assert snapshot is not None
    assert snapshot.counts == {"done": 1}
    announcer._told_to = "a scheduler before"
    announcer.tell([outcome], now=True)  # brings the page again: who has it keeps it, and counts anew
    again = json.loads(_get(client, "covis/status.json"))["batches"]
    assert [(one["batch"], one["ended"]) for one in again] == [("B", 1)]
    announcer.over([outcome], "finished")
    assert json.loads(_get(client, "covis/status.json"))["batches"][0]["state"] == "finished"
    assert SchedulerClient("tcp://127.0.0.1:9").status() is None


def test_history_comes_back_from_catalogue_and_store(client: Client) -> None:
    """A scheduler that knows nothing shows the batches before, their calendars, and serves their reports."""
    deadline = time.monotonic() + 20
    while not (history := json.loads(_get(client, "covis/status.json"))["history"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [batch["batch"] for batch in history] == [_BATCH.id]
    status = History.here().status(_BATCH)
    assert (status.counts, status.ending) == ({"done": 1}, "finished")
    assert status.seconds == pytest.approx(3600.0, abs=1.0)
    assert [len(cell.runs) for *_, cell in status.calendar.year(2014)] == [1]
    assert _get(client, f"covis/store/p/batches/{_BATCH.id}/report.html") == b"<h1>a report</h1>"


def test_page_says_so_when_history_and_store_cannot_be_read(tmp_path: Path) -> None:
    """Without access the page stands, shows the live part, and says what is missing; no catalogue is made."""
    nowhere = {
        "covis.catalog.url": f"sqlite:///{tmp_path}/none.sqlite",
        "covis.products": {"url": f"{tmp_path}/none"},
    }

    async def look() -> str:
        async with Scheduler(dashboard_address=":0", port=0, preload=_PRELOAD) as scheduler:
            plugin = scheduler.plugins[StatusPlugin.name]
            while plugin._tasks:
                await asyncio.sleep(0.05)
            plugin.source.state.take({
                "op": "batch", "batch": "B", "expected": 1, "start": "2026-01-01T00:00:00+00:00",
                "attributes": {},
            })  # fmt: skip
            plugin.source.state.take({
                "op": "ended", "batch": "B", "outcomes": [{"basename": _RUN, "state": "done", "path": "p/x"}],
            })  # fmt: skip
            document = Document()
            covis_page(plugin.source, {}, document)
            return " ".join(root.text for root in document.roots if isinstance(root, Div))

    with dask.config.set(nowhere):
        text = asyncio.run(look())
    assert "cannot read the catalogue" in text
    assert "cannot read the product store" in text
    assert "EXPECTED" in text
    assert not list(tmp_path.iterdir())


def test_preloaded_page_hears_what_the_scheduler_hears(place: Path) -> None:  # noqa: ARG001
    """A scheduler with the page from its start serves one state, the one that workers and drivers fill."""
    options = {"preload": _PRELOAD}
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=":0",
            scheduler_kwargs=options,
        ) as cluster,
        Client(cluster) as client,
    ):
        status = BatchStatus("P", 1)
        status.expect([_RUN])
        BatchAnnouncer(client, status).tell([], now=True)
        document = json.loads(_get(client, "covis/status.json"))
    assert len(document["workers"]) == 1
    assert [batch["batch"] for batch in document["batches"]] == ["P"]
