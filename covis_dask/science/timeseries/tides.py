"""Tides in a series: harmonic fit with the constituents that the record resolves, and aliases."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covis_dask.science.timeseries._times import hours_of, known
from covis_dask.science.timeseries.resampling import effective_size

__all__ = [
    "CONSTITUENTS",
    "alias_period",
    "aliases",
    "harmonic_fit",
    "resolved_constituents",
    "sampling_interval",
]

Real = NDArray[np.float64]

CONSTITUENTS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "M2": 12.4206012,
        "S2": 12.0,
        "N2": 12.6583475,
        "K2": 11.9672361,
        "K1": 23.9344721,
        "O1": 25.8193387,
        "P1": 24.0658877,
        "Q1": 26.8683500,
        "Mf": 327.859939,
        "Msf": 354.367067,
        "Mm": 661.311166,
        "Ssa": 4383.0763,
    }
)
"""Periods, h; those that matter most stand first in each band and are kept where two cannot be told apart."""

_MOST_SPARSE = 2.0  # samples per period that a constituent needs


def sampling_interval(series: "pd.Series[float]") -> float:
    """Return the median distance of the times, h; NaN for fewer than two."""
    hours = hours_of(known(series))
    steps = np.diff(hours)
    steps = steps[steps > 0]
    return float(np.median(steps)) if steps.size else float("nan")


def alias_period(period: float, interval: float) -> float:
    """Return the period (h) at which samples an interval (h) apart show an oscillation of a period (h).

    Infinite where every sample meets the same phase.
    """
    turns = interval / period
    off = abs(turns - np.rint(turns))
    return float(interval / off) if off > 1e-12 else float("inf")


def _aliased(name: str, interval: float) -> str:
    """Say where a constituent appears that the sampling folds."""
    days = alias_period(CONSTITUENTS[name], interval) / 24
    return f"aliased: {name} appears at {days:.3f} d with samples {interval:g} h apart"


def aliases(interval: float) -> list[str]:
    """Return a warning for every constituent that samples an interval (h) apart fold."""
    return [_aliased(n, interval) for n, period in CONSTITUENTS.items() if _MOST_SPARSE * interval > period]


def resolved_constituents(
    series: "pd.Series[float]", wanted: Iterable[str] = CONSTITUENTS
) -> tuple[list[str], list[str]]:
    """Return which constituents a record resolves, and sentences about the others.

    Two are told apart when the record is at least as long as their beat (Rayleigh criterion 1), and one is
    seen as what it is when there are at least two samples in its period.
    """
    values = known(series)
    names: list[str] = []
    notes: list[str] = []
    hours = hours_of(values)
    length = float(hours[-1] - hours[0]) if len(hours) > 1 else 0.0
    interval = sampling_interval(values)
    for name in wanted:
        frequency = 1 / CONSTITUENTS[name]
        if not interval * _MOST_SPARSE <= CONSTITUENTS[name]:
            notes.append(_aliased(name, interval))
            continue
        rivals = [0.0, *(1 / CONSTITUENTS[other] for other in names)]
        near = min(abs(frequency - rival) for rival in rivals)
        if near * length < 1:
            notes.append(f"not resolved: {name} in a record of {length / 24:.1f} d")
            continue
        names.append(name)
    return names, notes


def harmonic_fit(series: "pd.Series[float]", wanted: Iterable[str] = CONSTITUENTS) -> pd.DataFrame:
    """Fit mean, trend and tidal constituents by least squares, on the times there are.

    Parameters
    ----------
    series : Series
        One row a run.
    wanted : iterable of str
        Constituents; those that the record does not resolve are left out, and named in ``attrs["notes"]``.

    Returns
    -------
    DataFrame
        Row by constituent: period (h), amplitude, its 1-sigma error, phase (degrees, lag of the maximum
        behind 2000-01-01 UTC), cosine, sine. ``attrs``: mean, trend (per day), residual_sd, n_effective,
        explained (share of the variance), notes.
    """
    values = known(series)
    names, notes = resolved_constituents(values, wanted) if len(values) > 1 else ([], [])
    columns = ["period", "amplitude", "amplitude_error", "phase", "cosine", "sine"]
    hours = hours_of(values)
    if len(values) < 2 * len(names) + 3:
        empty = pd.DataFrame(columns=columns)
        empty.attrs["notes"] = [*notes, f"{len(values)} values are too few for {len(names)} constituents"]
        return empty
    matrix = _matrix(hours, names)
    x = values.to_numpy(np.float64)
    fit = np.linalg.lstsq(matrix, x, rcond=None)[0]
    rest = pd.Series(x - matrix @ fit, index=values.index)
    spread = float(np.sqrt(np.sum(rest.to_numpy() ** 2) / (len(x) - matrix.shape[1])))
    size = effective_size(rest)
    error = spread * np.sqrt(2 / size)
    rows = {}
    for index, name in enumerate(names):
        c, s = float(fit[2 + 2 * index]), float(fit[3 + 2 * index])
        rows[name] = [CONSTITUENTS[name], np.hypot(c, s), error, np.degrees(np.arctan2(s, c)) % 360, c, s]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    variance = float(np.var(x))
    table.attrs |= {
        "mean": float(fit[0]),
        "trend": float(fit[1]) * 24,
        "residual_sd": spread,
        "n_effective": size,
        "explained": 1 - float(np.var(rest.to_numpy())) / variance if variance > 0 else 0.0,
        "notes": notes,
    }
    return table


def _matrix(hours: Real, names: list[str]) -> Real:
    """Return the columns of the fit: mean, trend, cosine and sine of each constituent."""
    columns = [np.ones_like(hours), hours - hours.mean()]
    for name in names:
        turn = 2 * np.pi * hours / CONSTITUENTS[name]
        columns += [np.cos(turn), np.sin(turn)]
    return np.stack(columns, axis=1)
