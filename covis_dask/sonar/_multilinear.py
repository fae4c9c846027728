"""Gridding in which every sample counts, with multilinear weights (docs/method.md#gridding)."""

import numpy as np

from covis_dask.sonar._grid_kernels import Sums
from covis_dask.sonar._gridder import Gridder, GridRequest, Pick, Samples
from covis_dask.sonar._spread_kernel import Columns, spread
from covis_dask.sonar._types import Bool, Real

__all__ = ["MultilinearGridder"]


class MultilinearGridder(Gridder):
    """Every sample counts at the corners of its cell, with the product of the weights along the axes."""

    _every_sample = True

    def __init__(self, request: GridRequest) -> None:
        super().__init__(request)
        self._total: Real = np.zeros((0, self._size))
        self._weight = np.zeros(self._size)
        # Weights of variables that had NaN where the selection took a sample; the rest is never touched.
        self._own = np.empty((len(self.names), self._size))
        self._owned = np.zeros(len(self.names), np.bool_)

    def _take(self, places: list[Real], pick: Pick) -> None:
        values = np.array(self._as_columns(pick(np.arange(len(places[0])))), np.float64)
        if not len(self._total):
            self._total = np.zeros((len(values), self._size))
        variable = np.zeros(len(values), np.int64)
        finite: Bool = np.logical_and.reduce(np.isfinite(values), axis=1)
        for number, name in enumerate(self.names):
            variable[self._rows[name]] = number
            if not self._owned[number] and not finite[self._rows[name]].all():
                self._owned[number] = True
                self._own[number] = self._weight
        columns = Columns(values, variable, self._owned)
        spread(np.array(places), columns, self._lattice, Sums(self._total, self._weight), self._own)

    def finish(self) -> dict[str, Samples]:
        if not len(self._total):
            return self._empty()
        grids = {}
        for number, name in enumerate(self.names):
            weight = self._own[number] if self._owned[number] else self._weight
            grids[name] = self._normalised(name, self._grid(self._total, name), weight)
            if self._owned[number] and name not in self._own_samples:
                grids[name][(weight != self._weight).reshape(self.axes.shape)] = np.nan
            if name in self._fractions:
                with np.errstate(invalid="ignore"):
                    grids[f"{name}_valid"] = self._finished(weight / self._weight)
        return {**grids, "w": self._finished(self._weight)}
