"""The gridding of the originals: passes over the corners of cells (docs/method.md#gridding)."""

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._grid_kernels import Records, Rule, Sums, deposit, locate
from covis_dask.sonar._gridder import Gridder, GridRequest, Pick, Samples
from covis_dask.sonar._types import Int, Real

__all__ = ["EverySampleGridder", "PassGridder"]


class PassGridder(Gridder):
    """Sums over the passes, and what becomes of them."""

    def __init__(self, request: GridRequest) -> None:
        super().__init__(request)
        scheme = request.scheme
        self._rule = Rule(scheme.product_weights, scheme.matched_corners, self._every_sample)
        if scheme.flattened and not scheme.axis_coordinates:
            for dimension, axis in enumerate(self.axes.axes):
                self._lattice.nodes[dimension, : len(axis)] = axis[
                    self._looked_up(dimension, np.arange(len(axis)))
                ]
        # Room for a number per cell: of the last sample that reached it.
        self._last = np.full(0 if self._every_sample else self._size, -1, np.int32)
        # Sums over the passes, the columns of the weights of own samples, and what is divided already.
        self._total: Real = np.zeros((0, self._size))
        self._weight: Real = np.zeros(0)
        self._counted: dict[str, int] = {}
        self._divided: frozenset[str] = frozenset()

    def _looked_up(self, dimension: int, node: Int) -> Int:
        """Where 2010-15 reads the coordinate of a node: in the flattened array of all nodes (Q3)."""
        ny, nx = self.axes.shape[:2]
        if dimension == 0:
            return node // ny % nx
        return node if dimension == 1 else node // (ny * nx)

    def _locate(self, at: Real) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Return the cell of each place [axes, n], and the axes along which it lies on a grid line."""
        cell, lines = np.empty(at.shape[1], np.int32), np.empty(at.shape[1], np.uint8)
        locate(at, self._lattice, self._rule.product, cell, lines)
        return cell, lines

    def _stacked(self, at: Real, values: dict[str, Samples]) -> Real:
        """Return the rows of records from places [axes, n] and values [n]."""
        finite = {name: np.isfinite(values[name]) for name in self.names if name in self._own_samples}
        values = values | {name: np.where(known, values[name], 0) for name, known in finite.items()}
        columns = self._as_columns(values)
        self._counted = {name: len(columns) + index for index, name in enumerate(finite)}
        rows = np.stack([*at, *columns, *finite.values()], axis=1)
        return rows.astype(np.float64, copy=False)

    def _deposit(self, records: Records) -> None:
        """Run the passes over records."""
        if not self._weight.size:
            self._total = np.zeros((records.rows.shape[1] - len(self.axes.axes), self._size))
            self._weight = np.zeros(self._size)
        deposit(records, self._lattice, self._rule, self._last, Sums(self._total, self._weight))

    def finish(self) -> dict[str, Samples]:
        if not self._weight.size:
            return self._empty()
        grids = {}
        for name in self.names:
            weight = self._total[self._counted[name]] if name in self._counted else self._weight
            grid = self._grid(self._total, name)
            grids[name] = (
                self._finished(grid) if name in self._divided else self._normalised(name, grid, weight)
            )
            if name in self._fractions:
                with np.errstate(invalid="ignore"):
                    grids[f"{name}_valid"] = self._finished(weight / self._weight)
        return {**grids, "w": self._finished(self._weight)}


class EverySampleGridder(PassGridder):
    """Every sample counts, but not with multilinear weights."""

    _every_sample = True

    def _take(self, places: list[Real], pick: Pick) -> None:
        at = np.array(places)
        cell, lines = self._locate(at)
        number = np.arange(len(cell), dtype=np.int32)
        self._deposit(Records(cell, number, lines, self._stacked(at, pick(number.astype(np.int64)))))
