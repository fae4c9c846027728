"""The gridding of the originals: the last sample of a cell counts (docs/method.md#gridding)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._grid_kernels import Records, Sums, collect
from covis_dask.sonar._gridder import GridRequest, Pick, Samples
from covis_dask.sonar._passes import PassGridder
from covis_dask.sonar._types import Int, Real

__all__ = ["PerBurstGridder", "PerRunGridder"]


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

    def records(self) -> Records:
        """Return views, to be forgotten before the pile grows."""
        return Records(**{name: room[: self._count] for name, room in self._room.items()})

    def add(self, piece: Records) -> None:
        """Add the records of a burst."""
        inner = piece.lines == 0
        at = np.where(inner, self.record[piece.cell], np.int32(-1))
        fresh = np.flatnonzero(at < 0)
        stop = self._count + len(fresh)
        at[fresh] = np.arange(self._count, stop, dtype=np.int32)
        self.record[piece.cell[inner]] = at[inner]
        for name in Records._fields:
            part = getattr(piece, name)
            room = self._room.setdefault(name, np.empty((0, *part.shape[1:]), part.dtype))
            if stop > len(room):
                room.resize((stop + len(room) // 2, *part.shape[1:]), refcheck=False)
            room[at] = part
        self._count = stop


class _LastSample(PassGridder):
    """The originals' scheme: in each pass over the corners, the last sample that reaches a cell counts (Q4).

    Samples of one cell, none of them on a grid line, reach the same corners in every pass; so only the last
    of them can count, and one record per cell is enough. Samples on a grid line reach some corners twice.
    They are kept beside it: there are few.
    """

    def _reduce(self, places: list[Real], pick: Pick, first_number: int) -> Records:
        at = np.array(places)
        cell, lines = self._locate(at)
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
        return Records(
            cell[kept],
            np.arange(first_number, first_number + len(kept), dtype=np.int32),
            lines[kept],
            self._stacked(at[:, kept], pick(kept)),
        )

    @staticmethod
    def _last_of_kind(cell: NDArray[np.int32], lines: NDArray[np.uint8], special: Int) -> Int:
        """Of the samples on a grid line, return the last of each cell and set of lines."""
        kind = cell[special].astype(np.int64) * 8 + lines[special]
        _, back = np.unique(kind[::-1], return_index=True)
        last: Int = special[len(special) - 1 - back]
        return last


class PerBurstGridder(_LastSample):
    """2010-15: one call per burst, whose contributions add up."""

    def _take(self, places: list[Real], pick: Pick) -> None:
        self._deposit(self._reduce(places, pick, 0))


class PerRunGridder(_LastSample):
    """2018+: one call over all bursts. Records of later bursts replace those of earlier ones."""

    def __init__(self, request: GridRequest) -> None:
        super().__init__(request)
        self._pile = _Pile(self._size)
        self._number = 0

    def _take(self, places: list[Real], pick: Pick) -> None:
        piece = self._reduce(places, pick, self._number)
        self._number += len(piece.cell)
        self._pile.add(piece)

    def finish(self) -> dict[str, Samples]:
        if not len(self._pile):
            return self._empty()
        if self.axes.z is None or self._rule.product or self._pile.records().lines.any():
            self._deposit(self._pile.records())
        else:
            self._collect(self._pile.records().rows)
        return super().finish()

    def _collect(self, rows: Real) -> None:
        """Make the sums, in space, from records none of which lies on a grid line."""
        dtype = np.dtype(np.float64) if self._own_samples else self._dtype
        self._total = np.empty((rows.shape[1] - 3, self._size), dtype)
        self._weight = np.empty(self._size, dtype)
        self._divided = frozenset(self.names) - self.unnormalised - self._own_samples
        divided = np.zeros(len(self._total), np.bool_)
        for name in self._divided:
            divided[self._rows[name]] = True
        collect(self._pile.record, rows, self._lattice, divided, Sums(self._total, self._weight))
