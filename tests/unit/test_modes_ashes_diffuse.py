"""Diffuse flow, 2018+: known answers (docs/method.md#known-answers), and the quirks in both profiles."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr

from covis_dask.errors import ConfigurationError, NoValidPings
from covis_dask.modes.ashes import diffuse
from covis_dask.modes.ashes._maps import MapGrids
from covis_dask.modes.ashes._scintillation import Scintillation, ScintillationWindow, find_pairs
from covis_dask.modes.ashes._setup import SonarSetup
from covis_dask.modes.context import Bathymetry, Context
from covis_dask.modes.parameters import GridSpec
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.geometry import HeadAttitude
from covis_dask.sonar.windows import complete_bins, window_ranges
from tests.unit._ashes import FS, PROFILES, C, Row, decoded, fake, header, named, parameters

N = 560
MAP = GridSpec("any", -12.0, 12.0, -12.0, 12.0, 0.5, 0.5)
HEADER = header(xmit_freq=200000.0, max_ping_rate=5.0, power_sel=200.0)
W, O = 34, 17  # noqa: E741


def _ping(seed: int = 0, level: float = 3e4) -> Complex:
    """Return element data [N, 128] of a rough seafloor, and of a transmission."""
    random = np.random.default_rng(seed)
    ping = np.zeros((N, 128), np.complex128)
    ping[120:] = level * (
        random.standard_normal((N - 120, 128)) + 1j * random.standard_normal((N - 120, 128))
    )
    ping[:90, [9, -1]] = 1e5
    return ping


def _rows(pings: int, pitch: float = -20.0) -> list[Row]:
    """Make rows 0.2 s apart."""
    return [Row(n, pitch=pitch, time=1.5e9 + 0.2 * (n - 1)) for n in range(1, pings + 1)]


def _process(
    data: Mapping[int, Complex | str],
    profile: str,
    preset: str = "PP2",
    rows: list[Row] | None = None,
    context: Context | None = None,
    **overrides: Any,
) -> xr.Dataset:
    sweep = fake(_rows(max(data)) if rows is None else rows, data, common=HEADER)
    chosen = parameters("diffuse", profile, preset, MAP, **overrides)
    return diffuse.process(sweep, chosen, Context() if context is None else context)


def _ranges() -> Real:
    ranges: Real = np.arange(1, N + 1, dtype=np.float64) * (C / (2 * FS))
    return ranges


def _setup(profile: str, preset: str = "PP2") -> SonarSetup:
    sweep = fake(_rows(2), {}, common=HEADER)
    chosen = parameters("diffuse", profile, preset, MAP)
    return SonarSetup.of(sweep, chosen, 128, 34482, decimates=False)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_still_seafloor_shows_no_change(profile: str) -> None:
    """7.3.20: equal pings have no decorrelation, no scintillation and no phase variance, only intensity."""
    ds = _process(dict.fromkeys(range(1, 21), _ping()), profile)
    for original in ("decorrelation", "chi_var", "si", "sig_phi2", "kp"):
        values = named(ds, f"{original}_v").values
        assert np.isfinite(values).sum() > 50
        np.testing.assert_allclose(values[np.isfinite(values)], 0, atol=1e-9)
    intensity = named(ds, "intensity_v").values
    assert (intensity[np.isfinite(intensity)] > 0).all()
    assert ds.attrs["window_pings"] == 20
    assert ds.attrs["window_pairs"] == 10


AS_ORIGINAL = {"valid_ping_count": False, "whole_pairs": False}


def test_an_incoherent_seafloor_is_that_of_noise() -> None:
    """7.3.19, 7.3.20: independent Gaussian pings have SI 1, J 1/P and hardly any correlation."""
    random = np.random.default_rng(3)
    pings = 60
    window = ScintillationWindow(
        [(n, n + 1) for n in range(0, pings, 2)], pings, W, O, valid_ping_count=False, whole_pairs=False
    )
    for n in range(pings):
        window.add(n, random.standard_normal((170, 128)) + 1j * random.standard_normal((170, 128)))
    made = window.result(np.full((170, 128), 1e-3))
    assert np.mean(made.J) == pytest.approx(1 / pings, rel=0.05)
    assert np.mean(made.SI) == pytest.approx(1, abs=0.06)
    assert np.mean(made.Kp) == pytest.approx(4 / np.pi - 1, rel=0.03)
    assert np.mean(made.cor) < 0.1


def test_phase_jitter_between_partners_decorrelates() -> None:
    """7.3.20: partners whose phases differ by a Gaussian jitter of variance s^2 correlate by exp(-s^2/2)."""
    random = np.random.default_rng(4)
    spread, pairs = 0.8, 400
    window = ScintillationWindow(
        [(2 * n, 2 * n + 1) for n in range(pairs)], 2 * pairs, W, O, valid_ping_count=False, whole_pairs=False
    )
    base = random.standard_normal((70, 4)) + 1j * random.standard_normal((70, 4))
    for n in range(pairs):
        window.add(2 * n, base)
        window.add(2 * n + 1, base * np.exp(1j * spread * random.standard_normal()))
    made = window.result(np.full((70, 4), 1e-3))
    np.testing.assert_allclose(made.cor, np.exp(-(spread**2) / 2), atol=0.05)


@pytest.mark.parametrize("profile", PROFILES)
def test_q16_scintillation_index_with_a_missing_ping(profile: str) -> None:
    """Q16: the factor of SI counts missing pings in matlab, so equal pings scintillate; not in corrected."""
    window = ScintillationWindow([], 5, W, O, valid_ping_count=profile == "corrected", whole_pairs=False)
    for place in (0, 1, 3, 4):
        window.add(place, np.ones((70, 4), np.complex128))
    made = window.result(np.full((70, 4), 1e-3))
    np.testing.assert_allclose(made.SI, 5 / 4 - 1 if profile == "matlab" else 0, atol=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
def test_q17_the_energy_of_a_ping_without_partner(profile: str) -> None:
    """Q17: in matlab a ping without partner adds to the energy only, which lowers the correlation."""
    window = ScintillationWindow(
        [(0, 1), (2, 3)], 4, W, O, valid_ping_count=False, whole_pairs=profile == "corrected"
    )
    for place in (0, 1, 2):
        window.add(place, np.ones((70, 4), np.complex128))
    made = window.result(np.full((70, 4), 1e-3))
    np.testing.assert_allclose(made.cor, np.sqrt(0.5) if profile == "matlab" else 1, rtol=1e-12)
    np.testing.assert_allclose(made.I_av2, 1, rtol=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
def test_q18_the_mask_of_the_intensity_map(profile: str) -> None:
    """Q18: the intensity map has no SNR mask in matlab, and one in corrected unless it is switched off."""
    data = dict.fromkeys(range(1, 21), _ping(level=20.0))
    default, unmasked = _process(data, profile), _process(data, profile, noise__mask_intensity=False)
    count = [
        int(np.isfinite(named(ds, original).values).sum())
        for ds, original in ((default, "intensity_v"), (unmasked, "intensity_v"), (default, "kp_v"))
    ]
    assert count[1] > count[2]
    assert count[0] == (count[1] if profile == "matlab" else count[2])


@pytest.mark.parametrize(("profile", "pairs"), [("matlab", 1), ("corrected", 11)])
def test_q27_the_lag_of_pp3(profile: str, pairs: int) -> None:
    """Q27: PP3's lag is as long as its window, so one pair or two are left; in corrected it is 2 s."""
    ds = _process(dict.fromkeys(range(1, 31), _ping()), profile, "PP3")
    assert ds.attrs["window_pings"] == 21
    # The reach of 0.2 s lets the ping before the exact one be a partner too.
    assert pairs <= ds.attrs["window_pairs"] <= pairs + 1


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("preset", ["PP2", "PP3", "PPX"])
def test_q57_no_ping_finds_a_partner(profile: str, preset: str) -> None:
    """Q57: a run too short for the lag fails with a sentence."""
    with pytest.raises(NoValidPings, match=r"no ping has a partner . s later"):
        _process(dict.fromkeys(range(1, 6), _ping()), profile, preset)


def test_q57_a_partner_that_is_bad_is_none_in_corrected() -> None:
    """Q57, Q17: where all partners are bad, matlab maps what is left, corrected fails the run."""
    data: dict[int, Complex | str] = dict.fromkeys(range(1, 11), _ping())
    data |= dict.fromkeys(range(11, 22), "empty")
    ds = _process(data, "matlab")
    assert np.isnan(named(ds, "decorrelation_v").values).all()
    assert np.isfinite(named(ds, "kp_v").values).any()
    with pytest.raises(NoValidPings, match="partner"):
        _process(data, "corrected")


def test_partners_are_the_nearest_within_reach() -> None:
    """4.3 item 8: a partner is nearest to the lag, the first of equals, and nearer than one ping period."""
    times = np.array([0.0, 0.5, 1.9, 2.1, 2.6, 3.2])
    assert find_pairs(times, 2.0, 5.0) == [(0, 2), (1, 4)]
    assert find_pairs(times, 2.0, 1.0)[2] == (2, 5)
    assert find_pairs(times, 9.0, 5.0) == []
    assert find_pairs(times, 2.0, 0.0)[-1] == (5, 5)  # a rate of 0 sets no limit


def test_a_partner_one_ping_period_away_is_none() -> None:
    """4.3 item 8: a distance from the lag of exactly one ping period is too much, a little less is not."""
    assert find_pairs(np.array([0.0, 1.75]), 2.0, 4.0) == []
    assert find_pairs(np.array([0.0, 2.25]), 2.0, 4.0) == []
    assert find_pairs(np.array([0.0, 2.25]), 2.0, np.nextafter(4.0, 0.0)) == [(0, 1)]
    # Of two that are as near, the first.
    assert find_pairs(np.array([0.0, 1.75, 2.25]), 2.0, 2.0)[0] == (0, 1)


@pytest.mark.parametrize("profile", PROFILES)
def test_only_the_window_is_decoded(profile: str) -> None:
    """4.3 item 5: pings after the first 4 s leave no trace but in the list of bad pings."""
    data: dict[int, Complex | str] = dict.fromkeys(range(1, 31), _ping())
    data[25], data[27] = "cut off", _ping(seed=9)
    sweep = fake(_rows(30), data, common=HEADER)
    ds = diffuse.process(sweep, parameters("diffuse", profile, "PP2", MAP), Context())
    assert decoded(sweep) == list(range(1, 22))
    assert list(ds.attrs["bad_ping"]) == [25]
    assert ds.attrs["pings_used"] == 21
    want = _process(dict.fromkeys(range(1, 22), _ping()), profile)
    for original in ("intensity_v", "decorrelation_v", "kp_v"):
        np.testing.assert_array_equal(named(ds, original).values, named(want, original).values)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_window_without_valid_pings_fails(profile: str) -> None:
    """4.0.2: a run whose first 4 s hold no good ping fails, however good the others are."""
    data: dict[int, Complex | str] = dict.fromkeys(range(22, 41), _ping())
    with pytest.raises(NoValidPings, match="no valid ping in the first 4 s"):
        _process(data, profile, rows=_rows(40))


def test_a_ping_that_fails_after_reading_is_only_skipped() -> None:
    """4.0.2 item 5: in diffuse mode such a ping is not listed as bad."""
    short = _ping()[:60]
    with pytest.raises(NoValidPings):
        _process(dict.fromkeys(range(1, 12), short), "matlab")


@pytest.mark.parametrize("profile", PROFILES)
def test_without_bathymetry_the_seafloor_is_flat(profile: str) -> None:
    """No ancillary data: log and attributes say that a flat seafloor is assumed."""
    lines: list[str] = []
    context = Context(log=lines.append)
    ds = _process(dict.fromkeys(range(1, 21), _ping()), profile, context=context)
    assert ds.attrs["seafloor"] == "flat seafloor assumed"
    assert any("flat seafloor assumed" in line for line in lines)
    assert "bathymetry" not in ds


@dataclass
class _Shelf:
    """Ancillary data: a seafloor at one height, seen at a date."""

    height: float
    asked: list[dt.datetime]

    def bathymetry(self, when: dt.datetime) -> Bathymetry | None:
        self.asked.append(when)
        axis = np.linspace(-20.0, 20.0, 81)
        return Bathymetry(axis, axis, np.full((81, 81), self.height), "shelf.nc")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_seafloor_comes_from_ancillary_data(profile: str) -> None:
    """4.3 item 2: the grid valid at the run's start is used, named, and kept beside the maps."""
    shelf = _Shelf(0.0, [])
    data = dict.fromkeys(range(1, 21), _ping())
    ds = _process(data, profile, context=Context(ancillary=shelf))
    assert shelf.asked == [dt.datetime(2019, 8, 20, 12, 0, 1, tzinfo=dt.UTC)]
    assert ds.attrs["seafloor"] == "shelf.nc"
    assert (ds["bathymetry"] == 0).all()
    flat = _process(data, profile)
    for original in ("intensity_v", "decorrelation_v"):
        np.testing.assert_allclose(named(ds, original).values, named(flat, original).values, rtol=1e-9)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("preset", ["PP2", "PPX"])
def test_positions_on_a_flat_seafloor(profile: str, preset: str) -> None:
    """7.3.21: range r lies at the radius sqrt(r^2 - 4.2^2), within 0.25 m, in the beam's heading."""
    setup = _setup(profile, preset)
    ranges = _ranges()
    rc = window_ranges(ranges, complete_bins(N, W, O))
    for pitch, nearest in ((0.0, 6.2), (-20.0, 4.7)):
        attitude = HeadAttitude(0.0, 0.0, np.radians(pitch), 279.0, 16.0)
        (x, y), (xw, _) = diffuse.seafloor_positions(
            setup, ranges, rc, attitude, diffuse.flat_seafloor(0.0, 30.0)
        )
        middle = 63
        known = np.isfinite(x[:, middle])
        assert ranges[known].min() == pytest.approx(nearest, abs=0.3)
        radius = np.hypot(x[known, middle], y[known, middle])
        want = np.sqrt(np.maximum(ranges[known] ** 2 - 4.2**2, 0))
        assert np.abs(radius - want)[ranges[known] > nearest + 0.3].max() < 0.25
        heading = np.degrees(np.arctan2(x[known, middle], y[known, middle]))
        np.testing.assert_allclose(heading, -65 - 64 / 127, atol=0.6)
        assert np.isfinite(xw).any()


def test_ppx_takes_narrower_ranges_for_samples() -> None:
    """4.3: PPX averages positions over half a sample, PP2 and PP3 over half a range window."""
    ranges = _ranges()
    rc = window_ranges(ranges, complete_bins(N, W, O))
    attitude = HeadAttitude(0.0, 0.0, np.radians(-20), 279.0, 16.0)
    known = {}
    for preset in ("PP2", "PP3", "PPX"):
        (x, _), _ = diffuse.seafloor_positions(
            _setup("matlab", preset), ranges, rc, attitude, diffuse.flat_seafloor(0.0, 30.0)
        )
        known[preset] = int(np.isfinite(x).sum())
    assert known["PP2"] == known["PP3"] > known["PPX"]


def test_a_mask_lets_pass_only_what_lies_above() -> None:
    """4.3 item 10: what is not above the threshold is NaN, also where the SNR is NaN; intensity by choice."""
    row = np.array([[1.0, 2.0, 3.0]])
    snr = np.array([[45.0, 46.0, np.nan]])
    window = np.ones((2, 3))
    made = Scintillation(
        row, row, row, row, row, row, window, window, window, snr, np.full((2, 3), 50.0), window
    )
    masked = made.masked(45, intensity=False)
    for values in (masked.X_var, masked.SI, masked.Kp, masked.sig_phi2):
        np.testing.assert_array_equal(values, [[np.nan, 2, np.nan]])
    np.testing.assert_array_equal(masked.I_av1, row)
    np.testing.assert_array_equal(masked.cor, window)
    np.testing.assert_array_equal(made.masked(45, intensity=True).I_av1, [[np.nan, 2, np.nan]])


@pytest.mark.parametrize("profile", PROFILES)
def test_q2_corners_of_a_map(profile: str) -> None:
    """Q1, Q2, 3.11: one sample: off-diagonal weights exchanged in matlab, multilinear in corrected."""
    unit = GridSpec("any", 0.0, 3.0, 0.0, 3.0, 1.0, 1.0)
    maps = MapGrids(parameters("diffuse", profile, "PP2", unit))
    place = np.array([[0.1]]), np.array([[0.3]])
    maps.add("kp", *place, np.array([[1.0]]))
    weight = maps._grids["kp"].finish()["w"][:2, :2]
    if profile == "matlab":
        want = [[np.hypot(0.9, 0.7), np.hypot(0.9, 0.3)], [np.hypot(0.1, 0.7), np.hypot(0.1, 0.3)]]
    else:
        want = [[0.9 * 0.7, 0.1 * 0.7], [0.9 * 0.3, 0.1 * 0.3]]
    np.testing.assert_allclose(weight, want, rtol=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
def test_q4_the_last_of_two_samples_wins_in_matlab(profile: str) -> None:
    """Q4: of two samples in one cell the later counts in matlab, both in corrected."""
    unit = GridSpec("any", 0.0, 3.0, 0.0, 3.0, 1.0, 1.0)
    maps = MapGrids(parameters("diffuse", profile, "PP2", unit))
    maps.add("kp", np.array([[0.5], [0.5]]), np.array([[0.5], [0.5]]), np.array([[1.0], [3.0]]))
    value = maps._grids["kp"].finish()["v"][0, 0]
    assert value == pytest.approx(3 if profile == "matlab" else 2)


def test_a_grid_the_mode_cannot_make_is_refused() -> None:
    """Parameters that ask for another mode's grid are a mistake, told with the grids there are."""
    slope = GridSpec("slope", 0.0, 3.0, 0.0, 3.0, 1.0, 1.0)
    with pytest.raises(ConfigurationError, match=r"no grid 'slope'.* they have decorrelation_intensity"):
        MapGrids(dataclasses.replace(parameters("diffuse", "matlab"), grids=(slope,)))


def test_units_are_those_of_the_numbers() -> None:
    """Q52: intensities are linear target strengths (m2), decorrelation has no unit."""
    ds = _process(dict.fromkeys(range(1, 21), _ping()), "matlab")
    assert named(ds, "intensity_v").attrs["units"] == "m2"
    assert named(ds, "decorrelation_v").attrs["units"] == "1"
    assert named(ds, "sig_phi2_v").attrs["units"] == "rad2"
