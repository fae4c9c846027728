"""Diffuse flow, 2010-15: maps of the seafloor echo's decorrelation from ping to ping.

See docs/method.md#diffuse-flow-2010-15.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.errors import NoValidPings, SweepIncomplete
from covis_dask.modes._scheme import scheme_of
from covis_dask.modes._tally import PingTally
from covis_dask.modes.bursts import BurstPlan, OpenBurst, process_bursts
from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.endeavour._bursts import add_beams, attitude, grid_axes, sonar_attributes
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import Ping, PingTable, RawSweep
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.bursts import Burst
from covis_dask.sonar.geometry import flat_bottom
from covis_dask.sonar.grid import GridAxes, GridScheme, make_gridder
from covis_dask.sonar.windows import cut_bins, window_bins, window_correlation, window_ranges

__all__ = [
    "DiffuseMaps",
    "DiffusePair",
    "PairStages",
    "diffuse_maps",
    "diffuse_pair",
    "pair_stages",
    "process",
]

_CHANNELS = {200_000.0: 128, 396_000.0: 256}


@dataclass(frozen=True, slots=True, eq=False)
class PairStages:
    """One ping of a pair after each step, in the original's order; `samples` is what is correlated.

    Parameters
    ----------
    beams, calibrated, samples : ndarray of complex128, [N, B]
        Machine units; m (target strength modes); the same after the filter. Mended (Q23), the
        filter has been applied before the beams were formed, and `samples` equals `calibrated`.
    """

    beams: Complex
    calibrated: Complex
    samples: Complex


@dataclass(frozen=True, slots=True, eq=False)
class DiffusePair:
    """Window averages of one pair of pings; arrays [bins, B].

    Parameters
    ----------
    correlation : ndarray of complex128
        Normalised.
    intensity : ndarray of float64
        m^2.
    """

    correlation: Complex
    intensity: Real


@dataclass(frozen=True, slots=True, eq=False)
class DiffuseMaps:
    """Averages over the pairs, and where they lie; arrays [bins, B], bins beyond the height of the head.

    Parameters
    ----------
    rc : ndarray of float64, [bins]
        Slant range, m.
    x, y : ndarray of float64
        World coordinates, m.
    correlation, intensity, decorrelated : ndarray of float64
        Mean magnitude of the correlation, mean intensity, mean of intensity times decorrelation.
    values : dict of str to ndarray of float64
        What is gridded, by type.
    """

    rc: Real
    x: Real
    y: Real
    correlation: Real
    intensity: Real
    decorrelated: Real
    values: dict[str, Real]


def pair_stages(phased: Complex, operators: PingOperators, parameters: Parameters) -> PairStages:
    """Beamform, calibrate and filter one ping (docs/method.md#diffuse-flow-2010-15 step 3).

    Parameters
    ----------
    phased : ndarray of complex128, [N, E]
        Element data after phase correction.
    operators : PingOperators
    parameters : Parameters
    """
    first = parameters.fixes.filter_before_beams
    beams = operators.beamformer(operators.filter(phased) if first else phased)
    calibrated = operators.calibration.apply(beams)
    return PairStages(beams, calibrated, calibrated if first else operators.filter(calibrated))


def diffuse_pair(a: Complex, b: Complex, window: tuple[int, int]) -> DiffusePair:
    """Correlate two pings (docs/method.md#windowed-averages 2).

    Parameters
    ----------
    a, b : ndarray of complex128, [N, B]
        Calibrated and filtered beams of the earlier and the later ping, m.
    window : tuple of int
        Length and overlap of the windows, samples.
    """
    return DiffusePair(*window_correlation(a, b, *window))


def diffuse_maps(
    averages: tuple[Real, Real, Real],
    operators: PingOperators,
    window: tuple[int, int],
    compass: float,
    parameters: Parameters,
    roll: float = 0.0,
) -> DiffuseMaps:
    """Place the averages on a flat seafloor and make what is gridded.

    See docs/method.md#diffuse-flow-2010-15 steps 3, 5, 6.

    Parameters
    ----------
    averages : tuple of ndarray of float64, [bins, B]
        Correlation, intensity, intensity times decorrelation; all bins of a ping.
    operators : PingOperators
        For ranges and beam angles.
    window : tuple of int
        Length and overlap of the windows, samples.
    compass : float
        True heading, rad.
    parameters : Parameters
    roll : float
        Sensor roll, rad.
    """
    altitude = parameters.position.altitude
    rc = window_ranges(operators.ranges, cut_bins(len(operators.ranges), *window))
    keep = rc > altitude
    rc = rc[keep]
    correlation, intensity, decorrelated = (array[keep] for array in averages)
    x, y = flat_bottom(
        rc,
        operators.beamformer.angles,
        compass,
        altitude,
        roll,
        compass_bearing=parameters.fixes.compass_bearing,
    )
    relative = _relative(intensity)
    seen = 1 - np.exp(-((relative / parameters.correlation.windthresh + 0.0001) ** 4))
    values = {
        "decorrelation_intensity": _relative(decorrelated),
        "decorrelation": (1 - correlation) * seen,
        "intensity": relative,
    }
    return DiffuseMaps(rc, x, y, correlation, intensity, decorrelated, values)


def _relative(array: Real) -> Real:
    """Return an array divided by its maximum; all NaN when nothing in it is above zero."""
    most = np.max(array, initial=0.0, where=np.isfinite(array))
    return array / most if most > 0 else np.full_like(array, np.nan)


class DiffuseProgram:
    """A `BurstProgram` whose only burst is the run: pings waiting for a partner, sums over the pairs."""

    burst: OpenBurst

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        self.channels = _channels(sweep)
        self.tally = PingTally(context.log, len(sweep.table))
        every = np.ones(len(sweep.table), np.bool_)
        burst = Burst(np.flatnonzero(every), float(sweep.table.sensor_pitch[0]))
        self.plan = BurstPlan(
            [burst], np.zeros(len(every), np.int64), checked=every, expected=every, without_files=None
        )
        self.operator_cache = OperatorCache(parameters, context.log)
        self.count = 0
        self.rows: list[int] = []
        self.first_row_of_last_pair = -1
        self.operators: PingOperators | None = None
        self.window = (0, 0)
        self._parameters = parameters
        self._lag = parameters.correlation.nlag
        self._waiting: deque[tuple[int, int, Complex, PingOperators]] = deque()
        self._sums: tuple[Real, Real, Real] | None = None

    def needs(self, row: int) -> bool:  # noqa: ARG002 (all of them)
        """Every ping is needed."""
        return True

    def begin(self, burst: OpenBurst) -> None:
        """Begin the run."""
        self.burst, self.rows = burst, burst.used

    def end(self) -> str | None:
        """End the run: whether there are pairs is asked later."""
        return None

    def add(self, ping: Ping) -> bool:
        """Take the next ping; a ValueError says why it is a bad one."""
        data, operators = self.operator_cache.open(ping)
        if self.operators is None:
            correlation = self._parameters.correlation
            self.window = window_bins(
                operators.header.sample_rate, correlation.window_size, correlation.window_overlap
            )
        partner = self._partner(ping.number)
        if partner is not None:
            self._correlate(partner, data)
        self._waiting.append((ping.number, self.burst.last, data, operators))
        self.operators = operators
        return True

    def _partner(self, number: int) -> tuple[int, int, Complex, PingOperators] | None:
        """Return the ping that a new one is correlated with.

        The original counts the pings that are there; mended, a gap does not lengthen the lag (Q17).
        """
        if not self._parameters.fixes.whole_pairs:
            return self._waiting.popleft() if len(self._waiting) == self._lag else None
        while self._waiting and self._waiting[0][0] < number - self._lag:
            self._waiting.popleft()
        due = self._waiting and self._waiting[0][0] == number - self._lag
        return self._waiting.popleft() if due else None

    def _correlate(self, partner: tuple[int, int, Complex, PingOperators], later: Complex) -> None:
        """Add one pair to the sums; the header of the earlier ping serves both."""
        _, row, earlier, operators = partner
        phased = self.operator_cache.phased(later, earlier, operators)
        a, b = (pair_stages(x, operators, self._parameters).samples for x in (earlier, phased))
        pair = diffuse_pair(a, b, self.window)
        magnitude, intensity = np.abs(pair.correlation), pair.intensity
        new: tuple[Real, Real, Real] = (magnitude, intensity, intensity * (1 - magnitude))
        if self._sums is None:
            self._sums = new
        else:
            for total, one in zip(self._sums, new, strict=True):
                total += one
        self.count += 1
        self.first_row_of_last_pair = row

    def averages(self) -> tuple[Real, Real, Real]:
        """Return the averages over the pairs."""
        if self._sums is None:
            raise RuntimeError("no pair has been correlated yet")
        correlation, intensity, decorrelated = self._sums
        return correlation / self.count, intensity / self.count, decorrelated / self.count


def _channels(sweep: RawSweep) -> int:
    """Return the number of channels that goes with the frequency in most headers.

    See docs/method.md#instrument.
    """
    headers = [sweep.header(number) for number in sweep.table.ping.tolist()]
    known = Counter(header.xmit_freq for header in headers if header and header.xmit_freq in _CHANNELS)
    return _CHANNELS[known.most_common(1)[0][0] if known else 200_000.0]


def _require_files(sweep: RawSweep, parameters: Parameters, tally: PingTally) -> None:
    """Refuse a run that lacks a ping: the original takes attitudes by position, so it wants a row a file."""
    absent, listed = len(tally.missing_ping), len(sweep.table)
    if (absent or sweep.unlisted) and not parameters.fixes.whole_pairs:
        raise SweepIncomplete(
            f"index.csv lists {listed} pings; the archive holds {listed - absent} of them, and "
            f"{len(sweep.unlisted)} others. The original rejects such a diffuse run; with --fix Q17, or "
            "in profile corrected, it is taken."
        )


def _compass(pairs: DiffuseProgram, table: PingTable, parameters: Parameters) -> float:
    """Return the heading of the run, rad: that of one ping, or (Q24) the mean of all."""
    if not parameters.fixes.compass_bearing:
        return attitude(table, pairs.first_row_of_last_pair, parameters).compass
    headings = np.array([attitude(table, row, parameters).compass for row in pairs.rows])
    return float(np.angle(np.exp(1j * headings).mean()))


def _roll(pairs: DiffuseProgram, table: PingTable, parameters: Parameters) -> float:
    """Return the mean roll of the run, rad; the original leaves roll out (Q24)."""
    if not parameters.fixes.compass_bearing:
        return 0.0
    return float(np.mean([attitude(table, row, parameters).roll for row in pairs.rows]))


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Make the product of a diffuse-flow run of 2010-15.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family diffuse, preset END.
    context : Context

    Returns
    -------
    xarray.Dataset
        Relative decorrelation intensity, decorrelation, relative intensity and their weights on maps (y, x).

    Raises
    ------
    NoValidPings
        When there are not more valid pings than the lag of a pair.
    SweepIncomplete
        When index.csv lists no ping, or (unless Q17 is mended) not as many as the archive holds.
    """
    pairs = DiffuseProgram(sweep, parameters, context)
    process_bursts(sweep, [pairs], context)
    tally = pairs.tally
    _require_files(sweep, parameters, tally)
    if not pairs.rows:
        tally.require_pings()
    if pairs.operators is None or not pairs.count:
        raise NoValidPings(
            f"Only {len(pairs.rows)} of {tally.pings_total} pings are valid: no two of them are "
            f"{parameters.correlation.nlag} pings apart."
        )
    compass = _compass(pairs, sweep.table, parameters)
    roll = _roll(pairs, sweep.table, parameters)
    maps = diffuse_maps(pairs.averages(), pairs.operators, pairs.window, compass, parameters, roll)
    if not maps.rc.size:
        raise NoValidPings(
            f"The pings end before {parameters.position.altitude:g} m, the height of the head: they do not "
            "reach the seafloor."
        )
    product = DatasetBuilder(sweep, parameters)
    for name, values in maps.values.items():
        axes = grid_axes(parameters.grid(name))
        product.grid(axes, _gridded(axes, maps, values, scheme_of(parameters)), name)
    product.pings(sweep.table)
    add_beams(product, pairs.operators)
    return product.dataset(
        tally,
        {
            **sonar_attributes(pairs.operators, pairs.operator_cache.fault),
            "pairs": pairs.count,
            "heading": float(np.rad2deg(compass) % 360),
        },
    )


def _gridded(
    axes: GridAxes, maps: DiffuseMaps, value: Real, scheme: GridScheme
) -> Mapping[str, NDArray[Any]]:
    """Grid one map; return value ``v`` and weight ``w``."""
    gridder = make_gridder(axes, ("v",), scheme)
    gridder.add((maps.x, maps.y), {"v": value}, np.isfinite(value) & np.isfinite(maps.x))
    return gridder.finish()
