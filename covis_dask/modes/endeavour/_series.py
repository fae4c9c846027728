"""The series of a 2010-15 Doppler burst, and their averages over windows.

See docs/method.md#doppler-2010-15 steps 3, 4.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.modes._phased_ping import PhasedPing
from covis_dask.modes.endeavour._operators import PingOperators
from covis_dask.modes.endeavour._reach import Part
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar._window_kernels import take_difference
from covis_dask.sonar.fused import FusedBeamformer, Precision
from covis_dask.sonar.windows import WindowSums

__all__ = ["Differences", "Series"]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Window averages of one series of samples; arrays [bins, B]: power (1/m), autocovariance (1/m)."""

    power: Real
    covariance: Complex


class Differences:
    """The series of a burst: differences of successive pings, or the pings themselves.

    A ping comes a few rows at a time, and all is done with them while they are in the cache.

    Parameters
    ----------
    part : Part
        What to compute.
    factor : float or None
        Of the differences; None: the pings themselves.
    precision : {"float64", "float32"}
    """

    def __init__(self, part: Part, factor: float | None, precision: Precision) -> None:
        self.part = part
        self.series: list[Series] = []
        self._factor = factor
        self._precision = precision
        self._begun = factor is None
        rows, beams = (which.stop - which.start for which in (part.rows, part.beams))
        self._previous: Complex = np.empty((0 if factor is None else rows, beams), np.complex128)
        self._room: Complex = np.empty((0, beams), np.complex128)
        self._operators: PingOperators | None = None

    def add(self, signal: PhasedPing, operators: PingOperators) -> None:
        """Add a ping; a ValueError makes it a bad one."""
        part = self.part
        part.check(operators)
        if operators is not self._operators:
            narrow = operators.beamformer.narrowed(part.beams.start)
            self._operators, self._fused = (
                operators,
                FusedBeamformer(operators.filter, narrow, self._precision),
            )
            self._gains = operators.calibration.of_beams(part.beams)
        sums = WindowSums(part.power, part.lagged, part.lag, self._room.shape[1], part.rows.start)
        if len(part.power):
            blocks = replace(signal, fused=self._fused).beam_blocks(part.rows.stop, part.rows.start)
            for rows, beams in blocks:
                self._add_rows(rows, beams, sums)
        if self._begun:
            self.series.append(Series(sums.power, sums.autocovariance))
        self._begun = True

    def _add_rows(self, rows: slice, beams: NDArray[Any], sums: WindowSums) -> None:
        if len(self._room) < len(beams):
            self._room = np.empty(beams.shape, np.complex128)
        page = self._room[: len(beams)]
        self._gains.apply_to(beams, rows, page)
        if self._factor is not None:
            start = self.part.rows.start
            previous = self._previous[rows.start - start : rows.stop - start]
            if not self._begun:
                previous[:] = page
                return
            take_difference(page.view(np.float64), previous.view(np.float64), self._factor)
        sums.add(page)
