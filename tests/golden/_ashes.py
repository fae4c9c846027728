"""Intermediates of the 2018+ programs, under the keys of expected.npz."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from covis_dask.modes.ashes import bathy, diffuse, doppler, imaging
from covis_dask.modes.ashes._bursts import AshesProgram
from covis_dask.modes.ashes._setup import PhasedPing, RangeCalibration, SonarSetup
from covis_dask.modes.ashes._velocity import VelocityStatistics
from covis_dask.modes.bursts import process_bursts
from covis_dask.modes.context import Bathymetry, Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar._types import Complex
from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.stats import PingStatistics
from covis_dask.sonar.windows import complete_bins, hamming_covariance, lagged_bins, window_ranges
from tests._stepwise import imaging_burst
from tests.golden._compare import Case, Taps, parameters_of, through

__all__ = ["average_taps", "burst_taps", "pair_taps", "position_taps"]


@dataclass(frozen=True)
class _Burst:
    """Good pings of a burst: corrected and filtered data, beams; its attitude."""

    signals: list[PhasedPing]
    beams: list[Complex]
    attitude: HeadAttitude


@dataclass
class _Bursts:
    """What `_Tap` found."""

    program: AshesProgram
    bursts: dict[int, _Burst] = field(default_factory=dict)

    @property
    def setup(self) -> SonarSetup:
        return self.program.setup

    @property
    def range_calibration(self) -> RangeCalibration:
        return self.program.range_calibration


class _Tap(AshesProgram):
    """Keeps every ping of one burst."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        super().__init__(sweep, parameters, context)
        self.found = _Bursts(self)

    def reset(self) -> None:
        self._signals: list[PhasedPing] = []

    def take(self, phased: PhasedPing) -> None:
        self._signals.append(phased)

    def place(self, attitude: HeadAttitude) -> str | None:
        beams = [self.setup.beams(signal.filtered) for signal in self._signals]
        self.found.bursts[self.burst.index] = _Burst(self._signals, beams, attitude)
        return None


@cache
def burst_taps(case: Case) -> Taps:
    """Return what the programs imaging, bathy and Doppler make of the probed ping and burst."""

    def consume(sweep: RawSweep) -> _Bursts:
        tap = _Tap(sweep, parameters_of(case), Context())
        process_bursts(sweep, [tap], Context())
        return tap.found

    found = through(case, consume)
    burst = found.bursts[case.probed_burst]
    ping = case.facts["probe"]["ping_in_burst"] - 1
    signal, beams = burst.signals[ping], burst.beams[ping]
    channels, step = int(case.expected["chan_step"]), int(case.expected["beam_step"])
    made = _STAGES[case.family](case, found, burst)
    return {
        "tap_phase_data": signal.corrected[:, ::channels],
        "tap_filter_data": signal.filtered[:, ::channels],
        "tap_beamform_bf_sig": beams[:, ::step],
        "tap_calibrate_bf_sig": found.range_calibration.calibration.apply(beams)[:, ::step],
        **_attitude_taps(burst.attitude, found.setup, found.range_calibration),
        **{key: value if value.ndim == 1 else value[:, ::step] for key, value in made.items()},
    }


def _attitude_taps(attitude: HeadAttitude, setup: SonarSetup, ranging: RangeCalibration) -> Taps:
    return {
        **{f"tap_geom_{name}": np.asarray(getattr(attitude, name)) for name in ("pitch", "roll", "yaw")},
        "tap_geom_range": ranging.ranges,
        "tap_geom_azim": setup.beams.angles,
    }


def _statistics(beams: list[Complex]) -> PingStatistics:
    statistics = PingStatistics()
    for ping in beams:
        statistics.add(ping)
    return statistics


def _imaging(_case: Case, found: _Bursts, burst: _Burst) -> Taps:
    parameters = found.program.parameters
    made = imaging_burst(
        _statistics(burst.beams),
        found.range_calibration.calibration,
        parameters.noise,
        parameters.oscfar,
    )
    levels = made.intensities
    values = imaging.gridded_values(made, parameters.noise.snr_thresh, parameters.preset, parameters.fixes)
    world = found.setup.world(found.range_calibration.ranges, burst.attitude)
    return {
        "tap_stats_Kp": made.Kp,
        "tap_stats_average": made.average,
        "tap_stats_bf_sig_a": made.amplitude_a,
        "tap_stats_bf_sig_d": made.amplitude_d,
        "tap_stats_snr_a": levels.snr_a,
        "tap_stats_snr_d": levels.snr_d,
        "tap_stats_indexD_a": levels.detected_a,
        "tap_stats_indexD_d": levels.detected_d,
        "tap_stats_bf_sig_a_cal": made.calibrated_a,
        "tap_stats_bf_sig_d_cal": made.calibrated_d,
        **{f"tap_burst_{name}": value for name, value in values.items()},
        **{f"tap_burst_{axis}v": at for axis, at in zip("xyz", world, strict=True)},
    }


def _bathy(_case: Case, found: _Bursts, burst: _Burst) -> Taps:
    parameters = found.program.parameters
    made = bathy.bathy_burst(
        _statistics(burst.beams).mean,
        found.range_calibration.calibration,
        parameters.noise,
        parameters.oscfar,
        parameters.bathy.median_window,
    )
    return {
        "tap_stats_bf_sig_m": made.mean,
        "tap_stats_snr_m": made.snr,
        "tap_stats_indexD": made.detected,
        "tap_stats_bf_sig_m_cal": made.calibrated,
        "tap_burst_v": made.strength,
        "tap_burst_v_filt": made.smooth,
        "tap_geom_clutter": made.clutter,
    }


def _doppler(case: Case, found: _Bursts, burst: _Burst) -> Taps:
    program = through(case, lambda sweep: doppler.DopplerProgram(sweep, parameters_of(case), Context()))
    settings, thresh = program.settings, program.parameters.noise.snr_thresh
    calibration, ranges = found.range_calibration.calibration, found.range_calibration.ranges
    statistics = VelocityStatistics(settings)
    for ping in burst.beams:
        statistics.add(calibration.apply(ping))
    floor = np.full(burst.beams[0].shape, program.parameters.noise.noise_floor)
    made = statistics.burst(calibration.apply(floor), complete=True)
    velocities = made.velocities
    masked = doppler.gridded_velocities(velocities, made.windows.snr_d, thresh, separate_masks=False)
    rc = window_ranges(ranges, lagged_bins(len(ranges), settings.W, settings.O, settings.lag))
    taps: dict[str, NDArray[Any]] = {
        "tap_vel_vr_cov": velocities.vr_cov,
        "tap_vel_vr_vel": velocities.vr_vel,
        "tap_vel_vr_std": velocities.vr_std,
        "tap_vel_covar": velocities.covar,
        "tap_vel_Ia2": made.windows.Ia,
        "tap_vel_Id2": made.windows.Id,
        "tap_geom_rc": rc,
        **{f"tap_burst_{'vr_std' if name == 'std' else name}": value for name, value in masked.items()},
    }
    for intensities, at, suffix in ((made.samples, ranges, ""), (made.windows, rc, "2")):
        for name, value in intensities.masked(thresh, 1e-9, 1e-9).items():
            taps[f"tap_burst_{name}{suffix}"] = value
        for axis, where in zip("xyz", found.setup.world(at, burst.attitude), strict=True):
            taps[f"tap_burst_{axis}v{suffix}"] = where
    return taps


_STAGES: Final[Mapping[str, Callable[[Case, _Bursts, _Burst], Taps]]] = {
    "imaging": _imaging,
    "bathy": _bathy,
    "doppler": _doppler,
}


@dataclass(frozen=True)
class _Diffuse:
    """The diffuse case, step by step; pings by row of the table."""

    setup: SonarSetup
    range_calibration: RangeCalibration
    window: diffuse.Window
    signals: dict[int, PhasedPing]
    pings: dict[int, Complex]
    attitude: HeadAttitude


@cache
def _diffuse(case: Case) -> _Diffuse:
    parameters = parameters_of(case)

    def consume(sweep: RawSweep) -> _Diffuse:
        setup = SonarSetup.of(sweep, parameters, diffuse.CHANNELS, diffuse.RATE, decimates=False)
        window = diffuse.window_of(setup, sweep.table.time, np.arange(len(sweep.table)))
        wanted = frozenset(sweep.table.ping[window.rows].tolist())
        signals: dict[int, PhasedPing] = {}
        reference: Complex | None = None
        ranging: RangeCalibration | None = None
        for ping in sweep.pings(diffuse.CHANNELS, wanted):
            if ping.data is not None and ping.record is not None:
                reference = ping.data if reference is None else reference
                signals[sweep.table.row(ping.number)] = setup.signal(ping.data, reference)
                ranging = setup.range_calibration(len(ping.data), ping.record)
        assert ranging is not None
        pings = {
            row: ranging.calibration.apply(setup.beams(signal.filtered)) for row, signal in signals.items()
        }
        return _Diffuse(setup, ranging, window, signals, pings, setup.attitude(sweep.table, [0]))

    return through(case, consume)


def _range_windows(found: _Diffuse) -> NDArray[np.float64]:
    ranges, window = found.range_calibration.ranges, found.window
    return window_ranges(ranges, complete_bins(len(ranges), window.W, window.O))


@cache
def pair_taps(case: Case) -> Taps:
    """Return the averaging window of the diffuse program, the probed ping, the first pair of the window."""
    found = _diffuse(case)
    window, row = found.window, case.facts["probe"]["ping_row"] - 1
    channels, step = int(case.expected["chan_step"]), int(case.expected["beam_step"])
    pairs = np.array(window.pairs) + 1
    first, second = window.pairs[0]
    cov, e1, e2 = hamming_covariance(found.pings[first], found.pings[second], window.W, window.O)
    return {
        "tap_phase_data1": found.signals[row].corrected[:, ::channels],
        "tap_filter_data1": found.signals[row].filtered[:, ::channels],
        "tap_beamform_bf_sig1": found.setup.beams(found.signals[row].filtered)[:, ::step],
        "tap_calibrate_bf_sig1": found.pings[row][:, ::step],
        "tap_window_ii_ave": window.rows + 1,
        "tap_window_nave": np.asarray(len(window.rows)),
        "tap_pairs_np": pairs[:, 0],
        "tap_pairs_np2": pairs[:, 1],
        "tap_covar_cov": cov[:, ::step],
        "tap_covar_E1": e1[:, ::step],
        "tap_covar_E2": e2[:, ::step],
        "tap_covar_I2": np.sqrt(e1 * e2)[:, ::step],
        **_attitude_taps(found.attitude, found.setup, found.range_calibration),
        "tap_geom_rc": _range_windows(found),
    }


@cache
def average_taps(case: Case) -> Taps:
    """Return scintillation, covariance and correlation over the whole window, before and after masking."""
    found = _diffuse(case)
    window, parameters = found.window, found.setup.parameters
    taken = diffuse.scintillation_window(window, parameters)
    for row, ping in found.pings.items():
        taken.add(row, ping)
    floor = np.full(found.pings[0].shape, parameters.noise.noise_floor)
    made = taken.result(found.range_calibration.calibration.apply(floor))
    masked = made.masked(parameters.noise.snr_thresh, intensity=False)
    stages = {
        "avg_I_av1": made.I_av1,
        "avg_X_var": made.X_var,
        "avg_J": made.J,
        "avg_SI": made.SI,
        "avg_Kp": made.Kp,
        "avg_sig_phi2": made.sig_phi2,
        "decor_cor_av": made.cor,
        "decor_I_av2": made.I_av2,
        "decor_decor_I_av": made.decor,
        "decor_I_noise2": made.noise2,
        "masked_cor_av": masked.cor,
        "masked_decor_I_av": masked.decor,
        "masked_X_var": masked.X_var,
        "masked_Kp": masked.Kp,
        "masked_SI": masked.SI,
        "masked_sig_phi2": masked.sig_phi2,
    }
    step = int(case.expected["beam_step"])
    return {f"tap_{name}": value[:, ::step] for name, value in stages.items()}


@cache
def position_taps(case: Case, floor: Bathymetry) -> Taps:
    """Return where the samples and range windows of the diffuse program meet the seafloor."""
    found = _diffuse(case)
    (x1, y1), (x2, y2) = diffuse.seafloor_positions(
        found.setup, found.range_calibration.ranges, _range_windows(found), found.attitude, floor
    )
    step = int(case.expected["beam_step"])
    stages = {"x_out1": x1, "y_out1": y1, "x_out2": x2, "y_out2": y2}
    return {f"tap_coords_{name}": value[:, ::step] for name, value in stages.items()}
