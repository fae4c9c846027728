"""Intermediates of the 2010-15 programs, under the keys of expected.npz."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from covis_dask.modes import parameters_for
from covis_dask.modes.endeavour import diffuse, doppler, imaging
from covis_dask.modes.endeavour._bursts import Attitude, attitude
from covis_dask.modes.endeavour._operators import OperatorCache, PingOperators
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import Ping, PingTable
from covis_dask.sonar.reference import PingStages, ping_stages
from covis_dask.sonar.windows import window_bins
from tests._stepwise import series
from tests.golden._compare import Case, Taps, through

__all__ = ["average_taps", "burst_taps", "pair_taps"]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class _Pings:
    """Pings of a case by row of its table, and the table."""

    pings: dict[int, Ping]
    table: PingTable


@cache
def _pings(case: Case) -> _Pings:
    channels = 128 if case.family == "diffuse" else 256
    return through(
        case,
        lambda sweep: _Pings(
            {
                sweep.table.row(ping.number): ping
                for ping in sweep.pings(channels)
                if ping.data is not None or ping.fault is not None
            },
            sweep.table,
        ),
    )


@dataclass(frozen=True)
class _Burst:
    """The probed burst: its pings after each step, the operators of the last, its rows of the table."""

    stages: list[PingStages]
    operators: PingOperators
    rows: list[int]
    parameters: Parameters

    @property
    def pages(self) -> list[NDArray[np.complex128]]:
        return [stages.calibrated for stages in self.stages]


def _probed(case: Case) -> _Burst:
    """Run the processing over the probed burst."""
    parameters = parameters_for(case.family, "Endeavour")
    cache = OperatorCache(parameters, print, parameters.filter.decimation if case.family == "imaging" else 1)
    first = int(case.expected["burst_start"][case.probed_burst]) - 1
    rows = list(range(first, first + int(case.expected["burst_npings"][case.probed_burst])))
    pings = _pings(case).pings
    reference, _ = cache.open(pings[first])
    stages = []
    for row in rows:
        data, operators = cache.open(pings[row])
        stages.append(
            ping_stages(
                cache.phased(data, reference, operators),
                operators.filter,
                operators.beamformer,
                operators.calibration,
            )
        )
    return _Burst(stages, operators, rows, parameters)


@cache
def burst_taps(case: Case) -> Taps:
    """Return what the programs imaging and Doppler make of the probed ping and burst."""
    burst, table = _probed(case), _pings(case).table
    channels, beams = int(case.expected["chan_step"]), int(case.expected["beam_step"])
    stages = burst.stages[case.facts["probe"]["ping_in_burst"] - 1]
    if case.family == "imaging":
        where = attitude(table, burst.rows[0], burst.parameters)
        made = _imaging(burst, where)
    else:
        where = attitude(table, burst.rows[-1], burst.parameters)
        made = _doppler(burst, where)
    return {
        "tap_phase_data": stages.phased[:, ::channels],
        "tap_filter_data": stages.filtered[:, ::channels],
        "tap_beamform_bf_sig": stages.beams[:, ::beams],
        "tap_calibrate_bf_sig": stages.calibrated[:, ::beams],
        "tap_geom_range": burst.operators.ranges,
        "tap_geom_azim": burst.operators.beamformer.angles,
        "tap_geom_elev": np.asarray(where.elevation),
        "tap_geom_roll": np.asarray(where.roll),
        "tap_geom_yaw": np.asarray(where.compass),
        **{key: value if value.ndim == 1 else value[:, ::beams] for key, value in made.items()},
    }


def _imaging(burst: _Burst, where: Attitude) -> Taps:
    made = imaging.image_burst(burst.pages, burst.operators, where, burst.parameters)
    return {
        "tap_burst_xv": made.x,
        "tap_burst_yv": made.y,
        "tap_burst_zv": made.z,
        "tap_burst_v": made.v,
    }


def _doppler(burst: _Burst, where: Attitude) -> Taps:
    found = [
        series(0.707 * (later - earlier), burst.operators, burst.parameters)
        for earlier, later in pairwise(burst.pages)
    ]
    made = doppler.doppler_burst(found, burst.operators, where, burst.parameters)
    return {
        "tap_vel_vr": made.vr,
        "tap_vel_vr_filt": made.vr_filt,
        "tap_vel_vr_std": made.vr_std,
        "tap_vel_I": made.intensity,
        "tap_vel_I_filt": made.intensity_filt,
        "tap_vel_I_std": made.intensity_std,
        "tap_vel_covar": made.covar,
        "tap_burst_xv": made.x,
        "tap_burst_yv": made.y,
        "tap_burst_zv": made.z,
        "tap_burst_vz": made.vz,
        "tap_burst_vz_filt": made.vz_filt,
        "tap_geom_rc": made.rc,
    }


@cache
def pair_taps(case: Case) -> Taps:
    """Return what the diffuse program makes of the probed pair, and where its windows lie."""
    parameters = parameters_for("diffuse", "Endeavour")
    channels, beams = int(case.expected["chan_step"]), int(case.expected["beam_step"])
    cache, pings = OperatorCache(parameters, print), _pings(case).pings
    row = case.facts["probe"]["ping_row"] - 1
    earlier, operators = cache.open(pings[row])
    later, _ = cache.open(pings[row + parameters.correlation.nlag])
    window = _window(operators)
    taps: dict[str, NDArray[np.generic]] = {}
    samples = []
    for number, phased in ((1, earlier), (2, cache.phased(later, earlier, operators))):
        stages = diffuse.pair_stages(phased, operators, parameters)
        taps[f"tap_phase_data{number}"] = phased[:, ::channels]
        taps[f"tap_beamform_bf_sig{number}"] = stages.beams[:, ::beams]
        taps[f"tap_calibrate_bf_sig{number}"] = stages.calibrated[:, ::beams]
        taps[f"tap_filter_bf_sig{number}"] = stages.samples[:, ::beams]
        samples.append(stages.samples)
    pair = diffuse.diffuse_pair(samples[0], samples[1], window)
    # Where the windows lie does not depend on what is in them.
    placed = _maps(case, (np.abs(pair.correlation), pair.intensity, pair.intensity), operators, parameters)
    return {
        **taps,
        "tap_cor_cor": pair.correlation[:, ::beams],
        "tap_cor_I": pair.intensity[:, ::beams],
        "tap_coords_xv": placed.x[:, ::beams],
        "tap_coords_yv": placed.y[:, ::beams],
        "tap_geom_rc": placed.rc,
        "tap_geom_azim": operators.beamformer.angles,
        "tap_geom_cwsize": np.asarray(window[0]),
        "tap_geom_cwovlap": np.asarray(window[1]),
        "tap_geom_nlag": np.asarray(parameters.correlation.nlag),
    }


@cache
def average_taps(case: Case) -> Taps:
    """Return the averages of the diffuse program over all pairs of a run without gaps."""
    parameters = parameters_for("diffuse", "Endeavour")
    beams, lag = int(case.expected["beam_step"]), parameters.correlation.nlag
    cache = OperatorCache(parameters, print)
    opened = [cache.open(ping) for ping in _pings(case).pings.values()]
    operators = opened[0][1]
    pairs = []
    for (earlier, _), (later, _) in zip(opened[:-lag], opened[lag:], strict=True):
        a, b = (
            diffuse.pair_stages(x, operators, parameters).samples
            for x in (earlier, cache.phased(later, earlier, operators))
        )
        pairs.append(diffuse.diffuse_pair(a, b, _window(operators)))
    magnitude = np.abs([pair.correlation for pair in pairs])
    intensity = np.array([pair.intensity for pair in pairs])
    averages = (
        magnitude.mean(axis=0),
        intensity.mean(axis=0),
        (intensity * (1 - magnitude)).mean(axis=0),
    )
    maps = _maps(case, averages, operators, parameters)
    return {
        "tap_avg_cor_av": maps.correlation[:, ::beams],
        "tap_avg_I_av": maps.intensity[:, ::beams],
        "tap_avg_decor_I_av": maps.decorrelated[:, ::beams],
    }


def _window(operators: PingOperators) -> tuple[int, int]:
    return window_bins(operators.header.sample_rate, 0.001, 0.5)


def _maps(
    case: Case, averages: tuple[Real, Real, Real], operators: PingOperators, parameters: Parameters
) -> diffuse.DiffuseMaps:
    compass = float(case.expected["tap_geom_yaw"])
    return diffuse.diffuse_maps(averages, operators, _window(operators), compass, parameters)
