"""Signal against noise and clutter (docs/method.md#noise-and-clutter)."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from covis_dask.sonar._types import Bool, Int, Real

__all__ = ["NoiseLevels", "OscfarLevels", "oscfar", "oscfar_at", "percentile_hazen", "snr_db"]


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


def percentile_hazen(values: Real, q: float, axis: int = 1, *, overwrite_input: bool = False) -> Real:
    """Return Matlab's ``prctile``: the Hazen percentile, NaN left out.

    Parameters
    ----------
    values : ndarray of float64
        Data.
    q : float
        Percent.
    axis : int
        Axis that disappears.
    overwrite_input : bool
        The data may be put in another order, which saves a copy.

    Returns
    -------
    ndarray of float64
        NaN where there is nothing but NaN.
    """
    rows = np.moveaxis(values, axis, -1)
    gaps = np.isnan(rows).any(axis=-1)
    if not gaps.any():
        return _whole_percentile(rows, q, overwrite_input=overwrite_input)
    percentiles = np.empty(gaps.shape)
    percentiles[~gaps] = _whole_percentile(rows[~gaps], q, overwrite_input=True)
    percentiles[gaps] = [_whole_percentile(row[~np.isnan(row)], q) for row in rows[gaps]]
    return percentiles


def _whole_percentile(rows: Real, q: float, *, overwrite_input: bool = False) -> Real:
    """Percentile along the last axis of data without NaN."""
    n = rows.shape[-1]
    if n == 0:
        return np.full(rows.shape[:-1], np.nan)
    # Value number k (from 1) of n is the percentile 100 (k - 1/2) / n.
    position = min(max(q / 100 * n + 0.5, 1.0), float(n)) - 1
    low = int(position)
    # NumPy sorts whole short rows with vectors: faster than it, or a kernel, finds two places in them.
    ordered = rows if overwrite_input else rows.copy()
    ordered.sort(axis=-1)
    below, above = ordered[..., low], ordered[..., min(low + 1, n - 1)]
    with np.errstate(invalid="ignore"):
        between = below + (above - below) * (position - low)
    # Equal neighbours may both be infinite.
    return np.where(below == above, below, between)


def oscfar(power: Real, percentile: float = 65.0, threshold_db: float = 20.0) -> tuple[Bool, Real]:
    """Detect what stands out from the other beams at its range (docs/method.md#noise-and-clutter).

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
    return _stand_out(power, clutter[:, None], threshold_db), clutter


def _stand_out(power: Real, clutter: Real, threshold_db: float) -> Bool:
    with np.errstate(divide="ignore", invalid="ignore"):
        detected: Bool = 10 * np.log10(power) - 10 * np.log10(clutter) > threshold_db
    return detected


class NoiseLevels(Protocol):
    """What counts as noise: a floor in machine units (rms), and the least ratio of a signal to it, dB."""

    @property
    def noise_floor(self) -> float: ...  # noqa: D102
    @property
    def snr_thresh(self) -> float: ...  # noqa: D102


class OscfarLevels(Protocol):
    """What stands out: the percentile over the beams that is the clutter, and dB above it."""

    @property
    def percentile(self) -> float: ...  # noqa: D102
    @property
    def threshold(self) -> float: ...  # noqa: D102


def oscfar_at(
    places: Int,
    power: Real,
    power_of_rows: Callable[[Int], Real],
    beams: int,
    least: float,
    levels: OscfarLevels,
) -> Bool:
    """Detect among some samples only, and look only at rows with one that is strong enough to matter.

    Parameters
    ----------
    places : ndarray of int64, [n]
        Samples, counted in the flat array [N, B].
    power : ndarray of float64, [n]
        Their powers.
    power_of_rows : callable
        Returns the powers [k, B] of rows, in an array of their own.
    beams : int
        B.
    least : float
        Samples of less power are not detected.
    levels : OscfarLevels

    Returns
    -------
    ndarray of bool, [n]
    """
    detected = np.zeros(len(places), np.bool_)
    strong = np.flatnonzero(power >= least)
    if strong.size:
        rows, of_row = np.unique(places[strong] // beams, return_inverse=True)
        clutter = percentile_hazen(power_of_rows(rows), levels.percentile, overwrite_input=True)
        detected[strong] = _stand_out(power[strong], clutter[of_row], levels.threshold)
    return detected
