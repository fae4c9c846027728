"""One burst of a 2018+ Doppler run: intensities and line-of-sight velocity.

See docs/method.md#doppler-2018 steps 2 to 4.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from covis_dask.modes.ashes._masks import Intensities
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.detect import oscfar, snr_db
from covis_dask.sonar.fused import BeamBlock
from covis_dask.sonar.stats import PingStatistics
from covis_dask.sonar.windows import Bins, WindowSums, cut_bins, lagged_bins, window_power

__all__ = ["DopplerBurst", "DopplerSettings", "Velocities", "VelocityStatistics"]


@dataclass(frozen=True, slots=True)
class DopplerSettings:
    """Numbers of the burst stage.

    Parameters
    ----------
    W, O : int
        Window and overlap, samples.
    lag : int
        Lag of the autocovariance, samples.
    scale : float
        Velocity per radian, m/s.
    percentile, threshold : float
        OSCFAR, % and dB.
    about_mean : bool
        Subtract the mean of the pings before the autocovariance (PP3).
    complex_mean : bool
        Deviations are those from the complex mean of the pings, and not from its magnitude (Q30).
    valid_pings : bool
        Means are those of the valid pings; otherwise a missing ping makes them NaN (Q31).
    """

    W: int
    O: int  # noqa: E741 (the method's symbol)
    lag: int
    scale: float
    percentile: float
    threshold: float
    about_mean: bool
    complex_mean: bool
    valid_pings: bool


@dataclass(frozen=True, slots=True, eq=False)
class Velocities:
    """Velocities before masking; arrays [nbins, B].

    Attributes
    ----------
    vr_cov : ndarray of float64
        From the summed covariance, m/s, positive away from the sonar.
    vr_vel, vr_std : ndarray of float64
        Mean and standard deviation of the pings' own velocities, m/s.
    covar : ndarray of complex128
        Summed covariance, 1/m.
    """

    vr_cov: Real
    vr_vel: Real
    vr_std: Real
    covar: Complex


@dataclass(frozen=True, slots=True, eq=False)
class DopplerBurst:
    """A burst before masking: intensities of samples [N, B] and windows [nbins, B], and velocities."""

    samples: Intensities
    windows: Intensities
    velocities: Velocities


class _Phases:
    """Sum of covariances [nbins, B], and mean and spread of their phases, one ping at a time."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Complex = np.zeros((0, 0), np.complex128)
        self.mean: Real = np.zeros((0, 0))
        self._squares: Real = np.zeros((0, 0))

    def add(self, covar: Complex) -> None:
        phase = np.angle(covar)
        self.count += 1
        if self.count == 1:
            self.total, self.mean, self._squares = covar.copy(), phase, np.zeros_like(phase)
            return
        self.total += covar
        step = phase - self.mean
        self.mean += step / self.count
        self._squares += step**2 * ((self.count - 1) / self.count)

    @property
    def deviation(self) -> Real:
        """Standard deviation, ddof 1; 0 for a single ping."""
        spread: Real = np.sqrt(self._squares / max(self.count - 1, 1))
        return spread


class VelocityStatistics:
    """Takes the calibrated pings [N, B] of a burst, one at a time.

    PP3 subtracts the mean of all pings from each, so there the pings are kept; PPX forgets them.

    Parameters
    ----------
    settings : DopplerSettings
    nsamps : int, optional
        Length of the pings where only their first samples are added; windows that are not whole in these are
        left out. Without it all is added.
    """

    def __init__(self, settings: DopplerSettings, nsamps: int | None = None) -> None:
        self._settings = settings
        self._nsamps = nsamps
        self._pings = PingStatistics()
        self._phases = _Phases()
        self._kept: list[Complex] = []

    def add(self, s: Complex) -> None:
        """Add a good ping."""
        self.add_blocks(s.shape, [(slice(0, len(s)), s)])

    def add_blocks(self, shape: tuple[int, int], blocks: Iterable[BeamBlock]) -> None:
        """Add a good ping that comes in blocks of rows.

        Parameters
        ----------
        shape : tuple of int
            (N, B) of all pings.
        blocks : iterable of (slice, ndarray of complex)
            Rows, and their calibrated samples [n, B].
        """
        if self._settings.about_mean:
            ping = np.empty(shape, np.complex128)
            for rows, s in blocks:
                ping[rows] = s
            self._kept.append(ping)
            self._pings.add(ping)
            return
        sums = self._sums(shape)
        self._pings.add_blocks(shape, _passing(blocks, sums))
        self._phases.add(sums.autocovariance)

    def _sums(self, shape: tuple[int, ...]) -> WindowSums:
        """Return sums over the windows of a ping [N, B]."""
        return WindowSums(*self._bins(shape[0]), self._settings.lag, shape[1])

    def _bins(self, rows: int) -> tuple[Bins, Bins]:
        """Return the windows of power, and of products, that are whole in the first rows of a ping."""
        settings, nsamps = self._settings, self._nsamps or rows
        power = cut_bins(nsamps, settings.W, settings.O)
        lagged = lagged_bins(nsamps, settings.W, settings.O, settings.lag)
        whole = np.maximum(power.stop, lagged.stop + settings.lag) <= rows
        some = slice(0, int(np.count_nonzero(whole)))
        return power[some], lagged[some]

    def burst(self, noise: Real, *, complete: bool) -> DopplerBurst:
        """Reduce the burst.

        Parameters
        ----------
        noise : ndarray of float64, [N, B]
            Calibrated noise floor.
        complete : bool
            Whether all pings that index.csv lists are good (Q31).
        """
        settings, pings = self._settings, self._pings
        spoilt = not (complete or settings.valid_pings)
        power_d = (
            pings.fluctuation_power if settings.complex_mean else pings.fluctuation_power_about_magnitude
        )
        samples = self._intensities(np.abs(pings.mean) ** 2, power_d, noise**2)
        bins, _ = self._bins(len(pings.mean))
        Ia2 = window_power(pings.mean, bins)
        # The mean over pings of the window's mean is the window's mean of the mean over pings.
        Id2 = window_power(np.sqrt(pings.fluctuation_power), bins)
        if spoilt:
            Ia2, Id2 = np.full_like(Ia2, np.nan), np.full_like(Id2, np.nan)
        windows = self._intensities(Ia2, Id2, window_power(noise, bins))
        return DopplerBurst(samples, windows, self._velocities(spoilt=spoilt))

    def _velocities(self, *, spoilt: bool) -> Velocities:
        settings, phases = self._settings, self._phases
        if settings.about_mean:
            for s in self._kept:
                sums = self._sums(s.shape)
                sums.add(s - self._pings.mean)
                phases.add(sums.autocovariance)
            self._kept.clear()
            if spoilt:  # NaN means: no covariance, no phase
                nothing = np.full(phases.mean.shape, np.nan)
                return Velocities(np.zeros_like(nothing), nothing, nothing, np.zeros_like(phases.total))
        return Velocities(
            settings.scale * np.angle(phases.total),
            settings.scale * phases.mean,
            settings.scale * phases.deviation,
            phases.total,
        )

    def _intensities(self, Ia: Real, Id: Real, noise_power: Real) -> Intensities:
        settings, floor = self._settings, np.sqrt(noise_power)
        return Intensities(
            Ia=Ia,
            Id=Id,
            snr_a=snr_db(np.sqrt(Ia), floor),
            snr_d=snr_db(np.sqrt(Id), floor),
            detected_a=oscfar(Ia, settings.percentile, settings.threshold)[0],
            detected_d=oscfar(Id, settings.percentile, settings.threshold)[0],
        )


def _passing(blocks: Iterable[BeamBlock], sums: WindowSums) -> Iterator[BeamBlock]:
    """Hand on blocks of rows, added to the sums over windows while they are in the cache."""
    for rows, s in blocks:
        sums.add(s)
        yield rows, s
