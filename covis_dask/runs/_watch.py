"""The watch over one run in a process of its own: its time, its memory, its end, each by its name."""

import time
from dataclasses import dataclass, field
from typing import Any

from dask.utils import format_bytes

from covis_dask.errors import Bug, CovisError, EngineCrashed, OutOfMemory, RunTimeout
from covis_dask.processes import ending, has_ended, memory_of_tree, resident
from covis_dask.runs._calls import Call, Ended, Told
from covis_dask.runs._children import Child
from covis_dask.runs.events import COMPUTING, Listener

__all__ = ["Watch"]

_TICK = 0.25
_TREE_EVERY = 8
"""Looking for all that a process has started costs milliseconds, so it is done every few ticks."""

GRACE = 2.0
"""A run looks at the clock itself, ping by ping; one that does not is ended so much later, s."""


@dataclass(slots=True, eq=False)
class Watch:
    """One call in a child.

    Parameters
    ----------
    child : Child
    call : Call
    memory : int, optional
        Most it may need, bytes, with all that it starts.
    listener : callable, optional
        Takes its events.
    """

    child: Child
    call: Call
    memory: int | None = None
    listener: Listener | None = None
    stage: str = ""
    timings: dict[str, float] = field(default_factory=dict)
    _pings: str = ""
    _fault: CovisError | None = None
    _start: float = field(default_factory=time.monotonic)
    _since: float = field(default_factory=time.monotonic)
    _finishing_since: float | None = None
    _next_look: float = 0.0
    _looks: int = 0

    @property
    def computing(self) -> bool:
        """Whether the dataset is still to be made."""
        return self.stage in COMPUTING

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._start

    def stop(self, fault: CovisError) -> None:
        """End the run from outside; `wait` raises the fault."""
        self._fault = self._fault or fault
        self.child.kill()

    def wait(self) -> Any:
        """Return what the call returns; whatever else happens is told, and the child has ended then.

        Raises
        ------
        RunTimeout
        OutOfMemory
        EngineCrashed
        Bug
            When the call raised.
        CovisError
            What `stop` was given.
        """
        connection = self.child.connection
        try:
            self.child.runs += 1
            connection.send(self.call)
            while True:
                # What it said before it died is still there, and then the end of the file.
                if connection.poll(_TICK):
                    message = connection.recv()
                    if isinstance(message, Ended):
                        return self._answered(message)
                    self._take(message)
                elif has_ended(self.child.pid):
                    break
                self._look()
        except (EOFError, OSError):
            pass
        raise self._ended(self.child.reap())

    def _answered(self, message: Ended) -> Any:
        if message.error is None:
            return message.answer
        raise Bug(f"{message.error}; this is a bug, and the traceback is in the log of the run")

    def _take(self, message: Told) -> None:
        event = message.event
        if event.get("op") == "work":
            self._pings = f", ping {event['done']} of {event['total']}" if event.get("total") else ""
            if event["stage"] != self.stage:
                self._enter(event["stage"])
        if self.listener is not None:
            try:
                self.listener(event)
            except (OSError, RuntimeError):
                self.listener = None  # the scheduler has gone away: the run itself goes on

    def _enter(self, stage: str) -> None:
        now = time.monotonic()
        if self.stage:
            self.timings[self.stage] = self.timings.get(self.stage, 0.0) + now - self._since
        self.stage, self._since = stage, now
        if not self.computing and self._finishing_since is None:
            self._finishing_since = now

    def _look(self) -> None:
        """End a run that takes too much."""
        now = time.monotonic()
        if self._fault is not None or now < self._next_look:
            return
        self._next_look = now + _TICK
        longest = self.call.computing if self._finishing_since is None else self.call.finishing
        if now - (self._finishing_since or self._start) > longest + GRACE:
            self.stop(RunTimeout(f"stopped after {self.seconds:.0f} s{self._where()}; {_HOW['timeout']}"))
        elif self.memory is not None:
            self._looks += 1
            whole = self._looks % _TREE_EVERY == 0
            if (memory_of_tree if whole else resident)(self.child.pid) > self.memory:
                limit = format_bytes(self.memory)
                self.stop(
                    OutOfMemory(f"it needed more than {limit} of memory{self._where()}; {_HOW['memory']}")
                )

    def _ended(self, code: int | None) -> CovisError:
        """Name the end of a child that did not answer."""
        if self._fault is not None:
            return self._fault
        if code is None:
            return EngineCrashed(f"the engine cut itself off from its worker{self._where()}; {_HOW['crash']}")
        how = ending(code)
        if how == "by SIGKILL":
            return OutOfMemory(
                f"the system killed it, most likely for want of memory{self._where()}; {_HOW['memory']}"
            )
        if how == "by SIGALRM":
            return RunTimeout(f"stopped after {self.seconds:.0f} s{self._where()}; {_HOW['timeout']}")
        return EngineCrashed(f"the engine ended its process {how}{self._where()}; {_HOW['crash']}")

    def _where(self) -> str:
        return f", in stage {self.stage}{self._pings}" if self.stage else ""


_HOW = {
    "timeout": "raise covis.timeout if such runs need longer",
    "memory": "give each worker more (covis.limits.memory), or run fewer per machine",
    "crash": "the log has its last words",
}
