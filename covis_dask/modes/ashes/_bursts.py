"""Bursts of 2018+: grouping of pings, which pings and bursts count, attitude.

See docs/method.md#bursts, #bad-and-missing-pings.
"""

from abc import ABC, abstractmethod
from typing import Final

import numpy as np

from covis_dask.modes._tally import PingTally
from covis_dask.modes.ashes._setup import PhasedPing, RangeCalibration, SonarSetup
from covis_dask.modes.bursts import BurstPlan, OpenBurst
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import Ping, PingTable, RawSweep
from covis_dask.sonar._types import Complex
from covis_dask.sonar.bursts import Burst, bursts_ashes
from covis_dask.sonar.geometry import HeadAttitude

__all__ = ["CHANNELS", "RATE", "AshesProgram", "group", "sweeps_in_yaw"]

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


class AshesProgram(ABC):
    """A `BurstProgram` of 2018+: one header serves all pings, the attitude is that of the burst.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
    context : Context

    Attributes
    ----------
    setup : SonarSetup
    plan : BurstPlan
    tally : PingTally
    burst : OpenBurst
        The one that is open.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When the header makes every ping fail.
    """

    channels = CHANNELS
    rate = RATE
    """Sample rate by which the header is chosen, Hz."""
    decimates = True
    """Whether the mode heeds ``filter.decimation``."""
    late_faults_count = True
    """Whether a ping that fails after it was read is a bad ping; the diffuse modes only skip it."""

    burst: OpenBurst

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        self.table = sweep.table
        self.parameters = parameters
        self.setup = SonarSetup.of(sweep, parameters, self.channels, self.rate, decimates=self.decimates)
        self.tally = PingTally(context.log, len(sweep.table))
        self._range_calibration: RangeCalibration | None = None
        self._reference: Complex | None = None
        self.plan = self.group()

    def group(self) -> BurstPlan:
        """Group the pings of the run, and note the bursts that are left out."""
        bursts = group(self.table, self.parameters)
        burst_of = np.full(len(self.table), -1, dtype=np.int64)
        for index, burst in enumerate(bursts):
            reason = self._reason_to_skip(burst)
            if reason is None:
                burst_of[burst.rows] = index
            else:
                self.tally.skip(burst.pitch, self.table.ping[burst.rows], reason)
        return BurstPlan(bursts, burst_of, checked=burst_of >= 0, expected=burst_of >= 0)

    @abstractmethod
    def reset(self) -> None:
        """Forget the burst before."""

    @abstractmethod
    def take(self, phased: PhasedPing) -> None:
        """Take a good ping of the open burst; its row of the ping table is the burst's last."""

    @abstractmethod
    def place(self, attitude: HeadAttitude) -> str | None:
        """Grid a burst that had a good ping; return why it gives nothing all the same."""

    @property
    def range_calibration(self) -> RangeCalibration:
        """Ranges and calibration, known once there was a good ping."""
        if self._range_calibration is None:
            raise RuntimeError("no good ping has been taken")
        return self._range_calibration

    def needs(self, row: int) -> bool:  # noqa: ARG002 (others need only some)
        """Every ping of a burst is needed."""
        return True

    def begin(self, burst: OpenBurst) -> None:
        """Begin a burst: the phase of its first ping is the reference."""
        self.burst, self._reference = burst, None
        self.reset()

    def add(self, ping: Ping) -> bool:
        """Take a ping; a ValueError says why it is a bad one."""
        if ping.samples is None or ping.record is None:
            return False
        if self._reference is None:
            # Only the transmission is compared, so the whole ping need not stay.
            self._reference = ping.samples.decode(self.setup.reference)
        try:
            phased = self.setup.signal(ping.samples, self._reference)
        except ValueError as error:
            if self.late_faults_count:
                raise
            self.tally.log(f"ping {ping.number} is skipped: {error}")
            return False
        if self._range_calibration is None:
            self._range_calibration = self.setup.range_calibration(phased.rows, ping.record)
            if self._range_calibration.calibration.fault:
                self.tally.log(f"warning: {self._range_calibration.calibration.fault}")
        self.take(phased)
        return True

    def end(self) -> str | None:
        """End the open burst: grid it, or say why not (Q20)."""
        used = self.burst.used
        if not used:
            return "none of its pings is valid"
        outside = self._mean_outside(used)
        if outside is not None:
            return outside
        # The original takes the attitude of the last ping that has a file, be it a bad one (Q15).
        rows = used if self.parameters.fixes.mean_attitude else [self.burst.last]
        return self.place(self.setup.attitude(self.table, rows))

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

    def _mean_outside(self, rows: list[int]) -> str | None:
        bounds = self.parameters.bounds
        if not (self.parameters.fixes.mean_attitude and bounds.pitch_applied):
            return None
        pitch = float(np.mean(self.table.sensor_pitch[rows]))
        if bounds.pitch.start <= pitch <= bounds.pitch.stop:
            return None
        return _outside(bounds.pitch.start, bounds.pitch.stop)


def _outside(start: float, stop: float) -> str:
    return f"pitch outside {start:g} ... {stop:g} degrees"
