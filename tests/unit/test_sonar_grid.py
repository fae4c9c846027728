"""Gridding."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from covis_dask.sonar._grid_kernels import Records
from covis_dask.sonar._last_sample import _Pile
from covis_dask.sonar.grid import GridAxes, OwnSamples, make_gridder
from tests.unit._sonar_reference import SCHEMES, PlainGridder, scheme_of

Array = NDArray[Any]

_PLANE = GridAxes(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0]))
_SPACE = GridAxes(np.array([-1.0, 0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0]), np.array([0.0, 2.0, 4.0]))


def _one(
    scheme: str, axes: GridAxes, *points: tuple[float, ...], values: tuple[float, ...] = (1.0,)
) -> dict[str, Array]:
    """Grid points one after the other along the range axis."""
    gridder = make_gridder(axes, ("v",), SCHEMES[scheme])
    coords = tuple(np.array(c)[:, None] for c in zip(*points, strict=True))
    gridder.add(coords, {"v": np.array(values)[:, None]})
    return gridder.finish()


def test_axes_from_bounds() -> None:
    """Both ends are nodes, and shapes are [Ny, Nx, Nz]."""
    axes = GridAxes.from_bounds((-40, 20, 0.25), (-40, 10, 0.5), (0, 20, 0.1))
    assert axes.shape == (101, 241, 201)
    assert axes.z is not None
    assert (axes.x[0], axes.x[-1]) == (-40, 20)
    assert axes.z[-1] == pytest.approx(20)
    assert GridAxes.from_bounds((0, 1, 0.5), (0, 3, 1)).shape == (4, 3)


def test_grid_one_sample_q1_q2() -> None:
    """Q1, Q2: the check of the method: roots of sums of squares, off-diagonal corners exchanged.

    See docs/method.md#gridding.
    """
    grids = _one("ashes", _PLANE, (0.1, 0.3))
    np.testing.assert_allclose(grids["w"], [[1.140175, 0.948683, 0], [0.707107, 0.316228, 0]], atol=5e-7)
    np.testing.assert_allclose(grids["v"], [[1, 1, np.nan], [1, 1, np.nan]], rtol=1e-14)


def test_grid_one_sample_q1_q2_mended() -> None:
    """Q1, Q2: mended, the weights are products, each in its own corner."""
    grids = _one("mended", _PLANE, (0.1, 0.3))
    np.testing.assert_allclose(grids["w"], [[0.63, 0.07, 0], [0.27, 0.03, 0]], atol=1e-14)
    np.testing.assert_allclose(grids["v"], [[1, 1, np.nan], [1, 1, np.nan]], rtol=1e-14)


def test_grid_one_sample_q1_in_space() -> None:
    """Q1: in three dimensions the weight is the root of three squares, in its own corner."""
    grids = _one("ashes", _SPACE, (0.25, 0.6, 3.0))
    wx, wy, wz = (0.75, 0.25), (0.8, 0.2), (0.5, 0.5)
    for j in (0, 1):
        for i in (0, 1):
            for k in (0, 1):
                want = np.sqrt(wx[i] ** 2 + wy[j] ** 2 + wz[k] ** 2)
                assert grids["w"][1 + j, 1 + i, 1 + k] == pytest.approx(want, rel=1e-13)
    assert np.count_nonzero(grids["w"]) == 8
    mended = _one("mended", _SPACE, (0.25, 0.6, 3.0))
    assert mended["w"][1, 1, 1] == pytest.approx(0.75 * 0.8 * 0.5, rel=1e-13)
    assert mended["w"].sum() == pytest.approx(1, rel=1e-13)


def test_grid_q3_flattened_coordinates() -> None:
    """Q3: in 2010-15 distances along x are measured from the first column: -0.1 and 0.9 for x = 1.1."""
    grids = _one("endeavour", _PLANE, (1.1, 0.3))
    lower, upper = -0.1, 0.9
    want = np.zeros((2, 3))
    want[0, 1] = np.hypot(lower, 0.7)
    want[0, 2] = np.hypot(lower, 0.3)  # with Q2: the weight of (x lower, y upper)
    want[1, 1] = np.hypot(upper, 0.7)
    want[1, 2] = np.hypot(upper, 0.3)
    np.testing.assert_allclose(grids["w"], want, rtol=1e-13)
    # 2018+ and the mended scheme measure from the columns themselves.
    assert _one("ashes", _PLANE, (1.1, 0.3))["w"][0, 1] == pytest.approx(np.hypot(0.9, 0.7), rel=1e-13)
    assert _one("mended", _PLANE, (1.1, 0.3))["w"][0, 1] == pytest.approx(0.63, rel=1e-13)


def test_grid_q3_in_space() -> None:
    """Q3: in three dimensions x and z are measured from the grid's corner."""
    grids = _one("endeavour", _SPACE, (1.25, 0.6, 3.0))
    # x nodes 2 and 3 of Ny = 3: the second is read one column on; z nodes 1 and 2 are both read at z = 0.
    wx, wy, wz = (1 - 2.25, 1 - 1.25), (0.8, 0.2), (-0.5, -0.5)
    for j in (0, 1):
        for i in (0, 1):
            for k in (0, 1):
                want = np.sqrt(wx[i] ** 2 + wy[j] ** 2 + wz[k] ** 2)
                assert grids["w"][1 + j, 2 + i, 1 + k] == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize("scheme", ["ashes", "endeavour"])
def test_grid_q4_last_sample_wins(scheme: str) -> None:
    """Q4: of two samples in one cell only the later counts."""
    both = _one(scheme, _PLANE, (0.1, 0.3), (0.8, 0.6), values=(5.0, 7.0))
    last = _one(scheme, _PLANE, (0.8, 0.6), values=(7.0,))
    for name in ("v", "w"):
        np.testing.assert_array_equal(both[name], last[name])


def test_grid_q4_mended_accumulates() -> None:
    """Q4: mended, both samples count with their weights."""
    grids = _one("mended", _PLANE, (0.1, 0.3), (0.8, 0.6), values=(5.0, 7.0))
    first, second = 0.9 * 0.7, 0.2 * 0.4
    assert grids["w"][0, 0] == pytest.approx(first + second, rel=1e-13)
    assert grids["v"][0, 0] == pytest.approx((5 * first + 7 * second) / (first + second), rel=1e-13)


def test_grid_order_is_column_major() -> None:
    """Later means the next range of the same beam, then the next beam."""
    coords = (np.full((2, 2), 0.5), np.full((2, 2), 0.5))
    gridder = make_gridder(_PLANE, ("v",), SCHEMES["ashes"])
    gridder.add(coords, {"v": np.array([[1.0, 3.0], [2.0, 4.0]])})
    assert gridder.finish()["v"][0, 0] == 4
    gridder = make_gridder(_PLANE, ("v",), SCHEMES["ashes"])
    gridder.add(coords, {"v": np.array([[1.0, np.nan], [2.0, np.nan]])})
    assert gridder.finish()["v"][0, 0] == 2


def test_grid_sample_on_a_node() -> None:
    """A sample on a node gives sqrt(2) in each of four passes, all in that cell; mended, 1 in all."""
    grids = _one("ashes", _PLANE, (1.0, 1.0), values=(3.0,))
    want = np.zeros((2, 3))
    want[1, 1] = 4 * np.sqrt(2)
    np.testing.assert_allclose(grids["w"], want, rtol=1e-14)
    assert grids["v"][1, 1] == pytest.approx(3, rel=1e-14)
    mended = _one("mended", _PLANE, (1.0, 1.0), (2.0, 1.0), values=(3.0, 4.0))
    np.testing.assert_allclose(mended["w"], [[0, 0, 0], [0, 1, 1]], atol=1e-15)


def test_grid_ends_are_inside() -> None:
    """Samples on the outermost nodes are taken, those beyond are not."""
    eps = 1e-9
    points = [(2.0, 1.0), (0.0, 0.0), (2 + eps, 0.5), (-eps, 0.5), (0.5, 1 + eps), (0.5, -eps), (np.nan, 0.5)]
    for name in SCHEMES:
        w = _one(name, _PLANE, *points, values=(1.0,) * 7)["w"]
        assert np.count_nonzero(w) == 2
        assert w[0, 0] > 0
        assert w[1, 2] > 0


def test_grid_bursts_2018_replace() -> None:
    """2018+: a later burst replaces an earlier one in each cell, as in one call over all samples."""
    gridder = make_gridder(_PLANE, ("v",), SCHEMES["ashes"])
    for value in (5.0, 7.0):
        gridder.add((np.array([[0.1]]), np.array([[0.3]])), {"v": np.array([[value]])})
    grids = gridder.finish()
    np.testing.assert_array_equal(grids["w"], _one("ashes", _PLANE, (0.1, 0.3))["w"])
    assert grids["v"][0, 0] == pytest.approx(7, rel=1e-14)


def test_grid_bursts_2010_add_up() -> None:
    """2010-15: one call per burst, whose contributions add up."""
    gridder = make_gridder(_PLANE, ("v",), SCHEMES["endeavour"])
    for value in (5.0, 7.0):
        gridder.add((np.array([[0.1]]), np.array([[0.3]])), {"v": np.array([[value]])})
    grids = gridder.finish()
    np.testing.assert_allclose(grids["w"], 2 * _one("endeavour", _PLANE, (0.1, 0.3))["w"], rtol=1e-14)
    assert grids["v"][0, 0] == pytest.approx(6, rel=1e-14)


def _scatter(
    rng: np.random.Generator, axes: GridAxes, shape: tuple[int, int], on_line: float
) -> tuple[tuple[Array, ...], dict[str, Array]]:
    """Make samples in and about a grid, a part of them exactly on grid lines, some values NaN."""
    coords = []
    for axis in axes.axes:
        place = rng.uniform(axis[0] - 0.3, axis[-1] + 0.3, shape)
        coords.append(np.where(rng.random(shape) < on_line, rng.choice(axis, shape), place))
    values: dict[str, Array] = {
        "a": rng.normal(size=shape),
        "b": rng.normal(size=shape) + 1j * rng.normal(size=shape),
    }
    values["a"][rng.random(shape) < 0.1] = np.nan
    return tuple(coords), values


_QUIRKS = ("Q1", "Q2", "Q3", "Q4")
_MENDED = [mended for count in range(5) for mended in combinations(_QUIRKS, count)]


@pytest.mark.parametrize("space", [False, True])
@pytest.mark.parametrize("flattened", [False, True])
@pytest.mark.parametrize("mended", _MENDED, ids="+".join)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), on_line=st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_grid_equals_the_plain_passes(
    mended: tuple[str, ...], flattened: bool, space: bool, seed: int, on_line: float
) -> None:
    """Whatever is mended, the kernels give what passes over all samples give, on and off grid lines."""
    rng = np.random.default_rng(seed)
    axes = GridAxes.from_bounds((-2, 1, 0.5), (0, 2, 0.5), (-1, 2, 0.75) if space else None)
    scheme = scheme_of(flattened=flattened, mended=mended)
    plain, gridder = PlainGridder(axes, scheme), make_gridder(axes, ("a", "b"), scheme)
    bursts = [_scatter(rng, axes, (40, 5), on_line) for _ in range(3)]
    for coords, values in bursts:
        gridder.add(coords, values, np.isfinite(values["a"]))
    if flattened:
        for coords, values in bursts:
            plain.call(coords, values, np.isfinite(values["a"]))
    else:
        joined = tuple(
            np.stack(parts, axis=-1) for parts in zip(*(coords for coords, _ in bursts), strict=True)
        )
        values = {name: np.stack([burst[1][name] for burst in bursts], axis=-1) for name in ("a", "b")}
        plain.call(joined, values, np.isfinite(values["a"]))
    got, want = gridder.finish(), plain.grids()
    assert got.keys() == want.keys()
    # Weights along axes read elsewhere may nearly cancel; and a share of 1e-16 is none.
    clear = np.abs(want["w"]) > 1e-6
    np.testing.assert_allclose(got["w"], want["w"], rtol=1e-11, atol=1e-11)
    for name in ("a", "b"):
        np.testing.assert_allclose(got[name][clear], want[name][clear], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("space", [False, True])
@pytest.mark.parametrize("mended", _MENDED, ids="+".join)
def test_grid_own_samples(mended: tuple[str, ...], space: bool) -> None:
    """In any scheme a variable with own samples is the quotient of its sums over those that count."""
    rng = np.random.default_rng(6)
    axes = GridAxes.from_bounds((-2, 1, 0.5), (0, 2, 0.5), (-1, 2, 0.75) if space else None)
    scheme = scheme_of(flattened=False, mended=mended)
    gridder = make_gridder(axes, ("a", "b", "c"), scheme, own=OwnSamples(("a", "c"), ("a",)))
    sums = make_gridder(axes, ("a", "ones", "c"), scheme, unnormalised=("a", "ones", "c"))
    for _ in range(3):
        coords, values = _scatter(rng, axes, (40, 5), 0.1)
        known, everything = np.isfinite(values["a"]), np.ones((40, 5), np.bool_)
        c = np.where(known, values["b"], np.nan)
        gridder.add(coords, {**values, "c": c}, everything)
        zeros = {
            "a": np.where(known, values["a"], 0),
            "ones": known.astype(float),
            "c": np.where(known, c, 0),
        }
        sums.add(coords, zeros, everything)
    got, want = gridder.finish(), sums.finish()
    np.testing.assert_allclose(got["w"], want["w"], rtol=1e-12, atol=1e-14)
    some = want["ones"] > 1e-6
    assert some.any()
    assert np.isnan(got["a"][want["ones"] == 0]).all()
    for name in ("a", "c"):
        np.testing.assert_allclose(got[name][some], want[name][some] / want["ones"][some], rtol=1e-9)
    np.testing.assert_allclose(got["a_valid"][some], want["ones"][some] / want["w"][some], rtol=1e-9)


@pytest.mark.parametrize("mended", _MENDED, ids="+".join)
def test_grid_a_sample_without_value_spoils_its_cells(mended: tuple[str, ...]) -> None:
    """In any scheme the NaN of a variable without own samples reaches all nodes of its cell, and no other."""
    gridder = make_gridder(
        _PLANE, ("a", "b"), scheme_of(flattened=False, mended=mended), own=OwnSamples(("a",))
    )
    coords = (np.array([[0.5], [0.6], [1.5]]), np.array([[0.5], [0.4], [0.5]]))
    b = np.array([[1.0], [np.nan], [3.0]])
    gridder.add(coords, {"a": b, "b": b}, np.ones((3, 1), np.bool_))
    grids = gridder.finish()
    assert np.isnan(grids["b"]).tolist() == [[True, True, False]] * 2
    assert np.isfinite(grids["a"][:, 2]).all()


def test_a_record_replaces_the_one_in_its_cell() -> None:
    """However many bursts, one record per cell is kept, the last; those on grid lines stay beside it."""
    pile = _Pile(10)
    for burst in range(5):
        numbers = np.arange(3 * burst, 3 * burst + 3, dtype=np.int32)
        cells, lines = np.array([7, 3, 3], np.int32), np.array([0, 0, 1], np.uint8)
        pile.add(Records(cells, numbers, lines, np.outer(numbers, np.ones(4))))
    found = pile.records()
    assert sorted(found.number) == [2, 5, 8, 11, 12, 13, 14]
    np.testing.assert_array_equal(found.rows[:, 0], found.number)
    np.testing.assert_array_equal(found.number[pile.record[[7, 3]]], [12, 13])
    assert np.count_nonzero(pile.record >= 0) == 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), space=st.booleans())
def test_grid_mended_equals_add_at(seed: int, space: bool) -> None:
    """Sums by cell give what adding sample by sample gives; variables with NaN have their own weights."""
    rng = np.random.default_rng(seed)
    axes = GridAxes.from_bounds((-2, 1, 0.5), (0, 2, 0.5), (-1, 2, 0.75) if space else None)
    gridder = make_gridder(axes, ("a", "b"), SCHEMES["mended"], own=OwnSamples(("a",)))
    total = {"a": np.zeros(axes.shape), "b": np.zeros(axes.shape, np.complex128)}
    weight = {"a": np.zeros(axes.shape), "b": np.zeros(axes.shape)}
    for _ in range(3):
        coords, values = _scatter(rng, axes, (30, 4), 0.1)
        gridder.add(coords, values, np.isfinite(values["b"]))
        for name in ("a", "b"):
            for s in np.ndindex(30, 4):
                point = [c[s] for c in coords]
                inside = all(axis[0] <= p <= axis[-1] for p, axis in zip(point, axes.axes, strict=True))
                if not inside or not np.isfinite(values[name][s]):
                    continue
                tents = [
                    np.maximum(1 - np.abs(axis - p) / (axis[1] - axis[0]), 0)
                    for p, axis in zip(point, axes.axes, strict=True)
                ]
                w = np.einsum("x,y->yx", *tents) if len(tents) == 2 else np.einsum("x,y,z->yxz", *tents)
                weight[name] += w
                total[name] += w * values[name][s]
    got = gridder.finish()
    np.testing.assert_allclose(got["w"], weight["b"], atol=1e-12)
    for name in ("a", "b"):
        filled = weight[name] > 1e-9
        np.testing.assert_allclose(
            got[name][filled], (total[name] / np.where(filled, weight[name], 1))[filled], rtol=1e-6
        )


@pytest.mark.parametrize("space", [False, True])
def test_fractions_are_those_of_ones_and_zeros(space: bool) -> None:
    """The part in which a variable is a number is what gridding 1 there and 0 elsewhere gives."""
    rng = np.random.default_rng(5)
    axes = GridAxes.from_bounds((-2, 1, 0.5), (0, 2, 0.5), (-1, 2, 0.75) if space else None)
    with_parts = make_gridder(axes, ("a", "c"), SCHEMES["mended"], own=OwnSamples(("a", "c"), ("a", "c")))
    plain = make_gridder(axes, ("ones",), SCHEMES["mended"])
    for gaps in (0.0, 0.6):
        coords, _ = _scatter(rng, axes, (30, 4), 0.1)
        a = np.where(rng.random((30, 4)) < gaps, np.nan, 1.0)
        everything = np.ones(a.shape, np.bool_)
        with_parts.add(coords, {"a": a, "c": np.ones(a.shape)}, everything)
        plain.add(coords, {"ones": np.isfinite(a).astype(float)}, everything)
    found = with_parts.finish()
    np.testing.assert_array_equal(found["a_valid"], plain.finish()["ones"])
    assert set(np.unique(found["c_valid"][found["w"] > 0])) == {1.0}


def test_fractions_need_own_samples() -> None:
    """The part of the samples in which a variable is a number is told only where they are told apart."""
    with pytest.raises(ValueError, match="fractions of \\['b'\\]"):
        make_gridder(_PLANE, ("a", "b"), SCHEMES["mended"], own=OwnSamples(("a",), ("b",)))


def test_grid_selection_default_and_given() -> None:
    """Without a selection every value must be finite; with one, a NaN elsewhere spoils its cells."""
    coords = (np.array([[0.5], [1.5]]), np.array([[0.5], [0.5]]))
    values = {"a": np.array([[1.0], [2.0]]), "b": np.array([[np.nan], [3.0]])}
    gridder = make_gridder(_PLANE, ("a", "b"), SCHEMES["ashes"])
    gridder.add(coords, values)
    np.testing.assert_array_equal(gridder.finish()["a"][0], [np.nan, 2, 2])
    gridder = make_gridder(_PLANE, ("a", "b"), SCHEMES["ashes"])
    gridder.add(coords, values, np.isfinite(values["a"]))
    grids = gridder.finish()
    assert np.isfinite(grids["a"][0]).all()
    np.testing.assert_array_equal(np.isnan(grids["b"][0]), [True, True, False])


def test_grid_mended_own_weights() -> None:
    """Mended, a variable that is NaN where another is not is gridded over its own valid samples."""
    gridder = make_gridder(_PLANE, ("a", "b"), SCHEMES["mended"], own=OwnSamples(("b",)))
    coords = (np.array([[0.5], [0.25]]), np.array([[0.5], [0.5]]))
    values = {"a": np.array([[1.0], [2.0]]), "b": np.array([[np.nan], [3.0]])}
    gridder.add(coords, values, np.isfinite(values["a"]))
    grids = gridder.finish()
    assert grids["b"][0, 0] == pytest.approx(3, rel=1e-14)
    assert grids["w"][0, 0] == pytest.approx(0.25 + 0.375, rel=1e-14)


@pytest.mark.parametrize("name", ["ashes", "endeavour"])
def test_grid_q29_unnormalised(name: str) -> None:
    """Q29: a variable may keep its weighted sum; unvisited cells are NaN all the same."""
    gridder = make_gridder(_PLANE, ("covar", "v"), SCHEMES[name], unnormalised=("covar",))
    value = np.array([[2 + 1j]])
    gridder.add((np.array([[0.1]]), np.array([[0.3]])), {"covar": value, "v": value.real})
    grids = gridder.finish()
    np.testing.assert_allclose(grids["covar"][:, :2], (2 + 1j) * grids["w"][:, :2], rtol=1e-14)
    np.testing.assert_allclose(grids["v"][:, :2], 2, rtol=1e-14)
    assert np.isnan(grids["covar"][:, 2]).all()


@pytest.mark.parametrize("name", ["ashes", "endeavour", "mended"])
def test_grid_of_nothing(name: str) -> None:
    """Without a sample in the grid all is NaN with weight 0."""
    gridder = make_gridder(_PLANE, ("v",), SCHEMES[name])
    gridder.add((np.full((2, 2), 9.0), np.zeros((2, 2))), {"v": np.ones((2, 2))})
    grids = gridder.finish()
    assert np.isnan(grids["v"]).all()
    assert not grids["w"].any()


@pytest.mark.parametrize("scheme", ["ashes", "endeavour", "mended"])
def test_grid_with_one_node_along_an_axis(scheme: str) -> None:
    """A grid one node thick takes the samples on that node."""
    axes = GridAxes(np.array([0.0, 1.0]), np.array([0.0]))
    grids = _one(scheme, axes, (0.5, 0.0), (0.5, 0.1), values=(2.0, 3.0))
    np.testing.assert_allclose(grids["v"], [[2, 2]], rtol=1e-14)


def test_grid_weight_limits() -> None:
    """In 2018+ a cell holds at most four contributions of sqrt(2), eight of sqrt(3) in space."""
    rng = np.random.default_rng(4)
    for axes, limit in ((_PLANE, 4 * np.sqrt(2)), (_SPACE, 8 * np.sqrt(3))):
        gridder = make_gridder(axes, ("v",), SCHEMES["ashes"])
        for _ in range(5):
            coords = tuple(rng.uniform(axis[0], axis[-1], (200, 3)) for axis in axes.axes)
            gridder.add(coords, {"v": np.ones((200, 3))})
        assert gridder.finish()["w"].max() <= limit
