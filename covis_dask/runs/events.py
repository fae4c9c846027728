"""What a worker tells its scheduler while it is at a run: the stage, and how many pings are done.

A run that computes in a process of its own tells its worker, which passes it on. Where there is neither,
nothing is told to anybody. Nobody's run fails for want of a listener.
"""

import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask

__all__ = [
    "BEGUN",
    "COMPUTING",
    "TOPIC",
    "Listener",
    "Reporter",
    "dask_worker",
    "listen",
    "listener_here",
    "rest_event",
]

TOPIC = "covis"
"""Topic of our events on the scheduler."""

BEGUN = "covis-begun"
"""Topic on which a worker says that it begins a run: when it is lost, others had only waited there."""

COMPUTING = frozenset({"", "look", "compute"})
"""Stages before the dataset is made; what comes after them is worth being waited for."""

Listener = Callable[[Mapping[str, Any]], None]

_EVERY = 1.0
_given: Listener | None = None


def dask_worker() -> Any | None:
    """Return the Dask worker that calls us, or None."""
    distributed = sys.modules.get("distributed")
    if distributed is None:  # then nobody in this process can be a worker
        return None
    try:
        return distributed.get_worker()
    except ValueError:
        return None


def listen(listener: Listener | None) -> None:
    """Let all runs of this process tell `listener`; it may raise OSError when nobody hears it any more."""
    global _given
    _given = listener


def listener_here() -> Listener | None:
    """Return who is told of runs in this thread: the one given, else the scheduler of our worker."""
    worker = dask_worker()
    if _given is not None or worker is None:
        return _given
    who = {"worker": worker.address, "name": str(worker.name), "host": socket.gethostname()}
    return lambda event: worker.log_event(TOPIC, {**event, **who})


def rest_event(task: Any, outcome: RunOutcome) -> Mapping[str, Any]:
    """Return what tells that a run has left its worker."""
    return _event("rest", task, state=outcome.state, kind=outcome.kind)


def _event(op: str, task: Any, **what: Any) -> Mapping[str, Any]:
    named = {"run": task.basename, "batch": getattr(task, "batch", ""), "attempt": task.attempt}
    return {"op": op, **named, **what}


class Reporter:
    """Tells of one run.

    Parameters
    ----------
    task : RunTask
    """

    def __init__(self, task: RunTask) -> None:
        self._listener = listener_here()
        self._task = task
        self._stage = ""
        self._told = 0.0
        self._told_pings = False

    def stage(self, name: str) -> None:
        """Tell that a stage begins."""
        self._stage = name
        self._tell(_event("work", self._task, stage=name))

    def pings(self, done: int, total: int) -> None:
        """Tell how many pings are done, the first time and then about once a second."""
        if not self._told_pings or time.monotonic() - self._told >= _EVERY:
            self._told_pings = True
            self._tell(_event("work", self._task, stage=self._stage, done=done, total=total))

    def ended(self, outcome: RunOutcome) -> None:
        """Tell that the worker is free again."""
        self._tell(rest_event(self._task, outcome))

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self._listener is None:
            return
        self._told = time.monotonic()
        try:
            self._listener(event)
        except (OSError, RuntimeError):
            # The scheduler has gone away, or the worker is about to: the run itself goes on.
            self._listener = None
