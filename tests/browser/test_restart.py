"""The COVIS page while two batches go on, and while their scheduler goes away and comes back."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.processes import Process, free_ports
from cluster.servers import dask_scheduler, dask_worker
from covis_dask.simulate.specs import run_spec
from tests._place import Place
from tests.browser._chrome import Page, browser

_RUNS = 144
_LOSS = (
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",  # of a picture that was on its way when the scheduler was killed
    "ERR_EMPTY_RESPONSE",
    "WebSocket connection",
    "Failed to connect to Bokeh server",
)
_NO_BANNER = """
const banner = document.getElementById("lost");
return banner !== null && banner.getClientRects().length === 0;
"""
_PICTURES = """
const all = node => [...(node.shadowRoot ?? node).querySelectorAll("*")].flatMap(
  child => [...(child.tagName === "IMG" ? [child] : []), ...(child.shadowRoot ? all(child) : [])]);
const shown = picture => picture.src.includes("small=1") && picture.naturalWidth > 0;
return all(document.body).filter(shown).length;
"""


@dataclass
class Stage:
    """A scheduler, its worker, and the address of the dashboard."""

    place: Place
    scheduler: Process
    worker: Process
    address: str
    url: str

    def batch(self, month: int) -> "subprocess.Popen[str]":
        """Start a batch of the runs of a month."""
        words = ["--month", str(month), "--scheduler", self.address]
        return subprocess.Popen(
            [sys.executable, "-m", "covis_dask.batch", *words],
            cwd=self.place.path,
            env={**os.environ, "DASK_CONFIG": str(self.place.path / "config")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def batches(self) -> list[dict[str, Any]]:
        """Return the scheduler's numbers of the batches it knows, by name."""
        with urllib.request.urlopen(f"{self.url}/covis/status.json", timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer)["batches"]
        return sorted(found, key=lambda batch: str(batch["batch"]))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Start a scheduler that has the page from the start, and a worker, beside an archive of small runs."""
    place = Place(tmp_path)
    start = run_spec("END", "diffuse").start
    for number in range(_RUNS):
        moment = start.replace(month=3 + number % 2, hour=number // 6, minute=10 * (number % 6))
        place.store(run_spec("END", "diffuse", start=moment, pings=6, samples=400))
    place.catalogue()
    port, dashboard = free_ports(2)
    address = f"tcp://127.0.0.1:{port}"
    environ = {
        "DASK_CONFIG": str(tmp_path / "config")
    }  # and the place's folder: the same catalogue and store
    preload = {"DASK_DISTRIBUTED__SCHEDULER__PRELOAD": "['covis_dask.monitor.preload']"}
    scheduler = dask_scheduler(
        "scheduler", tmp_path, port=port, dashboard=dashboard, environ=environ | preload
    )
    worker = dask_worker("worker", tmp_path, scheduler=address, environ=environ)
    try:
        scheduler.start()
        worker.start()
        yield Stage(place, scheduler, worker, address, f"http://127.0.0.1:{dashboard}")
    finally:
        worker.stop()
        scheduler.stop()


@pytest.fixture
def page() -> Iterator[Page]:
    """Start a browser."""
    with browser() as opened:
        yield opened


def _connected(page: Page) -> bool:
    """Say whether the page is there, and shows no banner that its scheduler is away."""
    return bool(page.driver.execute_script(_NO_BANNER))


def _done(text: str) -> int:
    found = re.search(r"([\d,]+) done ", text.split("EXPECTED", 1)[-1])
    return int(found[1].replace(",", "")) if found else 0


@pytest.mark.timeout(600)
def test_page_survives_its_scheduler(stage: Stage, page: Page) -> None:
    """Two batches at once; the page says that the scheduler is away, and comes back with all it had."""
    batches = [stage.batch(3), stage.batch(4)]
    try:
        page.open(f"{stage.url}/covis")
        page.wait_for(lambda text: "2 batches are running" in text and _done(text))
        one = stage.batches()[0]["batch"]
        page.open(f"{stage.url}/covis?batch={one}")
        before = page.wait_for(lambda text: f"{one} running" in text and _done(text))

        stage.scheduler.kill()
        page.wait_for(lambda _: page.driver.find_element("id", "lost").is_displayed())
        stage.worker.stop()
        stage.scheduler.start()
        stage.worker.start()
        # The page that was left behind says all but the first of these.
        page.wait_for(
            lambda text: _connected(page) and f"{one} running" in text and _done(text) >= _done(before), 120
        )
        page.wait_for(lambda _: [batch["expected"] for batch in stage.batches()] == [_RUNS // 2] * 2)
        page.wait_for(lambda _: page.driver.execute_script(_PICTURES))
        assert [line for line in page.complaints() if not any(word in line for word in _LOSS)] == []
        page.wait_for(lambda text: _done(text) > _done(before), 120)
    finally:
        for batch in batches:
            if batch.poll() is None:
                os.killpg(batch.pid, signal.SIGINT)
        for batch in batches:
            batch.wait(90)
