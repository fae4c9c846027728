"""Work that goes wrong in every way an engine can, for tests of what its worker makes of it."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numba
import numpy as np

from covis_dask.errors import CovisError
from covis_dask.runs.events import Reporter
from covis_dask.runs.outcome import RunOutcome

__all__ = ["HostileTask", "keep_log", "misbehave"]


@dataclass(frozen=True)
class HostileTask:
    """A run, and what goes wrong with it.

    Parameters
    ----------
    what : str
        A key of `WAYS`, or anything else for a run that does well.
    basename : str
    folder : str
        Where `keep_log` leaves what it is given, and runs leave marks.
    timeout : float
        s
    seconds : float
        What a run that does well takes.
    """

    what: str
    basename: str = "RUN"
    folder: str = ""
    timeout: float = 60.0
    seconds: float = 0.0
    batch: str = "B"
    attempt: int = 1
    path: str = "p/RUN"
    label: str = "hostile"
    bytes_in: int = 0

    def again(self) -> Self:
        """Return the task of the next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def under(self, _token: int) -> Self:
        """Return the task of a claim."""
        return self


@numba.njit
def _spin(seconds: float) -> float:
    """Compute without ever looking at Python again."""
    total = 0.0
    for k in range(int(seconds * 1e9)):
        total += np.sin(total + k)
    return total


def _with_grandchild(then: Callable[[], Any]) -> None:
    if os.fork() == 0:
        time.sleep(600)
    then()


def _cut_off() -> None:
    os.closerange(3, 256)
    time.sleep(600)


def _eat() -> None:
    held = []
    while True:
        held.append(np.ones(4 << 20))
        time.sleep(0.005)


def _raise(error: BaseException) -> None:
    raise error


def _endless(depth: int = 0) -> int:
    return _endless(depth + 1)


WAYS: Mapping[str, Callable[[], Any]] = {
    "hang in C": lambda: ctypes.PyDLL(None).sleep(600),  # holds the interpreter's lock
    "hang in numba": lambda: _spin(600.0),
    "hang in Python": lambda: time.sleep(600),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "eat": _eat,
    "grandchild, then exit": lambda: _with_grandchild(lambda: os._exit(4)),
    "grandchild, then hang": lambda: _with_grandchild(lambda: time.sleep(600)),
    "cut off": _cut_off,
    "SystemExit": lambda: sys.exit(3),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "MemoryError": lambda: _raise(MemoryError()),
    "RecursionError": _endless,
    "ValueError": lambda: _raise(ValueError("no")),
}


def misbehave(task: HostileTask) -> RunOutcome:
    """Do what the task says, in stage ``compute``; or finish slowly, when it is to be found so."""
    reporter = Reporter(task)  # type: ignore[arg-type]
    reporter.stage("compute")
    reporter.pings(2, 5)
    print(f"about to {task.what}")
    if task.folder:
        Path(task.folder, f"{task.basename}.begun").write_text(str(os.getpid()))
    if task.what in WAYS:
        WAYS[task.what]()
    if task.what == "finish":
        reporter.stage("commit")
    time.sleep(task.seconds)
    if task.folder:
        Path(task.folder, f"{task.basename}.committed").write_text(str(os.getpid()))
    return RunOutcome(task.basename, "done", task.path, worker=str(os.getpid()))


def keep_log(task: HostileTask, fault: CovisError, folder: Path) -> str:
    """Keep what a run printed."""
    said = (folder / "said.txt").read_text()
    Path(task.folder, f"{task.basename}.txt").write_text(f"{fault.kind}\n{said}")
    return f"{task.basename}.txt"
