"""The compact golden set, which every checkout has: the numbers of the original programs (README.md)."""

from functools import cache

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from tests.golden import _ashes, _endeavour
from tests.golden._compare import (
    COMPACT,
    Case,
    Taps,
    assert_axes_beams_and_bursts,
    assert_cells,
    assert_stage,
    assert_taps,
    compact_case,
    golden_case,
    process,
    through,
)

pytestmark = pytest.mark.golden

PROBED = ("2010_imaging", "2010_doppler", "2018_imaging", "2018_bathy", "2018_doppler")
FURTHER = ("2010_imaging_e", "2010_doppler_e", "pp3_imaging", "pp3_doppler", "pp3_fullrange")
BURST_CASES = (*PROBED, *FURTHER)
CASES = (*BURST_CASES, "2010_diffuse", "2018_diffuse")
GRIDDED = tuple(name for name in BURST_CASES if compact_case(name).facts["kept"]["gridded"])
_MOST_BYTES = 6_000_000


def _taps(name: str) -> Taps:
    case = compact_case(name)
    if case.family == "diffuse":
        return _endeavour.pair_taps(case) if case.run.site == "Endeavour" else _ashes.pair_taps(case)
    return _endeavour.burst_taps(case) if case.run.site == "Endeavour" else _ashes.burst_taps(case)


@cache
def _product(name: str) -> xr.Dataset:
    return process(compact_case(name))


def _probed(*steps: str) -> list[tuple[str, str]]:
    """Return the cases, each with the steps of which its expected.npz has arrays."""
    return [
        (name, step)
        for name in CASES
        for step in steps
        if any(key.startswith(step) for key in compact_case(name).expected)
    ]


@pytest.mark.parametrize(
    ("name", "step"), _probed("tap_phase", "tap_filter", "tap_beamform", "tap_calibrate")
)
def test_steps_of_a_ping_equal_the_originals(name: str, step: str) -> None:
    """Phase correction, filter, beams and calibration of the probed ping equal the original's."""
    assert_taps(_taps(name), compact_case(name), step)


@pytest.mark.parametrize(
    ("name", "step"),
    _probed("tap_geom", "tap_stats", "tap_burst", "tap_vel", "tap_co", "tap_window", "tap_pairs"),
)
def test_probed_burst_or_pair_equals_the_originals(name: str, step: str) -> None:
    """Attitude, ranges, angles, statistics, velocities, correlations, positions equal the original's."""
    assert_taps(_taps(name), compact_case(name), step)


@pytest.mark.parametrize("name", GRIDDED)
def test_cells_of_the_product_equal_the_originals(name: str) -> None:
    """From the archive to the product: cells that only the probed burst reaches equal the original's."""
    assert_cells(_product(name), compact_case(name))


@pytest.mark.parametrize("name", BURST_CASES)
def test_axes_beams_and_bursts_equal_the_originals(name: str) -> None:
    """Axes of the grids, ranges, beam angles, sound speed and the list of bursts are the original's."""
    case, ds = compact_case(name), _product(name)
    kept = case.facts["kept"]["samples"]
    assert next(size for axis, size in ds.sizes.items() if "sample" in str(axis)) in (kept, -(-kept // 4))
    assert_axes_beams_and_bursts(ds, case)


@pytest.mark.parametrize("axis", "xyz")
def test_bathy_points_equal_the_originals(axis: str) -> None:
    """The seafloor point of every beam of the probed burst is the original's."""
    case = compact_case("2018_bathy")
    got = _product("2018_bathy")[f"point_{axis}"].values[:, case.probed_burst]
    assert_stage(got, case.expected[f"tap_points_{axis}b_out"][:, 0], axis)


@pytest.mark.parametrize("name", ["2018_doppler", "pp3_doppler"])
def test_doppler_offsets_equal_the_originals(name: str) -> None:
    """The velocity offset of every ping of the burst kept is the original's."""
    case = compact_case(name)
    cut = tuple(slice(*part) for part in case.facts["slices"]["vr_offset"])
    assert_stage(_product(name)["velocity_offset"].values[cut], case.expected["vr_offset"], "offsets")


@pytest.mark.parametrize("name", CASES)
def test_numbers_and_samples_are_those_of_the_full_set(name: str) -> None:
    """Samples are the first of the full run's, bit for bit, and expected numbers are the full set's."""
    full, compact = golden_case(name), compact_case(name)
    slices = compact.facts["slices"]
    for key, want in compact.expected.items():
        if not key.startswith("grid_"):
            cut = tuple(slice(*part) for part in slices.get(key, ()))
            np.testing.assert_array_equal(full.expected[key][cut], want, err_msg=key)
    if compact.facts["kept"]["gridded"]:
        whole = dict(full.fields())
        for field, index, want in compact.cells():
            np.testing.assert_array_equal(whole[field].reshape(-1)[index], want, err_msg=field)
    kept = frozenset(compact.facts["kept"]["pings"])
    long, short = (_samples(case, kept) for case in (full, compact))
    assert long.keys() == short.keys() == kept
    for number, samples in short.items():
        np.testing.assert_array_equal(samples, long[number][: len(samples)])


def _samples(case: Case, wanted: frozenset[int]) -> dict[int, NDArray[np.complex128]]:
    channels = 128 if case.family == "diffuse" else 256
    return through(
        case,
        lambda sweep: {
            ping.number: ping.data for ping in sweep.pings(channels, wanted) if ping.data is not None
        },
    )


def test_the_set_is_small() -> None:
    """The compact set is at most 6 MB, so that it may travel with the code."""
    assert sum(path.stat().st_size for path in COMPACT.rglob("*") if path.is_file()) <= _MOST_BYTES
