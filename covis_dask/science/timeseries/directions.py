"""Which way a plume leans, over many runs: means of the lean, never of angles; one direction or two."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import i0e, i1e

__all__ = ["BimodalDirection", "bimodal_direction", "lean_statistics"]

Real = NDArray[np.float64]

_CLEAR = 2.0  # degrees of inclination below which a direction means nothing
_STARTS = 8
_ROUNDS = 500
_MOST_CONCENTRATED = 500.0
_SETTLED = 1e-9
_FEWEST = 10


def lean_statistics(table: pd.DataFrame, bins: int = 36) -> dict[str, float | Real]:
    """Summarise lean and direction.

    Parameters
    ----------
    table : DataFrame
        One row a run, with ``lean_east`` and ``lean_north``.
    bins : int
        Of the histogram of directions.

    Returns
    -------
    dict
        ``n``; ``lean_east``, ``lean_north`` (means of the slopes), ``inclination`` and ``azimuth`` (degrees)
        of this mean; ``steadiness`` (length of the mean by mean length); ``histogram`` of azimuths with
        ``edges``, each run counted once, where the inclination exceeds 2 degrees.
    """
    lean = table[["lean_east", "lean_north"]].dropna().to_numpy(np.float64)
    east, north = lean.mean(axis=0) if len(lean) else (np.nan, np.nan)
    length = np.hypot(lean[:, 0], lean[:, 1])
    clear = np.degrees(np.arctan(length)) > _CLEAR
    azimuths = np.degrees(np.arctan2(lean[clear, 0], lean[clear, 1])) % 360
    edges = np.linspace(0, 360, bins + 1)
    mean = float(np.hypot(east, north))
    return {
        "n": float(len(lean)),
        "lean_east": float(east),
        "lean_north": float(north),
        "inclination": float(np.degrees(np.arctan(mean))),
        "azimuth": float(np.degrees(np.arctan2(east, north)) % 360),
        "steadiness": float(mean / length.mean()) if len(lean) and length.mean() > 0 else float("nan"),
        "histogram": np.asarray(np.histogram(azimuths, edges)[0], np.float64),
        "edges": edges,
    }


@dataclass(frozen=True, slots=True)
class BimodalDirection:
    """Two von Mises distributions of direction, the heavier first.

    Parameters
    ----------
    mean : tuple of float
        Degrees, clockwise from north.
    concentration : tuple of float
        kappa of each.
    weight : float
        Of the first.
    log_likelihood : float
        Of the mixture, less what the Bayesian information criterion takes for its three parameters more.
    single : float
        Log likelihood of one distribution.
    """

    mean: tuple[float, float]
    concentration: tuple[float, float]
    weight: float
    log_likelihood: float
    single: float

    @property
    def bimodal(self) -> bool:
        """Whether two directions describe the runs better than one."""
        return self.log_likelihood > self.single


def bimodal_direction(azimuths: Real) -> BimodalDirection | None:
    """Fit two von Mises distributions by expectation and maximisation, from eight fixed starts.

    Parameters
    ----------
    azimuths : ndarray of float64, [n]
        Degrees. None where there are fewer than ten.
    """
    angle = np.radians(azimuths[np.isfinite(azimuths)])
    if len(angle) < _FEWEST:
        return None
    one = _von_mises(angle, np.ones(len(angle)))
    single = float(_log_density(angle, *one).sum())
    fits = [_mixture(angle, 2 * np.pi * k / _STARTS) for k in range(_STARTS)]
    best = max(fits, key=lambda fit: fit[0])
    likelihood, parts, weight = best
    if weight < 0.5:
        parts, weight = parts[::-1], 1 - weight
    means = [float(np.degrees(mu) % 360) for mu, _ in parts]
    penalty = 1.5 * np.log(len(angle))
    return BimodalDirection(
        (means[0], means[1]), (float(parts[0][1]), float(parts[1][1])), weight, likelihood - penalty, single
    )


def _mixture(angle: Real, start: float) -> tuple[float, list[tuple[float, float]], float]:
    """Return log likelihood, the two distributions (mean, kappa) and the weight of the first."""
    parts = [(start, 2.0), (start + np.pi, 2.0)]
    weight, before = 0.5, -np.inf
    for _ in range(_ROUNDS):
        logs = [
            np.log(share) + _log_density(angle, *part)
            for share, part in zip((weight, 1 - weight), parts, strict=True)
        ]
        total = np.logaddexp(*logs)
        likelihood = float(total.sum())
        share = np.exp(logs[0] - total)
        weight = float(np.clip(share.mean(), 1e-6, 1 - 1e-6))
        parts = [_von_mises(angle, share), _von_mises(angle, 1 - share)]
        if likelihood - before < _SETTLED * abs(likelihood):
            break
        before = likelihood
    return likelihood, parts, weight


def _von_mises(angle: Real, weights: Real) -> tuple[float, float]:
    """Return mean and concentration of weighted directions."""
    vector = np.sum(weights * np.exp(1j * angle)) / max(float(weights.sum()), 1e-12)
    length = min(float(abs(vector)), 0.9999)
    if length < 1e-6:
        return float(np.angle(vector)), 1e-6

    def excess(kappa: float) -> float:
        return float(i1e(kappa) / i0e(kappa)) - length

    if excess(_MOST_CONCENTRATED) < 0:
        return float(np.angle(vector)), _MOST_CONCENTRATED
    kappa = float(brentq(excess, 1e-7, _MOST_CONCENTRATED))
    return float(np.angle(vector)), kappa


def _log_density(angle: Real, mean: float, kappa: float) -> Real:
    return np.asarray(kappa * (np.cos(angle - mean) - 1) - np.log(2 * np.pi * i0e(kappa)))
