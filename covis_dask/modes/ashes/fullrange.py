"""Full-range runs, 2018+: imaging, and maps of the seafloor seen at all elevations.

See docs/method.md#full-range-2018.

One pass over the run feeds both; one dataset holds both.
"""

import json
from dataclasses import replace

import numpy as np
import xarray as xr

from covis_dask.modes._tally import PingTally
from covis_dask.modes.ashes._bursts import AshesProgram, sweeps_in_yaw
from covis_dask.modes.ashes._maps import MapGrids
from covis_dask.modes.ashes._product import add_beams, add_bursts, sonar_attributes
from covis_dask.modes.ashes._scintillation import Scintillation, ScintillationWindow
from covis_dask.modes.ashes._setup import PhasedPing
from covis_dask.modes.ashes.bathy import first_maximum
from covis_dask.modes.ashes.diffuse import scintillation_window, window_of
from covis_dask.modes.ashes.imaging import ImagingProgram
from covis_dask.modes.bursts import BurstResult, process_bursts
from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Int, Real
from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.windows import complete_bins, window_ranges

__all__ = ["FullRangeProgram", "process"]


class FullRangeProgram(AshesProgram):
    """Picks the strongest echo of every beam and burst, and grids what it shows."""

    decimates = False
    late_faults_count = False

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        super().__init__(sweep, parameters, context)
        # Times go with ping numbers through the table's rows (Q32).
        self._windows = [window_of(self.setup, sweep.table.time, burst.rows) for burst in self.plan.bursts]
        self._in_window = np.zeros(len(sweep.table), dtype=np.bool_)
        for window in self._windows:
            self._in_window[window.rows] = True
        self.maps = MapGrids(parameters)
        self._places: dict[int, int] = {}
        self._window: ScintillationWindow | None = None

    def needs(self, row: int) -> bool:
        """Only the averaging window of each burst is decoded."""
        return bool(self._in_window[row])

    def reset(self) -> None:
        """Begin the window of a burst."""
        window = self._windows[self.burst.index]
        self._places = {int(row): index for index, row in enumerate(window.rows)}
        self._window = scintillation_window(window, self.parameters)

    def take(self, phased: PhasedPing) -> None:
        """Add the calibrated beams of a ping."""
        if self._window is None:
            raise RuntimeError("no burst is open")
        self._window.add(
            self._places[self.burst.last], self.range_calibration.calibration.apply(phased.beams())
        )

    def place(self, attitude: HeadAttitude) -> str | None:
        """Grid the strongest echoes of a burst."""
        parameters, ranging, window = (
            self.parameters,
            self.range_calibration,
            self._windows[self.burst.index],
        )
        if self._window is None:
            raise RuntimeError("no burst is open")
        if not (self._window.whole_pairs if parameters.fixes.whole_pairs else window.pairs):
            return f"no ping has a partner {parameters.correlation.tlag:g} s later"  # Q57
        rc = window_ranges(ranging.ranges, complete_bins(len(ranging.ranges), window.W, window.O))
        if not len(rc):
            return f"its pings are shorter than a range window of {window.W} samples"
        floor: Real = np.full(
            (len(ranging.ranges), len(self.setup.beams.angles)), parameters.noise.noise_floor
        )
        scintillation = self._window.result(ranging.calibration.apply(floor)).masked(
            parameters.noise.snr_thresh, intensity=parameters.noise.mask_intensity
        )
        self._window = None
        self._grid(scintillation, ranging.ranges, rc, attitude)
        return None

    def _grid(self, scintillation: Scintillation, ranges: Real, rc: Real, attitude: HeadAttitude) -> None:
        at1, at2 = first_maximum(scintillation.I_av1), first_maximum(scintillation.I_av2)
        intensity1, intensity2 = _picked(scintillation.I_av1, at1), _picked(scintillation.I_av2, at2)
        x1, y1, z1 = self.setup.world(ranges[at1][None, :], attitude)
        x2, y2, z2 = self.setup.world(rc[at2][None, :], attitude)
        fixes = self.parameters.fixes
        if fixes.masked_intensity:  # a beam without any echo above the noise has no strongest one
            x1, x2 = np.where(np.isnan(intensity1), np.nan, x1), np.where(np.isnan(intensity2), np.nan, x2)
        maps = self.maps
        maps.add("bathy_filt", x2, y2, z2)
        # The original's positions are those of two different echoes (Q33).
        maps.add("intensity_filt", x2, y2 if fixes.own_northing else y1, intensity2)
        maps.add("decorrelation_intensity", x2, y2, _picked(scintillation.decor, at2))
        maps.add("decorrelation", x2, y2, 1 - _picked(scintillation.cor, at2))
        maps.add("bathy", x1, y1, z1)
        maps.add("intensity", x1, y1, intensity1)
        maps.add("chi_var", x1, y1, _picked(scintillation.X_var, at1))
        maps.add("si", x1, y1, _picked(scintillation.SI, at1))
        maps.add("sig_phi2", x1, y1, _picked(scintillation.sig_phi2, at1))
        maps.add("kp", x1, y1, _picked(scintillation.Kp, at1))


def _picked(values: Real, rows: Int) -> Real:
    """Return one value [1, B] of every column of [N, B]."""
    return np.take_along_axis(values, rows[None, :], axis=0)


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Process a full-range run (docs/method.md#full-range-2018; presets PP3, PPX).

    Parameters
    ----------
    sweep : RawSweep
    parameters : Parameters
        Of family ``fullimaging``; `parameters.imaging` rules the imaging part.
    context : Context

    Returns
    -------
    Dataset
        The imaging grid on (y, x, z), ten maps on (y_fr, x_fr), each with its weight. Where one part has no
        burst its variables are empty, and the log says so.

    Raises
    ------
    SweepIncomplete
        When index.csv lists no ping, or no header can be used.
    NoValidPings
        When nothing is left to grid, in either part.
    """
    if parameters.imaging is None:
        raise ValueError("full-range parameters need those of the imaging part")
    imaging = ImagingProgram(sweep, parameters.imaging, _named(context, "imaging"))
    full = FullRangeProgram(sweep, parameters, _named(context, "full range"))
    results = process_bursts(sweep, [imaging, full], context)
    tally = _together(*results)
    tally.require_pings()
    product = DatasetBuilder(sweep, parameters)
    imaging.add_to(product)
    full.maps.add_to(product, "fr")
    add_bursts(product, full.plan.bursts, sweep.table, results[0].used | results[1].used)
    product.pings(sweep.table)
    attributes: dict[str, object] = {}
    parts: tuple[tuple[str, AshesProgram, str], ...] = (("imaging", imaging, ""), ("full_range", full, "_fr"))
    for name, program, suffix in parts:
        counts = program.tally.attributes()
        for key in ("pings_used", "bursts_used", "bursts_skipped", "bursts_skipped_reasons"):
            attributes[f"{name}_{key}"] = counts[key]
        if program.tally.pings_used:
            add_beams(product, program.setup, program.range_calibration, suffix)
            attributes |= sonar_attributes(
                program.setup, program.range_calibration, turned=sweeps_in_yaw(sweep.table)
            )
        else:
            context.log(f"the {name.replace('_', '-')} part of the run has no usable burst")
    return product.dataset(tally, attributes)


def _named(context: Context, part: str) -> Context:
    """Let a part of the run say in the log which one it is."""
    return replace(context, log=lambda line: context.log(f"{part}: {line}"))


def _together(imaging: BurstResult, full: BurstResult) -> PingTally:
    """Return one tally of both parts: a ping or burst counts where at least one of them used it."""
    tallies = (imaging.tally, full.tally)
    both = PingTally(lambda _: None, imaging.tally.pings_total)
    for tally in tallies:
        for number, why in json.loads(tally.attributes()["bad_ping_reasons"]).items():
            both.bad(int(number), why)
    both.missing(dict.fromkeys([*imaging.tally.missing_ping, *full.tally.missing_ping]))
    both.used = sorted({*imaging.tally.used, *full.tally.used})
    both.pings_used = len(both.used)
    both.bursts_used = int(np.count_nonzero(imaging.used | full.used))
    reasons = {burst["pings"][0]: burst["reason"] for burst in imaging.tally.skipped}
    for burst in full.tally.skipped:
        other = reasons.get(burst["pings"][0])
        if other is not None:
            both.skip(burst["pitch"], burst["pings"], f"imaging: {other}; full range: {burst['reason']}")
    return both
