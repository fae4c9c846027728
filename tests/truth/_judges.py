"""How far a product is from the truth: one number for each thing judged, 0 where it is right."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.simulate.seafloor import Step
from covis_dask.simulate.truth import Case, RunTruth
from tests.truth._runs import named

__all__ = [
    "Judge",
    "correlation",
    "floor_height",
    "patch_position",
    "peak_level",
    "position",
    "radial_velocity",
    "step_height",
    "step_position",
    "vertical_velocity",
    "volume_level",
]

Real = NDArray[np.float64]
T = TypeVar("T")

_TOWER = 4.0
"""Cells nearer to the tower show the head itself, m (docs/method.md#bathymetry-2018)."""


@dataclass(frozen=True)
class Judge:
    """One thing judged: what, in which unit, how wrong profile `corrected` may be, and how it is measured."""

    quantity: str
    unit: str
    limit: float
    error: Callable[[xr.Dataset, Case], float]


def _grid(variable: xr.DataArray) -> dict[str, Real]:
    """Return the coordinates of every cell, by the axis's letter."""
    meshes = np.meshgrid(*(variable[name].values for name in variable.dims), indexing="ij")
    return {str(name)[0]: mesh for name, mesh in zip(variable.dims, meshes, strict=True)}


def position(name: str, cell: float) -> Judge:
    """Judge the place of the strongest cell: its largest distance from the scatterer along an axis."""

    def error(ds: xr.Dataset, case: Case) -> float:
        variable = named(ds, name)
        found = np.unravel_index(np.nanargmax(variable.values), variable.shape)
        place = dict(zip("xyz", case.truth.positions[0], strict=True))
        return float(max(abs(mesh[found] - place[axis]) for axis, mesh in _grid(variable).items()))

    return Judge("position of a point", "m", cell, error)


def peak_level(name: str) -> Judge:
    """Judge the level of the strongest cell, on a grid so fine that a cell holds one sample."""

    def error(ds: xr.Dataset, case: Case) -> float:
        return _decibel(float(np.nanmax(named(ds, name).values))) - _known(case.truth.target_strength)

    return Judge("target strength", "dB", 0.1, error)


def volume_level(names: tuple[str, ...], nearest: float, furthest: float, factor: float = 1.0) -> Judge:
    """Judge the mean, over cells between two slant ranges (m), of the sum of intensities.

    `factor` is what is left of the scattering strength by the quantity's own definition.
    """

    def error(ds: xr.Dataset, case: Case) -> float:
        total = np.sum([named(ds, name).values for name in names], axis=0)
        chosen = _between(named(ds, names[0]), nearest, furthest) & np.isfinite(total)
        return _decibel(float(np.mean(total[chosen])) / factor) - _known(case.truth.volume_strength)

    return Judge("volume scattering strength", "dB", 0.1, error)


def radial_velocity(name: str, offset: str, scale: float, nearest: float, furthest: float) -> Judge:
    """Judge the mean velocity away from the sonar, less the offset of the clocks, in parts of the truth."""

    def error(ds: xr.Dataset, case: Case) -> float:
        mean = _mean(named(ds, name), nearest, furthest) - float(named(ds, offset))
        return 100 * (mean / scale / _known(case.truth.radial_velocity) - 1)

    return Judge("velocity along the line of sight", "%", 2.0, error)


def vertical_velocity(name: str, scale: float, nearest: float, furthest: float) -> Judge:
    """Judge the mean vertical velocity, in parts of the truth."""

    def error(ds: xr.Dataset, case: Case) -> float:
        mean = _mean(named(ds, name), nearest, furthest)
        return 100 * (mean / scale / _known(case.truth.vertical_velocity) - 1)

    return Judge("vertical velocity", "%", 2.0, error)


def patch_position(cell: float) -> Judge:
    """Judge the centre of the cells that decorrelate at least half as much as the patch."""

    def error(ds: xr.Dataset, case: Case) -> float:
        variable = named(ds, "decorrelation_v")
        at, values = _grid(variable), np.nan_to_num(variable.values)
        changed = (values > (1 - case.truth.correlation) / 2) & (np.hypot(at["x"], at["y"]) > _TOWER)
        if not changed.any():
            return math.nan
        centre = [float(np.average(at[axis][changed], weights=values[changed])) for axis in "xy"]
        return max(abs(c - p) for c, p in zip(centre, case.truth.positions[0], strict=False))

    return Judge("position of the patch", "m", cell, error)


def correlation(limit: float) -> Judge:
    """Judge the correlation within 1 m of the patch's centre."""

    def error(ds: xr.Dataset, case: Case) -> float:
        variable = named(ds, "decorrelation_v")
        at, (x, y, _) = _grid(variable), case.truth.positions[0]
        inside = (np.hypot(at["x"] - x, at["y"] - y) < 1) & np.isfinite(variable.values)
        return float(1 - np.mean(variable.values[inside]) - case.truth.correlation)

    return Judge("correlation in the patch", "1", limit, error)


def floor_height(name: str, limit: float) -> Judge:
    """Judge the mean height of the seafloor, away from tower and step."""

    def error(ds: xr.Dataset, case: Case) -> float:
        height, truth, along = _floor(ds, case, name)
        wrong = (height - truth)[np.abs(along - _edge(case.truth)) > 0.5]
        return float(np.nanmean(wrong))

    return Judge("mean height of the seafloor", "m", limit, error)


def step_height(name: str, limit: float) -> Judge:
    """Judge the difference of the median heights beyond and before the step."""

    def error(ds: xr.Dataset, case: Case) -> float:
        height, _, along = _floor(ds, case, name)
        edge = _edge(case.truth)
        beyond, before = (np.nanmedian(height[side]) for side in (along > edge + 0.5, along < edge - 0.5))
        return float(beyond - before - _step(case.truth).rise)

    return Judge("height of the step", "m", limit, error)


def step_position(name: str, cell: float) -> Judge:
    """Judge the distance of the straight edge that parts low cells from high ones best."""

    def error(ds: xr.Dataset, case: Case) -> float:
        height, _, along = _floor(ds, case, name)
        near = np.isfinite(height) & (np.abs(along - _edge(case.truth)) < 2)
        high = height[near] > _step(case.truth).rise / 2
        edges = _edge(case.truth) + np.arange(-1.5, 1.55, 0.05)
        wrong = [np.count_nonzero(high != (along[near] > edge)) for edge in edges]
        best = edges[np.flatnonzero(wrong == np.min(wrong))]
        return float(np.mean(best) - _edge(case.truth))

    return Judge("position of the step", "m", cell, error)


def _floor(ds: xr.Dataset, case: Case, name: str) -> tuple[Real, Real, Real]:
    """Return measured heights (NaN at the tower), true heights, and the distance along the fan's heading."""
    variable = named(ds, name)
    at, heading = _grid(variable), math.radians(case.spec.attitude(0).heading)
    height = np.where(np.hypot(at["x"], at["y"]) > _TOWER, variable.values, np.nan)
    floor = _known(case.truth.seafloor)
    along = at["x"] * math.sin(heading) + at["y"] * math.cos(heading)
    return height, floor.elevation(at["x"], at["y"]), along


def _step(truth: RunTruth) -> Step:
    return _known(_known(truth.seafloor).step)


def _edge(truth: RunTruth) -> float:
    """Return the distance of the step, far away where there is none."""
    step = _known(truth.seafloor).step
    return 1e9 if step is None else step.distance


def _between(variable: xr.DataArray, nearest: float, furthest: float) -> NDArray[np.bool_]:
    """Tell which cells lie between two distances from the head, m."""
    at = _grid(variable)
    distance = np.sqrt(at["x"] ** 2 + at["y"] ** 2 + (at["z"] - HEAD_HEIGHT) ** 2)
    chosen: NDArray[np.bool_] = (distance > nearest) & (distance < furthest)
    return chosen


def _mean(variable: xr.DataArray, nearest: float, furthest: float) -> float:
    return float(np.nanmean(variable.values[_between(variable, nearest, furthest)]))


def _decibel(value: float) -> float:
    return 10 * math.log10(value) if value > 0 else math.nan


def _known(value: T | None) -> T:
    """Return what the truth of a case says, which must say it."""
    assert value is not None
    return value
