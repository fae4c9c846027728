"""2010-15: grids, weights and intermediates equal those of the original program.

See docs/method.md#known-answers.
"""

from functools import cache

import numpy as np
import pytest
import xarray as xr

from tests.golden._compare import assert_grids, assert_taps, golden_case, process
from tests.golden._endeavour import average_taps, burst_taps, pair_taps

pytestmark = pytest.mark.golden

FAMILIES = ("imaging", "diffuse", "doppler")
BURST_FAMILIES = ("imaging", "doppler")


@cache
def _product(family: str) -> xr.Dataset:
    return process(golden_case(f"2010_{family}"))


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


@pytest.mark.parametrize("family", BURST_FAMILIES)
def test_bursts_equal_the_originals(family: str) -> None:
    """The list of bursts is the original's, without the last one."""
    expected, ds = golden_case(f"2010_{family}").expected, _product(family)
    for key in ("burst_elev", "burst_npings", "burst_start"):
        found = next(v for v in ds.variables.values() if v.attrs.get("original_name") == key)
        np.testing.assert_array_equal(found.values, expected[key])


def test_doppler_carries_the_clock_offset() -> None:
    """Covariance of the monitor channel and apparent velocity are the original's.

    See docs/method.md#doppler-2010-15.
    """
    expected, ds = golden_case("2010_doppler").expected, _product("doppler")
    want = complex(expected["offset_covar"])
    got = complex(ds["offset_covariance_real"] + 1j * ds["offset_covariance_imag"])
    assert abs(got - want) <= 1e-9 * abs(want)
    scale = 100 * 1480.0 * 34482.758 / (4 * np.pi * 396000.0) / 8
    assert ds["offset_velocity"] == pytest.approx(scale * np.angle(want), rel=1e-9)


@pytest.mark.parametrize("family", BURST_FAMILIES)
@pytest.mark.parametrize("step", ["tap_phase", "tap_filter", "tap_beamform", "tap_calibrate"])
def test_chain_equals_the_original_step_by_step(family: str, step: str) -> None:
    """Phase correction, filter, beams and calibration of the probed ping equal the original's."""
    case = golden_case(f"2010_{family}")
    assert_taps(burst_taps(case), case, step)


@pytest.mark.parametrize("family", BURST_FAMILIES)
def test_burst_equals_the_originals(family: str) -> None:
    """Attitude, positions, backscatter and velocities of the probed burst equal the original's."""
    case = golden_case(f"2010_{family}")
    assert_taps(burst_taps(case), case, "tap_geom", "tap_vel", "tap_burst")


@pytest.mark.parametrize("step", ["tap_phase", "tap_beamform", "tap_calibrate", "tap_filter", "tap_cor_"])
def test_diffuse_pair_equals_the_originals(step: str) -> None:
    """Beams, calibration, filter and correlation of the probed pair equal the original's."""
    case = golden_case("2010_diffuse")
    assert_taps(pair_taps(case), case, step)


def test_diffuse_averages_and_positions_equal_the_originals() -> None:
    """Averages over the pairs, windows, and their positions on the seafloor equal the original's."""
    case = golden_case("2010_diffuse")
    assert_taps(average_taps(case), case, "tap_avg")
    assert_taps(pair_taps(case), case, "tap_geom", "tap_coords")
