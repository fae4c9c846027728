"""What a mode program is given besides data and parameters: somewhere to talk to, and the seafloor."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from covis_dask.raw.archive import Limits

__all__ = ["Ancillary", "Bathymetry", "Context"]


@dataclass(frozen=True, slots=True, eq=False)
class Bathymetry:
    """A gridded seafloor.

    Parameters
    ----------
    x, y : ndarray of float64
        Axes, m east and north of the sonar; shapes [Nx], [Ny].
    height : ndarray of float64, [Ny, Nx]
        Height above the base of COVIS, m; NaN where unknown.
    name : str
        File it came from, for the product's attributes.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    height: NDArray[np.float64]
    name: str


class Ancillary(Protocol):
    """Data that go with a time, not with a run."""

    def bathymetry(self, when: dt.datetime) -> Bathymetry | None:
        """Return the seafloor valid at `when` (UTC), or None where there is none."""


def _quiet(_: str) -> None:
    """Say nothing."""


def _still(_done: int, _total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Context:
    """Surroundings of one run.

    Parameters
    ----------
    log : callable
        Takes one line for this run's log.
    progress : callable
        Takes pings done and pings in all (0 where that is not known); may raise to stop the run (time limit,
        cancelled).
    ancillary : Ancillary, optional
        Where bathymetry comes from.
    limits : Limits
        What an archive may hold.
    scratch : Path, optional
        Folder for temporary files; the system's own when not given.
    extra : Path, optional
        Folder for files of the engine's own that belong to the product, such as Matlab's ``.mat``.
    """

    log: Callable[[str], None] = _quiet
    progress: Callable[[int, int], None] = _still
    ancillary: Ancillary | None = None
    limits: Limits = Limits()  # noqa: RUF009 (a frozen value)
    scratch: Path | None = None
    extra: Path | None = None
