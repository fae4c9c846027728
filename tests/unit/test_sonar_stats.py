"""Statistics over the pings of a burst."""

import numpy as np
import pytest
from numpy.typing import NDArray

from covis_dask.sonar.stats import PingStatistics, ScintillationStatistics, median_filter
from tests.unit._sonar_reference import noise


def _pings(count: int, level: float = 1.0) -> NDArray[np.complex128]:
    """Pings [P, N, B] that share a steady part of 30, with fluctuations of `level` on top."""
    pings: NDArray[np.complex128] = 30 * noise(1, 1, 150, 6) + level * noise(2, count, 150, 6)
    return pings


def _statistics(pings: NDArray[np.complex128]) -> PingStatistics:
    statistics = PingStatistics()
    for ping in pings:
        statistics.add(ping)
    return statistics


def _scintillation(pings: NDArray[np.complex128]) -> ScintillationStatistics:
    statistics = ScintillationStatistics()
    for ping in pings:
        statistics.add(ping)
    return statistics


@pytest.mark.parametrize("level", [10.0, 0.1, 1e-3])
def test_stats_equal_two_passes(level: float) -> None:
    """Means and fluctuations agree with two passes over all pings, 10 to 90 dB below the mean."""
    pings = _pings(5, level)
    got = _statistics(pings)
    mean = pings.mean(axis=0)
    assert got.count == 5
    np.testing.assert_allclose(got.mean, mean, rtol=0, atol=1e-13 * np.abs(mean).max())
    np.testing.assert_allclose(got.mean_magnitude, np.abs(pings).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(got.mean_power, (np.abs(pings) ** 2).mean(axis=0), rtol=1e-13)
    deviations = (np.abs(pings - mean) ** 2).mean(axis=0)
    np.testing.assert_allclose(got.fluctuation_power, deviations, rtol=1e-14 * 100 / level)


def test_stats_error_grows_with_the_ratio_not_its_square() -> None:
    """50 dB below the mean the fluctuation keeps 12 digits, where mean square minus square mean does not."""
    pings = _pings(5, 0.1) * 1e3
    exact = pings.astype(np.clongdouble)
    want = (np.abs(exact - exact.mean(axis=0)) ** 2).mean(axis=0).astype(float)
    np.testing.assert_allclose(_statistics(pings).fluctuation_power, want, rtol=1e-12)
    shortcut = (np.abs(pings) ** 2).mean(axis=0) - np.abs(pings.mean(axis=0)) ** 2
    assert np.abs(shortcut / want - 1).max() > 1e-11


def test_stats_q30_fluctuation_about_the_magnitude() -> None:
    """Q30: the original's Doppler fluctuation is about |A|, a real number, the corrected one about A."""
    pings = _pings(4, 3.0)
    mean = pings.mean(axis=0)
    got = _statistics(pings)
    about_magnitude = (np.abs(pings - np.abs(mean)) ** 2).mean(axis=0)
    np.testing.assert_allclose(got.fluctuation_power_about_magnitude, about_magnitude, rtol=1e-12)
    assert (got.fluctuation_power <= got.fluctuation_power_about_magnitude).all()


def test_stats_kp() -> None:
    """Kp is 0 for a steady scene, 4 / pi - 1 for independent Gaussian pings, NaN without signal."""
    np.testing.assert_allclose(_statistics(_pings(6, 0.0)).kp, 0, atol=1e-14)
    assert np.mean(_statistics(noise(3, 2000, 10, 4)).kp) == pytest.approx(4 / np.pi - 1, abs=0.005)
    assert np.isnan(_statistics(np.zeros((2, 3, 4), np.complex128)).kp).all()


def test_stats_incoherent_mean() -> None:
    """The mean of P independent pings has 1 / P of their power."""
    got = _statistics(noise(4, 16, 400, 20))
    assert np.mean(np.abs(got.mean) ** 2) / np.mean(got.mean_power) == pytest.approx(1 / 16, rel=0.05)


def test_stats_of_one_ping() -> None:
    """One ping is its own mean and does not fluctuate; the ping itself is not touched."""
    ping = noise(5, 100, 3)
    before = ping.copy()
    got = _statistics(ping[None])
    got.add(ping)
    assert np.array_equal(ping, before)
    np.testing.assert_allclose(got.mean, ping, rtol=1e-15)
    assert not got.fluctuation_power.any()


def test_scintillation_equals_the_formulas() -> None:
    """All of 4.3 item 6, against the formulas over the whole stack."""
    pings = _pings(7, 20.0)
    got, power = _scintillation(pings), np.abs(pings) ** 2
    mean = power.mean(axis=0)
    np.testing.assert_allclose(got.mean_intensity, mean, rtol=1e-13)
    np.testing.assert_allclose(got.log_variance, np.log(power / mean).var(axis=0, ddof=1), rtol=1e-11)
    coherence = np.abs((pings / np.abs(pings)).mean(axis=0)) ** 2
    np.testing.assert_allclose(got.coherence, coherence, rtol=1e-11)
    np.testing.assert_allclose(got.phase_variance, np.log(1 / coherence), rtol=1e-11, atol=1e-12)
    index = 7 * (power**2).sum(axis=0) / power.sum(axis=0) ** 2 - 1
    np.testing.assert_allclose(got.scintillation_index(), index, rtol=1e-12, atol=1e-14)
    kp = mean / np.abs(pings).mean(axis=0) ** 2 - 1
    np.testing.assert_allclose(got.kp, kp, rtol=1e-12, atol=1e-14)


def test_scintillation_limits() -> None:
    """Identical pings scintillate not at all; independent ones fully, with a coherence of 1 / P."""
    steady = _scintillation(_pings(5, 0.0))
    for value in (steady.scintillation_index(), steady.log_variance, steady.phase_variance, steady.kp):
        np.testing.assert_allclose(value, 0, atol=1e-13)
    wild = _scintillation(noise(6, 1000, 20, 10))
    assert np.mean(wild.scintillation_index()) == pytest.approx(1, abs=0.01)
    assert np.mean(wild.coherence) == pytest.approx(1 / 1000, rel=0.2)


def test_scintillation_q16_missing_pings() -> None:
    """Q16: the original counts missing pings too; corrected, the valid ones."""
    got = _scintillation(_pings(4, 0.0))
    np.testing.assert_allclose(got.scintillation_index(5), 0.25, rtol=1e-12)
    np.testing.assert_allclose(got.scintillation_index(), 0, atol=1e-13)


def test_scintillation_of_silence() -> None:
    """Samples of exactly 0 have no direction and no logarithm; nothing warns, no other sample suffers."""
    pings = noise(7, 3, 4, 2)
    pings[:, 0, 0] = 0
    pings[1, 1, 1] = 0
    got = _scintillation(pings)
    assert np.isnan(got.coherence[0, 0])
    assert np.isnan(got.phase_variance[0, 0])
    assert not np.isfinite(got.log_variance[[0, 1], [0, 1]]).any()
    want = np.abs((pings[[0, 2], 1, 1] / np.abs(pings[[0, 2], 1, 1])).mean()) ** 2
    assert got.coherence[1, 1] == pytest.approx(want, rel=1e-13)
    assert np.isfinite(got.log_variance[2:]).all()


def test_scintillation_of_one_ping() -> None:
    """The variance of a single ping is 0, as Matlab's nanvar has it."""
    assert not _scintillation(noise(8, 1, 5, 3)).log_variance.any()


def test_median_filter_known() -> None:
    """Of 1 to 30: 10.5 at index 10; the first window is half padding, so 0.5."""
    column = np.arange(1.0, 31.0)[:, None]
    filtered = median_filter(column)[:, 0]
    assert filtered[10] == 10.5
    assert filtered[0] == 0.5


@pytest.mark.parametrize("size", [1, 5, 20])
@pytest.mark.parametrize("nsamps", [3, 64, 130])
def test_median_filter_equals_medians(size: int, nsamps: int) -> None:
    """Each value is the median of its window, over zeros beyond the ends."""
    values = np.random.default_rng(9).normal(size=(nsamps, 4))
    before = size // 2
    padded = np.vstack([np.zeros((before, 4)), values, np.zeros((size - 1 - before, 4))])
    want = [np.median(padded[s : s + size], axis=0) for s in range(nsamps)]
    np.testing.assert_allclose(median_filter(values, size), want, rtol=1e-15)


def test_median_filter_and_nan() -> None:
    """A NaN spoils the windows it is in and no other."""
    values = np.ones((60, 2))
    values[30, 0] = np.nan
    spoilt = np.isnan(median_filter(values))
    assert np.flatnonzero(spoilt[:, 0]).tolist() == list(range(21, 41))
    assert not spoilt[:, 1].any()
