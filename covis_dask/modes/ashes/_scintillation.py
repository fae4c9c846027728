"""Ping-to-ping changes over an averaging window, diffuse and full-range.

See docs/method.md#diffuse-flow-2018 steps 5 to 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.stats import ScintillationStatistics
from covis_dask.sonar.windows import hamming_covariance

__all__ = ["Scintillation", "ScintillationWindow", "find_pairs"]


def find_pairs(times: Real, tlag: float, max_ping_rate: float) -> list[tuple[int, int]]:
    """Pair each ping of a window with the one nearest to `tlag` later (item 8).

    Parameters
    ----------
    times : ndarray of float64, [n]
        Times of the pings, s.
    tlag : float
        s.
    max_ping_rate : float
        Hz; a partner is nearer than its reciprocal to the time wanted.

    Returns
    -------
    list of tuple of int
        Places in `times`; the first of equally near partners.
    """
    reach = 1 / max_ping_rate if max_ping_rate > 0 else np.inf
    pairs = []
    for first, time in enumerate(times):
        distance = np.abs(times - (time + tlag))
        partner = int(np.argmin(distance))
        if distance[partner] < reach:
            pairs.append((first, partner))
    return pairs


@dataclass(frozen=True, slots=True, eq=False)
class Scintillation:
    """What a window of pings shows; arrays [N, B] for samples, [nbins, B] for range windows.

    Attributes
    ----------
    I_av1 : ndarray of float64, [N, B]
        Mean intensity, m^2.
    X_var, SI, Kp, J, sig_phi2 : ndarray of float64, [N, B]
        Variance of the log-intensity, scintillation index, amplitude variance, coherence, and phase
        variance (rad^2).
    cor, I_av2, decor : ndarray of float64, [nbins, B]
        Correlation of partners, their intensity (m^2), and intensity times decorrelation (m^2).
    snr1 : ndarray of float64, [N, B]
        Signal-to-noise ratio of `I_av1`, dB.
    snr2 : ndarray of float64, [nbins, B]
        Signal-to-noise ratio of `I_av2`, dB.
    noise2 : ndarray of float64, [nbins, B]
        Noise intensity of the range windows, m^2.
    """

    I_av1: Real
    X_var: Real
    SI: Real
    Kp: Real
    J: Real
    sig_phi2: Real
    cor: Real
    I_av2: Real
    decor: Real
    snr1: Real
    snr2: Real
    noise2: Real

    def masked(self, snr_thresh: float, *, intensity: bool) -> "Scintillation":
        """Return the same with NaN where the SNR is not above a threshold (item 10).

        Parameters
        ----------
        snr_thresh : float
            dB.
        intensity : bool
            Mask `I_av1` too; the original does not (Q18).
        """
        high1, high2 = self.snr1 > snr_thresh, self.snr2 > snr_thresh

        def kept(values: Real) -> Real:
            high = high1 if values.shape == high1.shape else high2
            return np.where(high, values, np.nan)

        return replace(
            self,
            X_var=kept(self.X_var),
            SI=kept(self.SI),
            Kp=kept(self.Kp),
            sig_phi2=kept(self.sig_phi2),
            cor=kept(self.cor),
            decor=kept(self.decor),
            I_av1=kept(self.I_av1) if intensity else self.I_av1,
        )


class ScintillationWindow:
    """Takes the calibrated pings of an averaging window, one at a time.

    Those that have a partner are kept until the end: a few seconds' worth, however long the run.

    Parameters
    ----------
    pairs : sequence of tuple of int
        Places of partners in the window.
    listed : int
        Pings that index.csv lists in the window.
    W, O : int
        Range window and overlap, samples.
    valid_ping_count : bool
        The factor of the scintillation index counts valid pings only (Q16).
    whole_pairs : bool
        The energy of a ping without a partner is left out (Q17).
    """

    def __init__(
        self,
        pairs: Sequence[tuple[int, int]],
        listed: int,
        W: int,
        O: int,  # noqa: E741 (the method's symbol)
        *,
        valid_ping_count: bool,
        whole_pairs: bool,
    ) -> None:
        self._pairs = pairs
        self._paired = {index for pair in pairs for index in pair}
        self._listed = listed
        self._window = (W, O)
        self._valid_ping_count = valid_ping_count
        self._whole_only = whole_pairs
        self._statistics = ScintillationStatistics()
        self._kept: dict[int, Complex] = {}

    @property
    def whole_pairs(self) -> int:
        """Pairs of which both pings were taken."""
        return sum(first in self._kept and second in self._kept for first, second in self._pairs)

    def add(self, index: int, s: Complex) -> None:
        """Take a good ping [N, B], calibrated; `index` counts from the first ping of the window."""
        self._statistics.add(s)
        if index in self._paired:
            self._kept[index] = s

    def result(self, noise: Real) -> Scintillation:
        """Reduce the window; at least one ping must have been taken.

        Parameters
        ----------
        noise : ndarray of float64, [N, B]
            Calibrated noise floor.
        """
        statistics = self._statistics
        level = noise.astype(np.complex128)
        _, energy1, energy2 = hamming_covariance(level, level, *self._window)
        noise2 = np.sqrt(energy1 * energy2)
        cor, I_av2 = self._correlation(noise2.shape)
        I_av1 = statistics.mean_intensity
        with np.errstate(divide="ignore", invalid="ignore"):
            snr1, snr2 = 10 * np.log10(I_av1 / noise**2), 10 * np.log10(I_av2 / noise2)
        return Scintillation(
            I_av1=I_av1,
            X_var=statistics.log_variance,
            # The original's factor counts the missing pings too (Q16).
            SI=statistics.scintillation_index(None if self._valid_ping_count else self._listed),
            Kp=statistics.kp,
            J=statistics.coherence,
            sig_phi2=statistics.phase_variance,
            cor=cor,
            I_av2=I_av2,
            decor=(1 - cor) * I_av2,
            snr1=snr1,
            snr2=snr2,
            noise2=noise2,
        )

    def _correlation(self, shape: tuple[int, ...]) -> tuple[Real, Real]:
        """Correlation and intensity of the pairs (items 8, 9)."""
        covar = np.zeros(shape, dtype=np.complex128)
        energy1, energy2, intensity = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for first, second in self._pairs:
            a, b = self._kept.get(first), self._kept.get(second)
            if a is not None and b is not None:
                c, e1, e2 = hamming_covariance(a, b, *self._window)
                covar += c
                energy1 += e1
                energy2 += e2
                intensity += np.sqrt(e1 * e2)
            elif not self._whole_only:
                # The energy of a ping whose partner is missing still counts (Q17).
                if a is not None:
                    energy1 += hamming_covariance(a, a, *self._window)[1]
                if b is not None:
                    energy2 += hamming_covariance(b, b, *self._window)[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            cor = np.abs(covar) / np.sqrt(energy1 * energy2)
            return cor, intensity / self.whole_pairs if self.whole_pairs else np.full(shape, np.nan)
