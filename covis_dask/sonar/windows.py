"""Averages over short range windows (science.md 3.13).

A window covers W samples and shares O of them with the next: bin m starts at sample m (W - O). The programs
differ in how the last bins end; `complete_bins`, `cut_bins` and `lagged_bins` tell where.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal.windows import hamming

from covis_dask.sonar._types import Complex, Int, Real

__all__ = [
    "Bins",
    "complete_bins",
    "cut_bins",
    "hamming_covariance",
    "lagged_autocovariance",
    "lagged_bins",
    "velocity_scale",
    "window_bins",
    "window_correlation",
    "window_power",
    "window_ranges",
]

_Samples = TypeVar("_Samples", Complex, Real)


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
    """Return Hamming-weighted covariance and energies of two pings (science.md 3.13.1).

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
    return (
        _weighted(a * b.conj(), bins, weights),
        _weighted(_power(a), bins, weights),
        _weighted(_power(b), bins, weights),
    )


def window_correlation(a: Complex, b: Complex, W: int, O: int) -> tuple[Complex, Real]:  # noqa: E741
    """Return normalised correlation and intensity of two pings, 2010-15 (science.md 3.13.2).

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
    intensity = np.sqrt(_sums(_power(a), bins) * _sums(_power(b), bins)) / W
    with np.errstate(divide="ignore", invalid="ignore"):
        cor = _sums(a * b.conj(), bins) / W / intensity
    return cor, intensity


def window_power(z: Complex, W: int, O: int) -> Real:  # noqa: E741
    """Return the mean of |z|^2 over each of the `cut_bins` (science.md 3.13.3).

    Parameters
    ----------
    z : ndarray of complex128 or float64, [N, B]
        Beams.
    W, O : int
        Window and overlap, samples.

    Returns
    -------
    ndarray of float64, [nbins, B]
    """
    bins = cut_bins(len(z), W, O)
    return _sums(_power(z), bins) / (bins.stop - bins.start)[:, None]


def lagged_autocovariance(z: Complex, W: int, O: int, lag: int, nan_aware: bool = False) -> Complex:  # noqa: E741
    """Return the mean of z[s] conj(z[s + lag]) over each of the `lagged_bins` (science.md 3.13.4).

    Parameters
    ----------
    z : ndarray of complex128, [N, B]
        Beams.
    W, O : int
        Window and overlap, samples.
    lag : int
        Lag, samples.
    nan_aware : bool
        Leave NaN products out of the mean (PP3, PPX); else they make it NaN.

    Returns
    -------
    ndarray of complex128, [nbins, B]
    """
    bins = lagged_bins(len(z), W, O, lag)
    products = z[: len(z) - lag] * z[lag:].conj()
    count = (bins.stop - bins.start)[:, None].astype(np.float64)
    if nan_aware and (gaps := np.isnan(products)).any():
        products[gaps] = 0
        count = _sums((~gaps).astype(np.float64), bins)
        count[count == 0] = np.nan
    with np.errstate(invalid="ignore"):
        means: Complex = _sums(products, bins) / count
    return means


def velocity_scale(freq: float, fs: float, c: float, lag: int) -> float:
    """Return the velocity (m/s) per radian of autocovariance phase (science.md 3.13).

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


def _power(z: NDArray[np.float64] | Complex) -> Real:
    if np.iscomplexobj(z):
        power: Real = z.real**2 + z.imag**2
        return power
    return np.square(z)


def _sums(samples: _Samples, bins: Bins) -> _Samples:
    """Sum [N, B] over each bin; [nbins, B]."""
    widths = bins.stop - bins.start
    whole = int(np.count_nonzero(widths == widths[:1]))  # only the last bins differ from the first
    sums = np.empty((len(bins), samples.shape[1]), dtype=samples.dtype)
    head = Bins(bins.start[:whole], bins.stop[:whole])
    sums[:whole] = _weighted(samples, head, np.ones(int(widths[0]) if len(bins) else 0))
    for m in range(whole, len(bins)):
        sums[m] = samples[bins.start[m] : bins.stop[m]].sum(axis=0)
    return sums


def _weighted(samples: _Samples, bins: Bins, weights: Real) -> _Samples:
    """Sum [N, B] over equally wide and equally spaced bins, each sample with its place's weight."""
    if not len(bins):
        return np.empty((0, samples.shape[1]), dtype=samples.dtype)
    real = np.ascontiguousarray(samples).view(np.float64)
    step = int(bins.start[1] - bins.start[0]) if len(bins) > 1 else 1
    windows = sliding_window_view(real, len(weights), axis=0)[:: step or 1][: len(bins)]
    sums: _Samples = np.matmul(weights, windows.transpose(0, 2, 1)).view(samples.dtype)
    return sums
