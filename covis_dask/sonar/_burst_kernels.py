"""Compiled loops over the beams of a burst: statistics over pings, peaks along beams."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Int, Real

__all__ = ["add_ping", "echo_strength", "first_peak_of_median", "powers"]


_SKIP = 16
"""Samples passed over at once where none of them is large enough to matter."""


@kernel
def add_ping(s: NDArray[Any], count: int, mean: Real, squares: Real, magnitude: Real) -> None:
    """Add a ping to mean, sum of squared deviations and sum of magnitudes (Welford).

    Parameters
    ----------
    s : ndarray of float32 or float64, [n, 2 B]
        Beams, real and imaginary parts in turn.
    count : int
        Pings with this one; at 1 the sums need not have been set.
    mean : ndarray of float64, [n, 2 B]
    squares, magnitude : ndarray of float64, [n, B]
    """
    if count == 1:
        for t in range(s.shape[0]):
            for j in range(squares.shape[1]):
                re, im = float(s[t, 2 * j]), float(s[t, 2 * j + 1])
                mean[t, 2 * j], mean[t, 2 * j + 1] = re, im
                squares[t, j], magnitude[t, j] = 0.0, math.sqrt(re * re + im * im)
        return
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
    moves, and few windows are sorted. Where nothing exceeds it, nothing is counted either; and as the window
    about the largest sample is looked at first, that is nearly everywhere.

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
    # Zeros lie before the first row and after the last.
    largest = np.empty((-(-(nsamps + size - 1) // _SKIP), values.shape[1]))
    for k in range(largest.shape[0]):
        row = largest[k]
        row[:] = 0.0 if k * _SKIP < before or (k + 1) * _SKIP > before + nsamps else -math.inf
        for t in range(max(k * _SKIP - before, 0), min((k + 1) * _SKIP - before, nsamps)):
            for j in range(row.shape[0]):
                row[j] = max(row[j], values[t, j])
    window = np.empty(size)
    for j in range(values.shape[1]):
        peaks[j] = _first_peak(values[:, j], size, window, largest[:, j].copy())


@kernel
def _first_peak(column: Real, size: int, window: Real, largest: Real) -> int:
    """Return the row of the first largest median of a column.

    `largest` holds the largest of every so many samples, counted from the start of the first window.
    """
    nsamps, before = column.shape[0], size // 2
    start = min(max(int(np.argmax(largest)) * _SKIP - before, 0), nsamps - 1)
    for t in range(start, min(start + _SKIP, nsamps)):
        if column[t] > column[start]:
            start = t
    # A shade less, so that it is found again if nothing before it is as large.
    best = np.nextafter(_median(column, start, size, window), -math.inf)
    peak, above = int(start), _above(column, 0, size, best)
    t = 0
    while t < nsamps:
        if above == 0 and t % _SKIP == 0:
            k = t // _SKIP
            while k < largest.shape[0] and largest[k] <= best:
                k += 1
            t = max(t, k * _SKIP - size + 1)
            if t >= nsamps:
                break
        if t > 0:
            above += int(_at(column, t + size - 1 - before) > best) - int(_at(column, t - 1 - before) > best)
        if above >= size - size // 2:
            median = _median(column, t, size, window)
            if median > best:
                best, peak, above = median, t, _above(column, t, size, median)
        t += 1
    return peak


@kernel
def _at(column: Real, t: int) -> float:
    return float(column[t]) if 0 <= t < column.shape[0] else 0.0


@kernel
def _above(column: Real, t: int, size: int, edge: float) -> int:
    """Return how many samples of the window about row `t` exceed an edge."""
    above = 0
    for k in range(t - size // 2, t - size // 2 + size):
        above += int(_at(column, k) > edge)
    return above


@kernel
def _median(column: Real, t: int, size: int, window: Real) -> float:
    """Return the median of the window about row `t`."""
    for k in range(size):
        window[k] = _at(column, t - size // 2 + k)
    window.sort()
    median: float = (window[(size - 1) // 2] + window[size // 2]) / 2
    return median


@kernel
def powers(beams: Real, power: Real) -> None:
    """Fill in the power [n, B] of beams [n, 2 B], real and imaginary parts in turn."""
    for t in range(power.shape[0]):
        for j in range(power.shape[1]):
            power[t, j] = beams[t, 2 * j] ** 2 + beams[t, 2 * j + 1] ** 2
