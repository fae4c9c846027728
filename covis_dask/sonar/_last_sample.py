"""The gridding of the originals: the last sample of a cell counts (science.md 3.11)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._grid_kernels import collect, deposit, locate
from covis_dask.sonar._gridder import Gridder, GridRequest, Pick, Samples
from covis_dask.sonar._types import Int, Real

__all__ = ["PerBurstGridder", "PerRunGridder"]


@dataclass(slots=True, eq=False)
class _Records:
    """Samples that may still count: cell of the lower nodes, order in which they count, and what they hold.

    Attributes
    ----------
    cell, number : ndarray of int32, [n]
    lines : ndarray of uint8, [n]
        A bit for each axis along which a sample lies on its lower node.
    rows : ndarray of float64, [n, axes + columns]
        Place, then values; complex variables take two columns.
    """

    cell: NDArray[np.int32]
    number: NDArray[np.int32]
    lines: NDArray[np.uint8]
    rows: Real

    def __len__(self) -> int:
        return len(self.cell)


class _Pile:
    """The records of all bursts so far, in arrays that grow where they lie: a second copy would be too much.

    A record takes the place of the one before it in its cell, unless it lies on a grid line.

    Attributes
    ----------
    record : ndarray of int32, [cells]
        Where the record of each cell is, -1 where there is none.
    """

    def __init__(self, cells: int) -> None:
        self.record = np.full(cells, -1, np.int32)
        self._count = 0
        self._room: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return self._count

    def records(self) -> _Records:
        """Return views, to be forgotten before the pile grows."""
        return _Records(**{name: room[: self._count] for name, room in self._room.items()})

    def add(self, piece: _Records) -> None:
        """Add the records of a burst."""
        inner = piece.lines == 0
        at = np.where(inner, self.record[piece.cell], np.int32(-1))
        fresh = np.flatnonzero(at < 0)
        stop = self._count + len(fresh)
        at[fresh] = np.arange(self._count, stop, dtype=np.int32)
        self.record[piece.cell[inner]] = at[inner]
        for name in _Records.__slots__:
            part = getattr(piece, name)
            room = self._room.setdefault(name, np.empty((0, *part.shape[1:]), part.dtype))
            if stop > len(room):
                room.resize((stop + len(room) // 2, *part.shape[1:]), refcheck=False)
            room[at] = part
        self._count = stop


class _LastSample(Gridder):
    """The originals' scheme: in each pass over the corners, the last sample that reaches a cell counts (Q4).

    Samples of one cell, none of them on a grid line, reach the same corners in every pass; so only the last
    of them can count, and one record per cell is enough. Samples on a grid line reach some corners twice.
    They are kept beside it: there are few.
    """

    def __init__(self, request: GridRequest) -> None:
        super().__init__(request)
        # Room for a number per cell: of the last sample that reached it.
        self._last = np.full(self._size, -1, np.int32)
        # Sums over the passes.
        self._total: Real = np.zeros((0, self._size))
        self._weight: Real = np.zeros(0)

    def _reduce(self, places: list[Real], pick: Pick, first_number: int) -> _Records:
        at = np.array(places)
        cell, lines = np.empty(at.shape[1], np.int32), np.empty(at.shape[1], np.uint8)
        lower, _, spacing, top, strides = self._box
        locate(at, lower, spacing, top, strides, cell, lines)
        special = np.flatnonzero(lines)
        number = np.arange(len(cell), dtype=np.int32)
        if not special.size:
            self._last[cell] = number
            kept = np.flatnonzero(self._last[cell] == number)
        else:
            inner = lines == 0
            self._last[cell[inner]] = number[inner]
            counts = (self._last[cell] == number) & inner
            counts[self._last_of_kind(cell, lines, special)] = True
            kept = np.flatnonzero(counts)
        columns = [*at[:, kept], *self._as_columns(pick(kept))]
        return _Records(
            cell[kept],
            np.arange(first_number, first_number + len(kept), dtype=np.int32),
            lines[kept],
            np.stack(columns, axis=1).astype(np.float64, copy=False),
        )

    @staticmethod
    def _last_of_kind(cell: NDArray[np.int32], lines: NDArray[np.uint8], special: Int) -> Int:
        """Of the samples on a grid line, return the last of each cell and set of lines."""
        kind = cell[special].astype(np.int64) * 8 + lines[special]
        _, back = np.unique(kind[::-1], return_index=True)
        last: Int = special[len(special) - 1 - back]
        return last

    def _deposit(self, records: _Records) -> None:
        """Run the passes over records."""
        if not self._weight.size:
            self._total = np.zeros((records.rows.shape[1] - len(self.axes.axes), self._size))
            self._weight = np.zeros(self._size)
        lower, _, spacing, top, strides = self._box
        deposit(
            records.cell,
            records.number,
            records.lines,
            records.rows,
            lower,
            spacing,
            top,
            self._nodes,
            strides,
            self._last,
            self._total,
            self._weight,
        )

    def finish(self) -> dict[str, Samples]:
        if not self._weight.size:
            return self._empty()
        grids = {
            name: self._normalised(name, self._grid(self._total, name), self._weight) for name in self.names
        }
        return {**grids, "w": self._finished(self._weight)}


class PerBurstGridder(_LastSample):
    """2010-15: one call per burst, whose contributions add up."""

    def __init__(self, request: GridRequest) -> None:
        super().__init__(request)
        for dimension, axis in enumerate(self.axes.axes):
            self._nodes[dimension, : len(axis)] = axis[self._looked_up(dimension, np.arange(len(axis)))]

    def _take(self, places: list[Real], pick: Pick) -> None:
        self._deposit(self._reduce(places, pick, 0))

    def _looked_up(self, dimension: int, node: Int) -> Int:
        """Where 2010-15 reads the coordinate of a node: in the flattened array of all nodes (Q3)."""
        ny, nx = self.axes.shape[:2]
        if dimension == 0:
            return node // ny % nx
        return node if dimension == 1 else node // (ny * nx)


class PerRunGridder(_LastSample):
    """2018+: one call over all bursts. Records of later bursts replace those of earlier ones."""

    def __init__(self, request: GridRequest) -> None:
        super().__init__(request)
        self._pile = _Pile(self._size)
        self._number = 0

    def _take(self, places: list[Real], pick: Pick) -> None:
        piece = self._reduce(places, pick, self._number)
        self._number += len(piece)
        self._pile.add(piece)

    def finish(self) -> dict[str, Samples]:
        if not len(self._pile):
            return super().finish()
        if self.axes.z is None or self._pile.records().lines.any():
            self._deposit(self._pile.records())
            return super().finish()
        self._collect(self._pile.records().rows)
        grids = {name: self._finished(self._grid(self._total, name)) for name in self.names}
        return {**grids, "w": self._finished(self._weight)}

    def _collect(self, rows: Real) -> None:
        """Make the finished grids, in space, from records none of which lies on a grid line."""
        self._total = np.empty((rows.shape[1] - 3, self._size), self._dtype)
        self._weight = np.empty(self._size, self._dtype)
        divided = np.ones(len(self._total), np.bool_)
        for name in self.unnormalised:
            divided[self._rows[name]] = False
        counts = np.array([len(axis) for axis in self.axes.axes])
        spacing = self._box[2]
        collect(self._pile.record, rows, spacing, self._nodes, counts, divided, self._total, self._weight)
