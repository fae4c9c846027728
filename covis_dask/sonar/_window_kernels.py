"""Compiled loops over the samples of range windows, and of the pings they are taken from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Int, Real

__all__ = ["add_powers", "add_products", "calibrate", "take_difference"]


@kernel
def calibrate(beams: NDArray[Any], range_gain: Real, beam_gain: Real, out: Real) -> None:
    """Scale beams by the gains of range and beam.

    Parameters
    ----------
    beams : ndarray of float32 or float64, [n, k]
        Real samples, or real and imaginary parts in turn.
    range_gain, beam_gain : ndarray of float64, [n], [k]
        One gain for each row and each of the columns.
    out : ndarray of float64, [n, k]
    """
    for t in range(out.shape[0]):
        row, scaled, gain = beams[t], out[t], range_gain[t]
        for j in range(scaled.shape[0]):
            scaled[j] = row[j] * beam_gain[j] * gain


@kernel
def take_difference(page: Real, previous: Real, factor: float) -> None:
    """Turn a ping into its scaled difference from the one before, which it replaces there.

    Parameters
    ----------
    page, previous : ndarray of float64, [n, k]
    factor : float
    """
    for t in range(page.shape[0]):
        row, before = page[t], previous[t]
        for j in range(row.shape[0]):
            later = row[j]
            row[j] = factor * (later - before[j])
            before[j] = later


@kernel
def add_powers(z: Real, first: int, start: Int, stop: Int, weights: Real, sums: Real) -> None:
    """Add the weighted power of rows to the windows they lie in.

    The rows of a window are added one by one, so it does not matter in which blocks they come.

    Parameters
    ----------
    z : ndarray of float64, [n, 2 B]
        Real and imaginary parts in turn.
    first : int
        Number of the first row.
    start, stop : ndarray of int64, [nbins]
        Rows of each window, the last exclusive; none starts before the one above it.
    weights : ndarray of float64
        Weight of each place in a window; empty when all have weight 1.
    sums : ndarray of float64, [nbins, B]
    """
    end = first + z.shape[0]
    for m in range(_first_open(stop, first), start.shape[0]):
        if start[m] >= end:
            break
        total = sums[m]
        for t in range(max(start[m], first), min(stop[m], end)):
            row, weight = z[t - first], _weight(weights, t - start[m])
            for j in range(total.shape[0]):
                total[j] += weight * (row[2 * j] * row[2 * j] + row[2 * j + 1] * row[2 * j + 1])


@kernel
def add_products(a: Real, b: Real, first: int, start: Int, stop: Int, weights: Real, sums: Real) -> None:
    """Add the weighted products of a and the conjugate of b to the windows they lie in.

    Parameters
    ----------
    a, b : ndarray of float64, [n, 2 B]
        Real and imaginary parts in turn.
    first, start, stop, weights
        As for `add_powers`.
    sums : ndarray of float64, [nbins, 2 B]
    """
    end = first + a.shape[0]
    for m in range(_first_open(stop, first), start.shape[0]):
        if start[m] >= end:
            break
        total = sums[m]
        for t in range(max(start[m], first), min(stop[m], end)):
            one, two, weight = a[t - first], b[t - first], _weight(weights, t - start[m])
            for j in range(total.shape[0] // 2):
                re, im, other_re, other_im = one[2 * j], one[2 * j + 1], two[2 * j], two[2 * j + 1]
                total[2 * j] += weight * (re * other_re + im * other_im)
                total[2 * j + 1] += weight * (im * other_re - re * other_im)


@kernel
def _first_open(stop: Int, row: int) -> int:
    """Return the number of the first window that does not end before a row."""
    return int(np.searchsorted(stop, row, side="right"))


@kernel
def _weight(weights: Real, index: int) -> float:
    return float(weights[index]) if weights.size else 1.0
