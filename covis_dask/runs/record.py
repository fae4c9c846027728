"""What is kept of a run while it goes on: its log, and the time each stage took."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.redaction import redact
from covis_dask.runs.events import Reporter

__all__ = ["RunLog", "Stages"]


class RunLog:
    """The log of one run and no other: a file of lines with the seconds since the start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = time.monotonic()
        path.touch()

    def __call__(self, line: str) -> None:
        """Write a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"[{time.monotonic() - self._start:9.3f} s] {redact(line)}\n")


class Stages:
    """Seconds by stage, and who is told of them."""

    def __init__(self, reporter: Reporter) -> None:
        self.seconds: dict[str, float] = {}
        self.reporter = reporter
        self._start = time.perf_counter()

    def known(self) -> dict[str, Any]:
        """Return what an outcome says of the time a run took, and where."""
        return {
            "seconds": time.perf_counter() - self._start,
            "timings": dict(self.seconds),
            "worker": socket.gethostname(),
        }

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = time.perf_counter()
        self.reporter.stage(name)
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
