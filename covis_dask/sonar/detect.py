"""Signal against noise and clutter (science.md 3.12)."""

import numpy as np

from covis_dask.sonar._types import Bool, Real

__all__ = ["oscfar", "percentile_hazen", "snr_db"]


def snr_db(amplitude: Real, floor: Real | float) -> Real:
    """Return ``20 log10(amplitude / floor)``; -inf where the amplitude is 0.

    Parameters
    ----------
    amplitude : ndarray of float64
        Amplitudes.
    floor : float or ndarray of float64
        Noise floor (rms) in the same units.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Real = 20 * np.log10(amplitude / floor)
    return ratio


def percentile_hazen(values: Real, q: float, axis: int = 1) -> Real:
    """Return Matlab's ``prctile``: the Hazen percentile, NaN left out.

    Parameters
    ----------
    values : ndarray of float64
        Data.
    q : float
        Percent.
    axis : int
        Axis that disappears.

    Returns
    -------
    ndarray of float64
        NaN where there is nothing but NaN.
    """
    rows = np.moveaxis(values, axis, -1)
    found = _whole_percentile(rows, q)
    gaps = np.isnan(rows).any(axis=-1)
    if gaps.any():
        # Only rows with NaN pay for the slow way.
        found[gaps] = [_whole_percentile(row[~np.isnan(row)], q) for row in rows[gaps]]
    return found


def _whole_percentile(rows: Real, q: float) -> Real:
    """Percentile along the last axis of data without NaN."""
    n = rows.shape[-1]
    if n == 0:
        return np.full(rows.shape[:-1], np.nan)
    # Value number k (from 1) of n is the percentile 100 (k - 1/2) / n.
    position = min(max(q / 100 * n + 0.5, 1.0), float(n)) - 1
    low = int(position)
    high = min(low + 1, n - 1)
    part = np.partition(rows, (low, high), axis=-1)
    below, above = part[..., low], part[..., high]
    between = below + (above - below) * (position - low)
    # Equal neighbours may both be infinite.
    return np.where(below == above, below, between)


def oscfar(power: Real, percentile: float = 65.0, threshold_db: float = 20.0) -> tuple[Bool, Real]:
    """Detect what stands out from the other beams at its range (science.md 3.12).

    Parameters
    ----------
    power : ndarray of float64, [N, B]
        Powers.
    percentile : float
        Percentile over the beams that stands for the clutter.
    threshold_db : float
        How far a detection stands above it, dB.

    Returns
    -------
    detected : ndarray of bool, [N, B]
    clutter : ndarray of float64, [N]
        The percentile of each range.
    """
    clutter = percentile_hazen(power, percentile)
    with np.errstate(divide="ignore", invalid="ignore"):
        detected: Bool = 10 * np.log10(power) - (10 * np.log10(clutter))[:, None] > threshold_db
    return detected, clutter
