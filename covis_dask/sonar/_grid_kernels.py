"""Compiled loops of the originals' gridding, in which the last sample of a cell counts.

See docs/method.md#gridding.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Bool, Int, Real

__all__ = ["Lattice", "Rays", "Records", "Rule", "Sums", "candidates", "collect", "deposit", "locate"]

_OUTSIDE = -1
_ON_LINE = -2


class Lattice(NamedTuple):
    """The nodes of a grid.

    Attributes
    ----------
    lower, upper, spacing, top : ndarray of float64, [axes]
        Of each axis: first and last node, spacing, and number of the last node.
    strides : ndarray of int64, [axes]
        One step along each axis in the flat grid.
    nodes : ndarray of float64, [axes, most nodes]
        Coordinates of the nodes, as the weights see them.
    """

    lower: Real
    upper: Real
    spacing: Real
    top: Real
    strides: Int
    nodes: Real


class Rays(NamedTuple):
    """Where the samples of a burst lie.

    Attributes
    ----------
    ranges : ndarray of float64, [N]
        Evenly spaced, m.
    directions : ndarray of float64, [3, B]
        Directions of the beams; with two axes in the grid the third is not looked at.
    altitude : float
        Height of the head above the base, m.
    """

    ranges: Real
    directions: Real
    altitude: float


class Records(NamedTuple):
    """Samples that may still count: cell of the lower nodes, order in which they count, and what they hold.

    Attributes
    ----------
    cell, number : ndarray of int32, [n]
    lines : ndarray of uint8, [n]
        A bit for each axis along which a sample lies on its lower node.
    rows : ndarray of float64, [n, axes + columns]
        Place, then values; complex variables take two columns. Of a variable that is averaged over its own
        samples the values are 0 where it is no number, and a column at the end tells where it is one.
    """

    cell: NDArray[np.int32]
    number: NDArray[np.int32]
    lines: NDArray[np.uint8]
    rows: Real


class Rule(NamedTuple):
    """How records add to the nodes.

    Attributes
    ----------
    product : bool
        Weights are products of those along the axes, so that on a grid line the upper node gets none;
        otherwise roots of sums of squares, and both passes reach the same node there (Q1).
    matched : bool
        In two dimensions too a corner gets its own weight (Q2).
    every : bool
        All records that reach a cell add to it (Q4).
    """

    product: bool
    matched: bool
    every: bool


class Sums(NamedTuple):
    """Weighted sums of the values, [V, cells], and of the weights, [cells]; or their averages."""

    total: Real
    weight: Real


@kernel
def _cell(r: float, beam: int, rays: Rays, lattice: Lattice) -> int:
    """Return the flat number of the cell a sample lies in, or that it lies outside or on a grid line."""
    cell, on_line = 0, False
    for d in range(lattice.lower.shape[0]):
        position = r * rays.directions[d, beam]
        if d == 2:
            position = rays.altitude + position
        if not lattice.lower[d] <= position <= lattice.upper[d]:
            return _OUTSIDE
        steps = min((position - lattice.lower[d]) / lattice.spacing[d], lattice.top[d])
        node = math.floor(steps)
        on_line |= node == steps
        cell += int(node) * lattice.strides[d]
    return _ON_LINE if on_line else cell


@kernel
def _leaves_cell(r: float, beam: int, rays: Rays, lattice: Lattice) -> float:
    """Return about where a beam leaves the cell in which it is at range `r`."""
    soonest = math.inf
    for d in range(lattice.lower.shape[0]):
        along, lower, spacing = rays.directions[d, beam], lattice.lower[d], lattice.spacing[d]
        origin = rays.altitude if d == 2 else 0.0
        node = math.floor(min((origin + r * along - lower) / spacing, lattice.top[d]))
        if along > 0:
            soonest = min(soonest, (lower + (node + 1) * spacing - origin) / along)
        elif along < 0:
            soonest = min(soonest, (lower + node * spacing - origin) / along)
    return soonest


@kernel
def _last_of_cell(n: int, cell: int, beam: int, rays: Rays, lattice: Lattice) -> int:
    """Return about the last sample of a beam in the cell in which sample `n` lies: it is in it too."""
    ranges = rays.ranges
    step = ranges[1] - ranges[0] if ranges.shape[0] > 1 else 1.0
    away = _leaves_cell(ranges[n], beam, rays, lattice) - ranges[n]
    last = min(max(n + int(min(away / step, 1e9)), n), ranges.shape[0] - 1)
    while last > n and cell != _cell(ranges[last], beam, rays, lattice):
        last -= 1
    return int(last)


@kernel
def candidates(rays: Rays, select: Bool, lattice: Lattice, every: bool, places: Int) -> int:
    """List the samples of a burst that may count, in column-major order: range fastest, then beam.

    Of samples that follow one another in the same cell, none of them on a grid line, only the last may,
    unless `every` one counts. Coordinates change along a beam in one direction only, so all samples between
    two in the same cell are in it too: one can jump.

    Parameters
    ----------
    rays : Rays
    select : ndarray of bool, [N, B]
        Samples to take; empty for all.
    lattice : Lattice
    every : bool
    places : ndarray of int64, [N B]
        Filled with places in the flat array [N, B].

    Returns
    -------
    int
        How many there are.
    """
    nbeams, nsamps = rays.directions.shape[1], rays.ranges.shape[0]
    single = every or select.size > 0
    count = 0
    for beam in range(nbeams if nsamps else 0):
        before, entered, n = _OUTSIDE, False, 0
        following = _cell(rays.ranges[0], beam, rays, lattice)
        while n < nsamps:
            cell = following
            if cell == _OUTSIDE and entered:
                break  # a line leaves a box but once
            entered = cell != _OUTSIDE
            if entered and not single and cell != _ON_LINE:
                n = _last_of_cell(n, cell, beam, rays, lattice)
            following = _OUTSIDE
            while n + 1 < nsamps:
                following = _cell(rays.ranges[n + 1], beam, rays, lattice)
                if single or not entered or cell == _ON_LINE or following != cell:
                    break
                n += 1
            if entered and (select.size == 0 or select[n, beam]):
                if every or cell == _ON_LINE or cell != before:
                    count += 1
                places[count - 1] = n * nbeams + beam
                before = cell
            n += 1
    return count


@kernel
def locate(
    places: Real, lattice: Lattice, product: bool, cells: NDArray[np.int32], lines: NDArray[np.uint8]
) -> None:
    """Tell in which cells samples lie.

    Parameters
    ----------
    places : ndarray of float64, [axes, n]
        In the grid.
    lattice : Lattice
    product : bool
        See `Rule`.
    cells : ndarray of int32, [n]
        Filled with the flat number of the lower nodes.
    lines : ndarray of uint8, [n]
        Filled with a bit for each axis along which the sample lies on its lower node.
    """
    cells[:] = 0
    lines[:] = 0
    for d in range(places.shape[0]):
        top = lattice.top[d]
        for n in range(places.shape[1]):
            steps = min((places[d, n] - lattice.lower[d]) / lattice.spacing[d], top)
            node = _lower_node(steps, top, product)
            cells[n] += np.int32(node * lattice.strides[d])
            lines[n] |= np.uint8((node == steps and not (product and top > 0)) << d)


@kernel
def _lower_node(steps: float, top: float, product: bool) -> int:
    """Return the lower node of a place; with `product` a cell has an upper node even on the last line."""
    node = math.floor(steps)
    return int(node - 1) if product and node == top and top > 0 else int(node)


@kernel
def deposit(records: Records, lattice: Lattice, rule: Rule, last: NDArray[np.int32], sums: Sums) -> None:
    """Run the passes over the corners: in each, the last record that reaches a cell adds to it.

    Parameters
    ----------
    records : Records
        No two of them off the grid lines are in the same cell.
    lattice : Lattice
    rule : Rule
    last : ndarray of int32, [cells]
        Room for one number per cell.
    sums : Sums
    """
    axes = lattice.lower.shape[0]
    shares = np.empty((axes, 2))
    if rule.every or not records.lines.any():
        # No two records reach the same cell in the same pass, so each can run all passes at once.
        for n in range(records.cell.shape[0]):
            _fill_weights(n, records, lattice, rule.product, shares)
            for corner in range(2**axes):
                cell = _reached(corner, n, records, lattice.strides, rule.matched)
                _add(cell, corner, shares, rule.product, records.rows[n], sums)
        return
    for corner in range(2**axes):
        for n in range(records.cell.shape[0]):
            last[_reached(corner, n, records, lattice.strides, rule.matched)] = -1
        for n in range(records.cell.shape[0]):
            cell = _reached(corner, n, records, lattice.strides, rule.matched)
            last[cell] = max(last[cell], records.number[n])
        for n in range(records.cell.shape[0]):
            cell = _reached(corner, n, records, lattice.strides, rule.matched)
            if last[cell] == records.number[n]:
                _fill_weights(n, records, lattice, rule.product, shares)
                _add(cell, corner, shares, rule.product, records.rows[n], sums)


@kernel
def collect(record: NDArray[np.int32], rows: Real, lattice: Lattice, divided: Bool, sums: Sums) -> None:
    """Do what `deposit` does in space, with records none of which lies on a grid line, and divide.

    Every column of cells along z is written once, from the records in the four columns that reach it.

    Parameters
    ----------
    record : ndarray of int32, [cells]
        The record of each cell, -1 where there is none.
    rows : ndarray of float64, [n, 3 + V]
        See `Records`.
    lattice : Lattice
    divided : ndarray of bool, [V]
        Values whose sums are divided by the weight.
    sums : Sums
        Filled, of float32 or float64; NaN where there is no weight.
    """
    width, depth, height = int(lattice.top[0]) + 1, int(lattice.top[1]) + 1, int(lattice.top[2]) + 1
    used = np.zeros(width * depth, np.bool_)
    for column in range(used.shape[0]):
        for cell in range(column * height, (column + 1) * height):
            if record[cell] >= 0:
                used[column] = True
                break
    # The topmost nodes have no cell above them, so that no record reaches beyond.
    nodes = Sums(np.empty((height, sums.total.shape[0])), np.empty(height))
    for y in range(depth):
        for x in range(width):
            nodes.total[:], nodes.weight[:] = 0.0, 0.0
            for right in range(min(x + 1, 2)):
                for ahead in range(min(y + 1, 2)):
                    column = (y - ahead) * width + x - right
                    if used[column]:
                        _climb(record[column * height : (column + 1) * height], x, y, rows, lattice, nodes)
            _write((y * width + x) * height, nodes, divided, sums)


@kernel
def _write(first: int, nodes: Sums, divided: Bool, sums: Sums) -> None:
    """Write the sums of a column of nodes to the grid, divided where asked for."""
    for z in range(nodes.weight.shape[0]):
        weight = nodes.weight[z]
        sums.weight[first + z] = weight
        for v in range(sums.total.shape[0]):
            if weight == 0:
                sums.total[v, first + z] = math.nan
            else:
                total = nodes.total[z, v]
                sums.total[v, first + z] = total / weight if divided[v] else total


@kernel
def _climb(column: NDArray[np.int32], x: int, y: int, rows: Real, lattice: Lattice, nodes: Sums) -> None:
    """Add the shares of the records of a column of cells to the nodes at x and y.

    From the top, so that a node gets what lies above it before what lies below: the order of the passes.
    """
    at, spacing = lattice.nodes, lattice.spacing
    for z in range(column.shape[0] - 1, -1, -1):
        n = column[z]
        if n < 0:
            continue
        across = _square_weight(at[0, x], rows[n, 0], spacing[0])
        across += _square_weight(at[1, y], rows[n, 1], spacing[1])
        for node in range(z, z + 2):
            share = math.sqrt(across + _square_weight(at[2, node], rows[n, 2], spacing[2]))
            nodes.weight[node] += share
            for v in range(nodes.total.shape[1]):
                nodes.total[node, v] += share * rows[n, 3 + v]


@kernel
def _reached(corner: int, n: int, records: Records, strides: Int, matched: bool) -> int:
    """Return the cell that a record reaches in the pass over a corner."""
    axes = strides.shape[0]
    cell, lines = int(records.cell[n]), records.lines[n]
    for d in range(axes):
        # In two dimensions the originals exchange the two steps, not the weights (Q2).
        by = d if matched or axes == 3 else 1 - d
        if (corner >> (axes - 1 - by)) & 1 and not (lines >> d) & 1:
            cell += strides[d]
    return cell


@kernel
def _fill_weights(n: int, records: Records, lattice: Lattice, product: bool, shares: Real) -> None:
    """Fill in the weights of a record, or their squares, for the lower and upper node of each axis."""
    for d in range(lattice.lower.shape[0]):
        position, spacing, top = records.rows[n, d], lattice.spacing[d], lattice.top[d]
        node = _lower_node(min((position - lattice.lower[d]) / spacing, top), top, product)
        for k in range(2):
            at = node if (records.lines[n] >> d) & 1 else node + k
            if product:
                shares[d, k] = 1 - abs(lattice.nodes[d, at] - position) / spacing
            else:
                shares[d, k] = _square_weight(lattice.nodes[d, at], position, spacing)


@kernel
def _square_weight(node: float, position: float, spacing: float) -> float:
    """Return the squared weight of a place for a node, along one axis."""
    weight = 1 - abs(node - position) / spacing
    return weight * weight


@kernel
def _add(cell: int, corner: int, shares: Real, product: bool, row: Real, sums: Sums) -> None:
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
    sums.weight[cell] += share
    for v in range(sums.total.shape[0]):
        sums.total[v, cell] += share * row[axes + v]
