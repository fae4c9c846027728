"""Centre, axis and extent of plumes against fields of known shape."""

import numpy as np
import pytest

from covis_dask.science.axis import fit_axis
from covis_dask.science.centre import Centre, Search, plume_centre
from covis_dask.science.extent import plume_extent
from covis_dask.science.flags import LevelFlag
from covis_dask.science.gaussian import A, B, C, X, Y
from covis_dask.science.grids import Volume
from tests.unit.science._fields import Plume, Real

_SEARCH = Search(-13.27, -0.77, 4.0, 8.0)


def _section(
    b: float, step: float, centre: tuple[float, float], looks: float = 0, seed: int = 0
) -> tuple[Real, Real, Real]:
    x, y = np.arange(-22, -4.99, step), np.arange(-9.5, 8.01, step)
    xx, yy = np.meshgrid(x, y)
    field = 1e-5 * np.exp(-((xx - centre[0]) ** 2 + (yy - centre[1]) ** 2) / b**2) + 1e-8
    if looks:
        field = field * np.random.default_rng(seed).gamma(looks, 1 / looks, field.shape)
    return x, y, field


def _fit(b: float, step: float, centre: tuple[float, float], looks: float = 0, seed: int = 0) -> Centre:
    x, y, field = _section(b, step, centre, looks, seed)
    return plume_centre(field, np.ones(field.shape, np.bool_), (x, y), _SEARCH)


@pytest.mark.parametrize("b", [1.0, 2.0])
@pytest.mark.parametrize("step", [0.25, 0.5])
def test_a_gaussian_is_found_exactly(b: float, step: float) -> None:
    """Amplitude, radius, background and centre of a noiseless Gaussian, wherever between the cells."""
    random = np.random.default_rng(7)
    for _ in range(20):
        centre = (-13.27 + step * random.uniform(-0.5, 0.5), -0.77 + step * random.uniform(-0.5, 0.5))
        found = _fit(b, step, centre)
        values = found.fit.values
        np.testing.assert_allclose(values[[A, B, C]], [1e-5, b, 1e-8], rtol=1e-6)
        np.testing.assert_allclose(values[[X, Y]], centre, atol=1e-6)
        assert found.flags == 0


def test_speckle_is_averaged_out() -> None:
    """Forty looks: centre within 6 cm, radius within 2 %, amplitude within 4 %, centroid within 3 cm."""
    centre = (-13.2, -0.9)
    found = [_fit(2.0, 0.5, centre, 40, seed) for seed in range(30)]
    values = np.array([one.fit.values for one in found])
    off = values[:, [X, Y]] - centre
    assert np.sqrt(np.mean(np.sum(off**2, axis=1))) <= 0.06
    assert abs(values[:, B].mean() / 2 - 1) <= 0.02
    assert abs(values[:, A].mean() / 1e-5 - 1) <= 0.04
    moments = np.array([one.moment for one in found]) - centre
    assert np.sqrt(np.mean(np.sum(moments**2, axis=1))) <= 0.03
    stated = np.array([one.fit.errors for one in found])
    assert 0.5 < off[:, 0].std() / stated[:, X].mean() < 2


def test_no_plume_is_flagged() -> None:
    """Nothing but gaps gives no centre, and says so."""
    x, y, field = _section(1.5, 0.5, (-13.27, -0.77))
    found = plume_centre(np.full_like(field, np.nan), np.ones(field.shape, np.bool_), (x, y), _SEARCH)
    assert found.flags == LevelFlag.NO_CELLS
    assert np.isnan(found.fit.values).all()


def test_a_plume_cut_by_the_sector_is_flagged() -> None:
    """A plume of which one side was not seen is marked; one seen all round is not."""
    x, y, field = _section(1.5, 0.5, (-13.27, -0.77))
    seen = np.broadcast_to(x > -13.5, field.shape)
    found = plume_centre(np.where(seen, field, np.nan), seen, (x, y), _SEARCH)
    assert found.flags & LevelFlag.CUT_BY_EDGE


def test_two_plumes_that_merge_are_flagged() -> None:
    """A second plume of the same strength within the search radius is noticed."""
    x, y, one = _section(1.0, 0.5, (-13.27, -0.77))
    other = _section(1.0, 0.5, (-11.0, 0.4))[2]
    found = plume_centre(one + other, np.ones(one.shape, np.bool_), (x, y), _SEARCH)
    assert found.flags & LevelFlag.SECOND_PLUME


def test_a_faint_plume_is_flagged() -> None:
    """A peak below -60 dB is marked in data of 2018+."""
    x, y, field = _section(1.5, 0.5, (-13.27, -0.77))
    found = plume_centre(field / 100, np.ones(field.shape, np.bool_), (x, y), _SEARCH)
    assert found.flags & LevelFlag.WEAK_PEAK


_Z = np.arange(5.0, 12.1, 0.5)
_ERROR = np.full(len(_Z), 0.05)
_GOOD = np.ones(len(_Z), np.bool_)


@pytest.mark.parametrize("wrong", [(2, 7, 14), (0, 1, 2), (12, 13, 14)])
def test_wrong_centres_do_not_turn_the_axis(wrong: tuple[int, ...]) -> None:
    """Three of fifteen centres wrong by 3 m, even side by side at an end: the axis is within 2 cm."""
    x, y = -13 + 0.1 * _Z - 0.004 * _Z**2, -1 + 0.05 * _Z + 0.003 * _Z**2
    found = x.copy()
    found[list(wrong)] += 3
    axis = fit_axis(_Z, (found, y), (_ERROR, _ERROR), _GOOD, 4.0)
    assert axis is not None
    np.testing.assert_allclose(axis.x, x, atol=0.02)
    np.testing.assert_allclose(axis.y, y, atol=0.02)
    assert set(np.flatnonzero(~axis.used)) == set(wrong)


def test_lean_of_a_straight_axis() -> None:
    """Inclination, azimuth and lean of an axis that leans by (0.1, 0.05)."""
    axis = fit_axis(_Z, (0.1 * _Z, 0.05 * _Z), (_ERROR, _ERROR), _GOOD, 4.0)
    assert axis is not None
    lean = axis.lean
    assert (lean.inclination, lean.azimuth) == pytest.approx((6.379370, 63.434949), abs=0.01)
    assert (lean.east, lean.north) == pytest.approx((0.1, 0.05), abs=1e-9)
    np.testing.assert_allclose(axis.arc_length, (_Z - 4) * np.sqrt(1.0125), rtol=1e-12)
    assert axis.curvature == pytest.approx(0, abs=1e-9)


def test_an_upright_axis_has_no_azimuth() -> None:
    """Without lean there is no direction."""
    axis = fit_axis(_Z, (0 * _Z, 0 * _Z + 1), (_ERROR, _ERROR), _GOOD, 4.0)
    assert axis is not None
    assert axis.lean.inclination < 0.05
    assert np.isnan(axis.lean.azimuth)


def test_five_centres_make_no_axis() -> None:
    """Fewer than six good levels give none."""
    assert fit_axis(_Z, (_Z, _Z), (_ERROR, _ERROR), np.arange(len(_Z)) < 5, 4.0) is None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0.25, {-60: (373.45, 0.02), -55: (195.18, 0.02), -50: (39.273, 0.04), -45: (2.5418, 0.04)}),
        (0.5, {-60: (373.45, 0.08), -55: (195.18, 0.08), -50: (39.273, 0.08)}),
    ],
)
def test_volume_above_a_threshold(step: float, expected: dict[int, tuple[float, float]]) -> None:
    """The volumes of the level sets of a widening, fading plume."""
    x, y = np.arange(-8, 8.01, step), np.arange(-8, 8.01, step)
    z = np.arange(4 + step / 2, 20, step)  # middles of the cells between 4 and 20 m
    X_, Y_, Z_ = np.meshgrid(x + 0.1, y - 0.07, z)
    plume = Plume((0.0, 0.0, 4.0))
    b, bell = plume.across(X_, Y_, Z_)
    field = plume.strength * (0.8 / b) ** 2 * bell
    volume = Volume(x + 0.1, y - 0.07, z, field, np.ones(field.shape, np.bool_))
    for level, (cubic, tolerance) in expected.items():
        found = plume_extent(volume, level, (0.0, 0.0, 4.0), 4.0)
        assert found.volume == pytest.approx(cubic, rel=tolerance), level


def test_the_extent_is_that_of_the_vents_own_plume() -> None:
    """A stronger plume elsewhere does not count; a plume that leaves what was seen is said to be cut."""
    x, y, z = (np.arange(-10, 10.1, 0.5),) * 2 + (np.arange(0, 12.1, 0.5),)
    X_, Y_, Z_ = np.meshgrid(x, y, z)
    own = Plume((-5.0, 0.0, 4.0)).across(X_, Y_, Z_)[1]
    other = Plume((6.0, 0.0, 4.0)).across(X_, Y_, Z_)[1]
    seen = np.ones(own.shape, np.bool_)
    alone = plume_extent(Volume(x, y, z, own, seen), -3, (-5.0, 0.0, 4.0), 3.0)
    both = plume_extent(Volume(x, y, z, own + 9 * other, seen), -3, (-5.0, 0.0, 4.0), 3.0)
    assert both.volume == alone.volume > 0
    assert not both.cut
    half = np.broadcast_to((x > -5)[None, :, None], own.shape)
    assert plume_extent(Volume(x, y, z, np.where(half, own, np.nan), half), -3, (-5.0, 0.0, 4.0), 3.0).cut
