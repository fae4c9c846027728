"""The ping loop of the 2018+ burst modes: bursts, bad and missing pings, attitude.

See docs/method.md#bursts, #bad-and-missing-pings.

Pings come one at a time, in the order of the ping table. A program takes the good ones of one burst after
another; two programs can share one pass over the run (full-range runs, docs/method.md#full-range-2018).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np

from covis_dask.modes._tally import PingTally
from covis_dask.modes.ashes._setup import Attitude, PhasedPing, RangeCalibration, SonarSetup
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import Ping, PingTable, RawSweep
from covis_dask.sonar._types import Complex
from covis_dask.sonar.bursts import Burst, bursts_ashes

__all__ = ["CHANNELS", "RATE", "BurstProgram", "group", "run_bursts", "sweeps_in_yaw"]

CHANNELS: Final = 256
RATE: Final = 34483.0
_TURN: Final = 1.0
"""Degrees the yaw motor must turn before a run counts as a sweep in yaw; at rest it wobbles by 0.1."""


def sweeps_in_yaw(table: PingTable) -> bool:
    """Say whether a run turns the head in yaw and keeps its pitch (Q7): imageleft, imagecenter, pano.

    The rotator readings tell, in whatever order the members of the archive come; ``motion.inc`` of
    sweep.json, which says the same, may follow the pings.
    """
    return bool(np.ptp(table.yaw) > max(float(np.ptp(table.pitch)), _TURN))


def group(table: PingTable, parameters: Parameters) -> list[Burst]:
    """Group the pings of a run into bursts (Q5, Q7).

    Parameters
    ----------
    table : PingTable
    parameters : Parameters
    """
    fixes = parameters.fixes
    moving = table.yaw if fixes.moving_axis and sweeps_in_yaw(table) else table.pitch
    return bursts_ashes(
        moving,
        table.sensor_pitch,
        consecutive=fixes.consecutive_bursts,
        tolerance=parameters.bursts.tolerance,
    )


class BurstProgram(ABC):
    """What a mode does with the bursts of a run, one after another.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
    context : Context

    Attributes
    ----------
    setup : SonarSetup
    bursts : list of Burst
        All of the run, also those left out.
    used : ndarray of bool, [bursts]
        Which of them entered the result.
    used_rows : list of int
        Rows of the pings that did.
    tally : PingTally
    open : int
        The open burst, -1 before the first.
    row : int
        Row, in the ping table, of the last ping of the open burst that has a file.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When the header makes every ping fail.
    """

    decimates = True
    """Whether the mode heeds ``filter.decimation``."""
    late_faults_count = True
    """Whether a ping that fails after it was read is a bad ping; full-range only skips it."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        self.table = sweep.table
        self.parameters = parameters
        self.setup = SonarSetup.of(sweep, parameters, CHANNELS, RATE, decimates=self.decimates)
        self.bursts = group(sweep.table, parameters)
        self.used = np.zeros(len(self.bursts), dtype=np.bool_)
        self.used_rows: list[int] = []
        self.tally = PingTally(context.log, len(sweep.table))
        self._range_calibration: RangeCalibration | None = None
        self._burst_of = np.full(len(sweep.table), -1, dtype=np.int64)
        for index, burst in enumerate(self.bursts):
            reason = self._reason_to_skip(burst)
            if reason is None:
                self._burst_of[burst.rows] = index
            else:
                self._skip(index, reason)
        self._closed: set[int] = set()
        self.open = -1
        self.row = -1
        # Of the open burst:
        self._valid: list[int] = []
        self._reference: Complex | None = None

    @abstractmethod
    def begin(self) -> None:
        """Begin a burst: forget the one before."""

    @abstractmethod
    def ping(self, signal: PhasedPing) -> None:
        """Take a good ping of the open burst; it stands in row `self.row` of the ping table."""

    @abstractmethod
    def burst(self, attitude: Attitude) -> str | None:
        """End a burst that had a good ping.

        Returns
        -------
        str or None
            Why the burst gives nothing all the same.
        """

    def wants(self, row: int) -> bool:
        """Say whether the data of a ping are needed; its file is checked in any case."""
        return bool(self._burst_of[row] >= 0)

    @property
    def range_calibration(self) -> RangeCalibration:
        """Ranges and calibration, known once there was a good ping."""
        if self._range_calibration is None:
            raise RuntimeError("no good ping has been taken")
        return self._range_calibration

    def take(self, row: int, ping: Ping) -> None:
        """Take the next ping of the run, good or bad.

        Parameters
        ----------
        row : int
            Its row in the ping table.
        ping : Ping
        """
        index = int(self._burst_of[row])
        if index < 0:
            return
        if index != self.open:
            self.close()
            self.open = index
            self.begin()
        self.row = row
        if ping.fault is not None:
            self.tally.bad(ping.number, ping.fault)
        if ping.samples is None or ping.record is None or not self.wants(row):
            return
        if self._reference is None:
            # Only the transmission is compared, so the whole ping need not stay.
            self._reference = ping.samples.decode(self.setup.reference)
        try:
            signal = self.setup.signal(ping.samples, self._reference)
        except ValueError as error:
            if self.late_faults_count:
                self.tally.bad(ping.number, str(error))
            return
        if self._range_calibration is None:
            self._range_calibration = self.setup.range_calibration(signal.rows, ping.record)
            if self._range_calibration.calibration.fault:
                self.tally.log(f"warning: {self._range_calibration.calibration.fault}")
        self._valid.append(row)
        self.ping(signal)

    def close(self) -> None:
        """End the open burst: hand it to the program, or skip it (Q20)."""
        if self.open < 0:
            return
        reason = self._close()
        if reason is None:
            self.used[self.open] = True
            self.used_rows += self._valid
            self.tally.use(len(self._valid))
        else:
            self._skip(self.open, reason)
        self._closed.add(self.open)
        self.open, self._valid, self._reference = -1, [], None

    def end(self, seen: frozenset[int]) -> None:
        """End the run.

        Parameters
        ----------
        seen : frozenset of int
            Rows of the pings that have a file.
        """
        self.close()
        wanted = np.flatnonzero(self._burst_of >= 0).tolist()
        self.tally.missing(int(self.table.ping[row]) for row in wanted if row not in seen)
        for index in sorted(set(self._burst_of[wanted].tolist()) - self._closed):
            self._skip(index, "none of its pings has a file")

    def _close(self) -> str | None:
        if not self._valid:
            return "none of its pings is valid"
        outside = self._mean_outside()
        if outside is not None:
            return outside
        # The original takes the attitude of the last ping that has a file, be it a bad one (Q15).
        rows = self._valid if self.parameters.fixes.mean_attitude else [self.row]
        return self.burst(self.setup.attitude(self.table, rows))

    def _skip(self, index: int, reason: str) -> None:
        burst = self.bursts[index]
        self.tally.skip(burst.pitch, self.table.ping[burst.rows], reason)

    def _reason_to_skip(self, burst: Burst) -> str | None:
        """Say why a burst is left out before any of its pings is read."""
        bounds, pitches = self.parameters.bounds, np.array([burst.pitch])
        if self.parameters.fixes.mean_attitude:
            # The mean of the valid pings decides (Q15): surely outside only when all lie on one side.
            pitches = self.table.sensor_pitch[burst.rows]
        if bounds.pitch_applied and (pitches.max() < bounds.pitch.start or pitches.min() > bounds.pitch.stop):
            return _outside(bounds.pitch.start, bounds.pitch.stop)
        least = self.parameters.bursts.min_pings
        return f"fewer than {least} pings" if len(burst) < least else None

    def _mean_outside(self) -> str | None:
        bounds = self.parameters.bounds
        if not (self.parameters.fixes.mean_attitude and bounds.pitch_applied):
            return None
        pitch = float(np.mean(self.table.sensor_pitch[self._valid]))
        if bounds.pitch.start <= pitch <= bounds.pitch.stop:
            return None
        return _outside(bounds.pitch.start, bounds.pitch.stop)


def _outside(start: float, stop: float) -> str:
    return f"pitch outside {start:g} ... {stop:g} degrees"


def run_bursts(sweep: RawSweep, programs: Sequence[BurstProgram], context: Context) -> None:
    """Run programs over the pings of a run, in one pass.

    Parameters
    ----------
    sweep : RawSweep
    programs : sequence of BurstProgram
        Each takes the pings it wants.
    context : Context
    """
    table = sweep.table
    wanted = frozenset(
        int(number)
        for row, number in enumerate(table.ping)
        if any(program.wants(row) for program in programs)
    )
    seen: set[int] = set()
    for done, ping in enumerate(sweep.pings(CHANNELS, wanted), start=1):
        row = table.row(ping.number)
        seen.add(row)
        for program in programs:
            program.take(row, ping)
        context.progress(done, len(table))
    for program in programs:
        program.end(frozenset(seen))
