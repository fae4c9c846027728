"""Averages over days, months and windows, with what they rest on."""

import numpy as np
import pandas as pd

from covis_dask.science.timeseries._times import known

__all__ = ["effective_size", "resample"]

_LEAST_FOR_CORRELATION = 8


def effective_size(values: "pd.Series[float]") -> float:
    """Return how many independent values a series is worth: n (1 - r1)/(1 + r1), at most n and at least 1."""
    x = values.dropna().to_numpy(np.float64)
    count = len(x)
    if count < _LEAST_FOR_CORRELATION:
        return float(count)
    deviation = x - x.mean()
    power = float(np.sum(deviation**2))
    r1 = float(np.sum(deviation[1:] * deviation[:-1])) / power if power > 0 else 0.0
    r1 = min(max(r1, 0.0), 0.999)
    return float(min(max(count * (1 - r1) / (1 + r1), 1.0), count))


def resample(series: "pd.Series[float]", window: str = "MS", expected_per_day: float = 8.0) -> pd.DataFrame:
    """Summarise a series by calendar days, months, or windows as long as their stride.

    Parameters
    ----------
    series : Series
        One row a run.
    window : str
        ``D`` (days), ``MS`` (calendar months) or a number of days such as ``30D``.
    expected_per_day : float
        Runs a day that there should be, for the coverage.

    Returns
    -------
    DataFrame
        Row by window, at its start: n, mean, median, sd, q25, q75, standard_error (with the effective number
        of values), coverage. Windows without runs stay, with NaN: gaps are not filled.
    """
    values = known(series)
    columns = ["n", "mean", "median", "sd", "q25", "q75", "standard_error", "coverage"]
    if values.empty:
        return pd.DataFrame(columns=columns)
    groups = values.resample(window)
    table = pd.DataFrame(
        {
            "n": groups.count(),
            "mean": groups.mean(),
            "median": groups.median(),
            "sd": groups.std(),
            "q25": groups.quantile(0.25),
            "q75": groups.quantile(0.75),
        }
    )
    sizes = groups.apply(effective_size)
    table["standard_error"] = table["sd"] / np.sqrt(sizes.where(sizes > 0))
    starts = pd.DatetimeIndex(table.index)
    ends = starts + pd.tseries.frequencies.to_offset(window)
    days = np.asarray((ends - starts) / pd.Timedelta(days=1), np.float64)
    table["coverage"] = table["n"] / (expected_per_day * days)
    return table[columns]
