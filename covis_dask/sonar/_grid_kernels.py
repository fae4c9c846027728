"""Compiled loops of the originals' gridding, in which the last sample of a cell counts.

See docs/method.md#gridding.
"""

import math

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Bool, Int, Real

__all__ = ["candidates", "collect", "deposit", "locate"]

_OUTSIDE = -1
_ON_LINE = -2


@kernel
def _cell(
    r: float,
    beam: int,
    directions: Real,
    altitude: float,
    lower: Real,
    upper: Real,
    spacing: Real,
    top: Real,
    strides: Int,
) -> int:
    """Return the flat number of the cell a sample lies in, or that it lies outside or on a grid line."""
    cell, on_line = 0, False
    for d in range(lower.shape[0]):
        place = r * directions[d, beam]
        if d == 2:
            place = altitude + place
        if not lower[d] <= place <= upper[d]:
            return _OUTSIDE
        steps = min((place - lower[d]) / spacing[d], top[d])
        node = math.floor(steps)
        on_line |= node == steps
        cell += int(node) * strides[d]
    return _ON_LINE if on_line else cell


@kernel
def _leaves_cell(
    r: float, beam: int, directions: Real, altitude: float, lower: Real, spacing: Real, top: Real
) -> float:
    """Return about where a beam leaves the cell in which it is at range `r`."""
    soonest = math.inf
    for d in range(lower.shape[0]):
        along = directions[d, beam]
        origin = altitude if d == 2 else 0.0
        node = math.floor(min((origin + r * along - lower[d]) / spacing[d], top[d]))
        if along > 0:
            soonest = min(soonest, (lower[d] + (node + 1) * spacing[d] - origin) / along)
        elif along < 0:
            soonest = min(soonest, (lower[d] + node * spacing[d] - origin) / along)
    return soonest


@kernel
def candidates(
    ranges: Real,
    directions: Real,
    altitude: float,
    select: Bool,
    lower: Real,
    upper: Real,
    spacing: Real,
    top: Real,
    strides: Int,
    every: bool,
    found: Int,
) -> int:
    """List the samples of a burst that may count, in column-major order: range fastest, then beam.

    Of samples that follow one another in the same cell, none of them on a grid line, only the last may,
    unless `every` one counts. Coordinates change along a beam in one direction only, so all samples between
    two in the same cell are in it too: one can jump.

    Parameters
    ----------
    ranges : ndarray of float64, [N]
        Evenly spaced.
    directions : ndarray of float64, [3, B]
        Directions of the beams; with two axes in the grid the third is not looked at.
    altitude : float
    select : ndarray of bool, [N, B]
        Samples to take; empty for all.
    lower, upper, spacing, top : ndarray of float64, [2 or 3]
        Of each axis: first and last node, spacing, and number of the last node.
    strides : ndarray of int64, [2 or 3]
        One step along each axis in the flat grid.
    every : bool
    found : ndarray of int64, [N B]
        Filled with places in the flat array [N, B].

    Returns
    -------
    int
        How many there are.
    """
    nbeams, nsamps = directions.shape[1], ranges.shape[0]
    if nsamps == 0:
        return 0
    step = ranges[1] - ranges[0] if nsamps > 1 else 1.0
    single = every or select.size > 0
    count = 0
    for beam in range(nbeams):
        before, entered, n = _OUTSIDE, False, 0
        following = _cell(ranges[0], beam, directions, altitude, lower, upper, spacing, top, strides)
        while n < nsamps:
            cell = following
            if cell == _OUTSIDE and entered:
                break  # a line leaves a box but once
            entered = cell != _OUTSIDE
            if entered and not single and cell != _ON_LINE:
                away = _leaves_cell(ranges[n], beam, directions, altitude, lower, spacing, top) - ranges[n]
                last = min(max(n + int(min(away / step, 1e9)), n), nsamps - 1)
                while last > n and cell != _cell(
                    ranges[last], beam, directions, altitude, lower, upper, spacing, top, strides
                ):
                    last -= 1
                n = last
            following = _OUTSIDE
            while n + 1 < nsamps:
                following = _cell(
                    ranges[n + 1], beam, directions, altitude, lower, upper, spacing, top, strides
                )
                if single or not entered or cell == _ON_LINE or following != cell:
                    break
                n += 1
            if entered and (select.size == 0 or select[n, beam]):
                if every or cell == _ON_LINE or cell != before:
                    count += 1
                found[count - 1] = n * nbeams + beam
                before = cell
            n += 1
    return count


@kernel
def locate(
    places: Real,
    lower: Real,
    spacing: Real,
    top: Real,
    strides: Int,
    product: bool,
    cells: NDArray[np.int32],
    lines: NDArray[np.uint8],
) -> None:
    """Tell in which cells samples lie.

    Parameters
    ----------
    places : ndarray of float64, [axes, n]
        In the grid.
    lower, spacing, top, strides
        As for `candidates`.
    product : bool
        As for `deposit`.
    cells : ndarray of int32, [n]
        Filled with the flat number of the lower nodes.
    lines : ndarray of uint8, [n]
        Filled with a bit for each axis along which the sample lies on its lower node.
    """
    cells[:] = 0
    lines[:] = 0
    for d in range(places.shape[0]):
        for n in range(places.shape[1]):
            steps = min((places[d, n] - lower[d]) / spacing[d], top[d])
            node = _lower_node(steps, top[d], product)
            cells[n] += np.int32(node * strides[d])
            lines[n] |= np.uint8((node == steps and not (product and top[d] > 0)) << d)


@kernel
def _lower_node(steps: float, top: float, product: bool) -> int:
    """Return the lower node of a place; with `product` a cell has an upper node even on the last line."""
    node = math.floor(steps)
    return int(node - 1) if product and node == top and top > 0 else int(node)


@kernel
def deposit(
    cells: NDArray[np.int32],
    numbers: NDArray[np.int32],
    lines: NDArray[np.uint8],
    rows: Real,
    lower: Real,
    spacing: Real,
    top: Real,
    nodes: Real,
    strides: Int,
    product: bool,
    matched: bool,
    every: bool,
    last: NDArray[np.int32],
    total: Real,
    weight: Real,
) -> None:
    """Run the passes over the corners: in each, the last record that reaches a cell adds to it.

    Parameters
    ----------
    cells : ndarray of int32, [n]
        Cell of the lower nodes of each record; no two of them off the grid lines are in the same.
    numbers : ndarray of int32, [n]
        Order in which they count.
    lines : ndarray of uint8, [n]
        A bit for each axis along which a record lies on its lower node.
    rows : ndarray of float64, [n, axes + V]
        Place and values of each record.
    lower, spacing, top : ndarray of float64, [axes]
        First node, spacing, and number of the last node.
    nodes : ndarray of float64, [axes, most nodes]
        Coordinates of the nodes, as the weights see them.
    strides : ndarray of int64, [axes]
    product : bool
        Weights are products of those along the axes, so that on a grid line the upper node gets none;
        otherwise roots of sums of squares, and both passes reach the same node there (Q1).
    matched : bool
        In two dimensions too a corner gets its own weight (Q2).
    every : bool
        All records that reach a cell add to it (Q4).
    last : ndarray of int32, [cells]
        Room for one number per cell.
    total : ndarray of float64, [V, cells]
    weight : ndarray of float64, [cells]
    """
    axes = lower.shape[0]
    shares = np.empty((axes, 2))
    if every or not lines.any():
        # No two records reach the same cell in the same pass, so each can run all passes at once.
        for n in range(cells.shape[0]):
            _fill_weights(n, lines, rows, lower, spacing, top, nodes, product, shares)
            for corner in range(2**axes):
                cell = _reached(corner, n, cells, lines, strides, matched)
                _add(cell, corner, n, shares, product, rows, total, weight)
        return
    for corner in range(2**axes):
        for n in range(cells.shape[0]):
            last[_reached(corner, n, cells, lines, strides, matched)] = -1
        for n in range(cells.shape[0]):
            cell = _reached(corner, n, cells, lines, strides, matched)
            last[cell] = max(last[cell], numbers[n])
        for n in range(cells.shape[0]):
            cell = _reached(corner, n, cells, lines, strides, matched)
            if last[cell] == numbers[n]:
                _fill_weights(n, lines, rows, lower, spacing, top, nodes, product, shares)
                _add(cell, corner, n, shares, product, rows, total, weight)


@kernel
def collect(
    record: NDArray[np.int32],
    rows: Real,
    spacing: Real,
    nodes: Real,
    counts: Int,
    divided: Bool,
    total: Real,
    weight: Real,
) -> None:
    """Do what `deposit` does in space, with records none of which lies on a grid line, and divide.

    Every column of cells along z is written once, from the records in the four columns that reach it.

    Parameters
    ----------
    record : ndarray of int32, [cells]
        The record of each cell, -1 where there is none.
    rows, spacing, nodes
        As for `deposit`.
    counts : ndarray of int64, [3]
        Nodes along each axis.
    divided : ndarray of bool, [V]
        Values whose sums are divided by the weight.
    total : ndarray of float32 or float64, [V, cells]
        Filled with the sums; NaN where there is no weight.
    weight : ndarray of float32 or float64, [cells]
        Filled.
    """
    width, height = counts[0], counts[2]
    used = np.zeros(width * counts[1], np.bool_)
    for column in range(used.shape[0]):
        for cell in range(column * height, (column + 1) * height):
            if record[cell] >= 0:
                used[column] = True
                break
    # The topmost nodes have no cell above them, so that no record reaches beyond.
    sums, full = np.empty((height, total.shape[0])), np.empty(height)
    for y in range(counts[1]):
        for x in range(width):
            sums[:], full[:] = 0.0, 0.0
            for right in range(min(x + 1, 2)):
                for ahead in range(min(y + 1, 2)):
                    column = (y - ahead) * width + x - right
                    if used[column]:
                        _climb(
                            record[column * height : (column + 1) * height],
                            x,
                            y,
                            rows,
                            spacing,
                            nodes,
                            sums,
                            full,
                        )
            first = (y * width + x) * height
            for z in range(height):
                weight[first + z] = full[z]
                for v in range(total.shape[0]):
                    if full[z] == 0:
                        total[v, first + z] = math.nan
                    else:
                        total[v, first + z] = sums[z, v] / full[z] if divided[v] else sums[z, v]


@kernel
def _climb(
    column: NDArray[np.int32],
    x: int,
    y: int,
    rows: Real,
    spacing: Real,
    nodes: Real,
    sums: Real,
    full: Real,
) -> None:
    """Add the shares of the records of a column of cells to the nodes at x and y.

    From the top, so that a node gets what lies above it before what lies below: the order of the passes.
    """
    for z in range(column.shape[0] - 1, -1, -1):
        n = column[z]
        if n < 0:
            continue
        across = _square_weight(nodes[0, x], rows[n, 0], spacing[0])
        across += _square_weight(nodes[1, y], rows[n, 1], spacing[1])
        for node in range(z, z + 2):
            share = math.sqrt(across + _square_weight(nodes[2, node], rows[n, 2], spacing[2]))
            full[node] += share
            for v in range(sums.shape[1]):
                sums[node, v] += share * rows[n, 3 + v]


@kernel
def _reached(
    corner: int,
    n: int,
    cells: NDArray[np.int32],
    lines: NDArray[np.uint8],
    strides: Int,
    matched: bool,
) -> int:
    """Return the cell that a record reaches in the pass over a corner."""
    axes = strides.shape[0]
    cell = int(cells[n])
    for d in range(axes):
        # In two dimensions the originals exchange the two steps, not the weights (Q2).
        by = d if matched or axes == 3 else 1 - d
        if (corner >> (axes - 1 - by)) & 1 and not (lines[n] >> d) & 1:
            cell += strides[d]
    return cell


@kernel
def _fill_weights(
    n: int,
    lines: NDArray[np.uint8],
    rows: Real,
    lower: Real,
    spacing: Real,
    top: Real,
    nodes: Real,
    product: bool,
    shares: Real,
) -> None:
    """Fill in the weights of a record, or their squares, for the lower and upper node of each axis."""
    for d in range(lower.shape[0]):
        node = _lower_node(min((rows[n, d] - lower[d]) / spacing[d], top[d]), top[d], product)
        for k in range(2):
            at = node if (lines[n] >> d) & 1 else node + k
            if product:
                shares[d, k] = 1 - abs(nodes[d, at] - rows[n, d]) / spacing[d]
            else:
                shares[d, k] = _square_weight(nodes[d, at], rows[n, d], spacing[d])


@kernel
def _square_weight(node: float, place: float, spacing: float) -> float:
    """Return the squared weight of a place for a node, along one axis."""
    weight = 1 - abs(node - place) / spacing
    return weight * weight


@kernel
def _add(
    cell: int, corner: int, n: int, shares: Real, product: bool, rows: Real, total: Real, weight: Real
) -> None:
    """Add the share of a record to a cell: the product of its weights, or the root of their squares (Q1)."""
    axes = shares.shape[0]
    share = 1.0 if product else 0.0
    for d in range(axes):
        if product:
            share *= shares[d, (corner >> (axes - 1 - d)) & 1]
        else:
            share += shares[d, (corner >> (axes - 1 - d)) & 1]
    if not product:
        share = math.sqrt(share)
    weight[cell] += share
    for v in range(total.shape[0]):
        total[v, cell] += share * rows[n, axes + v]
