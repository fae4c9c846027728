"""Turning of the lean: clockwise and counter-clockwise power, and tidal ellipses."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from covis_dask.science.timeseries._times import hours_of, known
from covis_dask.science.timeseries.tides import CONSTITUENTS, harmonic_fit, sampling_interval

__all__ = ["TidalEllipse", "rotary_fit", "rotary_spectrum"]

_FEWEST = 10


@dataclass(frozen=True, slots=True)
class TidalEllipse:
    """The ellipse that a vector describes in a tidal period.

    Parameters
    ----------
    major, minor : float
        Semi-axes; the minor one is negative where it turns clockwise.
    inclination : float
        Of the major axis, degrees counter-clockwise from east, in [0, 180).
    phase : float
        Of the maximum along it, degrees behind 2000-01-01 UTC.
    error : float
        1 sigma of the semi-axes.
    """

    major: float
    minor: float
    inclination: float
    phase: float
    error: float


def rotary_fit(
    east: "pd.Series[float]", north: "pd.Series[float]", wanted: Iterable[str] = CONSTITUENTS
) -> dict[str, TidalEllipse]:
    """Return the tidal ellipses of a vector, by the constituents that the record resolves."""
    chosen = list(wanted)
    both = pd.DataFrame({"east": east, "north": north}).dropna()
    fits = [harmonic_fit(both[name], chosen) for name in both]
    ellipses = {}
    for name in fits[0].index:
        (ce, se), (cn, sn) = (fit.loc[name, ["cosine", "sine"]].to_numpy(np.float64) for fit in fits)
        # The vector is P exp(i w t) + M exp(-i w t): counter-clockwise and clockwise circles.
        plus = ((ce + sn) + 1j * (cn - se)) / 2
        minus = ((ce - sn) + 1j * (cn + se)) / 2
        theta = (np.angle(plus) + np.angle(minus)) / 2
        phase = (np.angle(minus) - np.angle(plus)) / 2
        turned = np.degrees(theta) % 360 >= 180
        ellipses[str(name)] = TidalEllipse(
            float(abs(plus) + abs(minus)),
            float(abs(plus) - abs(minus)),
            float(np.degrees(theta) % 180),
            float((np.degrees(phase) + (180 if turned else 0)) % 360),
            float(np.hypot(*(fit.loc[name, "amplitude_error"] for fit in fits)) / np.sqrt(2)),
        )
    return ellipses


def rotary_spectrum(
    east: "pd.Series[float]", north: "pd.Series[float]", most_per_day: float = 4.0
) -> pd.DataFrame:
    """Return the power of a vector that turns either way, by least squares at every frequency.

    Parameters
    ----------
    east, north : Series
        On the same times.
    most_per_day : float
        Highest frequency, cycles per day; never beyond the Nyquist frequency.

    Returns
    -------
    DataFrame
        Row by frequency (cycles per day): clockwise, counter_clockwise (squares of the radii).
    """
    both = pd.DataFrame({"east": known(east), "north": known(north)}).dropna()
    interval = sampling_interval(both["east"])
    if len(both) < _FEWEST or not np.isfinite(interval):
        return pd.DataFrame(columns=["clockwise", "counter_clockwise"])
    hours = hours_of(both["east"])
    vector = both["east"].to_numpy() + 1j * both["north"].to_numpy()
    vector = vector - vector.mean()
    step = 1 / (2 * max(float(hours[-1] - hours[0]), interval))
    frequency = np.arange(step, min(most_per_day / 24, 0.5 / interval), step)
    plus, minus = np.empty(len(frequency)), np.empty(len(frequency))
    for index, f in enumerate(frequency):
        turn = np.exp(2j * np.pi * f * hours)
        # Both circles at once: their overlap on uneven times is taken out.
        cross = np.mean(np.conj(turn) ** 2)
        a, b = np.mean(vector * np.conj(turn)), np.mean(vector * turn)
        spare = max(1 - abs(cross) ** 2, 1e-12)
        plus[index] = abs((a - cross * b) / spare) ** 2
        minus[index] = abs((b - np.conj(cross) * a) / spare) ** 2
    return pd.DataFrame(
        {"clockwise": minus, "counter_clockwise": plus}, index=pd.Index(24 * frequency, name="frequency")
    )
