"""2010-15: grids, weights and intermediates equal those of the original program (science.md 7)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from covis_dask.modes.endeavour import diffuse, doppler, imaging
from covis_dask.modes.endeavour._chain import Chain, PingStages, Tools, ping_stages
from covis_dask.modes.endeavour._walk import attitude
from covis_dask.modes.parameters import Parameters, parameters_for
from covis_dask.raw.sweep import Ping, PingTable
from covis_dask.sonar.windows import window_bins
from tests.golden._compare import Case, assert_grids, assert_stage, golden_case, process, through

pytestmark = pytest.mark.golden

FAMILIES = ("imaging", "diffuse", "doppler")


@cache
def _product(family: str) -> xr.Dataset:
    return process(golden_case(f"2010_{family}"))


@dataclass(frozen=True)
class _Pings:
    """Pings of a case by row of its table, and the table."""

    pings: dict[int, Ping]
    table: PingTable


@cache
def _pings(family: str) -> _Pings:
    case = golden_case(f"2010_{family}")
    channels = 128 if family == "diffuse" else 256
    return through(
        case,
        lambda sweep: _Pings(
            {sweep.table.row(ping.number): ping for ping in sweep.pings(channels)}, sweep.table
        ),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_grids_equal_the_originals(family: str) -> None:
    """Every gridded variable and weight of the profile matlab equals the original's."""
    assert_grids(_product(family), golden_case(f"2010_{family}"))


@pytest.mark.parametrize("family", FAMILIES)
def test_axes_equal_the_originals(family: str) -> None:
    """The axes of the grids are the original's."""
    expected, ds = golden_case(f"2010_{family}").expected, _product(family)
    for axis in "xyz":
        for key in (f"grid_{axis}", f"grid_doppler_velocity_{axis}", f"grid_intensity_{axis}"):
            if key in expected:
                np.testing.assert_allclose(ds[axis].values, expected[key], rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_ranges_and_angles_equal_the_originals(family: str) -> None:
    """Slant ranges, beam angles and sound speed are exactly the original's."""
    expected, ds = golden_case(f"2010_{family}").expected, _product(family)
    if family != "diffuse":
        np.testing.assert_allclose(ds["beam_range"], expected["beam_range"], rtol=1e-12)
        assert ds.attrs["sound_speed"] == expected["sound_speed_beamformer"]
    angles = expected["tap_geom_azim"]
    np.testing.assert_allclose(ds["beam_angle"], angles, rtol=1e-12)


@pytest.mark.parametrize("family", ["imaging", "doppler"])
def test_bursts_equal_the_originals(family: str) -> None:
    """The list of bursts is the original's, without the last one."""
    expected, ds = golden_case(f"2010_{family}").expected, _product(family)
    for key in ("burst_elev", "burst_npings", "burst_start"):
        found = next(v for v in ds.variables.values() if v.attrs.get("original_name") == key)
        np.testing.assert_array_equal(found.values, expected[key])


def test_doppler_carries_the_clock_offset() -> None:
    """The covariance of the monitor channel, and the velocity it feigns, are those of science.md 4.5."""
    expected, ds = golden_case("2010_doppler").expected, _product("doppler")
    want = complex(expected["offset_covar"])
    got = complex(ds["offset_covariance_real"] + 1j * ds["offset_covariance_imag"])
    assert abs(got - want) <= 1e-9 * abs(want)
    scale = 100 * 1480.0 * 34482.758 / (4 * np.pi * 396000.0) / 8
    assert ds["offset_velocity"] == pytest.approx(scale * np.angle(want), rel=1e-9)


@dataclass(frozen=True)
class _Burst:
    """The probed burst: its pings after each step, the tools of the last, its rows of the table."""

    stages: list[PingStages]
    tools: Tools
    rows: list[int]
    parameters: Parameters


def _probed(case: Case, family: str) -> _Burst:
    """Run the chain over the probed burst."""
    parameters = parameters_for(family, "Endeavour")
    chain = Chain(parameters, print, parameters.filter.decimation if family == "imaging" else 1)
    index = case.facts["probe"]["burst"] - 1
    first = int(case.expected["burst_start"][index]) - 1
    rows = list(range(first, first + int(case.expected["burst_npings"][index])))
    reference, _ = chain.open(_pings(family).pings[first])
    stages = []
    for row in rows:
        data, tools = chain.open(_pings(family).pings[row])
        stages.append(ping_stages(chain.phased(data, reference, tools), tools))
    return _Burst(stages, tools, rows, parameters)


def _sampled(case: Case, stages: PingStages) -> Iterator[tuple[str, NDArray[np.complex128]]]:
    """Yield what the taps hold: every so manieth channel or beam of one ping after each step."""
    channels, beams = int(case.expected["chan_step"]), int(case.expected["beam_step"])
    yield "tap_phase_data", stages.phased[:, ::channels]
    yield "tap_filter_data", stages.filtered[:, ::channels]
    yield "tap_beamform_bf_sig", stages.beams[:, ::beams]
    yield "tap_calibrate_bf_sig", stages.calibrated[:, ::beams]


@pytest.mark.parametrize("family", ["imaging", "doppler"])
def test_chain_equals_the_original_step_by_step(family: str) -> None:
    """Phase correction, filter, beams and calibration of the probed ping equal the original's."""
    case = golden_case(f"2010_{family}")
    stages = _probed(case, family).stages[case.facts["probe"]["ping_in_burst"] - 1]
    for key, got in _sampled(case, stages):
        assert_stage(got, case.expected[key], key)


def test_imaging_burst_equals_the_originals() -> None:
    """Coordinates and backscatter of the probed imaging burst equal the original's."""
    case = golden_case("2010_imaging")
    burst = _probed(case, "imaging")
    where = attitude(_pings("imaging").table, burst.rows[0], burst.parameters)
    pages = [stages.calibrated for stages in burst.stages]
    made = imaging.image_burst(pages, burst.tools, where, burst.parameters)
    step = int(case.expected["beam_step"])
    for key, got in (("xv", made.x), ("yv", made.y), ("zv", made.z), ("v", made.v)):
        assert_stage(got[:, ::step], case.expected[f"tap_burst_{key}"], key)
    for key, angle in (("elev", where.elevation), ("roll", where.roll), ("yaw", where.compass)):
        assert angle == pytest.approx(float(case.expected[f"tap_geom_{key}"]), rel=1e-12)


def test_doppler_burst_equals_the_originals() -> None:
    """Velocities, backscatter and coordinates of the probed Doppler burst equal the original's."""
    case = golden_case("2010_doppler")
    burst = _probed(case, "doppler")
    parameters, tools = burst.parameters, burst.tools
    pages = [stages.calibrated for stages in burst.stages]
    found = [
        doppler.series(0.707 * (later - earlier), tools, parameters) for earlier, later in pairwise(pages)
    ]
    where = attitude(_pings("doppler").table, burst.rows[-1], parameters)
    made = doppler.doppler_burst(found, tools, where, parameters)
    step = int(case.expected["beam_step"])
    for key, got in (
        ("tap_vel_vr", made.vr),
        ("tap_vel_vr_filt", made.vr_filt),
        ("tap_vel_vr_std", made.vr_std),
        ("tap_vel_I", made.intensity),
        ("tap_vel_I_filt", made.intensity_filt),
        ("tap_vel_I_std", made.intensity_std),
        ("tap_vel_covar", made.covar),
        ("tap_burst_xv", made.x),
        ("tap_burst_yv", made.y),
        ("tap_burst_zv", made.z),
        ("tap_burst_vz", made.vz),
        ("tap_burst_vz_filt", made.vz_filt),
    ):
        assert_stage(got[:, ::step], case.expected[key], key)
    assert_stage(made.rc, case.expected["tap_geom_rc"], "rc")


def test_diffuse_pair_equals_the_originals() -> None:
    """Beams, calibration, filter and correlation of the probed pair equal the original's."""
    case = golden_case("2010_diffuse")
    expected, parameters = case.expected, parameters_for("diffuse", "Endeavour")
    channels, beams = int(expected["chan_step"]), int(expected["beam_step"])
    chain = Chain(parameters, print)
    row = case.facts["probe"]["ping_row"] - 1
    earlier, tools = chain.open(_pings("diffuse").pings[row])
    later, _ = chain.open(_pings("diffuse").pings[row + parameters.correlation.nlag])
    window = window_bins(tools.header.sample_rate, 0.001, 0.5)
    assert window == (int(expected["tap_geom_cwsize"]), int(expected["tap_geom_cwovlap"]))
    samples = []
    for number, phased in ((1, earlier), (2, chain.phased(later, earlier, tools))):
        assert_stage(phased[:, ::channels], expected[f"tap_phase_data{number}"], "phase")
        stages = diffuse.pair_stages(phased, tools, parameters)
        for key, got in (
            ("beamform", stages.beams),
            ("calibrate", stages.calibrated),
            ("filter", stages.samples),
        ):
            assert_stage(got[:, ::beams], expected[f"tap_{key}_bf_sig{number}"], key)
        samples.append(stages.samples)
    pair = diffuse.diffuse_pair(samples[0], samples[1], window)
    assert_stage(pair.correlation[:, ::beams], expected["tap_cor_cor"], "correlation")
    assert_stage(pair.intensity[:, ::beams], expected["tap_cor_I"], "intensity")


def test_diffuse_averages_and_positions_equal_the_originals() -> None:
    """Averages over the pairs and their positions on the seafloor equal the original's."""
    case = golden_case("2010_diffuse")
    expected, parameters = case.expected, parameters_for("diffuse", "Endeavour")
    beams = int(expected["beam_step"])
    chain = Chain(parameters, print)
    opened = [chain.open(ping) for ping in _pings("diffuse").pings.values()]
    tools = opened[0][1]
    window = window_bins(tools.header.sample_rate, 0.001, 0.5)
    pairs = []
    for (earlier, _), (later, _) in zip(opened[:-4], opened[4:], strict=True):
        a, b = (
            diffuse.pair_stages(x, tools, parameters).samples
            for x in (earlier, chain.phased(later, earlier, tools))
        )
        pairs.append(diffuse.diffuse_pair(a, b, window))
    magnitude = np.abs([pair.correlation for pair in pairs])
    intensity = np.array([pair.intensity for pair in pairs])
    averages = (
        magnitude.mean(axis=0),
        intensity.mean(axis=0),
        (intensity * (1 - magnitude)).mean(axis=0),
    )
    compass = float(expected["tap_geom_yaw"])
    maps = diffuse.diffuse_maps(averages, tools, window, compass, parameters)
    for key, got in (
        ("tap_avg_cor_av", maps.correlation),
        ("tap_avg_I_av", maps.intensity),
        ("tap_avg_decor_I_av", maps.decorrelated),
        ("tap_coords_xv", maps.x),
        ("tap_coords_yv", maps.y),
    ):
        assert_stage(got[:, ::beams], expected[key], key)
    assert_stage(maps.rc, expected["tap_geom_rc"], "rc")
