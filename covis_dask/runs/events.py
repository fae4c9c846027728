"""What a worker tells its scheduler while it is at a run: the stage, and how many pings are done.

Outside a Dask worker nothing is told to anybody. Nobody's run fails for want of a listener.
"""

import socket
import sys
import time
from typing import Any

from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask

__all__ = ["TOPIC", "Reporter"]

TOPIC = "covis"
"""Topic of our events on the scheduler."""

_EVERY = 1.0


def _worker() -> Any | None:
    """Return the Dask worker that calls us, or None."""
    distributed = sys.modules.get("distributed")
    if distributed is None:  # then nobody in this process can be a worker
        return None
    try:
        return distributed.get_worker()
    except ValueError:
        return None


class Reporter:
    """Tells of one run.

    Parameters
    ----------
    task : RunTask
    """

    def __init__(self, task: RunTask) -> None:
        self._worker = _worker()
        self._task = task
        self._stage = ""
        self._told = 0.0
        self._told_pings = False

    def stage(self, name: str) -> None:
        """Tell that a stage begins."""
        self._stage = name
        self._tell("work", stage=name)

    def pings(self, done: int, total: int) -> None:
        """Tell how many pings are done, the first time and then about once a second."""
        if not self._told_pings or time.monotonic() - self._told >= _EVERY:
            self._told_pings = True
            self._tell("work", stage=self._stage, done=done, total=total)

    def ended(self, outcome: RunOutcome) -> None:
        """Tell that the worker is free again."""
        self._tell("rest", state=outcome.state, kind=outcome.kind)

    def _tell(self, op: str, **what: Any) -> None:
        if self._worker is None:
            return
        self._told = time.monotonic()
        event = {
            "op": op,
            "batch": self._task.batch,
            "run": self._task.run.basename,
            "attempt": self._task.attempt,
            "worker": self._worker.address,
            "name": str(self._worker.name),
            "host": socket.gethostname(),
            **what,
        }
        try:
            self._worker.log_event(TOPIC, event)
        except (OSError, RuntimeError):
            # The scheduler has gone away, or the worker is about to: the run itself goes on.
            self._worker = None
