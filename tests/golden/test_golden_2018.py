"""2018+: grids, weights and intermediates equal those of the original programs (science.md 7)."""

import datetime as dt
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from covis_dask.ancillary import FolderAncillary, open_ancillary
from covis_dask.modes.ashes import bathy, diffuse, doppler, imaging
from covis_dask.modes.ashes._bursts import BurstProgram, run_bursts
from covis_dask.modes.ashes._scintillation import ScintillationWindow
from covis_dask.modes.ashes._setup import Attitude, Scale, Setup, Signal
from covis_dask.modes.ashes._velocity import VelocityStatistics
from covis_dask.modes.context import Bathymetry, Context
from covis_dask.modes.parameters import Parameters, load_overrides, parameters_for
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from covis_dask.sonar._types import Complex
from covis_dask.sonar.stats import PingStatistics
from covis_dask.sonar.windows import complete_bins, hamming_covariance, lagged_bins, window_ranges
from tests.golden._compare import Case, assert_grids, assert_stage, golden_case, through

pytestmark = pytest.mark.golden

FAMILIES = ("imaging", "diffuse", "bathy", "doppler")
PROGRAMS = {"imaging": imaging, "diffuse": diffuse, "bathy": bathy, "doppler": doppler}
BURST_FAMILIES = ("imaging", "bathy", "doppler")
_INPUTS = Path(__file__).resolve().parents[3] / "shared" / "inputs"


def _parameters(case: Case, family: str) -> Parameters:
    named = case.archive.parent / "params.json"
    return parameters_for(family, "Ashes", overrides=load_overrides(named) if named.is_file() else {})


def _ancillary(case: Case) -> FolderAncillary:
    """Find the original's seafloor file beside the case, or among the shared inputs."""
    for folder in (case.archive.parent, _INPUTS):
        if (folder / "covis_bathy_2019a.mat").is_file():
            return open_ancillary(fsspec.filesystem("file"), str(folder))
    pytest.skip("covis_bathy_2019a.mat is not beside this checkout")


@cache
def _product(family: str) -> xr.Dataset:
    case = golden_case(f"2018_{family}")
    context = Context(ancillary=_ancillary(case)) if family == "diffuse" else Context()
    program: Callable[..., xr.Dataset] = PROGRAMS[family].process
    return through(case, lambda sweep: program(sweep, _parameters(case, family), context))


@dataclass(frozen=True)
class _Burst:
    """Good pings of a burst: corrected and filtered data, beams; its attitude."""

    signals: list[Signal]
    beams: list[Complex]
    attitude: Attitude


@dataclass
class _Bursts:
    """What `_Tap` found."""

    program: BurstProgram
    bursts: dict[int, _Burst] = field(default_factory=dict)

    @property
    def setup(self) -> Setup:
        return self.program.setup

    @property
    def scale(self) -> Scale:
        return self.program.scale


class _Tap(BurstProgram):
    """Keeps every ping of one burst."""

    def __init__(self, sweep: RawSweep, parameters: Parameters, context: Context) -> None:
        super().__init__(sweep, parameters, context)
        self.found = _Bursts(self)

    def begin(self) -> None:
        self._signals: list[Signal] = []

    def ping(self, signal: Signal) -> None:
        self._signals.append(signal)

    def burst(self, attitude: Attitude) -> str | None:
        beams = [self.setup.beams(signal.filtered) for signal in self._signals]
        self.found.bursts[self.open] = _Burst(self._signals, beams, attitude)
        return None


@cache
def _bursts(family: str) -> _Bursts:
    case = golden_case(f"2018_{family}")

    def consume(sweep: RawSweep) -> _Bursts:
        tap = _Tap(sweep, _parameters(case, family), Context())
        run_bursts(sweep, [tap], Context())
        return tap.found

    return through(case, consume)


def _probed(family: str) -> tuple[_Bursts, _Burst, Mapping[str, NDArray[Any]]]:
    case, found = golden_case(f"2018_{family}"), _bursts(family)
    return found, found.bursts[case.facts["probe"]["burst"] - 1], case.expected


@pytest.mark.parametrize("family", FAMILIES)
def test_grids_equal_the_originals(family: str) -> None:
    """Every gridded variable and weight of the profile matlab equals the original's."""
    assert_grids(_product(family), golden_case(f"2018_{family}"))


@pytest.mark.parametrize("family", FAMILIES)
def test_axes_equal_the_originals(family: str) -> None:
    """The axes of the grids are the original's."""
    expected, ds = golden_case(f"2018_{family}").expected, _product(family)
    compared = 0
    for axis in "xyz":
        for stem in ("grid", "grid_doppler_velocity", "grid_intensity", "grid_intensity_win"):
            if f"{stem}_{axis}" in expected:
                np.testing.assert_allclose(
                    ds[axis].values, expected[f"{stem}_{axis}"], rtol=1e-12, atol=1e-12
                )
                compared += 1
    assert compared >= 2


@pytest.mark.parametrize("family", FAMILIES)
def test_ranges_angles_and_sound_speed_equal_the_originals(family: str) -> None:
    """Slant ranges, beam angles and sound speed are the original's."""
    expected, ds = golden_case(f"2018_{family}").expected, _product(family)
    np.testing.assert_allclose(ds["beam_range"], expected["beam_range"], rtol=1e-12)
    np.testing.assert_allclose(ds["beam_angle"], expected["beam_angle"], rtol=1e-12)
    assert ds.attrs["sound_speed"] == expected["sound_speed_beamformer"]


@pytest.mark.parametrize("family", FAMILIES)
def test_bad_pings_are_the_originals(family: str) -> None:
    """A truncated .bin is a bad ping, a missing one is not, as the original lists them."""
    expected, ds = golden_case(f"2018_{family}").expected, _product(family)
    assert list(ds.attrs["bad_ping"]) == expected["bad_ping"].astype(int).tolist()


@pytest.mark.parametrize("family", BURST_FAMILIES)
def test_bursts_equal_the_originals(family: str) -> None:
    """The list of bursts is the original's."""
    expected, ds = golden_case(f"2018_{family}").expected, _product(family)
    for key in ("burst_pitch", "burst_npings", "burst_first_ping"):
        np.testing.assert_array_equal(ds[key].values, expected[key])


@pytest.mark.parametrize("family", BURST_FAMILIES)
def test_steps_of_a_ping_equal_the_originals(family: str) -> None:
    """Phase correction, filter and beams of the probed ping are the original's."""
    found, burst, expected = _probed(family)
    ping = golden_case(f"2018_{family}").facts["probe"]["ping_in_burst"] - 1
    channels, beams = (
        slice(None, None, int(expected["chan_step"])),
        slice(None, None, int(expected["beam_step"])),
    )
    assert_stage(burst.signals[ping].corrected[:, channels], expected["tap_phase_data"], "phase")
    assert_stage(burst.signals[ping].filtered[:, channels], expected["tap_filter_data"], "filter")
    assert_stage(burst.beams[ping][:, beams], expected["tap_beamform_bf_sig"], "beams")
    if "tap_calibrate_bf_sig" in expected:
        calibrated = found.scale.calibration.apply(burst.beams[ping])
        assert_stage(calibrated[:, beams], expected["tap_calibrate_bf_sig"], "calibration")


@pytest.mark.parametrize("family", BURST_FAMILIES)
def test_geometry_of_a_burst_equals_the_originals(family: str) -> None:
    """Attitude, ranges and beam angles of the probed burst are the original's."""
    found, burst, expected = _probed(family)
    for name in ("pitch", "roll", "yaw"):
        assert getattr(burst.attitude, name) == pytest.approx(float(expected[f"tap_geom_{name}"]), rel=1e-12)
    assert_stage(found.scale.ranges, expected["tap_geom_range"], "range")
    assert_stage(found.setup.beams.angles, expected["tap_geom_azim"], "azimuth")


def _statistics(beams: list[Complex]) -> PingStatistics:
    statistics = PingStatistics()
    for ping in beams:
        statistics.add(ping)
    return statistics


def test_imaging_burst_equals_the_originals() -> None:
    """Statistics, SNR, detections and masked values of the probed imaging burst are the original's."""
    found, burst, expected = _probed("imaging")
    parameters = found.program.parameters
    made = imaging.imaging_burst(
        _statistics(burst.beams),
        found.scale.calibration,
        parameters.noise.noise_floor,
        parameters.oscfar.percentile,
        parameters.oscfar.threshold,
    )
    beams = slice(None, None, int(expected["beam_step"]))
    levels = made.intensities
    stages = {
        "Kp": made.Kp,
        "average": made.average,
        "bf_sig_a": made.amplitude_a,
        "bf_sig_d": made.amplitude_d,
        "snr_a": levels.snr_a,
        "snr_d": levels.snr_d,
        "indexD_a": levels.detected_a,
        "indexD_d": levels.detected_d,
        "bf_sig_a_cal": made.calibrated_a,
        "bf_sig_d_cal": made.calibrated_d,
    }
    for name, got in stages.items():
        assert_stage(got.astype(complex)[:, beams], expected[f"tap_stats_{name}"].astype(complex), name)
    values = imaging.gridded_values(made, parameters.noise.snr_thresh, parameters.preset, corrected=False)
    for name, value in values.items():
        assert_stage(value[:, beams], expected[f"tap_burst_{name}"], name)
    for axis, got in zip("xyz", found.setup.world(found.scale.ranges, burst.attitude), strict=True):
        assert_stage(got[:, beams], expected[f"tap_burst_{axis}v"], axis)


def test_bathy_burst_equals_the_originals() -> None:
    """Clutter, detections and strength, raw and median filtered, of the probed burst are the original's."""
    found, burst, expected = _probed("bathy")
    parameters = found.program.parameters
    made = bathy.bathy_burst(
        _statistics(burst.beams).mean,
        found.scale.calibration,
        parameters.noise.noise_floor,
        parameters.noise.snr_thresh,
        parameters.oscfar.percentile,
        parameters.oscfar.threshold,
        parameters.bathy.median_window,
    )
    beams = slice(None, None, int(expected["beam_step"]))
    assert_stage(made.mean[:, beams], expected["tap_stats_bf_sig_m"], "mean")
    assert_stage(made.snr[:, beams], expected["tap_stats_snr_m"], "snr")
    np.testing.assert_array_equal(made.detected[:, beams], expected["tap_stats_indexD"] != 0)
    assert_stage(made.calibrated[:, beams], expected["tap_stats_bf_sig_m_cal"], "calibrated")
    assert_stage(made.strength[:, beams], expected["tap_burst_v"], "strength")
    assert_stage(made.smooth[:, beams], expected["tap_burst_v_filt"], "smooth")
    assert_stage(made.clutter, expected["tap_geom_clutter"], "clutter")


def test_bathy_points_equal_the_originals() -> None:
    """The seafloor point of every beam and burst is the original's."""
    expected, ds = golden_case("2018_bathy").expected, _product("bathy")
    for axis in "xyz":
        assert_stage(ds[f"point_{axis}"].values, expected[f"tap_points_{axis}b_out"], axis)


def test_doppler_burst_equals_the_originals() -> None:
    """Velocities and intensities of the probed burst, before and after masking, are the original's."""
    found, burst, expected = _probed("doppler")
    case = golden_case("2018_doppler")
    program = through(
        case, lambda sweep: doppler.DopplerProgram(sweep, _parameters(case, "doppler"), Context())
    )
    settings, thresh = program.settings, program.parameters.noise.snr_thresh
    statistics = VelocityStatistics(settings)
    for ping in burst.beams:
        statistics.add(found.scale.calibration.apply(ping))
    floor = np.full(burst.beams[0].shape, program.parameters.noise.noise_floor)
    made = statistics.burst(found.scale.calibration.apply(floor), complete=True)
    beams = slice(None, None, int(expected["beam_step"]))
    before = {
        "vr_cov": made.velocities.vr_cov,
        "vr_vel": made.velocities.vr_vel,
        "vr_std": made.velocities.vr_std,
        "covar": made.velocities.covar,
        "Ia2": made.windows.Ia,
        "Id2": made.windows.Id,
    }
    for name, got in before.items():
        assert_stage(got[:, beams], expected[f"tap_vel_{name}"], name)
    after = doppler.gridded_velocities(made.velocities, made.windows.snr_d, thresh, corrected=False)
    for name, value in after.items():
        original = "vr_std" if name == "std" else name
        assert_stage(value[:, beams], expected[f"tap_burst_{original}"], name)
    for intensities, suffix in ((made.samples, ""), (made.windows, "2")):
        for name, value in intensities.masked(thresh, 1e-9).items():
            assert_stage(value[:, beams], expected[f"tap_burst_{name}{suffix}"], name + suffix)
    rc = window_ranges(
        found.scale.ranges, lagged_bins(len(found.scale.ranges), settings.W, settings.O, settings.lag)
    )
    assert_stage(rc, expected["tap_geom_rc"], "rc")
    for ranges, suffix in ((found.scale.ranges, ""), (rc, "2")):
        for axis, got in zip("xyz", found.setup.world(ranges, burst.attitude), strict=True):
            assert_stage(got[:, beams], expected[f"tap_burst_{axis}v{suffix}"], axis + suffix)


def test_doppler_offsets_equal_the_originals() -> None:
    """The velocity offset of every ping, and over all of them, is the original's."""
    expected, ds = golden_case("2018_doppler").expected, _product("doppler")
    assert_stage(ds["velocity_offset"].values, expected["vr_offset"], "offsets")
    assert float(ds["velocity_offset_average"]) == pytest.approx(float(expected["vr_offset_ave"]), rel=1e-9)


@dataclass(frozen=True)
class _Diffuse:
    """The diffuse case, step by step."""

    setup: Setup
    scale: Scale
    window: diffuse.Window
    signals: dict[int, Signal]
    pings: dict[int, Complex]
    attitude: Attitude
    floor: Bathymetry


@cache
def _diffuse() -> _Diffuse:
    case = golden_case("2018_diffuse")
    parameters = _parameters(case, "diffuse")

    def consume(sweep: RawSweep) -> _Diffuse:
        setup = Setup.of(sweep, parameters, diffuse.CHANNELS, diffuse.RATE, decimates=False)
        window = diffuse.window_of(setup, sweep.table.time, np.arange(len(sweep.table)))
        wanted = frozenset(sweep.table.ping[window.rows].tolist())
        signals: dict[int, Signal] = {}
        reference: Complex | None = None
        for ping in sweep.pings(diffuse.CHANNELS, wanted):
            if ping.data is not None:
                reference = ping.data if reference is None else reference
                signals[sweep.table.row(ping.number)] = setup.signal(ping.data, reference)
        scale = setup.scale(len(next(iter(signals.values())).filtered), 0)
        pings = {
            row: scale.calibration.apply(setup.beams(signal.filtered)) for row, signal in signals.items()
        }
        floor = _ancillary(case).bathymetry(dt.datetime(2019, 8, 20, 12, 30, 2, tzinfo=dt.UTC))
        assert floor is not None
        return _Diffuse(setup, scale, window, signals, pings, setup.attitude(sweep.table, [0]), floor)

    return through(case, consume)


def test_diffuse_steps_of_a_ping_equal_the_originals() -> None:
    """Phase correction, filter, beams and calibration of the probed diffuse ping are the original's."""
    found, case = _diffuse(), golden_case("2018_diffuse")
    expected, row = case.expected, case.facts["probe"]["ping_row"] - 1
    channels, beams = (
        slice(None, None, int(expected["chan_step"])),
        slice(None, None, int(expected["beam_step"])),
    )
    signal = found.signals[row]
    assert_stage(signal.corrected[:, channels], expected["tap_phase_data1"], "phase")
    assert_stage(signal.filtered[:, channels], expected["tap_filter_data1"], "filter")
    assert_stage(found.setup.beams(signal.filtered)[:, beams], expected["tap_beamform_bf_sig1"], "beams")
    assert_stage(found.pings[row][:, beams], expected["tap_calibrate_bf_sig1"], "calibration")


def test_diffuse_window_and_pairs_equal_the_originals() -> None:
    """The averaging window and the pairs in it are the original's."""
    found, expected = _diffuse(), golden_case("2018_diffuse").expected
    np.testing.assert_array_equal(found.window.rows + 1, expected["tap_window_ii_ave"])
    assert len(found.window.rows) == expected["tap_window_nave"]
    pairs = np.array(found.window.pairs) + 1
    np.testing.assert_array_equal(pairs[:, 0], expected["tap_pairs_np"])
    np.testing.assert_array_equal(pairs[:, 1], expected["tap_pairs_np2"])


def test_diffuse_averages_equal_the_originals() -> None:
    """Scintillation, covariance and correlation, before and after masking, are the original's."""
    found, expected = _diffuse(), golden_case("2018_diffuse").expected
    window, parameters = found.window, found.setup.parameters
    taken = ScintillationWindow(window.pairs, len(window.rows), window.W, window.O, corrected=False)
    for row, ping in found.pings.items():
        taken.add(row, ping)
    floor = np.full(found.pings[0].shape, parameters.noise.noise_floor)
    made = taken.result(found.scale.calibration.apply(floor))
    masked = made.masked(parameters.noise.snr_thresh, intensity=False)
    first, second = window.pairs[0]
    cov, e1, e2 = hamming_covariance(found.pings[first], found.pings[second], window.W, window.O)
    stages = {
        "avg_I_av1": made.I_av1,
        "avg_X_var": made.X_var,
        "avg_J": made.J,
        "avg_SI": made.SI,
        "avg_Kp": made.Kp,
        "covar_cov": cov,
        "covar_E1": e1,
        "covar_E2": e2,
        "covar_I2": np.sqrt(e1 * e2),
        "decor_cor_av": made.cor,
        "decor_I_av2": made.I_av2,
        "decor_decor_I_av": made.decor,
        "decor_I_noise2": made.noise2,
        "masked_cor_av": masked.cor,
        "masked_decor_I_av": masked.decor,
        "masked_X_var": masked.X_var,
        "masked_Kp": masked.Kp,
        "masked_SI": masked.SI,
    }
    beams = slice(None, None, int(expected["beam_step"]))
    for name, got in stages.items():
        assert_stage(got[:, beams], expected[f"tap_{name}"], name)
    # ln(1/J) loses digits where J is close to 1.
    for name, got in (("avg", made.sig_phi2), ("masked", masked.sig_phi2)):
        assert_stage(got[:, beams], expected[f"tap_{name}_sig_phi2"], "sig_phi2", absolute=1e-12)


def test_diffuse_positions_equal_the_originals() -> None:
    """Attitude, ranges and seafloor positions of samples and range windows are the original's."""
    found, expected = _diffuse(), golden_case("2018_diffuse").expected
    for name in ("pitch", "roll", "yaw"):
        assert getattr(found.attitude, name) == pytest.approx(float(expected[f"tap_geom_{name}"]), rel=1e-12)
    ranges = found.scale.ranges
    rc = window_ranges(ranges, complete_bins(len(ranges), found.window.W, found.window.O))
    assert_stage(ranges, expected["tap_geom_range"], "range")
    assert_stage(rc, expected["tap_geom_rc"], "rc")
    assert_stage(found.setup.beams.angles, expected["tap_geom_azim"], "azimuth")
    (x1, y1), (x2, y2) = diffuse.seafloor_positions(found.setup, ranges, rc, found.attitude, found.floor)
    beams = slice(None, None, int(expected["beam_step"]))
    for name, got in (("x_out1", x1), ("y_out1", y1), ("x_out2", x2), ("y_out2", y2)):
        assert_stage(got[:, beams], expected[f"tap_coords_{name}"], name)


def test_streamed_and_unpacked_runs_give_the_same_bits(tmp_path: Path) -> None:
    """An unpacked run, read in another order, gives bit for bit the product of the stream."""
    case = golden_case("2018_imaging")
    with tarfile.open(case.archive) as archive:
        archive.extractall(tmp_path, filter="data")
    source = ArchiveSource(fsspec.filesystem("file"), str(tmp_path / case.run.basename))
    parameters = _parameters(case, "imaging")
    ds = with_sweep(source, case.run.basename, lambda sweep: imaging.process(sweep, parameters, Context()))
    xr.testing.assert_identical(ds, _product("imaging"))


def test_missing_and_bad_pings_are_told_apart() -> None:
    """A ping without .bin is missing, one cut off is bad; neither is used."""
    attributes = _product("imaging").attrs
    assert list(attributes["bad_ping"]) == [21]
    assert list(attributes["missing_ping"]) == [7]
    assert attributes["pings_used"] == attributes["pings_total"] - 2
