"""Documents and answers of one real batch: two runs of which one is broken, on a scheduler that is there."""

import contextlib
import io
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from prometheus_client.parser import text_string_to_metric_families

from covis_dask.simulate.pack import write_archive
from tests._place import diffuse, imaging, members
from tests.faces._doors import covis
from tests.faces._snapshot import shape

__all__ = ["batch_documents"]

_BATCH = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")
_DRAWN = re.compile(r"(/v|/tries)/[^/]+/")
_NAMED = ("modes", "stages", "timings", "software", "versions", "set", "options")
_ROUTES = (
    "covis/status.json",
    "covis/metrics",
    "covis",
    "covis/store/nothing.png",
    "covis/store/nothing.nc",
    "covis/run/nothing/picture",
    "covis/run/nothing/log",
)


def batch_documents(folder: Path) -> dict[str, Any]:
    """Run a batch in a folder; returns what it leaves and says, each reduced to keys and types.

    Returns
    -------
    dict
        By the name of the snapshot.
    """
    settings = {
        "covis.catalog.url": f"sqlite:///{folder}/catalog.sqlite",
        "covis.products": {"url": str(folder / "products")},
        "covis.hosts": {"COVIS-NAS": {"url": str(folder / "raw")}},
        "covis.ancillary": {"url": str(folder / "ancillary")},
    }
    good, bad = diffuse(3), imaging(4)
    raw = folder / "raw" / "2014" / "03"
    write_archive(members("DIFFUSE"), raw / f"{good.basename}.tar", folder=good.folder)
    (raw / f"{bad.basename}.tar").write_bytes(b"no archive at all")
    with dask.config.set(settings):
        found = {"exit-codes.json": {}, **_before(folder)}
        with _scheduler() as (address, _):  # a batch before, for the history
            _said("batch", "--year", "2014", "--mode", "imaging", "--scheduler", address)
        with _scheduler() as (address, link):
            words = ("--year", "2014", "--force", "--json", "--scheduler", address)
            found["exit-codes.json"]["some failed"], report = _said("batch", *words)
            found["report.json"] = shape(json.loads(report), named=_NAMED)
            found |= _page(link)
            found["status-live.json"] = _answer("status", "--json", "--scheduler", address)
        found |= _after(folder, good.basename)
        found["exit-codes.json"]["done before"] = _said("batch", "--year", "2014", "--mode", "diffuse")[0]
        found["exit-codes.json"]["nothing selected"] = _said("batch", "--year", "2013")[0]
        found["exit-codes.json"]["wrong words"] = _said("batch", "--year", "2014", "--force", "--verify")[0]
    return found


@contextlib.contextmanager
def _scheduler() -> Iterator[tuple[str, str]]:
    """Give a scheduler with one worker in this process: its address, and that of its web server."""
    small: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "protocol": "tcp"}
    with LocalCluster(**small, dashboard_address=":0") as it, Client(it) as client:
        yield it.scheduler_address, client.dashboard_link.removesuffix("/status")


def _said(*words: str) -> tuple[int, str]:
    """Run a command; returns its exit code and what it says on standard output."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        code = covis(*words)
    return code, said.getvalue()


def _answer(*words: str) -> Any:
    """Run a command that answers in JSON; returns the form of the answer, or of its lines."""
    code, said = _said(*words)
    assert code == 0, words
    try:
        return shape(json.loads(said), named=_NAMED)
    except json.JSONDecodeError:
        return shape([json.loads(line) for line in said.splitlines()], named=_NAMED)


def _before(folder: Path) -> dict[str, Any]:
    assert _said("catalog", "import", "--walk", str(folder / "raw"), "--host", "COVIS-NAS")[0] == 0
    return {
        "run-imported.json": _answer("catalog", "select", "--json"),
        "plan.json": _answer("batch", "--year", "2014", "--dry-run", "--json"),
        "count.json": _answer("catalog", "count", "--json"),
    }


def _page(link: str) -> dict[str, Any]:
    """Return the form of what the scheduler's web server answers."""
    routes, metrics = {}, {}
    for route in _ROUTES:
        try:
            with urllib.request.urlopen(f"{link}/{route}", timeout=20) as answer:
                routes[f"/{route}"] = f"{answer.status} {answer.headers['Content-Type']}"
        except urllib.error.HTTPError as error:
            routes[f"/{route}"] = str(error.code)
    for family in text_string_to_metric_families(_get(f"{link}/covis/metrics")):
        labels = sorted({label for sample in family.samples for label in sample.labels})
        metrics[family.name] = {"type": family.type, "labels": labels, "help": family.documentation}
    return {"routes.json": routes, "status.json": _status(link), "metrics.json": metrics}


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def _status(link: str) -> Any:
    """Return the form of status.json once the batch has become history."""
    until = time.monotonic() + 20
    while True:
        status = json.loads(_get(f"{link}/covis/status.json"))
        if status["history"] and not any(worker["run"] for worker in status["workers"]):
            return shape(status, named=_NAMED)
        assert time.monotonic() < until, status
        time.sleep(0.1)


def _after(folder: Path, basename: str) -> dict[str, Any]:
    products = folder / "products"
    (manifest,), (failure, _) = products.rglob("metadata.json"), products.rglob("failure.json")
    left = sorted(path.relative_to(products).as_posix() for path in products.rglob("*") if path.is_file())
    batch = max(path.split("/batches/")[1].split("/")[0] for path in left if "/batches/" in path)
    return {
        "manifest.json": shape(json.loads(manifest.read_text()), named=_NAMED),
        "failure.json": shape(json.loads(failure.read_text()), named=_NAMED),
        "store.json": sorted({_DRAWN.sub(r"\1/DRAWN/", _BATCH.sub("BATCH", path)) for path in left}),
        "run-recorded.json": _answer("catalog", "select", "--json"),
        "batch.json": _answer("catalog", "batches", "--json"),
        "batches-status.json": _answer("status", "--json"),
        "open.json": _answer("open", basename, "--json"),
        "report-again.json": _answer("report", batch, "--json"),
    }
