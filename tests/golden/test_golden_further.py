"""Release 3.2 of the 2018+ programs, and 2010-15 runs whose head turns within a burst."""

from functools import cache

import numpy as np
import pytest
import xarray as xr

from tests.golden._compare import (
    assert_axes_beams_and_bursts,
    assert_grids,
    assert_stage,
    golden_case,
    process,
    through,
)

pytestmark = pytest.mark.golden

PP3 = ("pp3_imaging", "pp3_diffuse", "pp3_doppler", "pp3_fullrange")
TURNING = ("2010_imaging_e", "2010_doppler_e")


@cache
def _product(name: str) -> xr.Dataset:
    return process(golden_case(name))


@pytest.mark.parametrize("name", [*PP3, *TURNING])
def test_grids_equal_the_originals(name: str) -> None:
    """Every gridded variable and weight of the profile matlab equals the original's."""
    assert_grids(_product(name), golden_case(name))


@pytest.mark.parametrize("name", [*PP3, *TURNING])
def test_axes_beams_and_bursts_equal_the_originals(name: str) -> None:
    """Axes of the grids, ranges, beam angles, sound speed and the list of bursts are the original's."""
    assert_axes_beams_and_bursts(_product(name), golden_case(name))


@pytest.mark.parametrize("name", PP3)
def test_bad_pings_are_the_originals(name: str) -> None:
    """A .bin that ends after its header is a bad ping, one that is not there is missing."""
    case, attributes = golden_case(name), _product(name).attrs
    assert list(attributes["bad_ping"]) == case.expected["bad_ping"].astype(int).tolist()
    faults = [fault.split(":") for fault in case.facts["faults"]]
    missing = [int(number) for kind, number in faults if kind == "missing_bin"]
    assert list(attributes["missing_ping"]) == missing


def test_pp3_doppler_offsets_equal_the_originals() -> None:
    """The velocity offset of every ping, and over all of them, is the original's."""
    expected, ds = golden_case("pp3_doppler").expected, _product("pp3_doppler")
    assert_stage(ds["velocity_offset"].values, expected["vr_offset"], "offsets")
    assert float(ds["velocity_offset_average"]) == pytest.approx(float(expected["vr_offset_ave"]), rel=1e-9)


def test_2010_doppler_carries_the_clock_offset() -> None:
    """The covariance of the monitor channel is the original's."""
    want, ds = complex(golden_case("2010_doppler_e").expected["offset_covar"]), _product("2010_doppler_e")
    got = complex(ds["offset_covariance_real"] + 1j * ds["offset_covariance_imag"])
    assert abs(got - want) <= 1e-9 * abs(want)


@pytest.mark.parametrize("name", TURNING)
def test_the_head_turns_within_these_bursts(name: str) -> None:
    """In every burst gridded, no two pings have the same roll or heading: which one counts is seen."""
    case = golden_case(name)
    table = through(case, lambda sweep: sweep.table)
    used = _product(name)["burst_used"].values == 1
    starts, counts = (case.expected[key].astype(int)[used] for key in ("burst_start", "burst_npings"))
    assert len(starts) >= 2
    for start, count in zip(starts - 1, counts, strict=True):
        for angle in (table.sensor_roll, table.sensor_heading):
            assert len(np.unique(angle[start : start + count])) == count
