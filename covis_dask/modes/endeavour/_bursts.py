"""Bursts of 2010-15: how pings are grouped, what makes a ping or a burst count, attitude."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from covis_dask.errors import NoValidPings
from covis_dask.modes._phased_ping import PhasedPing
from covis_dask.modes._tally import PingTally
from covis_dask.modes.bursts import BurstPlan, BurstResult, OpenBurst
from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder, Variable
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.parameters import GridSpec, Parameters
from covis_dask.raw.record import Samples
from covis_dask.raw.sweep import Ping, PingTable, RawSweep
from covis_dask.sonar._types import Int
from covis_dask.sonar.bursts import Burst, bursts_endeavour
from covis_dask.sonar.grid import GridAxes

__all__ = [
    "Attitude",
    "EndeavourProgram",
    "add_beams",
    "add_bursts",
    "attitude",
    "grid_axes",
]


@dataclass(frozen=True, slots=True)
class Attitude:
    """Attitude of the head, rad: elevation, roll, true heading."""

    elevation: float
    roll: float
    compass: float


def attitude(table: PingTable, row: int, parameters: Parameters) -> Attitude:
    """Return the attitude in one row of the ping table (docs/method.md#ping-table)."""
    degrees = (
        table.sensor_pitch[row],
        table.sensor_roll[row],
        table.sensor_heading[row] + parameters.position.declination,
    )
    return Attitude(*(float(value) * np.pi / 180 for value in degrees))


def grid_axes(spec: GridSpec) -> GridAxes:
    """Return the axes of a product grid."""
    if spec.zmin is None or spec.zmax is None or spec.dz is None:
        return GridAxes.from_bounds((spec.xmin, spec.xmax, spec.dx), (spec.ymin, spec.ymax, spec.dy))
    return GridAxes.from_bounds(
        (spec.xmin, spec.xmax, spec.dx), (spec.ymin, spec.ymax, spec.dy), (spec.zmin, spec.zmax, spec.dz)
    )


class EndeavourProgram(ABC):
    """A `BurstProgram` of 2010-15: each ping has its own header, and so its own operators.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
    context : Context
    decimation : int
        Of the filter.

    Attributes
    ----------
    plan : BurstPlan
    tally : PingTally
    operator_cache : OperatorCache
    burst : OpenBurst
        The one that is open.

    Raises
    ------
    NoValidPings
        When there is no burst.
    """

    channels = 256
    corrects_phase = True

    burst: OpenBurst

    def __init__(
        self, sweep: RawSweep, parameters: Parameters, context: Context, decimation: int = 1
    ) -> None:
        self.table = sweep.table
        self.parameters = parameters
        self.operator_cache = OperatorCache(parameters, context.log, decimation)
        self.differences = parameters.ping_combination.mode == "diff"
        self.tally = PingTally(context.log, len(sweep.table))
        self.plan = plan_bursts(sweep.table, parameters, self.tally)
        self._operators: PingOperators | None = None
        self._reference: Samples | None = None

    @property
    def operators(self) -> PingOperators:
        """Those of the last good ping."""
        if self._operators is None:
            raise RuntimeError("no ping has been processed yet")
        return self._operators

    def needs(self, row: int) -> bool:  # noqa: ARG002 (all of them)
        """Every ping of a burst is needed."""
        return True

    def begin(self, burst: OpenBurst) -> None:
        """Start a burst: its first good ping will be the phase reference."""
        self.burst, self._reference = burst, None
        self.reset()

    def add(self, ping: Ping) -> bool:
        """Take a ping; a ValueError says why it is a bad one."""
        samples, operators = self.operator_cache.recorded(ping)
        reference = samples if self._reference is None else self._reference
        phased = self.operator_cache.signal(samples, reference if self.corrects_phase else None, operators)
        self.take(phased, operators)
        self._reference, self._operators = reference, operators
        return True

    def end(self) -> str | None:
        """End the open burst: grid it, or say that it has not enough good pings."""
        fewest = max(2, self.parameters.bursts.min_pings) if self.differences else 1
        if len(self.burst.used) < fewest:
            return f"fewer than {fewest} valid pings"
        self.place()
        return None

    @abstractmethod
    def reset(self) -> None:
        """Forget the pings of the burst before."""

    @abstractmethod
    def take(self, phased: PhasedPing, operators: PingOperators) -> None:
        """Process a ping; a ValueError makes it a bad one."""

    @abstractmethod
    def place(self) -> None:
        """Combine the pings of the open burst and grid them."""


def plan_bursts(table: PingTable, parameters: Parameters, tally: PingTally) -> BurstPlan:
    """Group the pings of a run by the sensor pitch, and note the bursts that are left out.

    Raises
    ------
    NoValidPings
        When there is no burst.
    """
    fixes = parameters.fixes
    bursts = bursts_endeavour(
        table.sensor_pitch,
        last=fixes.last_burst,
        tolerance=parameters.bursts.tolerance if fixes.pitch_tolerance else 0.0,
    )
    if not bursts:
        raise NoValidPings(
            "The sensor pitch never changes, and the original never stores the last burst of a run (Q6): "
            "no burst is left. With --fix Q6, or in profile corrected, it is kept."
        )
    burst_of = _choose(table, bursts, parameters, tally)
    return BurstPlan(bursts, burst_of, checked=burst_of >= 0, expected=np.ones(len(table), np.bool_))


def _choose(table: PingTable, bursts: list[Burst], parameters: Parameters, tally: PingTally) -> Int:
    """Return the number of the burst that each row of the table belongs to, -1 where it is left out."""
    pitch = parameters.bounds.pitch
    # A single ping has no difference from the next; other combinations can use it.
    fewest = parameters.bursts.min_pings if parameters.ping_combination.mode == "diff" else 1
    burst_of = np.full(len(table), -1, np.int64)
    for index, burst in enumerate(bursts):
        if parameters.bounds.pitch_applied and not pitch.start <= burst.pitch <= pitch.stop:
            tally.skip(
                burst.pitch,
                table.ping[burst.rows],
                f"pitch outside {pitch.start:g} ... {pitch.stop:g} degrees",
            )
        elif len(burst) < fewest:
            tally.skip(burst.pitch, table.ping[burst.rows], f"fewer than {fewest} pings in index.csv")
        else:
            burst_of[burst.rows] = index
    last = int(bursts[-1].rows[-1]) + 1
    if last < len(table):
        tally.skip(
            float(table.sensor_pitch[last]),
            table.ping[last:],
            "the original never stores the last burst (Q6)",
        )
    return burst_of


def add_bursts(product: DatasetBuilder, result: BurstResult) -> None:
    """Add the list of bursts to a product."""
    bursts = result.bursts
    for variable in (
        Variable(
            "burst_pitch",
            "burst_elev",
            "elevation of the burst",
            "degree",
            np.array([b.pitch for b in bursts]),
        ),
        Variable(
            "burst_npings",
            "burst_npings",
            "number of pings in the burst",
            "1",
            np.array([len(b) for b in bursts]),
        ),
        Variable(
            "burst_start",
            "burst_start",
            "row of the burst's first ping in index.csv, counted from 1",
            "1",
            np.array([int(b.rows[0]) + 1 for b in bursts]),
        ),
        Variable(
            "burst_used",
            "burst_used",
            "whether the burst was used (1) or skipped (0)",
            "1",
            result.used.astype(np.int8),
        ),
    ):
        product.array(variable, ("burst",))


def add_beams(product: DatasetBuilder, operators: PingOperators) -> None:
    """Add beam angles and ranges to a product, those of the last ping."""
    angles, ranges = operators.beamformer.angles, operators.ranges
    product.array(
        Variable("beam_angle", "beam_angle", "azimuth of the beam, positive to the right", "radian", angles),
        ("beam",),
    )
    product.array(Variable("beam_range", "beam_range", "slant range of the sample", "m", ranges), ("sample",))


def sonar_attributes(operators: PingOperators, fault: str | None) -> dict[str, object]:
    """Return what a product's attributes say about the sonar, from the last ping used.

    See docs/method.md#contents-of-a-product.
    """
    header = operators.header
    return {
        "sound_speed": header.sound_speed,
        "transmit_frequency": header.xmit_freq,
        "sample_rate": header.sample_rate,
        "pulse_width": header.pulse_width,
        "power_setting": header.power_sel,
        "gain_setting": header.gain_sel,
        "calibration_valid": int(fault is None),
        "calibration_fault": fault or "",
    }
