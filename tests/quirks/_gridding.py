"""Known answers of gridding: one or two samples in a cell (docs/method.md#known-answers)."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from covis_dask.modes import parameters_for
from covis_dask.modes._scheme import scheme_of
from covis_dask.sonar.grid import GridAxes, make_gridder
from tests.quirks._registry import known_answer

_PLANE = GridAxes(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0]))
_SITES = ("Endeavour", "Ashes")


def _grids(
    site: str, fixes: tuple[str, ...], *points: tuple[float, float], values: tuple[float, ...] = (1.0,)
) -> dict[str, NDArray[Any]]:
    scheme = scheme_of(parameters_for("diffuse", site, fixes=fixes))
    gridder = make_gridder(_PLANE, ("v",), scheme)
    coords = tuple(np.array(c)[:, None] for c in zip(*points, strict=True))
    gridder.add(coords, {"v": np.array(values)[:, None]})
    return gridder.finish()


@known_answer("Q1")
def weight_of_a_sample_at_its_node(mended: bool, fixes: tuple[str, ...]) -> None:
    for site in _SITES:
        weight = _grids(site, fixes, (0.1, 0.3))["w"][0, 0]
        assert weight == pytest.approx(0.9 * 0.7 if mended else np.hypot(0.9, 0.7), rel=1e-12)


@known_answer("Q2")
def weight_of_a_sample_at_the_node_to_the_north(mended: bool, fixes: tuple[str, ...]) -> None:
    for site in _SITES:
        # 2010-15 reads both columns at the first one unless Q3 is mended.
        weight = _grids(site, (*fixes, "Q3"), (0.1, 0.3))["w"][1, 0]
        assert weight == pytest.approx(np.hypot(0.9, 0.3) if mended else np.hypot(0.1, 0.7), rel=1e-12)


@known_answer("Q3")
def weight_of_a_sample_in_the_second_column(mended: bool, fixes: tuple[str, ...]) -> None:
    weight = _grids("Endeavour", fixes, (1.1, 0.3))["w"][0, 1]
    assert weight == pytest.approx(np.hypot(0.9 if mended else -0.1, 0.7), rel=1e-12)


@known_answer("Q4")
def value_of_two_samples_in_a_cell(mended: bool, fixes: tuple[str, ...]) -> None:
    first, last = np.hypot(0.9, 0.7), np.hypot(0.2, 0.4)
    for site in _SITES:
        value = _grids(site, fixes, (0.1, 0.3), (0.8, 0.6), values=(5.0, 7.0))["v"][0, 0]
        want = (5 * first + 7 * last) / (first + last) if mended else 7
        assert value == pytest.approx(want, rel=1e-12)
