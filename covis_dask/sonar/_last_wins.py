"""The gridding of the originals: the last sample of a cell counts (science.md 3.11)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._grid_kernels import collect, deposit, locate
from covis_dask.sonar._gridder import Gridder, Pick, Samples, Wanted
from covis_dask.sonar._types import Int, Real

__all__ = ["PerBurst", "PerRun"]

# Records of earlier bursts that may pile up before the replaced ones are dropped.
_SPARE = 1_000_000


@dataclass(slots=True, eq=False)
class _Records:
    """Samples that may still count: cell of the lower nodes, order in which they count, and what they hold.

    Attributes
    ----------
    cell, number : ndarray of int32, [n]
    lines : ndarray of uint8, [n]
        A bit for each axis along which a sample lies on its lower node.
    places : ndarray of float64, [n, axes]
    values : ndarray of float64, [n, columns]
        Complex variables take two columns.
    """

    cell: NDArray[np.int32]
    number: NDArray[np.int32]
    lines: NDArray[np.uint8]
    places: Real
    values: Real

    def __len__(self) -> int:
        return len(self.cell)


class _Pile:
    """Records one after another, in arrays that grow where they lie: a second copy would be too much."""

    def __init__(self) -> None:
        self._count = 0
        self._room: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return self._count

    def records(self) -> _Records:
        """Return views, to be forgotten before the pile grows."""
        return _Records(**{name: room[: self._count] for name, room in self._room.items()})

    def add(self, piece: _Records) -> None:
        stop = self._count + len(piece)
        for name in _Records.__slots__:
            part = getattr(piece, name)
            room = self._room.setdefault(name, np.empty((0, *part.shape[1:]), part.dtype))
            if stop > len(room):
                room.resize((stop + len(room) // 2, *part.shape[1:]), refcheck=False)
            room[self._count : stop] = part
        self._count = stop

    def keep(self, chosen: Int) -> None:
        """Drop all but some, given in order."""
        for room in self._room.values():
            room[: len(chosen)] = room[chosen]
            room.resize((len(chosen), *room.shape[1:]), refcheck=False)
        self._count = len(chosen)


class _LastWins(Gridder):
    """The originals' scheme: in each pass over the corners, the last sample that reaches a cell counts (Q4).

    Samples of one cell, none of them on a grid line, reach the same corners in every pass; so only the last
    of them can count, and one record per cell is enough. Samples on a grid line reach some corners twice.
    They are kept beside it: there are few.
    """

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        # For each cell the number of the last sample that reached it.
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
        records = _Records(
            cell[kept],
            np.arange(first_number, first_number + len(kept), dtype=np.int32),
            lines[kept],
            np.ascontiguousarray(at[:, kept].T),
            np.stack(self._as_columns(pick(kept)), axis=1).astype(np.float64, copy=False),
        )
        inner = records.lines == 0
        self._last[records.cell[inner]] = records.number[inner]
        return records

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
            self._total = np.zeros((records.values.shape[1], self._size))
            self._weight = np.zeros(self._size)
        lower, _, spacing, top, strides = self._box
        deposit(
            records.cell,
            records.number,
            records.lines,
            records.places,
            records.values,
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


class PerBurst(_LastWins):
    """2010-15: one call per burst, whose contributions add up."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
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


class PerRun(_LastWins):
    """2018+: one call over all bursts. Records of later bursts replace those of earlier ones."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._pile = _Pile()
        self._number = 0
        self._compact = 0

    def _take(self, places: list[Real], pick: Pick) -> None:
        piece = self._reduce(places, pick, self._number)
        self._number += len(piece)
        self._pile.add(piece)
        # Replaced records are dropped whenever they may outweigh those that count.
        if len(self._pile) > 2 * self._compact + _SPARE:
            self._drop_replaced()

    def _drop_replaced(self) -> None:
        if len(self._pile):
            records = self._pile.records()
            counts = (self._last[records.cell] == records.number) | (records.lines != 0)
            self._pile.keep(np.flatnonzero(counts))
        self._compact = len(self._pile)

    def finish(self) -> dict[str, Samples]:
        if not len(self._pile):
            return super().finish()
        if self._pile.records().lines.any():
            self._drop_replaced()
            self._deposit(self._pile.records())
            return super().finish()
        self._collect(self._pile.records())
        grids = {name: self._finished(self._grid(self._total, name)) for name in self.names}
        return {**grids, "w": self._finished(self._weight)}

    def _collect(self, records: _Records) -> None:
        """Make the finished grids from records none of which lies on a grid line."""
        # Of the records of a cell the last one stays.
        self._last[records.cell] = np.arange(len(records), dtype=np.int32)
        self._total = np.empty((records.values.shape[1], self._size), self._dtype)
        self._weight = np.empty(self._size, self._dtype)
        divided = np.ones(len(self._total), np.bool_)
        for name in self.unnormalised:
            divided[self._rows[name]] = False
        counts = np.ones(3, np.int64)
        counts[: len(self.axes.axes)] = [len(axis) for axis in self.axes.axes]
        _, _, spacing, _, strides = self._box
        collect(
            self._last,
            records.places,
            records.values,
            spacing,
            self._nodes,
            counts,
            strides,
            divided,
            self._total,
            self._weight,
        )
