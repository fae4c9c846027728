"""2018+: grids, weights and intermediates equal those of the original programs.

See docs/method.md#known-answers.
"""

import datetime as dt
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr

from covis_dask.modes.ashes import bathy, diffuse, doppler, imaging
from covis_dask.modes.context import Context
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import with_sweep
from tests.golden._ashes import average_taps, burst_taps, pair_taps, position_taps
from tests.golden._compare import (
    assert_grids,
    assert_stage,
    assert_taps,
    golden_case,
    parameters_of,
    seafloor,
    through,
)

pytestmark = pytest.mark.golden

FAMILIES = ("imaging", "diffuse", "bathy", "doppler")
PROGRAMS = {"imaging": imaging, "diffuse": diffuse, "bathy": bathy, "doppler": doppler}
BURST_FAMILIES = ("imaging", "bathy", "doppler")


@cache
def _product(family: str) -> xr.Dataset:
    case = golden_case(f"2018_{family}")
    context = Context(ancillary=seafloor()) if family == "diffuse" else Context()
    program: Callable[..., xr.Dataset] = PROGRAMS[family].process
    return through(case, lambda sweep: program(sweep, parameters_of(case), context))


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
@pytest.mark.parametrize("step", ["tap_phase", "tap_filter", "tap_beamform"])
def test_steps_of_a_ping_equal_the_originals(family: str, step: str) -> None:
    """Phase correction, filter and beams of the probed ping are the original's."""
    case = golden_case(f"2018_{family}")
    assert_taps(burst_taps(case), case, step)


@pytest.mark.parametrize("family", BURST_FAMILIES)
def test_geometry_of_a_burst_equals_the_originals(family: str) -> None:
    """Attitude, ranges, beam angles and clutter of the probed burst are the original's."""
    case = golden_case(f"2018_{family}")
    assert_taps(burst_taps(case), case, "tap_geom")


def test_imaging_burst_equals_the_originals() -> None:
    """Statistics, SNR, detections, masked values and positions of the probed burst are the original's."""
    case = golden_case("2018_imaging")
    assert_taps(burst_taps(case), case, "tap_stats")
    assert_taps(burst_taps(case), case, "tap_burst")


def test_bathy_burst_equals_the_originals() -> None:
    """Detections and strength, raw and median filtered, of the probed burst are the original's."""
    case = golden_case("2018_bathy")
    assert_taps(burst_taps(case), case, "tap_stats")
    assert_taps(burst_taps(case), case, "tap_burst")


def test_bathy_points_equal_the_originals() -> None:
    """The seafloor point of every beam and burst is the original's."""
    expected, ds = golden_case("2018_bathy").expected, _product("bathy")
    for axis in "xyz":
        assert_stage(ds[f"point_{axis}"].values, expected[f"tap_points_{axis}b_out"], axis)


def test_doppler_burst_equals_the_originals() -> None:
    """Calibrated beams, velocities and intensities, before and after masking, are the original's."""
    case = golden_case("2018_doppler")
    for step in ("tap_calibrate", "tap_vel", "tap_burst"):
        assert_taps(burst_taps(case), case, step)


def test_doppler_offsets_equal_the_originals() -> None:
    """The velocity offset of every ping, and over all of them, is the original's."""
    expected, ds = golden_case("2018_doppler").expected, _product("doppler")
    assert_stage(ds["velocity_offset"].values, expected["vr_offset"], "offsets")
    assert float(ds["velocity_offset_average"]) == pytest.approx(float(expected["vr_offset_ave"]), rel=1e-9)


@pytest.mark.parametrize("step", ["tap_phase", "tap_filter", "tap_beamform", "tap_calibrate"])
def test_diffuse_steps_of_a_ping_equal_the_originals(step: str) -> None:
    """Phase correction, filter, beams and calibration of the probed diffuse ping are the original's."""
    case = golden_case("2018_diffuse")
    assert_taps(pair_taps(case), case, step)


def test_diffuse_window_and_pairs_equal_the_originals() -> None:
    """The averaging window and the pairs in it are the original's."""
    case = golden_case("2018_diffuse")
    assert_taps(pair_taps(case), case, "tap_window")
    assert_taps(pair_taps(case), case, "tap_pairs")


@pytest.mark.parametrize("step", ["tap_avg", "tap_decor", "tap_masked"])
def test_diffuse_averages_equal_the_originals(step: str) -> None:
    """Scintillation and correlation, before and after masking, are the original's."""
    case = golden_case("2018_diffuse")
    assert_taps(average_taps(case), case, step)


def test_diffuse_pair_equals_the_originals() -> None:
    """The windowed covariance of the first pair is the original's."""
    case = golden_case("2018_diffuse")
    assert_taps(pair_taps(case), case, "tap_covar")


def test_diffuse_positions_equal_the_originals() -> None:
    """Attitude, ranges and seafloor positions of samples and range windows are the original's."""
    case = golden_case("2018_diffuse")
    assert_taps(pair_taps(case), case, "tap_geom")
    floor = seafloor().bathymetry(dt.datetime(2019, 8, 20, 12, 30, 2, tzinfo=dt.UTC))
    assert floor is not None
    assert_taps(position_taps(case, floor), case, "tap_coords")


def test_streamed_and_unpacked_runs_give_the_same_bits(tmp_path: Path) -> None:
    """An unpacked run, read in another order, gives bit for bit the product of the stream."""
    case = golden_case("2018_imaging")
    with tarfile.open(case.archive) as archive:
        archive.extractall(tmp_path, filter="data")
    source = ArchiveSource(fsspec.filesystem("file"), str(tmp_path / case.run.basename))
    parameters = parameters_of(case)
    ds = with_sweep(source, case.run.basename, lambda sweep: imaging.process(sweep, parameters, Context()))
    xr.testing.assert_identical(ds, _product("imaging"))


def test_missing_and_bad_pings_are_told_apart() -> None:
    """A ping without .bin is missing, one cut off is bad; neither is used."""
    attributes = _product("imaging").attrs
    assert list(attributes["bad_ping"]) == [21]
    assert list(attributes["missing_ping"]) == [7]
    assert attributes["pings_used"] == attributes["pings_total"] - 2
