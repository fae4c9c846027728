"""Compiled loops over the beams of a burst: statistics over pings, percentiles over beams."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Int, Real

__all__ = ["add_ping", "echo_strength", "first_peak_of_median", "powers", "rank_of_rows"]


_COLUMNS = 8
"""Columns copied together: they lie in the same lines of the cache."""


@kernel
def add_ping(s: NDArray[Any], count: int, mean: Real, squares: Real, magnitude: Real) -> None:
    """Add a ping to mean, sum of squared deviations and sum of magnitudes (Welford).

    Parameters
    ----------
    s : ndarray of float32 or float64, [n, 2 B]
        Beams, real and imaginary parts in turn.
    count : int
        Pings with this one.
    mean : ndarray of float64, [n, 2 B]
    squares, magnitude : ndarray of float64, [n, B]
    """
    share, kept = 1.0 / count, (count - 1.0) / count
    for t in range(s.shape[0]):
        for j in range(squares.shape[1]):
            re, im = float(s[t, 2 * j]), float(s[t, 2 * j + 1])
            step_re, step_im = re - mean[t, 2 * j], im - mean[t, 2 * j + 1]
            mean[t, 2 * j] += share * step_re
            mean[t, 2 * j + 1] += share * step_im
            squares[t, j] += kept * (step_re * step_re + step_im * step_im)
            magnitude[t, j] += math.sqrt(re * re + im * im)


@kernel
def rank_of_rows(bits: Int, rank: int, found: Int) -> None:
    """Find two neighbours in the order of each row's numbers.

    The bits of floating-point numbers, those of negative ones turned over, are integers in the same order.
    How many are not above a middle one tells which half holds the number wanted: no sorting. The upper 32
    bits are searched first, twice as many at a time; few numbers share them.

    Parameters
    ----------
    bits : ndarray of int64, [n, B]
        Bits of float64 numbers, none of them NaN; left in their sortable form.
    rank : int
        Place in the order, counted from 0.
    found : ndarray of int64, [n, 2]
        Filled with the bits of the numbers at `rank` and at ``min(rank + 1, B - 1)``.
    """
    turn = np.int64(0x7FFFFFFFFFFFFFFF)
    size = bits.shape[1]
    upper, same = np.empty(size, np.int32), np.empty(size, np.int64)
    for t in range(bits.shape[0]):
        row = bits[t]
        low, high = np.int32(0x7FFFFFFF), np.int32(-0x7FFFFFFF - 1)
        for j in range(size):
            if row[j] < 0:
                row[j] ^= turn
            upper[j] = row[j] >> 32
        for j in range(size):
            low, high = min(low, upper[j]), max(high, upper[j])
        while low < high:
            middle = np.int32((low & high) + ((low ^ high) >> 1))
            below = np.int32(0)
            for j in range(size):
                below += np.int32(upper[j] <= middle)
            if below > rank:
                high = middle
            else:
                low = np.int32(middle + 1)
        before, count, after = 0, 0, turn
        for j in range(size):
            if upper[j] < low:
                before += 1
            elif upper[j] == low:
                same[count] = row[j]
                count += 1
            else:
                after = min(after, row[j])
        alike = np.sort(same[:count])
        place = rank - before
        one = alike[place]
        two = alike[place + 1] if place + 1 < count else (after if before + count < size else one)
        found[t, 0] = one if one >= 0 else one ^ turn
        found[t, 1] = two if two >= 0 else two ^ turn


@kernel
def echo_strength(
    mean: Real,
    clutter: Real,
    range_gain: Real,
    beam_gain: Real,
    above: float,
    fill: float,
    least: float,
    strength: Real,
) -> None:
    """Fill in the calibrated strength of every sample, the least of all where the SNR is low.

    Parameters
    ----------
    mean : ndarray of float64, [N, 2 B]
        Beams, real and imaginary parts in turn.
    clutter : ndarray of float64, [N]
    range_gain, beam_gain : ndarray of float64, [N], [B]
        Of amplitudes.
    above : float
        Samples whose power is more than so many times the clutter are detected.
    fill : float
        Amplitude that the others get.
    least : float
        Power below which the SNR is low.
    strength : ndarray of float64, [N, B]
    """
    smallest = math.inf
    for t in range(strength.shape[0]):
        edge = above * clutter[t]
        for j in range(strength.shape[1]):
            power = mean[t, 2 * j] ** 2 + mean[t, 2 * j + 1] ** 2
            gain = range_gain[t] * beam_gain[j]
            value = (power if power > edge else fill * fill) * (gain * gain)
            smallest = min(smallest, value)
            strength[t, j] = -1.0 if power < least else value
    for t in range(strength.shape[0]):
        for j in range(strength.shape[1]):
            if strength[t, j] < 0:
                strength[t, j] = smallest


@kernel
def first_peak_of_median(values: Real, size: int, peaks: Int) -> None:
    """Find the first maximum of every column after a median filter (Matlab's ``medfilt1``).

    A median can exceed the largest so far only if half of its window does: that is counted as the window
    moves, and few windows are sorted.

    Parameters
    ----------
    values : ndarray of float64, [N, B]
        Not NaN.
    size : int
        Length of the window: half of it (rounded down) before the sample, the rest from it on.
    peaks : ndarray of int64, [B]
        Filled with rows.
    """
    nsamps, before = values.shape[0], size // 2
    columns, window = np.zeros((_COLUMNS, nsamps + size - 1)), np.empty(size)
    for first in range(0, values.shape[1], _COLUMNS):
        count = min(_COLUMNS, values.shape[1] - first)
        for t in range(nsamps):
            for k in range(count):
                columns[k, before + t] = values[t, first + k]
        for k in range(count):
            peaks[first + k] = _first_peak(columns[k], nsamps, size, window)


@kernel
def _first_peak(column: Real, nsamps: int, size: int, window: Real) -> int:
    """Return the row of the first largest median of a column, which has zeros at both ends."""
    best, peak, above = -math.inf, 0, size
    for t in range(nsamps):
        if t > 0:
            above += int(column[t + size - 1] > best) - int(column[t - 1] > best)
        if above < size - size // 2:
            continue
        window[:] = column[t : t + size]
        window.sort()
        median = (window[(size - 1) // 2] + window[size // 2]) / 2
        if median > best:
            best, peak, above = median, t, 0
            for k in range(size):
                above += int(column[t + k] > best)
    return peak


@kernel
def powers(beams: Real, power: Real) -> None:
    """Fill in the power [n, B] of beams [n, 2 B], real and imaginary parts in turn."""
    for t in range(power.shape[0]):
        for j in range(power.shape[1]):
            power[t, j] = beams[t, 2 * j] ** 2 + beams[t, 2 * j + 1] ** 2
