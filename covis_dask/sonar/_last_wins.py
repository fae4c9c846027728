"""The gridding of the originals: the last sample of a cell counts (science.md 3.11)."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._gridder import GridAxes, Gridder, Pick, Samples
from covis_dask.sonar._types import Bool, Int, Real

__all__ = ["PerBurst", "PerRun"]

# Records of earlier bursts that may pile up before the replaced ones are dropped.
_SPARE = 200_000


@dataclass(slots=True, eq=False)
class _Records:
    """Samples that may still count. `cell` is that of the lower nodes; `on_line` has one row per axis."""

    cell: NDArray[np.int32]
    number: NDArray[np.int32]
    on_line: Bool
    places: list[Real]
    values: dict[str, Samples]

    def keep(self, mask: Bool) -> "_Records":
        return _Records(
            self.cell[mask],
            self.number[mask],
            self.on_line[:, mask],
            [place[mask] for place in self.places],
            {name: value[mask] for name, value in self.values.items()},
        )


class _LastWins(Gridder):
    """The originals' scheme: in each pass over the corners, the last sample that reaches a cell counts (Q4).

    Samples of one cell, none of them on a grid line, reach the same corners in every pass; so only the last
    of them can count, and one record per cell is enough. Samples on a grid line reach some corners twice.
    They are kept beside it: there are few.
    """

    def __init__(
        self, axes: GridAxes, names: Collection[str], unnormalised: Collection[str], flattened: bool
    ) -> None:
        super().__init__(axes, names, unnormalised)
        self._flattened = flattened
        self._total: dict[str, Samples] = {}
        self._weight = np.zeros(self._size)

    def _reduce(self, places: list[Real], pick: Pick, first_number: int) -> _Records:
        below, on_line = self._nodes_below(places)
        cell = self._cells(below)
        lines = np.array(on_line)
        special = lines.any(axis=0)
        number = np.arange(len(cell), dtype=np.int32)
        inner = ~special
        self._last[cell[inner]] = number[inner]
        counts = self._last[cell] == number
        if special.any():
            counts[special] = False
            counts[self._last_of_kind(cell, lines, np.flatnonzero(special))] = True
        kept = np.flatnonzero(counts)
        records = _Records(
            cell[kept],
            np.arange(first_number, first_number + len(kept), dtype=np.int32),
            lines[:, kept],
            [place[kept] for place in places],
            pick(kept),
        )
        inner = ~records.on_line.any(axis=0)
        self._last[records.cell[inner]] = records.number[inner]
        return records

    @staticmethod
    def _last_of_kind(cell: NDArray[np.int32], lines: Bool, special: Int) -> Int:
        """Of the samples on a grid line, return the last of each cell and set of lines."""
        code = np.packbits(lines[:, special], axis=0, bitorder="little")[0]
        kind = cell[special].astype(np.int64) * 8 + code
        _, back = np.unique(kind[::-1], return_index=True)
        return special[len(special) - 1 - back]

    def _deposit(self, records: _Records) -> None:
        """Run the passes over records in the order in which they count."""
        below, _ = self._nodes_below(records.places)
        up = [np.where(line, 0, 1) for line in records.on_line]
        squares = [self._squared_weights(axis, below, up, records.places) for axis in range(len(below))]
        for name, value in records.values.items():
            self._total.setdefault(name, np.zeros(self._size, dtype=np.result_type(value, np.float64)))
        for corner in product((0, 1), repeat=len(below)):
            weight = np.sqrt(sum(square[n] for square, n in zip(squares, corner, strict=True)))
            # In two dimensions the originals exchange the two steps, not the weights (Q2).
            steps = corner if len(corner) == 3 else corner[::-1]
            cell = self._cells([b + n * u for b, n, u in zip(below, steps, up, strict=True)])
            for name, value in records.values.items():
                total = self._total[name]
                total[cell] = total[cell] + weight * value
            self._weight[cell] = self._weight[cell] + weight

    def _squared_weights(
        self, dimension: int, below: list[Int], up: list[Int], places: list[Real]
    ) -> tuple[Real, Real]:
        """Square of the weight along one axis, for the lower and the upper node (Q1: not their product)."""
        axis, spacing = self.axes.axes[dimension], self._spacing[dimension]
        squares = []
        for node in (below[dimension], below[dimension] + up[dimension]):
            looked_up = self._looked_up(dimension, node) if self._flattened else node
            squares.append((1 - np.abs(axis[looked_up] - places[dimension]) / spacing) ** 2)
        return squares[0], squares[1]

    def _looked_up(self, dimension: int, node: Int) -> Int:
        """Where 2010-15 reads the coordinate of a node: in the flattened array of all nodes (Q3)."""
        ny, nx = self.axes.shape[:2]
        if dimension == 0:
            return node // ny % nx
        return node if dimension == 1 else node // (ny * nx)

    def finish(self) -> dict[str, Samples]:
        grids = {
            name: self._normalised(name, self._total.pop(name, np.zeros(self._size)), self._weight)
            for name in self.names
        }
        return {**grids, "w": self._weight.reshape(self.axes.shape)}


class PerBurst(_LastWins):
    """2010-15: one call per burst, whose contributions add up."""

    def __init__(self, axes: GridAxes, names: Collection[str], unnormalised: Collection[str]) -> None:
        super().__init__(axes, names, unnormalised, flattened=True)

    def _take(self, places: list[Real], pick: Pick) -> None:
        self._deposit(self._reduce(places, pick, 0))


class PerRun(_LastWins):
    """2018+: one call over all bursts. Records of later bursts replace those of earlier ones."""

    def __init__(self, axes: GridAxes, names: Collection[str], unnormalised: Collection[str]) -> None:
        super().__init__(axes, names, unnormalised, flattened=False)
        self._pieces: list[_Records] = []
        self._number = 0
        self._compact = 0

    def _take(self, places: list[Real], pick: Pick) -> None:
        piece = self._reduce(places, pick, self._number)
        self._number += len(piece.cell)
        self._pieces.append(piece)
        # Replaced records are dropped whenever they may outweigh those that count.
        if sum(len(piece.cell) for piece in self._pieces) > 2 * self._compact + _SPARE:
            self._drop_replaced()

    def _drop_replaced(self) -> None:
        for n, piece in enumerate(self._pieces):
            counts = (self._last[piece.cell] == piece.number) | piece.on_line.any(axis=0)
            self._pieces[n] = piece.keep(counts)
        self._compact = sum(len(piece.cell) for piece in self._pieces)

    def finish(self) -> dict[str, Samples]:
        self._drop_replaced()
        pieces, self._pieces = self._pieces, []
        if pieces:
            joined = _Records(
                np.concatenate([piece.cell for piece in pieces]),
                np.concatenate([piece.number for piece in pieces]),
                np.concatenate([piece.on_line for piece in pieces], axis=1),
                [np.concatenate(parts) for parts in zip(*(piece.places for piece in pieces), strict=True)],
                {name: np.concatenate([piece.values.pop(name) for piece in pieces]) for name in self.names},
            )
            pieces.clear()
            self._deposit(joined)
        return super().finish()
