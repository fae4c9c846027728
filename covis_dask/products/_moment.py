"""When a product was taken: the middle of the pings that entered it."""

import datetime as dt
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["BOUNDS", "dated", "time_encoding", "unix_times"]

BOUNDS: Final = "time_bounds"
_LONGEST: Final = 86_400.0  # s; a ping that is further from the start of its run has a wrong clock


def dated(ds: xr.Dataset, start: dt.datetime) -> xr.Dataset:
    """Give a product its axis of time, of length one.

    Parameters
    ----------
    ds : Dataset
        With a ping table, where the mode has one.
    start : datetime
        Start of the run by its name, UTC: what counts where no ping tells its time.

    Returns
    -------
    Dataset
        Every variable that all runs share the shape of has ``time`` as its first dimension.
    """
    first, last = _span(ds, start)
    moments = np.array([[_milliseconds(first), _milliseconds(last)]])
    middle = moments.sum(axis=1) // 2
    attributes = {
        "long_name": "Middle of the pings used",
        "standard_name": "time",
        "axis": "T",
        "bounds": BOUNDS,
        "coverage_content_type": "coordinate",
    }
    # Bounds have no attributes of their own (CF 7.1): they are the first and the last ping used.
    return ds.assign_coords(time=("time", _instants(middle), attributes)).assign(
        {BOUNDS: (("time", "bound"), _instants(moments))}
    )


def time_encoding(name: str) -> dict[str, str]:
    """Return how times are stored, in all files alike, so that they can be put in a row.

    Whole numbers survive every reader; in the tables of pings a time may be missing.
    """
    whole = name in ("time", BOUNDS)
    return {
        "units": f"{'milliseconds' if whole else 'seconds'} since 1970-01-01T00:00:00Z",
        "calendar": "standard",
        "dtype": "int64" if whole else "float64",
    }


def unix_times(variable: xr.DataArray) -> NDArray[np.float64]:
    """Return the times of a table, decoded or not, in seconds since 1970; NaN where there is none."""
    if variable.dtype.kind != "M" and "since" not in str(variable.attrs.get("units")):
        return np.asarray(variable.values, dtype=np.float64)
    instants = xr.decode_cf(xr.Dataset({"moment": variable.variable}))["moment"].values
    nanoseconds = instants.astype("datetime64[ns]").astype(np.int64)
    return np.where(np.isnat(instants), np.nan, nanoseconds / 1e9)


def _span(ds: xr.Dataset, start: dt.datetime) -> tuple[float, float]:
    """Return the times of the first and the last ping used, Unix time in s."""
    begun = start.timestamp()
    if "ping_time" not in ds.variables:
        return begun, begun
    times = unix_times(ds["ping_time"])
    used = (
        np.asarray(ds["ping_used"].values) == 1 if "ping_used" in ds.variables else np.ones(len(times), bool)
    )
    known = times[used & (np.abs(times - begun) < _LONGEST)]
    return (float(known.min()), float(known.max())) if known.size else (begun, begun)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _instants(milliseconds: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return milliseconds.astype("datetime64[ms]").astype("datetime64[ns]")
