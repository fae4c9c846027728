"""Spectra of series with gaps, and coherence with another series."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.signal import lombscargle

from covis_dask.science.timeseries._times import hours_of, known
from covis_dask.science.timeseries.tides import aliases, sampling_interval

__all__ = ["coherence", "lomb_scargle"]

Real = NDArray[np.float64]

_OVERSAMPLING = 5
_COARSE = 2  # oversampling of the shuffled records
_FINE = 8  # points of the grid in the shortest period
_SHUFFLES = 200
_BLOCK = 72.0  # h
_LEVEL = 0.99
_FEWEST = 10
_LOBES, _HIGHER = 2.0, 5.0  # how near (widths of a line), and how much lower, side lobes are


def lomb_scargle(
    series: "pd.Series[float]", most_per_day: float = 4.0, seed: int = 0, shuffles: int = _SHUFFLES
) -> pd.DataFrame:
    """Return the periodogram of a series with gaps, with a floating mean.

    Parameters
    ----------
    series : Series
        One row a run. Do not average to days first: one value a day folds M2 onto 14.77 days.
    most_per_day : float
        Highest frequency, cycles per day; never beyond the Nyquist frequency of the median interval.
    seed, shuffles : int
        Of the false-alarm level: that which the highest peak exceeds in one of a hundred records whose blocks
        of three days are shuffled.

    Returns
    -------
    DataFrame
        Row by frequency (cycles per day): period (h), power (share of the variance). ``attrs``: ``level``;
        ``peaks``, the local maxima above it, as a DataFrame; ``notes``, with a warning ``aliased`` for every
        tidal constituent that the sampling folds.
    """
    values = known(series)
    interval = sampling_interval(values)
    if len(values) < _FEWEST or not np.isfinite(interval):
        empty = pd.DataFrame(columns=["period", "power"])
        empty.attrs |= {"level": np.nan, "peaks": empty, "notes": [f"{len(values)} values are too few"]}
        return empty
    hours = hours_of(values)
    hours = hours - hours[0]
    highest = min(most_per_day / 24, 0.5 / interval)
    step = 1 / (_OVERSAMPLING * max(hours[-1], interval))
    frequency: Real = np.asarray(np.arange(step, highest + step / 2, step), np.float64)
    x: Real = np.asarray(values, np.float64)
    power = _power(hours, x, frequency)
    level = _false_alarm(hours, x, highest, np.random.default_rng(seed), shuffles)
    table = pd.DataFrame(
        {"period": 1 / frequency, "power": power}, index=pd.Index(24 * frequency, name="frequency")
    )
    table.attrs |= {"level": level, "peaks": _peaks(table, level, 24 / hours[-1]), "notes": aliases(interval)}
    return table


def _power(hours: Real, x: Real, frequency: Real) -> Real:
    return np.asarray(
        lombscargle(hours, x - x.mean(), 2 * np.pi * frequency, floating_mean=True, normalize=True),
        np.float64,
    )


def _false_alarm(hours: Real, x: Real, highest: float, random: np.random.Generator, shuffles: int) -> float:
    """Return the power that the highest peak of shuffled records exceeds in one of a hundred.

    The sums over times are fast Fourier transforms on a fine grid: shuffling leaves the times as they are.
    """
    if shuffles < 1:
        return float("nan")
    blocks = np.split(np.arange(len(x)), np.flatnonzero(np.diff(np.floor(hours / _BLOCK))) + 1)
    grid = 1 / (_FINE * highest)
    places = np.rint(hours / grid).astype(np.int64)
    size = next_fast_len(_COARSE * (int(places[-1]) + 1), real=True)
    kept = slice(1, max(int(highest * size * grid), 1) + 1)

    def transform(values: Real, factor: int = 1) -> NDArray[np.complex128]:
        sums = np.bincount(places * factor % size, values, size)
        return np.asarray(rfft(sums)[kept] / len(x), np.complex128)

    deviation = x - x.mean()
    ones, variance = np.ones(len(x)), float(np.mean(deviation**2))
    window, double = transform(ones), transform(ones, 2)
    peaks = []
    for _ in range(shuffles):
        order = np.concatenate([blocks[k] for k in random.permutation(len(blocks))])
        power = _floating_mean_power(transform(deviation[order]), window, double, variance)
        peaks.append(power)
    return float(np.quantile(peaks, _LEVEL))


def _floating_mean_power(
    values: NDArray[np.complex128],
    window: NDArray[np.complex128],
    double: NDArray[np.complex128],
    variance: float,
) -> float:
    """Return the highest power of the periodogram with a floating mean (Zechmeister and Kuerster 2009)."""
    c, s, yc, ys = window.real, -window.imag, values.real, -values.imag
    cc = 0.5 * (1 + double.real) - c**2
    ss = 0.5 * (1 - double.real) - s**2
    cs = -0.5 * double.imag - c * s
    with np.errstate(divide="ignore", invalid="ignore"):
        power = (ss * yc**2 + cc * ys**2 - 2 * cs * yc * ys) / (variance * (cc * ss - cs**2))
    return float(np.nanmax(power))


def _peaks(table: pd.DataFrame, level: float, width: float) -> pd.DataFrame:
    """Return the local maxima above a level, the highest first, each at the top of a parabola.

    `width` is that of a line, cycles per day.
    """
    power, frequency = table["power"].to_numpy(), table.index.to_numpy(np.float64)
    inner = (
        np.flatnonzero((power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:]) & (power[1:-1] > level)) + 1
    )
    left, middle, right = power[inner - 1], power[inner], power[inner + 1]
    bend = left - 2 * middle + right
    offset = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    at = frequency[inner] + offset * (frequency[1] - frequency[0] if len(frequency) > 1 else 0.0)
    found = pd.DataFrame({"period": 24 / at, "power": middle}, index=pd.Index(at, name="frequency"))
    found = found.sort_values("power", ascending=False)
    return found[_own_peaks(found.index.to_numpy(np.float64), found["power"].to_numpy(np.float64), width)]


def _own_peaks(frequency: Real, power: Real, width: float) -> NDArray[np.bool_]:
    """Return which peaks, the highest first, are no side lobe of a much higher one."""
    kept = np.ones(len(power), np.bool_)
    for index in range(1, len(power)):
        near = abs(frequency[:index] - frequency[index]) < _LOBES * width
        kept[index] = not np.any(near & (power[:index] > _HIGHER * power[index]))
    return kept


def coherence(
    first: "pd.Series[float]", second: "pd.Series[float]", window: float = 30.0, most_apart: float = 1.5
) -> pd.DataFrame:
    """Return the coherence of two series, such as lean and bottom pressure.

    Parameters
    ----------
    first, second : Series
        The second, as from a table of other measurements, is interpolated to the times of the first only
        across at most `most_apart` hours.
    window : float
        Length of the segments, days, which overlap by half.
    most_apart : float
        h.

    Returns
    -------
    DataFrame
        Row by frequency (cycles per day, up to the Nyquist frequency of the median interval): coherence
        squared, phase (degrees, by which the second lags); ``attrs["significant"]``, the coherence squared
        that independent series exceed in one of twenty. Sums over actual times: gaps need no filling.
    """
    a, b = known(first), known(second)
    pairs = pd.DataFrame({"first": a, "second": _at(b, a, most_apart)}).dropna()
    interval, hours = sampling_interval(pairs["first"]), hours_of(pairs["first"])
    empty = pd.DataFrame(columns=["coherence", "phase"])
    empty.attrs["significant"] = np.nan
    if len(pairs) < _FEWEST or not np.isfinite(interval):
        return empty
    length = 24 * window
    frequency = np.arange(1, int(length / (2 * interval)) + 1) / length
    sums = np.zeros((3, len(frequency)), np.complex128)
    segments = 0
    for start in np.arange(hours[0], hours[-1] - length / 2, length / 2):
        inside = (hours >= start) & (hours < start + length)
        if np.count_nonzero(inside) < 0.5 * length / interval:
            continue
        segments += 1
        segment = hours[inside]
        fa, fb = (
            _transform(segment, pairs[name].to_numpy()[inside], (start, length), frequency) for name in pairs
        )
        sums += np.stack([abs(fa) ** 2, abs(fb) ** 2, fa * np.conj(fb)])
    if segments < 2:
        return empty
    squared = abs(sums[2]) ** 2 / (sums[0].real * sums[1].real)
    table = pd.DataFrame(
        {"coherence": squared, "phase": np.degrees(np.angle(sums[2]))},
        index=pd.Index(24 * frequency, name="frequency"),
    )
    independent = max(segments * 0.75, 1.5)  # segments that overlap by half share some of their values
    table.attrs["significant"] = 1 - 0.05 ** (1 / (independent - 1))
    return table


def _at(other: "pd.Series[float]", series: "pd.Series[float]", most_apart: float) -> Real:
    """Interpolate a series to the times of another, but not across gaps."""
    ours, theirs = hours_of(series), hours_of(other)
    if len(theirs) < 2:
        return np.full(len(ours), np.nan)
    values = np.interp(ours, theirs, other.to_numpy(np.float64), np.nan, np.nan)
    after = np.clip(np.searchsorted(theirs, ours), 1, len(theirs) - 1)
    gap = theirs[after] - theirs[after - 1]
    exact = np.isclose(np.minimum(abs(theirs[after] - ours), abs(ours - theirs[after - 1])), 0)
    return np.where((gap <= most_apart) | exact, values, np.nan)


def _transform(hours: Real, x: Real, window: tuple[float, float], frequency: Real) -> NDArray[np.complex128]:
    """Return the Fourier sums of a segment, tapered by a cosine bell."""
    start, length = window
    taper = 0.5 * (1 - np.cos(2 * np.pi * (hours - start) / length))
    weighted = taper * (x - np.average(x, weights=taper + 1e-12))
    return np.asarray(np.exp(-2j * np.pi * np.outer(frequency, hours)) @ weighted)
