"""Averages over short range windows (docs/method.md#windowed-averages).

A window covers W samples and shares O of them with the next: bin m starts at sample m (W - O). The programs
differ in how the last bins end; `complete_bins`, `cut_bins` and `lagged_bins` tell where.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import hamming

from covis_dask.sonar._types import Complex, Int, Real
from covis_dask.sonar._window_kernels import add_powers, add_products

__all__ = [
    "Bins",
    "WindowSums",
    "complete_bins",
    "cut_bins",
    "hamming_covariance",
    "lagged_bins",
    "velocity_scale",
    "window_bins",
    "window_correlation",
    "window_power",
    "window_ranges",
]


_AnyComplex = NDArray[np.complexfloating[Any, Any]]
_ONES = np.ones(0)
"""Weights of windows whose samples all count the same."""


def window_bins(fs: float, size: float, overlap: float) -> tuple[int, int]:
    """Return the window length W and the overlap O in samples.

    Parameters
    ----------
    fs : float
        Sample rate, Hz.
    size : float
        Length of a window, s.
    overlap : float
        Part of a window shared with the next, 0 <= overlap < 1.

    Raises
    ------
    ValueError
        The window has no sample, or shares all of them.
    """
    width = math.floor(size * fs + 0.5)
    shared = math.floor(overlap * width + 0.5)
    if width < 1 or not 0 <= shared < width:
        raise ValueError(f"windows of {width} samples that share {shared} are impossible")
    return width, shared


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Where each bin starts and stops (exclusive), in samples; arrays [nbins]."""

    start: Int
    stop: Int

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, some: slice) -> "Bins":
        return Bins(self.start[some], self.stop[some])

    @property
    def widths(self) -> Real:
        """Samples in each bin, [nbins, 1]."""
        return (self.stop - self.start)[:, None].astype(np.float64)


def complete_bins(nsamps: int, W: int, O: int) -> Bins:  # noqa: E741
    """Return the bins of the 2018+ diffuse programs: floor(N / step) - 1 of them, all complete."""
    step = W - O
    count = max(min(nsamps // step - 1, (nsamps - W) // step + 1), 0)
    start = np.arange(count) * step
    return Bins(start, start + W)


def cut_bins(nsamps: int, W: int, O: int) -> Bins:  # noqa: E741
    """Return floor(N / step) bins, the last cut at the end of the ping (2010-15 diffuse, Doppler power)."""
    start = np.arange(nsamps // (W - O)) * (W - O)
    return Bins(start, np.minimum(start + W, nsamps))


def lagged_bins(nsamps: int, W: int, O: int, lag: int) -> Bins:  # noqa: E741
    """Return floor(N / step) bins of products at a lag; the last ones shrink and may repeat one sample.

    Raises
    ------
    ValueError
        The ping is not longer than the lag.
    """
    if nsamps <= lag:
        raise ValueError(f"a ping of {nsamps} samples has no products at lag {lag}")
    start = np.arange(nsamps // (W - O)) * (W - O)
    stop = np.minimum(start + W, nsamps - lag)
    return Bins(np.minimum(start, stop - 1), stop)


def window_ranges(r: Real, bins: Bins) -> Real:
    """Return the mean range [nbins] of each bin, m.

    Parameters
    ----------
    r : ndarray of float64, [N]
        Range axis, m.
    bins : Bins
        The bins.
    """
    return np.array([r[i:j].mean() for i, j in zip(bins.start, bins.stop, strict=True)])


def hamming_covariance(a: Complex, b: Complex, W: int, O: int) -> tuple[Complex, Real, Real]:  # noqa: E741
    """Return Hamming-weighted covariance and energies of two pings (docs/method.md#windowed-averages 1).

    Parameters
    ----------
    a, b : ndarray of complex128, [N, B]
        Beams.
    W, O : int
        Window and overlap, samples (`window_bins`).

    Returns
    -------
    cov : ndarray of complex128, [nbins, B]
        Weighted mean of a conj(b) over each of the `complete_bins`.
    E1, E2 : ndarray of float64, [nbins, B]
        Weighted means of |a|^2 and |b|^2.
    """
    bins = complete_bins(len(a), W, O)
    weights = hamming(W, sym=True)
    weights /= weights.sum()
    return _products(a, b, bins, weights), _powers(a, bins, weights), _powers(b, bins, weights)


def window_correlation(a: Complex, b: Complex, W: int, O: int) -> tuple[Complex, Real]:  # noqa: E741
    """Return normalised correlation and intensity of two pings, 2010-15 (docs/method.md#windowed-averages 2).

    Parameters
    ----------
    a, b : ndarray of complex128, [N, B]
        Beams.
    W, O : int
        Window and overlap, samples.

    Returns
    -------
    cor : ndarray of complex128, [nbins, B]
        Correlation over each of the `cut_bins`.
    intensity : ndarray of float64, [nbins, B]
        Geometric mean of the two energies, divided by W (also in a bin that was cut).
    """
    bins = cut_bins(len(a), W, O)
    intensity = np.sqrt(_powers(a, bins) * _powers(b, bins)) / W
    with np.errstate(divide="ignore", invalid="ignore"):
        cor = _products(a, b, bins) / W / intensity
    return cor, intensity


def window_power(z: Complex | Real, bins: Bins) -> Real:
    """Return the mean of |z|^2 [nbins, B] over each bin of beams [N, B].

    See docs/method.md#windowed-averages 3.
    """
    return _powers(z, bins) / bins.widths


class WindowSums:
    """Power and autocovariance of samples that come a few rows at a time.

    See docs/method.md#windowed-averages 3, 4.

    The numbers are the same to the last bit however the rows are divided, so that they can be added while
    they are in the cache. A NaN spoils the windows it lies in.

    Parameters
    ----------
    power, lagged : Bins
        Some of the `cut_bins`, and the same of the `lagged_bins`.
    lag : int
        Lag, samples; at least 1.
    beams : int
        B.
    first : int
        Number of the first row that will come; the others follow it in order.
    """

    def __init__(self, power: Bins, lagged: Bins, lag: int, beams: int, first: int = 0) -> None:
        self._bins, self._lagged, self._lag = power, lagged, lag
        self._power = np.zeros((len(power), beams))
        self._products = np.zeros((len(lagged), 2 * beams))
        self._next = first
        # The last rows that came: what comes next is multiplied with them.
        self._tail: _AnyComplex = np.empty((0, beams), np.complex128)

    def add(self, z: _AnyComplex) -> None:
        """Add the next rows [n, B]."""
        tail, lag = self._tail, self._lag
        before = self._next - len(tail)
        _add_powers(z, self._next, self._bins, _ONES, self._power)
        late = z[max(lag - len(tail), 0) :]
        early = tail[: len(late)]
        _add_products(early, late[: len(early)], before, self._lagged, _ONES, self._products)
        if len(z) > lag:
            _add_products(z[:-lag], z[lag:], self._next, self._lagged, _ONES, self._products)
        self._next += len(z)
        self._tail = (z if len(z) >= lag else np.concatenate([tail, z]))[-lag:].copy()

    @property
    def power(self) -> Real:
        """The mean of |z|^2 over each bin, [nbins, B]."""
        return self._power / self._bins.widths

    @property
    def autocovariance(self) -> Complex:
        """The mean of z[s] conj(z[s + lag]) over each lagged bin, [nbins, B]."""
        means: Complex = self._products.view(np.complex128) / self._lagged.widths
        return means


def velocity_scale(freq: float, fs: float, c: float, lag: int) -> float:
    """Return the velocity (m/s) per radian of autocovariance phase (docs/method.md#windowed-averages).

    Parameters
    ----------
    freq : float
        Transmit frequency, Hz.
    fs : float
        Sample rate, Hz.
    c : float
        Sound speed, m/s.
    lag : int
        Lag, samples.
    """
    return c * fs / (4 * math.pi * freq * lag)


def _powers(z: Complex | Real, bins: Bins, weights: Real = _ONES) -> Real:
    """Sum |z|^2 of [N, B] over each bin, [nbins, B]; each sample with its place's weight, 1 without any."""
    sums = np.zeros((len(bins), z.shape[1]))
    _add_powers(z, 0, bins, weights, sums)
    return sums


def _products(a: Complex, b: Complex, bins: Bins, weights: Real = _ONES) -> Complex:
    """Sum a conj(b) of [N, B] over each bin, like `_powers`."""
    sums = np.zeros((len(bins), 2 * a.shape[1]))
    _add_products(a, b, 0, bins, weights, sums)
    return sums.view(np.complex128)


def _add_powers(z: _AnyComplex | Real, first: int, bins: Bins, weights: Real, sums: Real) -> None:
    add_powers(_as_real(z), first, bins.start, bins.stop, weights, sums)


def _add_products(a: _AnyComplex, b: _AnyComplex, first: int, bins: Bins, weights: Real, sums: Real) -> None:
    add_products(_as_real(a), _as_real(b), first, bins.start, bins.stop, weights, sums)


def _as_real(z: _AnyComplex | Real) -> Real:
    """Return real and imaginary parts in turn."""
    return np.ascontiguousarray(z, np.complex128).view(np.float64)
