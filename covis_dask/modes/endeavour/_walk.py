"""Walking through a sweep of 2010-15 burst by burst, one ping at a time; what is bad is left out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from covis_dask.errors import NoValidPings
from covis_dask.modes._dataset import Field, Product
from covis_dask.modes._phased_ping import PhasedPing
from covis_dask.modes._tally import PingTally
from covis_dask.modes.context import Context
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.parameters import GridSpec, Parameters
from covis_dask.raw.record import Samples
from covis_dask.raw.sweep import Ping, PingTable, RawSweep
from covis_dask.sonar._types import Bool, Int
from covis_dask.sonar.bursts import Burst, bursts_endeavour
from covis_dask.sonar.grid import GridAxes

__all__ = [
    "Attitude",
    "BurstProgram",
    "Walk",
    "add_beams",
    "add_bursts",
    "attitude",
    "facts",
    "grid_axes",
    "walk_bursts",
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


class BurstProgram(ABC):
    """What a mode does with the pings of a burst, one after another, and then with the burst.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
    context : Context
    decimation : int
        Of the filter.
    """

    def __init__(
        self, sweep: RawSweep, parameters: Parameters, context: Context, decimation: int = 1
    ) -> None:
        self.table = sweep.table
        self.parameters = parameters
        self.operator_cache = OperatorCache(parameters, context.log, decimation)
        self.differences = parameters.ping_combination.mode == "diff"
        self.corrects_phase = True
        self._operators: PingOperators | None = None
        self._reference: Samples | None = None
        self._burst: Burst | None = None
        self.rows: list[int] = []

    @property
    def operators(self) -> PingOperators:
        """Those of the last good ping."""
        if self._operators is None:
            raise RuntimeError("no ping has been processed yet")
        return self._operators

    @property
    def burst(self) -> Burst:
        """The one that is open."""
        if self._burst is None:
            raise RuntimeError("no burst has begun yet")
        return self._burst

    def begin(self, burst: Burst) -> None:
        """Start a burst: its first good ping will be the phase reference."""
        self._burst = burst
        self._reference = None
        self.rows = []
        self.reset()

    def add(self, ping: Ping, row: int) -> None:
        """Take a ping.

        Raises
        ------
        ValueError
            Why it is a bad one.
        """
        samples, operators = self.operator_cache.recorded(ping)
        reference = samples if self._reference is None else self._reference
        self.take(
            self.operator_cache.signal(samples, reference if self.corrects_phase else None, operators),
            operators,
        )
        self._reference, self._operators = reference, operators
        self.rows.append(row)

    def shortage(self) -> str | None:
        """Say why the burst has not enough good pings, None when it has."""
        fewest = max(2, self.parameters.bursts.min_pings) if self.differences else 1
        return f"fewer than {fewest} valid pings" if len(self.rows) < fewest else None

    @abstractmethod
    def reset(self) -> None:
        """Forget the pings of the burst before."""

    @abstractmethod
    def take(self, signal: PhasedPing, operators: PingOperators) -> None:
        """Process a ping; a ValueError makes it a bad one."""

    @abstractmethod
    def place(self, burst: Burst) -> None:
        """Combine the pings of the burst and grid them."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """What a walk through the bursts found.

    Parameters
    ----------
    bursts : list of Burst
        Those of the ping table, in order.
    used : ndarray of bool, [bursts]
        Which of them entered the result.
    tally : PingTally
    """

    bursts: list[Burst]
    used: Bool
    tally: PingTally


def walk_bursts(
    sweep: RawSweep, parameters: Parameters, context: Context, channels: int, program: BurstProgram
) -> Walk:
    """Feed the pings of every burst within the bounds to a program.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
    context : Context
    channels : int
        A ping with another number of channels is bad.
    program : BurstProgram

    Raises
    ------
    NoValidPings
        When no burst entered the result.
    SweepIncomplete
        When index.csv lists no ping.
    """
    table = sweep.table
    tally = PingTally(context.log, len(table))
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
    used = np.zeros(len(bursts), np.bool_)
    seen: set[int] = set()
    current = -1
    wanted = frozenset(table.ping[burst_of >= 0].tolist())
    for done, ping in enumerate(sweep.pings(channels, wanted), 1):
        context.progress(done, len(table))
        row = table.row(ping.number)
        seen.add(row)
        index = int(burst_of[row])
        if index < 0:
            continue
        if index != current:
            _close(current, table, bursts, program, tally, used)
            program.begin(bursts[index])
            current = index
        try:
            program.add(ping, row)
        except ValueError as error:
            tally.bad(ping.number, str(error))
    _close(current, table, bursts, program, tally, used)
    _note_missing(table, bursts, burst_of, seen, tally)
    tally.require_pings()
    return Walk(bursts, used, tally)


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


def _close(
    index: int, table: PingTable, bursts: list[Burst], program: BurstProgram, tally: PingTally, used: Bool
) -> None:
    """End the burst that is open."""
    if index < 0:
        return
    burst, reason = bursts[index], program.shortage()
    if reason is not None:
        tally.skip(burst.pitch, table.ping[burst.rows], reason)
        return
    program.place(burst)
    tally.use(len(program.rows))
    used[index] = True


def _note_missing(
    table: PingTable, bursts: list[Burst], burst_of: Int, seen: Iterable[int], tally: PingTally
) -> None:
    """Note pings without files, and bursts that have no other pings."""
    absent = np.ones(len(table), np.bool_)
    absent[list(seen)] = False
    tally.missing(table.ping[absent])
    for index, burst in enumerate(bursts):
        if absent[burst.rows].all() and (burst_of[burst.rows] == index).all():
            tally.skip(burst.pitch, table.ping[burst.rows], "none of its pings has a file")


def add_bursts(product: Product, walk: Walk) -> None:
    """Add the list of bursts to a product."""
    bursts = walk.bursts
    for field in (
        Field(
            "burst_pitch",
            "burst_elev",
            "elevation of the burst",
            "degree",
            np.array([b.pitch for b in bursts]),
        ),
        Field("burst_npings", "burst_npings", "pings of the burst", "1", np.array([len(b) for b in bursts])),
        Field(
            "burst_start",
            "burst_start",
            "row of the burst's first ping in index.csv, counted from 1",
            "1",
            np.array([int(b.rows[0]) + 1 for b in bursts]),
        ),
        Field("burst_used", "burst_used", "1 where the burst was used", "1", walk.used.astype(np.int8)),
    ):
        product.array(field, ("burst",))


def add_beams(product: Product, operators: PingOperators) -> None:
    """Add beam angles and ranges to a product, those of the last ping."""
    angles, ranges = operators.beamformer.angles, operators.ranges
    product.array(
        Field("beam_angle", "beam_angle", "azimuth of the beam, positive to the right", "radian", angles),
        ("beam",),
    )
    product.array(Field("beam_range", "beam_range", "slant range of the sample", "m", ranges), ("sample",))


def facts(operators: PingOperators, fault: str | None) -> dict[str, object]:
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
