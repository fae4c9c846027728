"""Everything together, as processes: two S3 hosts, MongoDB protocol, a Dask scheduler, two workers."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # comes with Dask
import pytest

from catalog.query import RunQuery
from catalog.store import open_catalog
from cluster.local_stack import LocalStack
from cluster.processes import ServerFailed
from tests._place import MODES, Place

pytestmark = [pytest.mark.service, pytest.mark.timeout(280)]

RUNS = 24


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Give a running stack with 24 runs of three modes, half of them on each S3 host, in its catalogue."""
    folder = tmp_path_factory.mktemp("stack")
    try:
        stack = LocalStack(folder / "stack", 2, settings={"backoff": "1s", "max-outage": "2 minutes"})
    except ServerFailed as error:
        pytest.skip(str(error))
    with stack:
        place = Place(folder)
        for hour in range(RUNS // len(MODES)):
            server, bucket = ((stack.nas, "raw"), (stack.wasabi, "covis-raw"))[hour % 2]
            for mode in MODES.values():
                path = place.store(mode(hour))
                server.filesystem().put_file(
                    str(path), f"{bucket}/{path.relative_to(folder / 'covis-data' / 'raw')}"
                )
        for host in ("COVIS-NAS", "wasabi"):
            done = _covis(stack, "catalog", "import", "--walk", "--host", host)
            assert done.returncode == 0, done.stderr
        yield stack


def _start(stack: LocalStack, *words: str, **environ: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "covis_dask.cli", *words],
        cwd=stack.folder,
        env={**os.environ, **stack.environ(), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _covis(stack: LocalStack, *words: str) -> "subprocess.CompletedProcess[str]":
    process = _start(stack, *words)
    out, err = process.communicate(timeout=200)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _batch(stack: LocalStack, *words: str) -> list[str]:
    return ["batch", "--year", "2014", "--scheduler", stack.scheduler_address, "--json", *words]


def _manifests(stack: LocalStack, prefix: str) -> dict[str, Any]:
    """Read all manifests below a prefix from the store, by run."""
    fs = stack.nas.filesystem()
    found = [path for path in fs.find(f"postprocessed/{prefix}") if path.endswith("/metadata.json")]
    return {path.split("/")[-2]: json.loads(data) for path, data in (fs.cat(found) if found else {}).items()}


def _assert_all_committed(
    stack: LocalStack, report: dict[str, Any], prefix: str, expected: int = RUNS
) -> None:
    """Report, catalogue and store agree that every run is done, once."""
    assert {state: count for state, count in report["counts"].items() if count} == {"done": expected}
    manifests = _manifests(stack, prefix)
    with open_catalog(stack.mongo.url) as catalog:
        runs = [run for run in catalog.select(RunQuery()) if run.product and prefix in run.product.path]
        assert {run.basename for run in runs} == set(manifests)
        for run in runs:
            assert run.product is not None
            assert (run.product.state, run.product.batch) == ("done", report["batch"])
            assert run.product.fingerprint == manifests[run.basename]["fingerprint"]
        # No claim is left behind.
        assert catalog.release(report["batch"]) == 0


def test_a_batch_on_real_services(stack: LocalStack) -> None:
    """One command commits 24 runs of three modes from two hosts; the same again changes nothing.

    The secrets of both hosts are then nowhere but in the environment.
    """
    doctor = _covis(stack, "doctor", "--scheduler", stack.scheduler_address)
    assert doctor.returncode == 0, doctor.stdout
    lists = ""
    with _start(stack, *_batch(stack)) as process:
        while process.poll() is None:
            lists += "\n".join(
                " ".join(found.info["cmdline"] or ()) for found in psutil.process_iter(["cmdline"])
            )
            time.sleep(1)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    _assert_all_committed(stack, json.loads(out), "native-matlab")
    hosts = Counter(entry["input"]["host"] for entry in _manifests(stack, "native-matlab").values())
    assert hosts == {"COVIS-NAS": RUNS // 2, "WASABI": RUNS // 2}

    fs = stack.nas.filesystem()
    before = {path: info["ETag"] for path, info in fs.find("postprocessed", detail=True).items()}
    again = _covis(stack, *_batch(stack))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["counts"]["already"] == RUNS
    after = {path: info["ETag"] for path, info in fs.find("postprocessed", detail=True).items()}
    assert {path: etag for path, etag in after.items() if "/batches/" not in path} == {
        path: etag for path, etag in before.items() if "/batches/" not in path
    }

    with open_catalog(stack.mongo.url) as catalog:
        documents = repr([*catalog.select(RunQuery()), *catalog.batches()])
    logs = [path.read_text("utf-8", errors="replace") for path in (stack.folder / "services").glob("*.log")]
    stored = [data.decode("latin-1") for data in fs.cat(list(after)).values()]
    shown = _covis(stack, "config", "show").stdout
    told = [out, err, again.stdout, again.stderr, doctor.stdout, doctor.stderr, shown, lists, documents]
    assert len(logs) == 6
    assert "covis_dask.cli" in lists
    for name, secret in stack.environ().items():
        if name.endswith("_KEY"):
            assert not any(secret in text for text in [*told, *logs, *stored]), name


def _wait(condition: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 100) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.2)


def test_outages_delay_and_lose_nothing(stack: LocalStack) -> None:
    """Store and database are killed, and freeze, in mid-batch; it waits, and every run gets done."""
    impatient = f"{stack.mongo.url}?serverSelectionTimeoutMS=500"
    words = _batch(stack, "--prefix", "outage", "--mode", "diffuse", "--mode", "imaging")
    process = _start(stack, *words, DASK_COVIS__CATALOG__URL=impatient)
    try:
        _wait(lambda: len(_manifests(stack, "outage")) >= 2, process)
        for service in (stack.nas.process, stack.mongo.process):
            service.kill()
        time.sleep(5)
        for service in (stack.nas.process, stack.mongo.process):
            service.start()
        seen = len(_manifests(stack, "outage"))
        assert seen < RUNS * 2 // 3
        _wait(lambda: len(_manifests(stack, "outage")) > seen, process)
        stack.mongo.process.pause()
        stack.wasabi.process.pause()
        time.sleep(3)
    finally:
        stack.mongo.process.resume()
        stack.wasabi.process.resume()
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    _assert_all_committed(stack, json.loads(out), "outage", RUNS * 2 // 3)


def test_stack_says_what_is_wrong(tmp_path: Path) -> None:
    """A service that cannot start stops the others, and the message has its log."""
    stack = LocalStack(tmp_path / "stack", 0)
    stack.scheduler._command[-1] = "nowhere:-1"
    with pytest.raises(ServerFailed, match=r"scheduler did not come up"):
        stack.start()
    assert [process.pid for process in stack.processes] == [None] * 4
