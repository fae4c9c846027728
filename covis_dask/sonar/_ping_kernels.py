"""Compiled loops over the samples of a ping: from recorded numbers to filtered sums, and to beams."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Real

__all__ = ["PAIRS", "Folded", "Recorded", "Recursion", "filter_pairs", "unfold"]

PAIRS = 16
"""Pairs of elements filtered together: their samples stay in the cache from one pass to the other."""

_LANES = 4 * PAIRS


class Recorded(NamedTuple):
    """A ping as it was recorded, and what makes element data of it.

    Attributes
    ----------
    samples : ndarray of int32, [M, E]
        I and Q of every element as they lie in memory: two int16, I in the lower half.
    re, im : float
        The complex factor of all samples: unit and phase.
    drop_last : bool
        Take the last element for silent.
    """

    samples: NDArray[np.int32]
    re: float
    im: float
    drop_last: bool


class Recursion(NamedTuple):
    """A filter.

    Attributes
    ----------
    b, a, rest : ndarray of float64, [5], [5], [4]
        Coefficients, and the state for a constant 1.
    pad : int
        Samples of the odd extension at each end, more than 0; negative: one causal pass from rest.
    decimation : int
        Hand out every so many-th sample.
    """

    b: Real
    a: Real
    rest: Real
    pad: int
    decimation: int


class Folded(NamedTuple):
    """Sums and differences of each pair of elements, real and imaginary parts.

    Attributes
    ----------
    even, odd : ndarray of float32 or float64, [rows, 2, E / 2]
    """

    even: NDArray[Any]
    odd: NDArray[Any]


@kernel
def filter_pairs(ping: Recorded, lowpass: Recursion, scratch: Real, folded: Folded) -> None:
    """Turn, fold and filter the elements of a ping, `PAIRS` pairs at a time.

    Parameters
    ----------
    ping : Recorded
    lowpass : Recursion
    scratch : ndarray of float64, [M + 2 pad + 1, 4 PAIRS]
        Room to work in.
    folded : Folded
        Filled.
    """
    state, pad = np.zeros(4 * _LANES), lowpass.pad
    for first in range(0, folded.even.shape[2], PAIRS):
        if pad < 0:
            state[:] = 0.0
            _forwards(ping, lowpass, first, scratch, 0, state)
            for t in range(folded.even.shape[0]):
                _hand_out(scratch[t * lowpass.decimation], t, first, folded)
        else:
            _extend(ping, first, scratch, pad)
            _settle(scratch[0], state, lowpass.rest)
            _forwards(ping, lowpass, first, scratch, pad, state)
            _settle(scratch[ping.samples.shape[0] + 2 * pad - 1], state, lowpass.rest)
            _backwards(scratch, ping.samples.shape[0], lowpass, state, first, folded)


@kernel
def _fold(ping: Recorded, t: int, first: int, row: Real) -> None:
    """Write sums and differences of the pairs of one sample to a row: even re, even im, odd re, odd im."""
    samples, re, im = ping.samples, ping.re, ping.im
    # Numbers of 32 bits, and places without sign, keep the loop fit for vectors.
    half, near_first = np.int32(16), np.uint64(first)
    far_first = np.uint64(samples.shape[1] - 1 - first)
    for j in range(np.uint64(PAIRS)):
        near, far = samples[t, near_first + j], samples[t, far_first - j]
        near_i, near_q = np.int32(np.int32(near << half) >> half), np.int32(near >> half)
        far_i, far_q = np.int32(np.int32(far << half) >> half), np.int32(far >> half)
        sum_i, sum_q = float(np.int32(near_i + far_i)), float(np.int32(near_q + far_q))
        rest_i, rest_q = float(np.int32(near_i - far_i)), float(np.int32(near_q - far_q))
        row[j] = re * sum_i - im * sum_q
        row[PAIRS + j] = re * sum_q + im * sum_i
        row[2 * PAIRS + j] = re * rest_i - im * rest_q
        row[3 * PAIRS + j] = re * rest_q + im * rest_i
    if ping.drop_last and first == 0:
        near_i, near_q = np.int32(np.int32(samples[t, 0] << half) >> half), np.int32(samples[t, 0] >> half)
        row[0] = row[2 * PAIRS] = re * near_i - im * near_q
        row[PAIRS] = row[3 * PAIRS] = re * near_q + im * near_i


@kernel
def _extend(ping: Recorded, first: int, scratch: Real, pad: int) -> None:
    """Extend each column oddly about its first and its last sample."""
    n = ping.samples.shape[0]
    end = pad + n - 1
    for k in range(pad + 1):
        _fold(ping, k, first, scratch[pad + k])
        _fold(ping, n - 1 - k, first, scratch[end - k])
    for k in range(1, pad + 1):
        for j in range(_LANES):
            scratch[pad - k, j] = 2 * scratch[pad, j] - scratch[pad + k, j]
            scratch[end + k, j] = 2 * scratch[end, j] - scratch[end - k, j]


@kernel
def _settle(row: Real, state: Real, rest: Real) -> None:
    """Set the state to the one in which this sample, were it there forever, passes unchanged."""
    for k in range(4):
        for j in range(_LANES):
            state[k * _LANES + j] = rest[k] * row[j]


@kernel
def _forwards(ping: Recorded, lowpass: Recursion, first: int, scratch: Real, pad: int, state: Real) -> None:
    """Fold the samples and filter them with their extensions, from the first row to the last."""
    b, a = lowpass.b, lowpass.a
    end = pad + ping.samples.shape[0]
    for k in range(0, end + pad, 2):
        # After an odd number of rows follows one of no meaning; the state after it is not wanted.
        one, two = scratch[k], scratch[k + 1]
        if pad <= k < end:
            _fold(ping, k - pad, first, one)
        if pad <= k + 1 < end:
            _fold(ping, k + 1 - pad, first, two)
        _two_steps(one, two, state, b, a)


@kernel
def _backwards(
    scratch: Real, nsamps: int, lowpass: Recursion, state: Real, first: int, folded: Folded
) -> None:
    """Filter from the last row to the first sample, and hand out what is wanted while it is in the cache."""
    b, a, pad, decimation = lowpass.b, lowpass.a, lowpass.pad, lowpass.decimation
    wanted = (folded.even.shape[0] - 1) * decimation
    for k in range(nsamps + 2 * pad - 1, pad - 1, -2):
        one, two = scratch[k], scratch[k - 1]
        _two_steps(one, two, state, b, a)
        t = k - pad
        if t <= wanted and t % decimation == 0:
            _hand_out(one, t // decimation, first, folded)
        if 0 < t <= wanted + 1 and (t - 1) % decimation == 0:
            _hand_out(two, (t - 1) // decimation, first, folded)


@kernel
def _two_steps(one: Real, two: Real, state: Real, b: Real, a: Real) -> None:
    """Filter two rows in place (transposed direct form): the state is read and written once for both."""
    for j in range(_LANES):
        x = one[j]
        y = b[0] * x + state[j]
        s0 = b[1] * x - a[1] * y + state[_LANES + j]
        s1 = b[2] * x - a[2] * y + state[2 * _LANES + j]
        s2 = b[3] * x - a[3] * y + state[3 * _LANES + j]
        s3 = b[4] * x - a[4] * y
        one[j] = y
        x = two[j]
        y = b[0] * x + s0
        state[j] = b[1] * x - a[1] * y + s1
        state[_LANES + j] = b[2] * x - a[2] * y + s2
        state[2 * _LANES + j] = b[3] * x - a[3] * y + s3
        state[3 * _LANES + j] = b[4] * x - a[4] * y
        two[j] = y


@kernel
def _hand_out(row: Real, t: int, first: int, folded: Folded) -> None:
    """Copy a filtered row to where it is wanted."""
    even, odd = folded.even, folded.odd
    for j in range(PAIRS):
        even[t, 0, first + j] = row[j]
        even[t, 1, first + j] = row[PAIRS + j]
        odd[t, 0, first + j] = row[2 * PAIRS + j]
        odd[t, 1, first + j] = row[3 * PAIRS + j]


@kernel
def unfold(cosines: NDArray[Any], sines: NDArray[Any], beams: NDArray[Any]) -> None:
    """Combine the two real products into beams and their mirror images.

    Parameters
    ----------
    cosines, sines : ndarray of float32 or float64, [n, 2, B / 2]
        Products of even and odd parts, real and imaginary.
    beams : ndarray of float32 or float64, [n, 2 B]
        Filled with real and imaginary parts in turn.
    """
    half, last = cosines.shape[2], beams.shape[1] - 2
    for t in range(cosines.shape[0]):
        for j in range(half):
            beams[t, 2 * j] = cosines[t, 0, j] - sines[t, 1, j]
            beams[t, 2 * j + 1] = cosines[t, 1, j] + sines[t, 0, j]
        for j in range(half):
            beams[t, last - 2 * j] = cosines[t, 0, j] + sines[t, 1, j]
            beams[t, last - 2 * j + 1] = cosines[t, 1, j] - sines[t, 0, j]
