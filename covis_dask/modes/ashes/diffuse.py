"""Diffuse flow, 2018+: how the seafloor's echo changes from ping to ping, as maps.

See docs/method.md#diffuse-flow-2018.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from covis_dask.errors import NoValidPings
from covis_dask.modes.ashes._bursts import AshesProgram
from covis_dask.modes.ashes._maps import MapGrids
from covis_dask.modes.ashes._product import add_beams, sonar_attributes
from covis_dask.modes.ashes._scintillation import Scintillation, ScintillationWindow, find_pairs
from covis_dask.modes.ashes._setup import PhasedPing, SonarSetup, run_start
from covis_dask.modes.bursts import BurstPlan, process_bursts
from covis_dask.modes.context import Bathymetry, Context
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Int, Real
from covis_dask.sonar.bursts import Burst
from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.seafloor import Seafloor, SeafloorSearch, seafloor_crossings
from covis_dask.sonar.windows import complete_bins, window_bins, window_ranges

__all__ = [
    "FLAT",
    "Window",
    "flat_seafloor",
    "process",
    "scintillation_window",
    "seafloor_positions",
    "window_of",
]

CHANNELS: Final = 128
RATE: Final = 34482.0
FLAT: Final = "flat seafloor assumed"


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """An averaging window: rows of the ping table, partners as places among them, range windows."""

    rows: Int
    pairs: list[tuple[int, int]]
    W: int
    O: int  # noqa: E741 (the method's symbol)


def window_of(setup: SonarSetup, times: Real, rows: Int) -> Window:
    """Return the averaging window that begins with the first of some rows.

    See docs/method.md#diffuse-flow-2018 steps 5, 8.

    Parameters
    ----------
    setup : SonarSetup
    times : ndarray of float64
        Times of all rows of the ping table, s.
    rows : ndarray of int64
        Rows to choose from.

    Raises
    ------
    NoValidPings
        When range windows of the length asked for are impossible.
    """
    parameters = setup.parameters
    start = times[rows[0]]
    chosen = rows[(times[rows] >= start) & (times[rows] <= start + parameters.averaging.avg_win)]
    pairs = find_pairs(times[chosen], parameters.correlation.tlag, setup.header.max_ping_rate)
    try:
        W, O = window_bins(  # noqa: E741
            setup.fs, parameters.correlation.window_size, parameters.correlation.window_overlap
        )
    except ValueError as error:
        raise NoValidPings(f"pings cannot be divided into windows: {error}") from error
    return Window(chosen, pairs, W, O)


def scintillation_window(window: Window, parameters: Parameters) -> ScintillationWindow:
    """Return what takes the pings of an averaging window."""
    return ScintillationWindow(
        window.pairs,
        len(window.rows),
        window.W,
        window.O,
        valid_ping_count=parameters.fixes.valid_ping_count,
        whole_pairs=parameters.fixes.whole_pairs,
    )


def seafloor_positions(
    setup: SonarSetup, ranges: Real, rc: Real, attitude: HeadAttitude, floor: Bathymetry
) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
    """Return where samples [N, B] and range windows [nbins, B] lie on the seafloor.

    See docs/method.md#diffuse-flow-2018 step 11.

    Parameters
    ----------
    setup : SonarSetup
    ranges, rc : ndarray of float64
        Slant ranges of samples [N] and windows [nbins], m.
    attitude : HeadAttitude
    floor : Bathymetry

    Returns
    -------
    tuple
        x and y of the samples, x and y of the windows, m; NaN where the beam does not meet the seafloor.
    """
    parameters = setup.parameters
    search = parameters.seafloor
    crossings = seafloor_crossings(
        ranges,
        setup.beams.angles,
        attitude,
        Seafloor(floor.x, floor.y, floor.height),
        parameters.position.altitude,
        SeafloorSearch(search.angle_start, search.angle_stop, search.angle_step, search.tolerance),
    )
    width = 0.5 * float(np.diff(rc).min())
    # PPX takes the samples' own spacing for the samples.
    width1 = 0.5 * float(np.diff(ranges).min()) if parameters.preset == "PPX" else width
    return crossings.positions(ranges, width1), crossings.positions(rc, width)


def flat_seafloor(height: float, reach: float) -> Bathymetry:
    """Return a level seafloor out to `reach` (m) in every direction."""
    axis = np.array([-reach, reach])
    return Bathymetry(axis, axis, np.full((2, 2), height), FLAT)


class DiffuseProgram(AshesProgram):
    """Takes the pings of the averaging window, the only burst of a run; those after it are checked."""

    channels = CHANNELS
    rate = RATE
    decimates = False
    late_faults_count = False

    def group(self) -> BurstPlan:
        """Make the averaging window a burst (docs/method.md#bad-and-missing-pings)."""
        rows = np.arange(len(self.table))
        self.averaging = window_of(self.setup, self.table.time, rows)
        self.window = scintillation_window(self.averaging, self.parameters)
        burst = Burst(self.averaging.rows, float(self.table.sensor_pitch[self.averaging.rows[0]]))
        burst_of = np.where(np.isin(rows, burst.rows), 0, -1)
        every = np.ones(len(rows), np.bool_)
        return BurstPlan([burst], burst_of, checked=every, expected=every, without_files=self._nothing)

    @property
    def _nothing(self) -> str:
        return f"no valid ping in the first {self.parameters.averaging.avg_win:g} s"

    def reset(self) -> None:
        """Nothing to forget: there is but one burst."""

    def take(self, phased: PhasedPing) -> None:
        """Add the calibrated beams of a ping."""
        index = int(np.searchsorted(self.averaging.rows, self.burst.last))
        self.window.add(index, self.range_calibration.calibration.apply(phased.beams()))

    def end(self) -> str | None:
        """Say whether there is anything in the window, whatever its pitch."""
        return None if self.burst.used else self._nothing

    def place(self, attitude: HeadAttitude) -> str | None:
        """Leave the maps to the end of the run: their attitude is that of its first ping."""
        raise NotImplementedError


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Process a diffuse-flow run (docs/method.md#diffuse-flow-2018; presets PP2, PP3, PPX).

    Only the pings of the averaging window are decoded; later ones are checked.

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family ``diffuse``.
    context : Context
        Its ancillary data give the seafloor; without them it is flat.

    Returns
    -------
    Dataset
        Seven maps on (y, x), each with its weight. The attribute `seafloor` names the seafloor grid.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When no ping of the window is valid, or none has a partner (Q57).
    """
    program = DiffuseProgram(sweep, parameters, context)
    (result,) = process_bursts(sweep, [program], context)
    result.tally.require_pings()
    setup, window = program.setup, program.averaging
    if not (program.window.whole_pairs if parameters.fixes.whole_pairs else window.pairs):
        raise NoValidPings(
            f"no ping has a partner {parameters.correlation.tlag:g} s later within the first "
            f"{parameters.averaging.avg_win:g} s: nothing can be correlated"
        )
    ranging = program.range_calibration
    rc = window_ranges(ranging.ranges, complete_bins(len(ranging.ranges), window.W, window.O))
    if len(rc) < 2:
        raise NoValidPings(f"pings of {len(ranging.ranges)} samples are too short for windows of {window.W}")
    level: Real = np.full((len(ranging.ranges), len(setup.beams.angles)), parameters.noise.noise_floor)
    scintillation = program.window.result(ranging.calibration.apply(level)).masked(
        parameters.noise.snr_thresh, intensity=parameters.noise.mask_intensity
    )
    floor = _seafloor(sweep, parameters, context, 2 * float(ranging.ranges[-1]))
    attitude = setup.attitude(sweep.table, [0])
    maps = _gridded(scintillation, seafloor_positions(setup, ranging.ranges, rc, attitude, floor), parameters)
    product = DatasetBuilder(sweep, parameters)
    maps.add_to(product)
    product.pings(sweep.table)
    add_beams(product, setup, ranging)
    ds = product.dataset(
        result.tally,
        {
            **sonar_attributes(setup, ranging, turned=False),
            "seafloor": floor.name,
            "window_pings": len(window.rows),
            "window_pairs": len(window.pairs),
        },
    )
    return ds if floor.name == FLAT else _with_seafloor(ds, floor)


def _seafloor(sweep: RawSweep, parameters: Parameters, context: Context, reach: float) -> Bathymetry:
    """Return the seafloor valid at the time of the run, or a flat one, and say which."""
    when = run_start(sweep)
    floor = None if context.ancillary is None else context.ancillary.bathymetry(when)
    if floor is not None:
        context.log(f"seafloor: {floor.name}")
        return floor
    height = parameters.seafloor.flat_height
    context.log(f"no seafloor grid is valid at {when:%Y-%m-%d}: {FLAT}, {height:g} m above the base")
    return flat_seafloor(height, reach)


def _with_seafloor(ds: xr.Dataset, floor: Bathymetry) -> xr.Dataset:
    """Add the heights of the seafloor at the nodes of the maps: the third coordinate of what lies on it."""
    y, x = np.meshgrid(ds["y"].values, ds["x"].values, indexing="ij")
    look_up = RegularGridInterpolator((floor.y, floor.x), floor.height, bounds_error=False, fill_value=np.nan)
    attributes = {
        "long_name": "height of the seafloor above the base of COVIS",
        "units": "m",
        "positive": "up",
    }
    return ds.assign_coords(bathymetry=(("y", "x"), look_up((y, x)), attributes))


def _gridded(
    scintillation: Scintillation,
    positions: tuple[tuple[Real, Real], tuple[Real, Real]],
    parameters: Parameters,
) -> MapGrids:
    """Grid the seven maps (docs/method.md#diffuse-flow-2018 step 12)."""
    samples, windows = positions
    maps = MapGrids(parameters)
    maps.add("decorrelation_intensity", *windows, scintillation.decor)
    maps.add("decorrelation", *windows, 1 - scintillation.cor)
    maps.add("intensity", *samples, scintillation.I_av1)
    maps.add("chi_var", *samples, scintillation.X_var)
    maps.add("si", *samples, scintillation.SI)
    maps.add("sig_phi2", *samples, scintillation.sig_phi2)
    maps.add("kp", *samples, scintillation.Kp)
    return maps
