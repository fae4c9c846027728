"""Compiled loops of the multilinear gridding, in which every sample counts (docs/method.md#gridding)."""

import math

import numpy as np

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Bool, Int, Real

__all__ = ["spread"]

_CORNERS = 8
"""Of a cell in space; in a plane the last four have no weight. A number known beforehand makes vectors."""


@kernel
def spread(
    places: Real,
    values: Real,
    variable: Int,
    owned: Bool,
    lower: Real,
    spacing: Real,
    top: Real,
    nodes: Real,
    strides: Int,
    total: Real,
    weight: Real,
    own: Real,
) -> None:
    """Spread samples over the corners of their cells, with multilinear weights.

    Samples that follow one another in the same cell are summed before they go to the grid.

    Parameters
    ----------
    places : ndarray of float64, [axes, n]
        In the grid.
    values : ndarray of float64, [V, n]
    variable : ndarray of int64, [V]
        Variable to which each column belongs; it counts where all its columns are finite.
    owned : ndarray of bool, [variables]
        Variables that keep weights of their own.
    lower, spacing, top, nodes, strides
        As for `deposit`.
    total : ndarray of float64, [V, cells]
    weight : ndarray of float64, [cells]
        Of all samples.
    own : ndarray of float64, [variables, cells]
        Of the samples of a variable, where it keeps them.
    """
    axes, count = places.shape
    columns, variables = values.shape[0], owned.shape[0]
    steps, shares = np.zeros(_CORNERS, np.int64), np.empty(_CORNERS)
    for corner in range(2**axes):
        for d in range(axes):
            if top[d] > 0:
                steps[corner] += ((corner >> (axes - 1 - d)) & 1) * strides[d]
    finite = np.empty(variables, np.bool_)
    sums, all_shares = np.zeros((columns, _CORNERS)), np.zeros(_CORNERS)
    own_shares = np.zeros((variables, _CORNERS))
    open_cell = -1
    for n in range(count + 1):
        cell = -1
        shares[:], shares[2**axes :] = 1.0, 0.0
        if n < count:
            cell = 0
            for d in range(axes):
                node = int(min((places[d, n] - lower[d]) / spacing[d], max(top[d] - 1, 0.0)))
                part = min(max((places[d, n] - nodes[d, node]) / spacing[d], 0.0), 1.0)
                cell += node * strides[d]
                for corner in range(_CORNERS):
                    shares[corner] *= part if (corner >> (axes - 1 - d)) & 1 else 1 - part
        if cell != open_cell:
            if open_cell >= 0:
                _hand_over(open_cell, steps, sums, all_shares, own_shares, owned, total, weight, own)
            sums[:], all_shares[:], own_shares[:] = 0.0, 0.0, 0.0
            open_cell = cell
        if n == count:
            break
        finite[:] = True
        for v in range(columns):
            if not math.isfinite(values[v, n]):
                finite[variable[v]] = False
        for corner in range(_CORNERS):
            all_shares[corner] += shares[corner]
        for k in range(variables):
            if owned[k] and finite[k]:
                for corner in range(_CORNERS):
                    own_shares[k, corner] += shares[corner]
        for v in range(columns):
            if finite[variable[v]]:
                for corner in range(_CORNERS):
                    sums[v, corner] += shares[corner] * values[v, n]


@kernel
def _hand_over(
    cell: int,
    steps: Int,
    sums: Real,
    all_shares: Real,
    own_shares: Real,
    owned: Bool,
    total: Real,
    weight: Real,
    own: Real,
) -> None:
    """Add what a cell has gathered to the grids at its corners."""
    for corner in range(steps.shape[0]):
        at = cell + steps[corner]
        weight[at] += all_shares[corner]
        for v in range(sums.shape[0]):
            total[v, at] += sums[v, corner]
        for k in range(owned.shape[0]):
            if owned[k]:
                own[k, at] += own_shares[k, corner]
