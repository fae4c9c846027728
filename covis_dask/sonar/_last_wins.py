"""The gridding of the originals: the last sample of a cell counts (science.md 3.11)."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._grid_kernels import deposit
from covis_dask.sonar._gridder import GridAxes, Gridder, Pick, Samples
from covis_dask.sonar._types import Bool, Int, Real

__all__ = ["PerBurst", "PerRun"]

# Records of earlier bursts that may pile up before the replaced ones are dropped.
_SPARE = 200_000


@dataclass(slots=True, eq=False)
class _Records:
    """Samples that may still count: cell of the lower nodes, order in which they count, and what they hold.

    Attributes
    ----------
    cell, number : ndarray of int32, [n]
    on_line : ndarray of bool, [n, axes]
    places : ndarray of float64, [n, axes]
    values : ndarray of float64, [n, columns]
        Complex variables take two columns.
    """

    cell: NDArray[np.int32]
    number: NDArray[np.int32]
    on_line: Bool
    places: Real
    values: Real

    def keep(self, chosen: Bool) -> "_Records":
        return _Records(*(getattr(self, name)[chosen] for name in self.__slots__))

    @classmethod
    def joined(cls, pieces: "list[_Records]") -> "_Records":
        """Put pieces together; they are gone afterwards, as two copies would take too much memory."""
        columns = []
        for name in cls.__slots__:
            parts = [getattr(piece, name) for piece in pieces]
            columns.append(np.concatenate(parts))
            for piece in pieces:
                setattr(piece, name, columns[-1][:0])
        return cls(*columns)


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
        # Where the weights read the coordinates of the nodes.
        self._seen = np.zeros((len(axes.axes), max(map(len, axes.axes))))
        for dimension, axis in enumerate(axes.axes):
            node = np.arange(len(axis))
            at = self._looked_up(dimension, node) if flattened else node
            self._seen[dimension, : len(axis)] = axis[at]
        # Sums over the passes, and the rows in which each variable stands.
        self._total: Real = np.zeros((0, self._size))
        self._rows: dict[str, slice] = {}
        self._weight: Real = np.zeros(0)

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
            lines[:, kept].T,
            np.stack([place[kept] for place in places], axis=1),
            self._as_columns(pick(kept)),
        )
        inner = ~records.on_line.any(axis=1)
        self._last[records.cell[inner]] = records.number[inner]
        return records

    def _as_columns(self, values: dict[str, Samples]) -> Real:
        """Return the values of records side by side, [n, columns]."""
        columns: list[Real] = []
        for name in self.names:
            value = values[name]
            parts = [value.real, value.imag] if np.iscomplexobj(value) else [value]
            self._rows[name] = slice(len(columns), len(columns) + len(parts))
            columns += parts
        return np.stack(columns, axis=1).astype(np.float64, copy=False)

    @staticmethod
    def _last_of_kind(cell: NDArray[np.int32], lines: Bool, special: Int) -> Int:
        """Of the samples on a grid line, return the last of each cell and set of lines."""
        code = np.packbits(lines[:, special], axis=0, bitorder="little")[0]
        kind = cell[special].astype(np.int64) * 8 + code
        _, back = np.unique(kind[::-1], return_index=True)
        return special[len(special) - 1 - back]

    def _deposit(self, records: _Records) -> None:
        """Run the passes over records."""
        if not self._weight.size:
            self._total = np.zeros((records.values.shape[1], self._size))
            self._weight = np.zeros(self._size)
        lower, _, spacing, top, strides = self._box
        deposit(
            records.cell,
            records.number,
            records.on_line,
            records.places,
            records.values,
            lower,
            spacing,
            top,
            self._seen,
            strides,
            self._last,
            self._total,
            self._weight,
        )

    def _looked_up(self, dimension: int, node: Int) -> Int:
        """Where 2010-15 reads the coordinate of a node: in the flattened array of all nodes (Q3)."""
        ny, nx = self.axes.shape[:2]
        if dimension == 0:
            return node // ny % nx
        return node if dimension == 1 else node // (ny * nx)

    def finish(self) -> dict[str, Samples]:
        if not self._weight.size:
            empty = np.full(self.axes.shape, np.nan)
            return {**{name: empty.copy() for name in self.names}, "w": np.zeros(self.axes.shape)}
        grids = {}
        for name in self.names:
            rows = self._total[self._rows[name]]
            sums = rows[0] if len(rows) == 1 else rows[0] + 1j * rows[1]
            grids[name] = self._normalised(name, sums, self._weight)
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
            counts = (self._last[piece.cell] == piece.number) | piece.on_line.any(axis=1)
            self._pieces[n] = piece.keep(counts)
        self._compact = sum(len(piece.cell) for piece in self._pieces)

    def finish(self) -> dict[str, Samples]:
        self._drop_replaced()
        pieces, self._pieces = self._pieces, []
        if pieces:
            self._deposit(_Records.joined(pieces))
        return super().finish()
