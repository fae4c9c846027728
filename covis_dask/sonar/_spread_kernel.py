"""Compiled loops of the multilinear gridding, in which every sample counts (docs/method.md#gridding)."""

import math
from typing import NamedTuple

import numpy as np

from covis_dask.sonar._grid_kernels import Lattice, Sums
from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Bool, Int, Real

__all__ = ["Columns", "spread"]

_CORNERS = 8
"""Of a cell in space; in a plane the last four have no weight. A number known beforehand makes vectors."""


class Columns(NamedTuple):
    """Values to grid.

    Attributes
    ----------
    values : ndarray of float64, [V, n]
    variable : ndarray of int64, [V]
        Variable to which each column belongs; it counts where all its columns are finite.
    owned : ndarray of bool, [variables]
        Variables that keep weights of their own.
    """

    values: Real
    variable: Int
    owned: Bool


class _Cell(NamedTuple):
    """Gathered for the corners of a cell: [columns, corners], [corners], [variables, corners]."""

    sums: Real
    shares: Real
    own_shares: Real


@kernel
def spread(places: Real, columns: Columns, lattice: Lattice, sums: Sums, own: Real) -> None:
    """Spread samples over the corners of their cells, with multilinear weights.

    Samples that follow one another in the same cell are summed before they go to the grid.

    Parameters
    ----------
    places : ndarray of float64, [axes, n]
        In the grid.
    columns : Columns
    lattice : Lattice
    sums : Sums
        Of all samples.
    own : ndarray of float64, [variables, cells]
        Weights of the samples of a variable, where it keeps them.
    """
    axes, count = places.shape
    steps, shares = _steps(axes, lattice), np.empty(_CORNERS)
    finite = np.empty(columns.owned.shape[0], np.bool_)
    gathered = _Cell(
        np.zeros((columns.values.shape[0], _CORNERS)),
        np.zeros(_CORNERS),
        np.zeros((columns.owned.shape[0], _CORNERS)),
    )
    open_cell = -1
    for n in range(count + 1):
        cell = -1
        if n < count:
            cell = _locate(places[:, n], lattice, shares)
        if cell != open_cell:
            if open_cell >= 0:
                _hand_over(open_cell + steps, gathered, columns.owned, sums, own)
            gathered.sums[:], gathered.shares[:], gathered.own_shares[:] = 0.0, 0.0, 0.0
            open_cell = cell
        if n < count:
            _gather(n, columns, shares, finite, gathered)


@kernel
def _steps(axes: int, lattice: Lattice) -> Int:
    """Return the steps in the flat grid from the lower node of a cell to its corners."""
    steps = np.zeros(_CORNERS, np.int64)
    for corner in range(2**axes):
        for d in range(axes):
            if lattice.top[d] > 0:
                steps[corner] += ((corner >> (axes - 1 - d)) & 1) * lattice.strides[d]
    return steps


@kernel
def _locate(position: Real, lattice: Lattice, shares: Real) -> int:
    """Return the cell in which a place lies, and fill in its shares for the corners."""
    axes, cell = position.shape[0], 0
    shares[:], shares[2**axes :] = 1.0, 0.0
    for d in range(axes):
        spacing = lattice.spacing[d]
        node = int(min((position[d] - lattice.lower[d]) / spacing, max(lattice.top[d] - 1, 0.0)))
        part = min(max((position[d] - lattice.nodes[d, node]) / spacing, 0.0), 1.0)
        cell += node * lattice.strides[d]
        for corner in range(_CORNERS):
            shares[corner] *= part if (corner >> (axes - 1 - d)) & 1 else 1 - part
    return cell


@kernel
def _gather(n: int, columns: Columns, shares: Real, finite: Bool, gathered: _Cell) -> None:
    """Add the values of a sample to what the corners of its cell will get."""
    values, variable, owned = columns.values, columns.variable, columns.owned
    sums, own_shares = gathered.sums, gathered.own_shares
    finite[:] = True
    for v in range(values.shape[0]):
        if not math.isfinite(values[v, n]):
            finite[variable[v]] = False
    for corner in range(_CORNERS):
        gathered.shares[corner] += shares[corner]
    for k in range(owned.shape[0]):
        if owned[k] and finite[k]:
            for corner in range(_CORNERS):
                own_shares[k, corner] += shares[corner]
    for v in range(values.shape[0]):
        if finite[variable[v]]:
            for corner in range(_CORNERS):
                sums[v, corner] += shares[corner] * values[v, n]


@kernel
def _hand_over(corners: Int, gathered: _Cell, owned: Bool, sums: Sums, own: Real) -> None:
    """Add what a cell has gathered to the grids at its corners."""
    for corner in range(corners.shape[0]):
        at = corners[corner]
        sums.weight[at] += gathered.shares[corner]
        for v in range(gathered.sums.shape[0]):
            sums.total[v, at] += gathered.sums[v, corner]
        for k in range(owned.shape[0]):
            if owned[k]:
                own[k, at] += gathered.own_shares[k, corner]
