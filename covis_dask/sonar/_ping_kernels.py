"""Compiled loops over the samples of a ping: from recorded numbers to filtered sums, and to beams."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covis_dask.sonar._jit import kernel
from covis_dask.sonar._types import Real

__all__ = ["PAIRS", "filter_pairs", "unfold"]

PAIRS = 8
"""Pairs of elements filtered together: their samples stay in the cache, their states in registers."""

_LANES = 4 * PAIRS


@kernel
def filter_pairs(
    samples: NDArray[Any],
    re: float,
    im: float,
    drop_last: bool,
    b: Real,
    a: Real,
    rest: Real,
    pad: int,
    decimation: int,
    scratch: Real,
    even: NDArray[Any],
    odd: NDArray[Any],
) -> None:
    """Turn, fold and filter the elements of a ping, `PAIRS` pairs at a time.

    Parameters
    ----------
    samples : ndarray of int16 or float64, [M, 2 E]
        I and Q of every element.
    re, im : float
        The complex factor of all samples: unit and phase.
    drop_last : bool
        Take the last element for silent.
    b, a, rest : ndarray of float64, [5], [5], [4]
        Coefficients of the filter, and its state for a constant 1.
    pad : int
        Samples of the odd extension at each end; negative: one causal pass from rest.
    decimation : int
        Hand out every so many-th sample.
    scratch : ndarray of float64, [M + 2 pad, 4 PAIRS]
        Room to work in.
    even, odd : ndarray of float32 or float64, [rows, 2, E / 2]
        Filled with the sums and differences of each pair, real and imaginary parts.
    """
    state = np.zeros(4 * _LANES)
    for first in range(0, even.shape[2], PAIRS):
        _fold(samples, re, im, drop_last, first, scratch, max(pad, 0))
        n = samples.shape[0]
        if pad < 0:
            state[:] = 0.0
            _run(scratch, 0, n, 1, state, b, a)
        else:
            _extend(scratch, pad, n)
            end = n + 2 * pad
            _settle(scratch, 0, state, rest)
            _run(scratch, 0, end, 1, state, b, a)
            _settle(scratch, end - 1, state, rest)
            _run(scratch, end - 1, end - pad, -1, state, b, a)
        _hand_out(scratch, max(pad, 0), decimation, first, even, odd)


@kernel
def _fold(
    samples: NDArray[Any], re: float, im: float, drop_last: bool, first: int, scratch: Real, pad: int
) -> None:
    """Write sums and differences of pairs to `scratch`: even re, even im, odd re, odd im."""
    last = samples.shape[1] - 2
    keep = 0.0 if drop_last and first == 0 else 1.0
    for t in range(samples.shape[0]):
        row = scratch[t + pad]
        for j in range(PAIRS):
            near_i, near_q = float(samples[t, 2 * (first + j)]), float(samples[t, 2 * (first + j) + 1])
            far_i, far_q = (
                float(samples[t, last - 2 * (first + j)]),
                float(samples[t, last - 2 * (first + j) + 1]),
            )
            if j == 0:
                far_i, far_q = keep * far_i, keep * far_q
            sum_i, sum_q, rest_i, rest_q = near_i + far_i, near_q + far_q, near_i - far_i, near_q - far_q
            row[j] = re * sum_i - im * sum_q
            row[PAIRS + j] = re * sum_q + im * sum_i
            row[2 * PAIRS + j] = re * rest_i - im * rest_q
            row[3 * PAIRS + j] = re * rest_q + im * rest_i


@kernel
def _extend(scratch: Real, pad: int, n: int) -> None:
    """Extend each column oddly about its first and its last sample."""
    end = pad + n - 1
    for k in range(1, pad + 1):
        for j in range(_LANES):
            scratch[pad - k, j] = 2 * scratch[pad, j] - scratch[pad + k, j]
            scratch[end + k, j] = 2 * scratch[end, j] - scratch[end - k, j]


@kernel
def _settle(scratch: Real, t: int, state: Real, rest: Real) -> None:
    """Set the state to the one in which sample `t`, were it there forever, passes unchanged."""
    for k in range(4):
        for j in range(_LANES):
            state[k * _LANES + j] = rest[k] * scratch[t, j]


@kernel
def _run(scratch: Real, first: int, count: int, direction: int, state: Real, b: Real, a: Real) -> None:
    """Filter `count` rows in place, from row `first` on, forwards (1) or backwards (-1)."""
    for k in range(0, count - 1, 2):
        t = first + k * direction
        _two_steps(scratch[t], scratch[t + direction], state, b, a)
    if count % 2:
        # A row of nothing serves as the second; the state after it is not wanted.
        _two_steps(scratch[first + (count - 1) * direction], np.zeros(_LANES), state, b, a)


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
def _hand_out(
    scratch: Real, pad: int, decimation: int, first: int, even: NDArray[Any], odd: NDArray[Any]
) -> None:
    """Copy the filtered columns to where they are wanted."""
    for t in range(even.shape[0]):
        row = scratch[t * decimation + pad]
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
