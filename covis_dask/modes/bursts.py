"""The one ping loop: pings come one at a time, in the order of the ping table; programs take them by burst.

Two programs can share one pass over a run (docs/method.md#full-range-2018). What differs between the eras
stands in the `BurstPlan` of a program, and in how it takes pings and ends bursts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from covis_dask.modes._tally import PingTally
from covis_dask.modes.context import Context
from covis_dask.raw.sweep import Ping, PingTable, RawSweep
from covis_dask.sonar._types import Bool, Int
from covis_dask.sonar.bursts import Burst

__all__ = ["BurstPlan", "BurstProgram", "BurstResult", "OpenBurst", "process_bursts"]


@dataclass(frozen=True, slots=True, eq=False)
class BurstPlan:
    """How the pings of a run are grouped, and which of them count as bad or missing.

    See docs/method.md#bad-and-missing-pings.

    Attributes
    ----------
    bursts : list of Burst
        All of the run, also those left out.
    burst_of : ndarray of int64, [rows of the ping table]
        Number of the burst in which a ping is used, -1 where it is left out.
    checked : ndarray of bool, [rows]
        Pings that are bad when their file is at fault.
    expected : ndarray of bool, [rows]
        Pings that are missing when they have no file.
    without_files : str or None
        Why a burst is skipped none of whose pings has a file; None: nothing is said of it.
    """

    bursts: list[Burst]
    burst_of: Int
    checked: Bool
    expected: Bool
    without_files: str | None = "none of its pings has a file"


@dataclass(slots=True, eq=False)
class OpenBurst:
    """The burst whose pings are coming.

    Attributes
    ----------
    index : int
        Its number among the bursts of the run.
    burst : Burst
    used : list of int
        Rows of its pings that were taken so far.
    last : int
        Row of its last ping that has a file, be it a bad one.
    """

    index: int
    burst: Burst
    used: list[int] = field(default_factory=list)
    last: int = -1


class BurstProgram(Protocol):
    """What a mode does with the bursts of a run, one after another."""

    @property
    def channels(self) -> int:
        """Channels of its pings; a ping with another number of them is bad."""

    @property
    def plan(self) -> BurstPlan:
        """Grouping of the pings."""

    @property
    def tally(self) -> PingTally:
        """Bookkeeping of pings and bursts; those that the plan leaves out are noted already."""

    def needs(self, row: int) -> bool:
        """Say whether the data of a ping of a burst are needed; its file is checked in any case."""

    def begin(self, burst: OpenBurst) -> None:
        """Begin a burst, and forget the one before."""

    def add(self, ping: Ping) -> bool:
        """Take a ping of the open burst, whose row is the burst's last.

        Returns
        -------
        bool
            False where it is left out and is no bad ping all the same.

        Raises
        ------
        ValueError
            Why it is a bad one.
        """

    def end(self) -> str | None:
        """End the open burst; return why it gives nothing, None when it entered the result."""


@dataclass(frozen=True, slots=True, eq=False)
class BurstResult:
    """What a pass over a run left of its bursts.

    Attributes
    ----------
    bursts : list of Burst
        All of the run, also those left out.
    used : ndarray of bool, [bursts]
        Which of them entered the result.
    rows : list of int
        Rows of the pings that did.
    tally : PingTally
    """

    bursts: list[Burst]
    used: Bool
    rows: list[int]
    tally: PingTally


def process_bursts(sweep: RawSweep, programs: Sequence[BurstProgram], context: Context) -> list[BurstResult]:
    """Run programs over the pings of a run, in one pass.

    Parameters
    ----------
    sweep : RawSweep
    programs : sequence of BurstProgram
        Each takes the pings it needs; all of them want the same number of channels.
    context : Context

    Returns
    -------
    list of BurstResult
        One for each program.
    """
    table = sweep.table
    for program in programs:
        program.tally.pings_total += len(table.strange)
        for number, fault in table.strange.items():
            program.tally.bad(number, fault)
    passes = [_Pass(program, table) for program in programs]
    wanted = frozenset(
        number for row, number in enumerate(table.ping.tolist()) if any(one.needs(row) for one in passes)
    )
    seen = np.zeros(len(table), np.bool_)
    for done, ping in enumerate(sweep.pings(programs[0].channels, wanted), start=1):
        row = table.row(ping.number)
        seen[row] = True
        for one in passes:
            one.take(ping, row)
        context.progress(done, len(table))
    return [one.finish(seen) for one in passes]


class _Pass:
    """A program on its way through a run: which burst is open, which have ended and how."""

    def __init__(self, program: BurstProgram, table: PingTable) -> None:
        self._program, self._table, self._plan = program, table, program.plan
        self._open: OpenBurst | None = None
        self._ended: set[int] = set()
        self._used = np.zeros(len(self._plan.bursts), np.bool_)
        self._rows: list[int] = []

    def needs(self, row: int) -> bool:
        return bool(self._plan.burst_of[row] >= 0) and self._program.needs(row)

    def take(self, ping: Ping, row: int) -> None:
        """Take the next ping of the run, good or bad."""
        index = int(self._plan.burst_of[row])
        if ping.fault is not None and self._plan.checked[row]:
            self._program.tally.bad(ping.number, ping.fault)
        if index < 0:
            return
        burst = self._opened(index)
        burst.last = row
        if ping.fault is not None or not self.needs(row):
            return
        try:
            taken = self._program.add(ping)
        except ValueError as error:
            self._program.tally.bad(ping.number, str(error))
            return
        if taken:
            burst.used.append(row)

    def _opened(self, index: int) -> OpenBurst:
        """Return a burst, which begins when it is not the one before."""
        if self._open is None or self._open.index != index:
            self._close()
            self._open = OpenBurst(index, self._plan.bursts[index])
            self._program.begin(self._open)
        return self._open

    def _close(self) -> None:
        """End the open burst: it enters the result, or is skipped."""
        burst, self._open = self._open, None
        if burst is None:
            return
        reason = self._program.end()
        self._ended.add(burst.index)
        if reason is not None:
            self._skip(burst.index, reason)
            return
        self._used[burst.index] = True
        self._rows += burst.used
        self._program.tally.use(self._table.ping[burst.used])

    def finish(self, seen: Bool) -> BurstResult:
        """End the run; `seen` tells which rows of the ping table have a file."""
        self._close()
        plan, tally = self._plan, self._program.tally
        tally.missing(self._table.ping[plan.expected & ~seen].tolist())
        if plan.without_files is not None:
            for index in sorted(set(plan.burst_of[plan.burst_of >= 0].tolist()) - self._ended):
                self._skip(index, plan.without_files)
        return BurstResult(plan.bursts, self._used, self._rows, tally)

    def _skip(self, index: int, reason: str) -> None:
        burst = self._plan.bursts[index]
        self._program.tally.skip(burst.pitch, self._table.ping[burst.rows], reason)
