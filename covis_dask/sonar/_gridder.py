"""What the gridding schemes share: axes, selection, order (docs/method.md#gridding)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._grid_kernels import Lattice, Rays, candidates
from covis_dask.sonar._types import Bool, Int, Real
from covis_dask.sonar.geometry import BeamDirections

__all__ = ["GridAxes", "GridRequest", "GridScheme", "Gridder", "Pick", "Samples"]

Samples = NDArray[Any]
Pick = Callable[[Int], dict[str, Samples]]


@dataclass(frozen=True, slots=True, eq=False)
class GridAxes:
    """The nodes of a regular grid.

    Parameters
    ----------
    x, y : ndarray of float64
        Axes, m; shapes [Nx], [Ny].
    z : ndarray of float64, optional
        Third axis [Nz] of a grid in space.
    """

    x: Real
    y: Real
    z: Real | None = None

    @classmethod
    def from_bounds(
        cls,
        x: tuple[float, float, float],
        y: tuple[float, float, float],
        z: tuple[float, float, float] | None = None,
    ) -> "GridAxes":
        """Make a grid from (first, last, spacing) of each axis, both ends included."""
        return cls(_nodes(*x), _nodes(*y), None if z is None else _nodes(*z))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the arrays: [Ny, Nx] or [Ny, Nx, Nz]."""
        return (len(self.y), len(self.x)) if self.z is None else (len(self.y), len(self.x), len(self.z))

    @property
    def axes(self) -> tuple[Real, ...]:
        """The axes in the order of the coordinates: x, y and z if there is one."""
        return (self.x, self.y) if self.z is None else (self.x, self.y, self.z)


def _nodes(first: float, last: float, spacing: float) -> Real:
    # Like Matlab's colon, do not lose the last node to rounding.
    count = int(np.floor((last - first) / spacing + 1e-9)) + 1
    return first + np.arange(count) * np.float64(spacing)


def _lattice(axes: GridAxes) -> Lattice:
    """Return the nodes of a grid as kernels want them."""
    nodes = np.zeros((len(axes.axes), max(map(len, axes.axes))))
    for row, axis in zip(nodes, axes.axes, strict=True):
        row[: len(axis)] = axis
    return Lattice(
        lower=np.array([axis[0] for axis in axes.axes]),
        upper=np.array([axis[-1] for axis in axes.axes]),
        spacing=np.array([(axis[-1] - axis[0]) / max(len(axis) - 1, 1) or 1.0 for axis in axes.axes]),
        top=np.array([len(axis) - 1.0 for axis in axes.axes]),
        strides=np.array([1, len(axes.x)] if axes.z is None else [len(axes.z), len(axes.x) * len(axes.z), 1]),
        nodes=nodes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GridScheme:
    """How samples are spread over the nodes: as the originals do it, or with some of their quirks mended.

    Parameters
    ----------
    flattened : bool
        The era of the original: 2010-15 (a call for every burst, and nodes looked up in the flattened arrays
        of all nodes), or 2018+ (one call for all bursts).
    product_weights : bool
        The weight of a sample at a node is the product of its weights along the axes, and not the root of the
        sum of their squares (Q1).
    matched_corners : bool
        In a plane each corner of a cell gets its own weight, and not that of the opposite one (Q2).
    axis_coordinates : bool
        Distances are measured from the nodes themselves also in 2010-15 (Q3).
    every_sample : bool
        All samples count that reach a node in a pass over the corners, and not only the last one (Q4).
    """

    flattened: bool
    product_weights: bool
    matched_corners: bool
    axis_coordinates: bool
    every_sample: bool

    def is_multilinear(self, axes: GridAxes) -> bool:
        """Say whether nothing is left of the original's scheme on a grid."""
        return (
            self.every_sample
            and self.product_weights
            and (self.matched_corners or axes.z is not None)
            and (self.axis_coordinates or not self.flattened)
        )


@dataclass(frozen=True, slots=True, eq=False)
class GridRequest:
    """What a gridder is to make.

    Parameters
    ----------
    axes : GridAxes
        The grid.
    scheme : GridScheme
    names : tuple of str
        Variables gridded together.
    unnormalised : frozenset of str
        Those of `names` that are not divided by the weight at the end (Q29).
    dtype : dtype
        Of the finished grids, float64 or float32 (complex ones likewise); all sums are float64.
    own : frozenset of str
        Those of `names` that are averaged over the samples in which they are numbers; NaN in one of the
        others makes NaN of the nodes that the sample reaches.
    fractions : tuple of str
        Those of `own` of which it also tells, as ``NAME_valid``, in which part of the samples (by weight)
        they were numbers.
    """

    axes: GridAxes
    scheme: GridScheme
    names: tuple[str, ...]
    unnormalised: frozenset[str]
    dtype: np.dtype[Any]
    own: frozenset[str] = frozenset()
    fractions: tuple[str, ...] = ()


class Gridder(ABC):
    """Takes the samples of one burst after another and gives the grids; make one with `make_gridder`.

    Parameters
    ----------
    request : GridRequest
    """

    _every_sample = False
    """Whether every sample counts, or only the last of those that follow one another in a cell."""

    def __init__(self, request: GridRequest) -> None:
        axes = request.axes
        self.axes, self.names, self.unnormalised = axes, request.names, request.unnormalised
        self._own_samples, self._fractions = request.own, request.fractions
        self._dtype = request.dtype
        self._size = int(np.prod(axes.shape))
        # The columns in which the values of each variable stand.
        self._rows: dict[str, slice] = {}
        self._places: Int = np.empty(0, np.int64)
        self._lattice = _lattice(axes)

    def add(
        self, coords: tuple[Real, ...], values: Mapping[str, Samples], select: Bool | None = None
    ) -> None:
        """Add the samples of the next burst.

        Parameters
        ----------
        coords : tuple of ndarray of float64, [N, B]
            x, y (and z) of each sample, m; range first, then beam.
        values : mapping of str to ndarray, [N, B]
            One array, real or complex, for each name.
        select : ndarray of bool, [N, B], optional
            Samples to take, of those in the grid; without it those with every value finite.
        """
        if select is None:
            select = np.logical_and.reduce([np.isfinite(values[name]) for name in self.names])
        inside = select.copy()
        for coordinate, axis in zip(coords, self.axes.axes, strict=True):
            inside &= (coordinate >= axis[0]) & (coordinate <= axis[-1])
        # Samples count in column-major order: range fastest, then beam.
        order = np.flatnonzero(inside.T)
        rows, beams = inside.shape
        chosen = order % rows * beams + order // rows
        if chosen.size:
            places = [coordinate.reshape(-1)[chosen] for coordinate in coords]
            self._take(places, lambda n: {name: values[name].reshape(-1)[chosen[n]] for name in self.names})

    def add_beams(
        self, directions: BeamDirections, ranges: Real, pick: Pick, select: Bool | None = None
    ) -> None:
        """Add the samples of the next burst by where its beams point; values are asked for as needed.

        Parameters
        ----------
        directions : BeamDirections
            Directions of the beams.
        ranges : ndarray of float64, [N]
            Slant ranges, m.
        pick : callable
            Returns the values, by name, of samples given by their places in a flat [N, B] array.
        select : ndarray of bool, [N, B], optional
            Samples to take, of those in the grid; all when not given.
        """
        chosen = self._candidates(directions, ranges, np.ones((0, 0), np.bool_) if select is None else select)
        if chosen.size:
            along, beam = np.divmod(chosen, len(directions.x))
            r = ranges[along]
            places = [
                r * directions.x[beam],
                r * directions.y[beam],
                directions.altitude + r * directions.z[beam],
            ]
            self._take(places[: len(self.axes.axes)], lambda n: pick(chosen[n]))

    def _candidates(self, directions: BeamDirections, ranges: Real, select: Bool) -> Int:
        """Return the places of samples that may count, in column-major order."""
        if self._places.size < len(ranges) * len(directions.x):
            self._places = np.empty(len(ranges) * len(directions.x), np.int64)
        slopes = np.stack([directions.x, directions.y, directions.z])
        rays = Rays(ranges, slopes, directions.altitude)
        count = candidates(rays, select, self._lattice, self._every_sample, self._places)
        return self._places[:count]

    @abstractmethod
    def _take(self, places: list[Real], pick: Pick) -> None:
        """Add samples at `places` in the grid, in order; `pick` gives the values of some of them."""

    @abstractmethod
    def finish(self) -> dict[str, Samples]:
        """Return the grids by name, shape [Ny, Nx(, Nz)], and their weight ``w``.

        Cells reached by no sample are NaN, with weight 0.
        """

    def _normalised(self, name: str, total: Samples, weight: Real) -> Samples:
        """Divide sums by the weight, in place, and return the finished grid."""
        if name not in self.unnormalised:
            with np.errstate(invalid="ignore", divide="ignore"):
                np.divide(total, weight, out=total)
        total[weight == 0] = np.nan
        return self._finished(total)

    def _finished(self, grid: Samples) -> Samples:
        dtype = np.result_type(self._dtype, np.complex64) if np.iscomplexobj(grid) else self._dtype
        finished: Samples = grid.reshape(self.axes.shape).astype(dtype, copy=False)
        return finished

    def _as_columns(self, values: dict[str, Samples]) -> list[Real]:
        """Return the columns of values [n] to grid; complex ones take two."""
        columns: list[Real] = []
        for name in self.names:
            value = values[name]
            parts = [value.real, value.imag] if np.iscomplexobj(value) else [value]
            self._rows[name] = slice(len(columns), len(columns) + len(parts))
            columns += parts
        return columns

    def _grid(self, columns: Real, name: str) -> Samples:
        """Return what stands in the columns [columns, cells] of a variable."""
        rows = columns[self._rows[name]]
        grid: Samples = rows[0] if len(rows) == 1 else rows[0] + 1j * rows[1]
        return grid

    def _empty(self) -> dict[str, Samples]:
        """Return grids that no sample reached."""
        empty = np.full(self.axes.shape, np.nan)
        names = (*self.names, *(f"{name}_valid" for name in self._fractions))
        return {**{name: empty.copy() for name in names}, "w": np.zeros(self.axes.shape)}
