"""Windowed range averages."""

import numpy as np
import pytest
from scipy.signal.windows import hamming

from covis_dask.sonar._types import Complex
from covis_dask.sonar._window_kernels import take_difference
from covis_dask.sonar.windows import (
    WindowSums,
    complete_bins,
    cut_bins,
    hamming_covariance,
    lagged_bins,
    velocity_scale,
    window_bins,
    window_correlation,
    window_power,
    window_ranges,
)
from tests.unit._sonar_reference import FS, noise

W, O = 34, 17  # noqa: E741 (the method's name)
_LENGTHS = [68, 100, 560, 639, 640]


def test_window_default() -> None:
    """1 ms at 34482.758 Hz is 34 samples, half of them shared: bins of 0.366 m."""
    assert window_bins(FS, 0.001, 0.5) == (W, O)
    assert window_bins(FS, 0.001, 0.4) == (34, 14)


@pytest.mark.parametrize(("size", "overlap"), [(0.0, 0.5), (0.001, 1.0), (0.001, 0.99)])
def test_window_impossible(size: float, overlap: float) -> None:
    """No sample in a window, or no step between windows, is an error."""
    with pytest.raises(ValueError, match="impossible"):
        window_bins(FS, size, overlap)


@pytest.mark.parametrize("nsamps", _LENGTHS)
def test_complete_bins(nsamps: int) -> None:
    """There are floor(N / step) - 1 of them and all fit into the ping."""
    bins = complete_bins(nsamps, W, O)
    assert len(bins) == nsamps // 17 - 1
    assert (bins.stop - bins.start == W).all()
    assert bins.stop[-1] <= nsamps


def test_complete_bins_always_fit() -> None:
    """An overlap that would let the last windows stick out gives fewer windows; a short ping none."""
    bins = complete_bins(100, 34, 24)
    assert bins.stop.max() <= 100
    assert len(complete_bins(20, W, O)) == 0
    assert hamming_covariance(noise(1, 20, 3), noise(2, 20, 3), W, O)[0].shape == (0, 3)


@pytest.mark.parametrize("nsamps", _LENGTHS)
def test_hamming_covariance(nsamps: int) -> None:
    """Covariance and energies are Hamming-weighted means over each bin."""
    a, b = noise(1, nsamps, 5), noise(2, nsamps, 5)
    cov, e1, e2 = hamming_covariance(a, b, W, O)
    h = hamming(W) / hamming(W).sum()
    for m in range(nsamps // 17 - 1):
        part = slice(m * 17, m * 17 + W)
        np.testing.assert_allclose(cov[m], h @ (a[part] * b[part].conj()), rtol=0, atol=1e-14)
        np.testing.assert_allclose(e1[m], h @ np.abs(a[part]) ** 2, rtol=1e-13)
        np.testing.assert_allclose(e2[m], h @ np.abs(b[part]) ** 2, rtol=1e-13)
    assert len(cov) == len(e1) == nsamps // 17 - 1


def test_hamming_covariance_of_a_constant() -> None:
    """The weights of a window sum to one."""
    cov, e1, _ = hamming_covariance(np.full((100, 2), 2j), np.full((100, 2), 1 + 0j), W, O)
    np.testing.assert_allclose(cov, 2j, rtol=1e-14)
    np.testing.assert_allclose(e1, 4, rtol=1e-14)


@pytest.mark.parametrize("nsamps", _LENGTHS)
def test_window_correlation(nsamps: int) -> None:
    """The 2010-15 correlation: floor(N / step) bins, cut at the end, energies divided by W."""
    a, b = noise(3, nsamps, 4), noise(4, nsamps, 4)
    cor, intensity = window_correlation(a, b, W, O)
    assert len(cor) == nsamps // 17
    for m in range(len(cor)):
        part = slice(m * 17, min(m * 17 + W, nsamps))
        want = np.sqrt((np.abs(a[part]) ** 2).sum(axis=0) * (np.abs(b[part]) ** 2).sum(axis=0)) / W
        np.testing.assert_allclose(intensity[m], want, rtol=1e-13)
        np.testing.assert_allclose(cor[m], (a[part] * b[part].conj()).sum(axis=0) / W / want, atol=1e-13)


def test_window_correlation_limits() -> None:
    """A ping with itself correlates fully; with silence it is no number, and gives no warning."""
    a = noise(5, 200, 3)
    np.testing.assert_allclose(np.abs(window_correlation(a, a * np.exp(1j), W, O)[0]), 1, rtol=1e-13)
    assert np.isnan(window_correlation(a, np.zeros_like(a), W, O)[0]).all()


def _sums(z: Complex, lag: int, overlap: int = O) -> WindowSums:
    """Return the sums over all windows of a ping, added in one piece."""
    bins = cut_bins(len(z), W, overlap), lagged_bins(len(z), W, overlap, lag)
    sums = WindowSums(*bins, lag, z.shape[1])
    sums.add(z)
    return sums


@pytest.mark.parametrize("nsamps", _LENGTHS)
def test_window_power(nsamps: int) -> None:
    """Mean power of each bin, over the samples it has; for real and complex beams."""
    z = noise(6, nsamps, 4)
    power = window_power(z, cut_bins(nsamps, W, O))
    assert len(power) == nsamps // 17
    for m in range(len(power)):
        want = (np.abs(z[m * 17 : min(m * 17 + W, nsamps)]) ** 2).mean(axis=0)
        np.testing.assert_allclose(power[m], want, rtol=1e-13)
    np.testing.assert_allclose(window_power(np.abs(z), cut_bins(nsamps, W, O)), power, rtol=1e-13)
    np.testing.assert_array_equal(_sums(z, 8).power, power)


@pytest.mark.parametrize(
    ("nsamps", "lag"),
    [(n, lag) for n in (*_LENGTHS, 12, 50) for lag in (1, 8, 16, 17, 18, 34, 49) if n > lag],
)
def test_lagged_autocovariance(nsamps: int, lag: int) -> None:
    """Bins of products shrink at the end and may repeat one product, many of them where the lag is long."""
    z = noise(7, nsamps, 4)
    covariance = _sums(z, lag).autocovariance
    r = np.arange(1.0, nsamps + 1)
    rc = window_ranges(r, lagged_bins(nsamps, W, O, lag))
    assert len(covariance) == len(rc) == nsamps // 17
    for m in range(len(covariance)):
        stop = min(m * 17 + W, nsamps - lag)
        start = min(m * 17, stop - 1)
        want = (z[start:stop] * z[start + lag : stop + lag].conj()).mean(axis=0)
        np.testing.assert_allclose(covariance[m], want, atol=1e-14)
        assert rc[m] == pytest.approx(r[start:stop].mean(), rel=1e-14)


@pytest.mark.parametrize("rows", [1, 5, 8, 64, 1000])
@pytest.mark.parametrize("lag", [1, 8])
@pytest.mark.parametrize("O", [17, 14, 0])
def test_sums_do_not_depend_on_the_blocks(rows: int, lag: int, O: int) -> None:  # noqa: E741
    """Rows that come a few at a time give the power and the autocovariance of the whole, to the last bit."""
    z = noise(9, 641, 3)
    power, lagged = cut_bins(len(z), W, O), lagged_bins(len(z), W, O, lag)
    sums = WindowSums(power, lagged, lag, 3)
    for first in range(0, len(z), rows):
        sums.add(z[first : first + rows])
    whole = _sums(z, lag, O)
    np.testing.assert_array_equal(sums.power, whole.power)
    np.testing.assert_array_equal(sums.autocovariance, whole.autocovariance)


def test_some_windows_need_their_rows_only() -> None:
    """Windows out of the middle come out the same when only the rows they cover are added."""
    z, some = noise(10, 500, 3), slice(4, 20)
    power, lagged = cut_bins(500, W, O)[some], lagged_bins(500, W, O, 8)[some]
    sums = WindowSums(power, lagged, 8, 3, first=68)
    sums.add(z[68:200])
    sums.add(z[200 : int(lagged.stop[-1]) + 8])
    whole = _sums(z, 8)
    np.testing.assert_array_equal(sums.power, whole.power[some])
    np.testing.assert_array_equal(sums.autocovariance, whole.autocovariance[some])


def test_no_number_spoils_its_beam_only() -> None:
    """A beam without a calibration has no sums; its neighbours keep theirs."""
    z = noise(11, 200, 3)
    z[:, 1] = np.nan
    sums = _sums(z, 8)
    assert np.isnan(sums.power[:, 1]).all()
    assert np.isnan(sums.autocovariance[:, 1]).all()
    assert np.isfinite(sums.power[:, ::2]).all()


@pytest.mark.parametrize(
    ("lag", "start", "stop"),
    [
        (8, [0, 17, 34, 51], [34, 51, 60, 60]),
        (17, [0, 17, 34, 50], [34, 51, 51, 51]),
        (40, [0, 17, 27, 27], [28] * 4),
    ],
)
def test_the_last_lagged_bins_are_drawn_back(lag: int, start: list[int], stop: list[int]) -> None:
    """No bin reaches beyond N - lag; one that would begin there repeats the last product."""
    bins = lagged_bins(68, W, O, lag)
    assert (bins.start.tolist(), bins.stop.tolist()) == (start, stop)


def test_take_difference() -> None:
    """A ping becomes its scaled difference from the one before, and takes that one's place."""
    later, earlier = noise(12, 20, 3).view(np.float64), noise(13, 20, 3).view(np.float64)
    page, previous = later.copy(), earlier.copy()
    take_difference(page, previous, 0.707)
    np.testing.assert_array_equal(page, 0.707 * (later - earlier))
    np.testing.assert_array_equal(previous, later)


def test_lagged_bins_need_a_longer_ping() -> None:
    """A ping not longer than the lag has no products."""
    with pytest.raises(ValueError, match="lag 8"):
        lagged_bins(8, W, O, 8)


def test_window_ranges() -> None:
    """The range of a bin is the plain mean over it, also where it was cut."""
    r = np.arange(1.0, 102.0)
    assert window_ranges(r, complete_bins(100, W, O))[0] == 17.5
    assert window_ranges(r, cut_bins(101, W, O)).tolist() == [17.5, 34.5, 51.5, 68.5, 85.0]


def test_velocity_scale() -> None:
    """1.2715 m/s per radian at lag 8: unambiguous to 3.9947 m/s."""
    scale = velocity_scale(396e3, FS, 1468, 8)
    assert scale == pytest.approx(1.271548743106671, rel=1e-14)
    assert np.pi * scale == pytest.approx(3.99469, abs=5e-6)


def test_receding_scatterer_has_positive_velocity() -> None:
    """Echo phase exp(-i 2 k r) of a scatterer that recedes at 0.5 m/s gives +0.5 m/s."""
    k = 2 * np.pi * 396e3 / 1468
    z = np.exp(-2j * k * 0.5 * np.arange(300) / FS)[:, None]
    velocity = velocity_scale(396e3, FS, 1468, 8) * np.angle(_sums(z, 8).autocovariance)
    np.testing.assert_allclose(velocity, 0.5, rtol=1e-11)
