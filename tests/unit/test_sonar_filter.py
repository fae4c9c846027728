"""Low-pass filter."""

import numpy as np
import pytest
from scipy.signal import butter, lfilter
from threadpoolctl import threadpool_limits

from covis_dask.sonar.filter import Lowpass, make_filter
from tests.unit._sonar_reference import FS, TAU, FilterParameters, noise, plain_zero_phase

_GAIN = {2: 7.137440995119087e-4, 4: 7.960717718853127e-3}
_A = {
    2: (1, -3.0501417561719797, 3.576134022195471, -1.8980242257452502, 0.38345186531394926),
    4: (1, -2.112458463587529, 1.9299632075953916, -0.8315432564689503, 0.14140999596273784),
}


@pytest.mark.parametrize("bw", [2, 4])
def test_filter_coefficients(bw: int) -> None:
    """The coefficients are those of docs/method.md#low-pass-filter."""
    lowpass = Lowpass(bw, FS, TAU)
    np.testing.assert_allclose(lowpass.b, _GAIN[bw] * np.array([1, 4, 6, 4, 1]), rtol=1e-12)
    np.testing.assert_allclose(lowpass.a, _A[bw], rtol=1e-12)


@pytest.mark.parametrize("bw", [2, 4])
@pytest.mark.parametrize("nsamps", [13, 16, 40, 101, 640])
def test_filter_zero_phase_is_filtfilt(bw: float, nsamps: int) -> None:
    """Blocks give what SciPy's filtfilt with 12 samples of padding gives, up to the very ends."""
    x = noise(nsamps, nsamps, 5)
    lowpass = Lowpass(bw, FS, TAU)
    want = plain_zero_phase(lowpass.b, lowpass.a, x)
    np.testing.assert_allclose(lowpass(x), want, rtol=0, atol=1e-12 * np.abs(want).max())


def test_filter_padding_is_twelve() -> None:
    """SciPy's own padding of 15 samples would be wrong near the ends by some 5e-2."""
    x = noise(1, 640, 5)
    lowpass = Lowpass(2, FS, TAU)
    default = plain_zero_phase(lowpass.b, lowpass.a, x, padlen=15)
    assert 1e-3 < np.abs(lowpass(x) - default).max() < 1


def test_filter_passes_a_constant() -> None:
    """A constant keeps its value up to the very ends."""
    np.testing.assert_allclose(Lowpass(2, FS, TAU)(np.full((100, 3), 2 - 3j)), 2 - 3j, rtol=1e-12)


def test_filter_impulse_response_is_symmetric() -> None:
    """The zero-phase filter treats before and after alike, and its halo ends within 160 samples."""
    x = np.zeros((801, 1), np.complex128)
    x[400] = 1
    response = Lowpass(2, FS, TAU)(x)[:, 0]
    np.testing.assert_allclose(response, response[::-1], rtol=0, atol=1e-15)
    assert np.abs(response[:240]).max() < 1e-9


@pytest.mark.parametrize("nsamps", [1, 16, 100])
def test_filter_causal(nsamps: int) -> None:
    """One pass from rest equals SciPy's lfilter."""
    x = noise(2, nsamps, 4)
    b, a = butter(4, 2 / FS / TAU)
    want = lfilter(b, a, x, axis=0)
    np.testing.assert_allclose(
        Lowpass(2, FS, TAU, zero_phase=False)(x), want, rtol=0, atol=1e-12 * np.abs(want).max()
    )


@pytest.mark.parametrize("order", [1, 2, 6])
def test_filter_of_other_order(order: int) -> None:
    """The padding follows the order, as Matlab's does (SciPy's direct form is the less exact one here)."""
    x = noise(3, 200, 2)
    lowpass = Lowpass(2, FS, TAU, order=order)
    want = plain_zero_phase(lowpass.b, lowpass.a, x, padlen=3 * order)
    np.testing.assert_allclose(lowpass(x), want, rtol=0, atol=1e-9 * np.abs(want).max())


def test_filter_refuses_a_short_ping() -> None:
    """A ping of 12 samples cannot be extended by 12: an error, so a bad ping."""
    with pytest.raises(ValueError, match="12 samples"):
        Lowpass(2, FS, TAU)(noise(4, 12, 2))


def test_filter_decimates_and_keeps_the_first_sample() -> None:
    """Decimation by 4 keeps samples 0, 4, 8 ... of the filtered ping: ceil(N / 4) of them."""
    x = noise(5, 641, 3)
    whole = Lowpass(2, FS, TAU, zero_phase=False)(x)
    assert np.array_equal(Lowpass(2, FS, TAU, zero_phase=False, decimation=4)(x), whole[::4])
    assert len(whole[::4]) == 161


def test_filter_q45_type_defaults_to_butterworth() -> None:
    """Q45: a missing filter type means Butterworth, and bw keeps its number."""
    x = noise(6, 100, 2)
    assert np.array_equal(make_filter(FilterParameters(), FS, TAU)(x), Lowpass(2, FS, TAU)(x))
    with pytest.raises(ValueError, match="'butterworth'"):
        make_filter(FilterParameters(type="chebyshev"), FS, TAU)


def test_filter_q45_off_passes_through() -> None:
    """Q45: a filter that is off returns the samples as they are."""
    x = noise(7, 100, 2)
    assert np.array_equal(make_filter(FilterParameters(status="off"), FS, TAU)(x), x)
    with pytest.raises(ValueError, match="status"):
        make_filter(FilterParameters(status="maybe"), FS, TAU)


def test_filter_q46_rate_is_divided_once() -> None:
    """Q46: however many pings pass, the sample rate of the filter stays that of the header."""
    x = noise(8, 100, 2)
    lowpass = Lowpass(2, FS, TAU, decimation=4)
    first = lowpass(x)
    assert np.array_equal(lowpass(x), first)
    assert lowpass.fs == FS


def test_filter_threads_change_no_bit() -> None:
    """One BLAS thread or two: the same bits."""
    x = noise(9, 1000, 64)
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(Lowpass(2, FS, TAU)(x))
    assert np.array_equal(results[0], results[1])
