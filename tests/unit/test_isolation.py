"""Whatever an engine does to its process, it is one run's end, has its name, and leaves nothing behind."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dask.config
import psutil  # type: ignore[import-untyped]
import pytest

from covis_dask.runs import isolation
from covis_dask.runs.isolation import Isolated, stop_batch
from covis_dask.runs.outcome import RunOutcome
from tests._hostile import HostileTask, keep_log, misbehave

_WORK = Isolated(misbehave, keep_log)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Give the scratch of all runs here; nothing stays, neither a process nor its folder."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    with dask.config.set({"covis.scratch": str(folder), "covis.limits.memory": "1 GiB"}):
        yield folder
    isolation._children.dismiss()
    assert list(folder.iterdir()) == []
    servers = [child for child in psutil.Process().children() if "_forkserver" in " ".join(child.cmdline())]
    assert [child for server in servers for child in server.children() if _alive(child.pid)] == []


def _started() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if _alive(child.pid)]


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _alive(pid)


def _do(what: str, folder: Path, timeout: float = 60.0) -> RunOutcome:
    return _WORK(HostileTask(what, folder=str(folder), timeout=timeout))


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("segfault", "engine-crashed", "SIGSEGV, in stage compute, ping 2 of 5"),
        ("abort", "engine-crashed", "SIGABRT, in stage compute"),
        ("exit", "engine-crashed", "by itself, with code 3"),
        ("cut off", "engine-crashed", "cut itself off"),
        ("grandchild, then exit", "engine-crashed", "with code 4"),
        ("killed", "out-of-memory", "the system killed it"),
        ("eat", "out-of-memory", "needed more than 1.00 GiB"),
        ("SystemExit", "bug", "SystemExit: 3"),
        ("KeyboardInterrupt", "bug", "KeyboardInterrupt"),
        ("MemoryError", "bug", "MemoryError"),
        ("RecursionError", "bug", "RecursionError"),
    ],
)
def test_every_end_has_its_name(what: str, kind: str, words: str, tmp_path: Path) -> None:
    """A crash, an exit, a kill, too much memory, any exception: each is told, and the next run is well."""
    outcome = _do(what, tmp_path)
    assert (outcome.state, outcome.kind) == ("failed", kind)
    assert words in str(outcome.reason)
    assert outcome.log == "RUN.txt"
    assert _gone(int((tmp_path / "RUN.begun").read_text()))
    log = (tmp_path / "RUN.txt").read_text()
    assert log.startswith(kind)
    assert f"about to {what}" in log
    assert _do("well", tmp_path).state == "done"


@pytest.mark.parametrize("what", ["hang in C", "hang in numba", "hang in Python", "grandchild, then hang"])
def test_time_is_kept_of_code_that_never_looks_at_the_clock(what: str, tmp_path: Path) -> None:
    """A run that hangs is ended shortly after its time, with all that it started, wherever it hangs."""
    start = time.monotonic()
    outcome = _do(what, tmp_path, timeout=1.0)
    assert time.monotonic() - start < 20
    assert (outcome.state, outcome.kind) == ("failed", "timeout")
    assert "in stage compute, ping 2 of 5; raise covis.timeout" in str(outcome.reason)
    leader = int((tmp_path / "RUN.begun").read_text())
    assert _gone(leader)
    assert not [child for child in _started() if os.getpgid(child.pid) == leader]


def test_a_child_is_kept_and_replaced(tmp_path: Path) -> None:
    """Runs share a warm process until it has had its number of them."""
    with dask.config.set({"covis.recycle": 2}):
        pids = [_do("well", tmp_path).worker for _ in range(5)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


def test_a_stopped_batch_ends_what_computes_and_lets_finish(tmp_path: Path) -> None:
    """A run that computes is ended at once, one that is past it commits, and none is begun any more."""
    ended: dict[str, RunOutcome] = {}

    def run(name: str, what: str) -> None:
        task = HostileTask(what, name, str(tmp_path), seconds=1.0, batch="stopped")
        ended[name] = _WORK(task)

    threads = [threading.Thread(target=run, args=words) for words in (("A", "hang in C"), ("B", "finish"))]
    for thread in threads:
        thread.start()
    while not all((tmp_path / f"{name}.begun").exists() for name in "AB"):
        time.sleep(0.05)
    time.sleep(0.3)
    stop_batch("stopped")
    for thread in threads:
        thread.join(30)
    assert {name: outcome.state for name, outcome in ended.items()} == {"A": "not-run", "B": "done"}
    run("C", "well")
    assert ended["C"].kind == "cancelled"
    assert not (tmp_path / "C.begun").exists()


def test_a_worker_that_cannot_start_processes_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the interpreter cannot import what runs need, the batch is told so, in its words."""
    monkeypatch.setattr("covis_dask.runs._children._START", "raise SystemExit('no such library')")
    monkeypatch.setattr(isolation, "_children", isolation._Children())
    outcome = _do("well", tmp_path)
    assert (outcome.state, outcome.kind) == ("not-run", "configuration")
    assert "no such library" in str(outcome.reason)


def test_scratch_that_is_away_is_the_runs_to_tell(tmp_path: Path) -> None:
    """Isolation needs no scratch of its own: a run that does without is done."""
    with dask.config.set({"covis.scratch": str(tmp_path / "nowhere")}):
        assert _do("well", tmp_path).state == "done"
    assert not (tmp_path / "nowhere").exists()
