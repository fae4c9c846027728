"""Times of a series as numbers."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["hours_of", "known"]

Real = NDArray[np.float64]


def known(series: "pd.Series[float]") -> "pd.Series[float]":
    """Return the values there are, in the order of time.

    Raises
    ------
    TypeError
        When the index holds no times.
    """
    if not isinstance(series.index, pd.DatetimeIndex):
        raise TypeError("a series needs times for its index: pandas.DatetimeIndex, UTC")
    return series.dropna().sort_index()


def hours_of(series: "pd.Series[float]") -> Real:
    """Return the times of a series, h since 2000-01-01 UTC."""
    index = pd.DatetimeIndex(series.index)
    epoch = pd.Timestamp("2000-01-01", tz=index.tz)
    return np.asarray((index - epoch) / pd.Timedelta(hours=1), np.float64)
