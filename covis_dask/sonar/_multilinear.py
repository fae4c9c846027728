"""Gridding in which every sample counts, with multilinear weights (science.md 3.11, corrected)."""

from collections.abc import Collection
from itertools import product

import numpy as np

from covis_dask.sonar._gridder import GridAxes, Gridder, Pick, Samples
from covis_dask.sonar._types import Real

__all__ = ["Multilinear"]


class Multilinear(Gridder):
    """Every sample counts at the corners of its cell, with the product of the weights along the axes."""

    _every_sample = True

    def __init__(self, axes: GridAxes, names: Collection[str], unnormalised: Collection[str]) -> None:
        super().__init__(axes, names, unnormalised)
        self._total: dict[str, Samples] = {}
        self._weight = np.zeros(self._size)
        # Weights of variables that had NaN where the selection took a sample.
        self._own: dict[str, Real] = {}

    def _take(self, places: list[Real], pick: Pick) -> None:
        below, _ = self._nodes_below(places)
        fractions = []
        for n, (place, axis) in enumerate(zip(places, self.axes.axes, strict=True)):
            np.minimum(below[n], max(len(axis) - 2, 0), out=below[n])
            fractions.append(np.clip((place - axis[below[n]]) / self._spacing[n], 0, 1))
        cell = self._cells(below)
        values = pick(np.arange(len(cell)))
        valid = {name: np.isfinite(value) for name, value in values.items()}
        for name, value in values.items():
            self._total.setdefault(name, np.zeros(self._size, dtype=np.result_type(value, np.float64)))
            if name not in self._own and not valid[name].all():
                self._own[name] = self._weight.copy()
        # Samples of one cell are summed first: far fewer cells than samples are then visited in the grid.
        number = np.arange(len(cell), dtype=np.int32)
        self._last[cell] = number
        visited = np.flatnonzero(self._last[cell] == number)
        self._last[cell[visited]] = np.arange(len(visited), dtype=np.int32)
        label = self._last[cell]

        def summed(samples: Real) -> Real:
            sums: Real = np.bincount(label, samples, minlength=len(visited)).astype(np.float64)
            return sums

        clean = {name: np.where(valid[name], value, 0) for name, value in values.items()}
        for corner in product((0, 1), repeat=len(below)):
            weight = np.prod([f if n else 1 - f for f, n in zip(fractions, corner, strict=True)], axis=0)
            steps = sum(
                n * s
                for n, s, axis in zip(corner, self._strides, self.axes.axes, strict=True)
                if len(axis) > 1
            )
            reached = cell[visited] + steps
            self._weight[reached] += summed(weight)
            for name, value in clean.items():
                total = self._total[name]
                if np.iscomplexobj(value):
                    total[reached] += summed(weight * value.real) + 1j * summed(weight * value.imag)
                else:
                    total[reached] += summed(weight * value)
                if name in self._own:
                    self._own[name][reached] += summed(weight * valid[name])

    def finish(self) -> dict[str, Samples]:
        grids = {}
        for name in self.names:
            weight = self._own.pop(name, self._weight)
            grids[name] = self._normalised(name, self._total.pop(name, np.zeros(self._size)), weight)
        return {**grids, "w": self._weight.reshape(self.axes.shape)}
