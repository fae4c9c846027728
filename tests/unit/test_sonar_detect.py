"""Signal-to-noise ratio, percentile and OSCFAR."""

import numpy as np
import pytest

from covis_dask.sonar.detect import oscfar, percentile_hazen, snr_db


def test_snr() -> None:
    """An amplitude ten times the noise floor is 20 dB above it; nothing is infinitely far below."""
    assert snr_db(np.array([1.970, 0.197, 0.0]), 0.1970).tolist() == pytest.approx([20, 0, -np.inf])


def test_snr_against_an_array() -> None:
    """A calibrated noise floor has a value for each sample; where both are 0 the ratio is no number."""
    ratio = snr_db(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[0.1, 2.0], [0.3, 0.0]]))
    np.testing.assert_allclose(ratio, np.array([[20.0, 0.0], [20.0, np.nan]]), atol=1e-12)


def test_percentile_known() -> None:
    """65 % of 1 to 10 is 7 in Matlab's counting."""
    assert percentile_hazen(np.arange(1.0, 11.0)[None, :], 65)[0] == 7


@pytest.mark.parametrize("q", [0, 2, 50, 65, 99, 100])
@pytest.mark.parametrize("axis", [0, 1])
def test_percentile_equals_numpy(q: float, axis: int) -> None:
    """It is NumPy's nanpercentile with the Hazen method, rows with and without NaN."""
    values = np.random.default_rng(1).exponential(size=(20, 33))
    values[3, 5:9] = np.nan
    values[7, 0] = np.nan
    values[4, :] = 2.5
    want = np.nanpercentile(values, q, axis=axis, method="hazen")
    np.testing.assert_allclose(percentile_hazen(values, q, axis=axis), want, rtol=1e-14)


def test_percentile_of_nothing_but_nan() -> None:
    """A row of NaN has no percentile, and gives no warning."""
    values = np.array([[np.nan, np.nan], [1.0, np.nan]])
    np.testing.assert_array_equal(percentile_hazen(values, 65), [np.nan, 1.0])


def test_percentile_leaves_its_input_alone() -> None:
    """The data keep their order."""
    values = np.random.default_rng(2).normal(size=(5, 9))
    before = values.copy()
    percentile_hazen(values, 65)
    assert np.array_equal(values, before)


@pytest.mark.parametrize(("db", "detected"), [(25.0, True), (15.0, False)])
def test_oscfar(db: float, detected: bool) -> None:
    """One beam 25 dB above 255 equal ones is detected, one 15 dB above is not."""
    power = np.full((3, 256), 1e-6)
    power[1, 40] *= 10 ** (db / 10)
    found, clutter = oscfar(power)
    assert found[1, 40] == detected
    assert found.sum() == detected
    np.testing.assert_allclose(clutter, 1e-6, rtol=1e-12)


def test_oscfar_of_silence_and_nan() -> None:
    """Rows of zeros or NaN detect nothing, and give no warning."""
    power = np.zeros((3, 8))
    power[1] = np.nan
    power[2, 3] = 1.0
    found, clutter = oscfar(power)
    assert not found[:2].any()
    assert found[2].tolist() == [False] * 3 + [True] + [False] * 4
    np.testing.assert_array_equal(clutter, [0, np.nan, 0])


def test_oscfar_exactly_at_the_threshold() -> None:
    """A beam exactly 20 dB above the clutter does not stand out; one a little stronger does."""
    power = np.ones((2, 256))
    power[:, 7] = 100.0, 100.1
    detected, clutter = oscfar(power)
    assert clutter.tolist() == [1.0, 1.0]
    assert (detected[:, 7].tolist(), int(detected.sum())) == ([False, True], 1)
