"""Full-range runs, 2018+: known answers, and the quirks of section 6 in both profiles."""

import json
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import xarray as xr

from covis_dask.errors import NoValidPings
from covis_dask.modes import spec_for
from covis_dask.modes.ashes import fullrange, imaging
from covis_dask.modes.ashes._maps import MapGrids
from covis_dask.modes.ashes._scintillation import Scintillation
from covis_dask.modes.ashes.fullrange import FullRangeProgram
from covis_dask.modes.context import Context
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.geometry import HeadAttitude
from tests.unit._ashes import (
    PLANE,
    PROFILES,
    Row,
    decoded,
    elements,
    fake,
    floor_echo,
    named,
    parameters,
    transmission,
)

N = 480
DOWN = -45.0
HEARD = slice(52, 204)
"""Beams that reach the seafloor within the ping."""


def _scene(profile: str) -> Complex:
    beams = 1e6 * floor_echo(N, DOWN, limit=64.0)
    scene: Complex = transmission(N) + elements(beams, 64.0, monitor=profile == "matlab")
    return scene


def _rows(pitches: list[float], first: int = 1, gap: bool = False) -> list[Row]:
    """Make bursts of five pings 0.5 s apart; with `gap`, numbers skip the ping fired while the head moves."""
    rows: list[Row] = []
    for index, pitch in enumerate(pitches):
        for n in range(5):
            number = first + (6 if gap else 5) * index + n
            rows.append(Row(number, 200.0 - index, pitch, time=1.5e9 + 4 * index + 0.5 * n))
    return rows


def _process(rows: list[Row], data: dict[int, Complex | str], profile: str, **overrides: Any) -> xr.Dataset:
    chosen = parameters("fullimaging", profile, grid=PLANE, **overrides)
    return fullrange.process(fake(rows, data), chosen, Context())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_still_level_seafloor(profile: str) -> None:
    """4.8: a level seafloor is found at z = 0 by both ways, and shows no change from ping to ping."""
    rows = _rows([DOWN])
    ds = _process(rows, dict.fromkeys(range(1, 6), _scene(profile)), profile)
    x, y = np.meshgrid(ds["x_fr"], ds["y_fr"])
    heard = np.hypot(x, y) < 6.5
    for original, height in (("bathy_v", 0.12), ("bathy_filt_v", 0.25)):
        values = named(ds, original).values
        known = np.isfinite(values) & heard & (np.hypot(x, y) > 3)
        assert known.sum() > 20
        assert np.abs(values[known]).max() < height
    for original in ("decorrelation_v", "chi_var_v", "si_v", "sig_phi2_v", "kp_v"):
        values = named(ds, original).values
        known = np.isfinite(values)
        assert known.any()
        np.testing.assert_allclose(values[known], 0, atol=1e-9)
    assert ds.attrs["full_range_bursts_used"] == 1
    assert ds.attrs["imaging_bursts_used"] == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_one_pass_gives_the_imaging_product_too(profile: str) -> None:
    """4.8: the imaging part is that of an imaging run by PP3, on axes of its own."""
    rows = _rows([DOWN, 5.0])
    data: dict[int, Complex | str] = dict.fromkeys(range(1, 11), _scene(profile))
    data[8] = "cut off"
    ds = _process(rows, data, profile)
    chosen = parameters("fullimaging", profile, grid=PLANE).imaging
    assert chosen is not None
    alone = imaging.process(fake(rows, data), chosen, Context())
    for original in ("Ia", "Id", "Ia_filt", "Id_filt", "Kp", "w"):
        np.testing.assert_array_equal(named(ds, original).values, named(alone, original).values)
    assert named(ds, "Ia").dims == ("y", "x", "z")
    assert named(ds, "kp_v").dims == ("y_fr", "x_fr")
    assert list(ds.attrs["bad_ping"]) == [8]
    assert ds.attrs["pings_used"] == 9
    assert (ds.attrs["imaging_bursts_used"], ds.attrs["full_range_bursts_used"]) == (1, 2)
    assert ds.attrs["bursts_used"] == 2
    assert len([v for v in ds.data_vars.values() if v.attrs["original_name"].endswith("_v")]) == 10


@pytest.mark.parametrize("profile", PROFILES)
def test_q32_times_go_with_ping_numbers(profile: str) -> None:
    """Q32: gaps in the ping numbers change nothing, where the original takes wrong times or crashes."""
    scene = _scene(profile)
    found = [
        _process(rows, {row.ping: scene for row in rows}, profile)
        for rows in (_rows([DOWN, -40.0]), _rows([DOWN, -40.0], first=439, gap=True))
    ]
    for original in ("bathy_v", "bathy_filt_v", "decorrelation_v", "intensity_v", "kp_v"):
        np.testing.assert_array_equal(named(found[0], original).values, named(found[1], original).values)


class _Recorder:
    """Stands in for `MapGrids`: keeps positions and values."""

    def __init__(self) -> None:
        self.got: dict[str, tuple[Real, Real, Real]] = {}

    def add(self, kind: str, x: Real, y: Real, value: Real) -> None:
        self.got[kind] = (x, y, value)


def _picked(profile: str, I_av1: Real) -> dict[str, tuple[Real, Real, Real]]:
    """Return what is gridded of a burst whose strongest sample and strongest window differ."""
    program = FullRangeProgram(
        fake(_rows([DOWN]), {}), parameters("fullimaging", profile, grid=PLANE), Context()
    )
    recorder = _Recorder()
    program.maps = cast(MapGrids, recorder)
    windows = np.zeros((3, 256))
    windows[1] = 5.0
    other = np.arange(10.0)[:, None] * np.ones(256)
    found = Scintillation(
        I_av1, other, other, other, other, other, windows / 10, windows, windows / 2, other, windows, windows
    )
    program._grid(
        found,
        np.arange(1.0, 11.0),
        np.array([2.5, 5.5, 8.5]),
        HeadAttitude(0.0, 0.0, np.radians(DOWN), 279.0, 16.0),
    )
    return recorder.got


def _peak() -> Real:
    I_av1 = np.zeros((10, 256))
    I_av1[7] = 3.0
    return I_av1


@pytest.mark.parametrize("profile", PROFILES)
def test_q33_position_of_the_windowed_intensity(profile: str) -> None:
    """Q33: matlab grids the windowed intensity at (x2, y1), of two echoes; corrected at (x2, y2)."""
    got = _picked(profile, _peak())
    x2, y2, z2 = got["bathy_filt"]
    x1, y1, z1 = got["bathy"]
    assert not np.array_equal(y1, y2)
    np.testing.assert_array_equal(got["intensity_filt"][0], x2)
    np.testing.assert_array_equal(got["intensity_filt"][1], y1 if profile == "matlab" else y2)
    np.testing.assert_allclose(np.sqrt(x2**2 + y2**2 + (z2 - 4.2) ** 2), 5.5)
    np.testing.assert_allclose(np.sqrt(x1**2 + y1**2 + (z1 - 4.2) ** 2), 8.0)


@pytest.mark.parametrize("profile", PROFILES)
def test_values_are_those_at_the_strongest_echo(profile: str) -> None:
    """4.8 item 3: every map holds the value at the strongest sample, or window, of the beam."""
    got = _picked(profile, _peak())
    want = {
        "intensity": 3.0,
        "chi_var": 7.0,
        "si": 7.0,
        "sig_phi2": 7.0,
        "kp": 7.0,
        "intensity_filt": 5.0,
        "decorrelation": 0.5,
        "decorrelation_intensity": 2.5,
    }
    for kind, value in want.items():
        np.testing.assert_allclose(got[kind][2], value)
    assert set(got) == {grid.prefix for grid in spec_for("Ashes", "fullimaging").grids} - {""}


def test_a_beam_without_echo_has_no_place_in_corrected() -> None:
    """Where nothing stands above the noise there is no strongest echo; matlab takes the first sample."""
    nothing = np.full((10, 256), np.nan)
    assert np.isnan(_picked("corrected", nothing)["bathy"][0]).all()
    assert np.isfinite(_picked("matlab", nothing)["bathy"][0]).all()


@pytest.mark.parametrize("profile", PROFILES)
def test_q57_a_burst_without_partners_is_skipped(profile: str) -> None:
    """Q57: a burst too short for the lag is skipped, with the reason; the others are as without it."""
    scene = _scene(profile)
    rows = _rows([DOWN])
    extra = [Row(11 + n, 150.0, -40.0, time=1.6e9 + 0.5 * n) for n in range(3)]
    ds = _process([*rows, *extra], {row.ping: scene for row in [*rows, *extra]}, profile)
    want = _process(rows, {row.ping: scene for row in rows}, profile)
    np.testing.assert_array_equal(named(ds, "bathy_v").values, named(want, "bathy_v").values)
    skipped = json.loads(ds.attrs["full_range_bursts_skipped_reasons"])
    assert [burst["reason"] for burst in skipped] == ["no ping has a partner 2 s later"]


@pytest.mark.parametrize("profile", PROFILES)
def test_q57_a_run_without_partners_fails(profile: str) -> None:
    """Q57: where no burst has partners, and none can be imaged, the run fails with both reasons."""
    rows = _rows([DOWN])[:3]
    with pytest.raises(NoValidPings, match=r"imaging: pitch outside .*; full range: no ping has a partner"):
        _process(rows, {row.ping: _scene(profile) for row in rows}, profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_q20_a_burst_of_bad_pings_is_skipped(profile: str) -> None:
    """Q20: bursts without valid pings leave nothing, in either part."""
    scene = _scene(profile)
    rows = _rows([DOWN, -5.0])
    data: dict[int, Complex | str] = {row.ping: scene for row in rows[:5]} | {6: "empty", 7: "empty"}
    ds = _process(rows, data, profile)
    want = _process(rows[:5], {row.ping: scene for row in rows[:5]}, profile)
    np.testing.assert_array_equal(named(ds, "bathy_v").values, named(want, "bathy_v").values)
    assert list(ds.attrs["bad_ping"]) == [6, 7]
    assert (
        "imaging: none of its pings is valid; full range: none of its pings is valid"
        in (ds.attrs["bursts_skipped_reasons"])
    )


def test_only_the_windows_are_decoded_where_there_is_no_imaging() -> None:
    """Pings beyond 4 s of a burst that is only for the maps are checked, not decoded."""
    rows = [replace(row, time=1.5e9 + 1.0 * n) for n, row in enumerate(_rows([DOWN, DOWN]))]
    rows = [replace(row, rot_pitch=200.0) for row in rows]
    sweep = fake(rows, dict.fromkeys(range(1, 11), _scene("matlab")))
    fullrange.process(sweep, parameters("fullimaging", "matlab", grid=PLANE), Context())
    assert decoded(sweep) == [1, 2, 3, 4, 5]
