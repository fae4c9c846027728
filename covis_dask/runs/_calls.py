"""What a worker and its processes say to each other: small values, pickled."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.config

__all__ = ["SAID", "Call", "Ended", "Fork", "Reap", "Surroundings", "Told"]

SAID = "said.txt"
"""What a run prints, its last words when it crashes included; in the folder of its process."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process is given by the one that starts it: its environment, configuration and modules."""

    environ: Mapping[str, str]
    config: Mapping[str, Any]
    path: Sequence[str]

    @classmethod
    def here(cls) -> "Surroundings":
        """Return those of this process; a client that it may have computes for nobody else."""
        config = {name: value for name, value in dask.config.config.items() if name != "scheduler"}
        return cls(dict(os.environ), deepcopy(config), list(sys.path))

    def take_over(self) -> None:
        """Make them those of this process."""
        os.environ.clear()
        os.environ.update(self.environ)
        dask.config.config.clear()
        dask.config.config.update(self.config)
        sys.path[:] = self.path


@dataclass(frozen=True, slots=True)
class Fork:
    """To the fork server: make a child with this folder; its end of a socket follows."""

    folder: Path
    surroundings: Surroundings


@dataclass(frozen=True, slots=True)
class Reap:
    """To the fork server: say how a child has ended."""

    pid: int


@dataclass(frozen=True, slots=True)
class Call:
    """To a child: call this, within so many seconds.

    Parameters
    ----------
    function : callable
    arguments : tuple
    computing, finishing : float
        Longest time until the dataset is made, and from then to the end, s.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    computing: float
    finishing: float


@dataclass(frozen=True, slots=True)
class Told:
    """From a child: an event of the run it is at (`covis_dask.runs.events`)."""

    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """From a child: what the call returned, or what it raised."""

    answer: Any
    error: str | None = None
