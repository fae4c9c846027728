"""Phase of the seafloor's echo: how much it flutters, and what temperature does that.

See docs/science.md#diffuse-flow.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "coherence_time",
    "path_length",
    "phase_per_kelvin",
    "phase_variance",
    "structure_function",
    "unbiased_correlation",
]

Real = NDArray[np.float64]

_SAMPLES_OF_ONE_PAIR = 2.4
_SAMPLES_PER_PAIR = 2.0
_ENOUGH_PAIRS = 4


def structure_function(correlation: Real | float, reference: float = 1.0) -> Real:
    """Return the structure function of the phase (rad2) for Gaussian phases, -2 ln(cor/cor_0).

    Parameters
    ----------
    correlation : ndarray of float64
        Of pings a lag apart.
    reference : float
        Correlation where nothing flows; what exceeds it has none.
    """
    cor = np.asarray(correlation, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(cor > 0, np.minimum(cor / reference, 1.0), np.nan)
        return np.asarray(np.where(np.isnan(share), np.nan, -2 * np.log(share)) + 0.0)


def phase_variance(coherence: Real | float, pings: float) -> Real:
    """Return the phase variance (rad2) of the coherence J of a number of pings, averaged over cells.

    J of independent phases is 1/P and not 0, so that -ln J is too small (Q65). Average J before the
    logarithm; what is left of noise below 1/P has no variance and is NaN.
    """
    j = np.asarray(coherence, np.float64)
    if pings <= 1:
        return np.full_like(j, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (pings * j - 1) / (pings - 1)
        return np.asarray(np.where(share > 0, -np.log(np.minimum(share, 1.0)), np.nan) + 0.0)


def coherence_time(structure: Real | float, variance: Real | float, lag: float) -> Real:
    """Return the coherence time tau (s) of D(lag) = 2 sigma^2 (1 - exp(-lag/tau)).

    NaN where the phase has lost itself within the lag, D >= 2 sigma^2.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        left = 1 - np.asarray(structure, np.float64) / (2 * np.asarray(variance, np.float64))
        return np.asarray(np.where((left > 0) & (left < 1), -lag / np.log(left), np.nan))


def unbiased_correlation(correlation: Real | float, pairs: int, *, frozen: bool = False) -> Real:
    """Take out of a correlation what few independent samples pretend (Q67).

    Parameters
    ----------
    correlation : ndarray of float64
        Magnitude, from windows of 1 ms.
    pairs : int
        Pairs of pings that were added.
    frozen : bool
        Only phases change from pair to pair, so that pairs count once; else the echoes are new in each.
    """
    if frozen:
        samples = float(pairs)
    else:
        samples = _SAMPLES_PER_PAIR * pairs if pairs >= _ENOUGH_PAIRS else _SAMPLES_OF_ONE_PAIR
    cor = np.asarray(correlation, np.float64)
    if samples <= 1:
        return np.full_like(cor, np.nan)
    return np.asarray(np.sqrt(np.maximum((samples * cor**2 - 1) / (samples - 1), 0.0)))


def path_length(height: float, grazing_sine: Real | float) -> Real:
    """Return the path (m, one way) through a layer of a height (m) at a grazing angle."""
    sine = np.asarray(grazing_sine, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(sine > 0, height / sine, np.nan))


def phase_per_kelvin(
    path: Real | float, length: float, wavenumber: float, sound_expansion: float, *, long_path: bool = False
) -> Real:
    """Return the two-way phase fluctuation per temperature fluctuation, rad/K.

    Parameters
    ----------
    path : ndarray of float64
        Through warm water, one way, m.
    length : float
        Integral length of the temperature along it, m (exponential correlation).
    wavenumber : float
        rad/m.
    sound_expansion : float
        Relative change of sound speed with temperature, 1/K.
    long_path : bool
        The form for paths much longer than `length`.
    """
    ratio = np.asarray(path, np.float64) / length
    steps = ratio if long_path else ratio - 1 + np.exp(-ratio)
    return np.asarray(2 * wavenumber * sound_expansion * np.sqrt(2 * length**2 * steps))
