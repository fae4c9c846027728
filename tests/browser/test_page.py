"""The COVIS page in a real browser, while a batch is going on."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests._place import Place, diffuse
from tests.browser._chrome import LAPTOP, PHONE, Page, browser


@dataclass
class LiveBatch:
    """A batch at work, and the address of its dashboard."""

    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)
    found: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def listen(self) -> None:
        """Read what the batch says until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if (match := re.search(r"dashboard (http://\S+)/covis", line)) is not None:
                self.url = match[1]
                self.found.set()

    def json(self) -> dict[str, Any]:
        """Return the numbers of the scheduler."""
        with urllib.request.urlopen(f"{self.url}/covis/status.json", timeout=20) as answer:
            document: dict[str, Any] = json.load(answer)
        return document


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBatch]:
    """Start a batch of 24 small runs, the first of them damaged."""
    place = Place(tmp_path_factory.mktemp("live"))
    for hour in range(24):
        archive = place.store(diffuse(hour))
        if hour == 0:
            archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    place.catalogue()
    process = subprocess.Popen(
        [sys.executable, "-m", "covis_dask.batch", "--year", "2014", "--workers", "1"],
        cwd=place.path,
        env={**os.environ, "DASK_CONFIG": str(place.path / "config")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    batch = LiveBatch(process)
    listener = threading.Thread(target=batch.listen)
    listener.start()
    try:
        assert batch.found.wait(90), batch.said
        yield batch
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        listener.join()
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """Start a browser."""
    with browser() as opened:
        yield opened


def _count(text: str, state: str) -> int:
    """Read a tile: its number stands before its word."""
    tiles = text.split("EXPECTED", 1)[-1]
    found = re.search(rf"(\d+) {state} ", tiles)
    return int(found[1]) if found else 0


def test_page_of_a_live_batch(page: Page, live: LiveBatch, tmp_path: Path) -> None:
    """From Dask's menu to the page: counts move and add up, a day lists its runs, all fits a phone."""
    page.open(f"{live.url}/status")
    page.driver.find_element("xpath", "//div[@id='myTopnav']//a[text()='Covis']").click()
    page.wait_for(
        lambda text: (
            _count(text, "done") and "pings" in text and "archive-truncated" in text and "MB/s" in text
        )
    )

    numbers = live.json()["batches"][0]
    assert numbers["expected"] == 24
    text = page.text()
    assert numbers["batch"] in text
    assert "24 EXPECTED" in text
    assert sum(_count(text, state) for state in [*numbers["counts"], "waiting"]) == 24
    assert "the compressed data are cut off" in text
    page.wait_for(lambda text: "No product yet" not in text and "cannot read the product store" not in text)

    page.click_day("diffuse", 5)
    listed = page.wait_for(lambda text: "diffuse on Wednesday 5 March 2014" in text)
    assert diffuse(23).basename in listed.split("diffuse on Wednesday")[1]

    page.picture(tmp_path / "page-laptop.png", LAPTOP)
    page.picture(tmp_path / "page-phone.png", PHONE)
    page.resize(PHONE)
    assert page.too_wide() <= 0
    before = numbers["counts"]["done"]
    page.wait_for(lambda text: _count(text, "done") > before)
    assert page.complaints() == []
