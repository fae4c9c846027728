"""Low-pass filter along the samples of a ping (docs/method.md#low-pass-filter).

A recursive filter seems to force a loop over samples. Cut into blocks it is a few small matrix products
instead: within a block the output is the impulse response times the samples (a triangular matrix), and what
came before enters through four state variables per channel. Only those are carried from block to block.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.linalg import companion, toeplitz
from scipy.signal import butter, lfilter, lfilter_zi

from covis_dask.sonar._types import Complex, Real

__all__ = ["FilterSettings", "Lowpass", "make_filter"]

# A longer block does more work in the triangular product, a shorter one carries the state more often.
_BLOCK = 16


@dataclass(frozen=True, slots=True, eq=False)
class Lowpass:
    """Butterworth low-pass filter with the cut-off at bw / (2 tau).

    Call it with complex samples [N, E]; it returns [ceil(N / decimation), E], each channel filtered alone.

    Parameters
    ----------
    bw : float
        Cut-off in units of 1 / (2 tau).
    fs : float
        Sample rate of the input, Hz.
    tau : float
        Pulse length, s.
    order : int
        Order of the filter.
    zero_phase : bool
        Forwards and backwards with Matlab's ``filtfilt`` end treatment, else one causal pass from rest.
    decimation : int
        Keep every so many-th sample, the first included.

    Attributes
    ----------
    b, a : ndarray of float64, [order + 1]
        Coefficients.

    Raises
    ------
    ValueError
        The cut-off is not below the Nyquist frequency, or (on calling) the ping is too short to be extended.
    """

    bw: float
    fs: float
    tau: float
    order: int = 4
    zero_phase: bool = True
    decimation: int = 1
    b: Real = field(init=False, repr=False)
    a: Real = field(init=False, repr=False)
    _forward: "_Recursion" = field(init=False, repr=False)
    _backward: "_Recursion" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        b, a = butter(self.order, self.bw / self.fs / self.tau)
        set_ = object.__setattr__  # frozen: the way to fill derived fields
        set_(self, "b", b)
        set_(self, "a", a)
        set_(self, "_forward", _Recursion.of(b, a))
        set_(self, "_backward", self._forward.reversed())

    @property
    def padding(self) -> int:
        """Samples by which the zero-phase filter extends a ping at each end, as Matlab does."""
        return 3 * self.order

    def check_length(self, nsamps: int) -> None:
        """Refuse a ping that is too short for the zero-phase filter.

        Raises
        ------
        ValueError
            It does not have more samples than are added at each end.
        """
        if nsamps <= self.padding:
            raise ValueError(
                f"a ping of {nsamps} samples is too short to filter: more than {self.padding} are needed"
            )

    def __call__(self, x: Complex) -> Complex:
        """Filter [N, E] along the first axis."""
        samples = np.ascontiguousarray(x, dtype=np.complex128)
        filtered = self._zero_phase(samples) if self.zero_phase else self._causal(samples)
        return filtered if self.decimation == 1 else np.ascontiguousarray(filtered[:: self.decimation])

    def _causal(self, x: Complex) -> Complex:
        n = x.shape[0]
        buffer = np.zeros((_whole_blocks(n), 2 * x.shape[1]))
        buffer[:n] = x.view(np.float64)
        state = np.zeros((self.order, buffer.shape[1]))
        return self._forward.run(buffer, state)[:n].view(np.complex128)

    def _zero_phase(self, x: Complex) -> Complex:
        n, pad = x.shape[0], self.padding
        self.check_length(n)
        real = x.view(np.float64)
        # In a steady state a constant changes nothing, so constants fill the blocks at either end.
        end = _whole_blocks(n + 2 * pad)
        buffer = np.empty((end, real.shape[1]))
        buffer[:pad] = 2 * real[0] - real[pad:0:-1]
        buffer[pad : pad + n] = real
        buffer[pad + n : n + 2 * pad] = 2 * real[-1] - real[-2 : -pad - 2 : -1]
        buffer[n + 2 * pad :] = buffer[n + 2 * pad - 1]
        rest = lfilter_zi(self.b, self.a)[:, None]
        forward = self._forward.run(buffer, rest * buffer[0])
        forward[n + 2 * pad :] = forward[n + 2 * pad - 1]
        both = self._backward.run(forward, rest * forward[-1])
        return both[pad : pad + n].view(np.complex128)


@dataclass(frozen=True, slots=True, eq=False)
class _Recursion:
    """A recursive filter as block matrices (L samples a block, K state variables)."""

    response: Real  # [L, L] samples -> output
    free: Real  # [L, K] state -> output
    feed: Real  # [K, L] samples -> next state
    carry: Real  # [K, K] state -> next state
    backwards: bool = False

    @classmethod
    def of(cls, b: Real, a: Real) -> "_Recursion":
        # The transposed direct form, whose state is that of scipy's lfilter.
        step = companion(a).T
        entry = b[1:] - a[1:] * b[0]
        impulse = np.zeros(_BLOCK)
        impulse[0] = 1.0
        first = lfilter(b, a, impulse)
        powers = [np.eye(len(a) - 1)]
        for _ in range(_BLOCK):
            powers.append(step @ powers[-1])
        return cls(
            response=toeplitz(first, np.zeros(_BLOCK)),
            free=np.stack([power[0] for power in powers[:_BLOCK]]),
            feed=np.stack([power @ entry for power in powers[_BLOCK - 1 :: -1]], axis=1),
            carry=powers[_BLOCK],
        )

    def reversed(self) -> "_Recursion":
        """Return the same filter running from the last sample to the first."""
        return _Recursion(
            response=np.ascontiguousarray(self.response[::-1, ::-1]),
            free=np.ascontiguousarray(self.free[::-1]),
            feed=np.ascontiguousarray(self.feed[:, ::-1]),
            carry=self.carry,
            backwards=True,
        )

    def run(self, samples: Real, state: Real) -> Real:
        """Filter [blocks * L, C] from `state` [K, C] on."""
        blocks = samples.reshape(-1, _BLOCK, samples.shape[1])
        fed = np.matmul(self.feed, blocks)
        states = np.empty_like(fed)
        order = range(len(blocks))
        for block in reversed(order) if self.backwards else order:
            states[block] = state
            state = self.carry @ state + fed[block]
        out = np.matmul(self.response, blocks)
        out += np.matmul(self.free, states)
        filtered: Real = out.reshape(samples.shape)
        return filtered


def _whole_blocks(n: int) -> int:
    return -(-n // _BLOCK) * _BLOCK


class FilterSettings(Protocol):
    """The filter that a parameter file describes: `bw`, `order` and `zero_phase` as of `Lowpass`."""

    @property
    def status(self) -> str:
        """Either ``on``, or ``off``, which returns the samples as they are."""

    @property
    def type(self) -> str:
        """Only ``butterworth`` exists."""

    @property
    def bw(self) -> float: ...  # noqa: D102
    @property
    def order(self) -> int: ...  # noqa: D102
    @property
    def zero_phase(self) -> bool: ...  # noqa: D102


def make_filter(
    settings: FilterSettings, fs: float, tau: float, decimation: int = 1
) -> Callable[[Complex], Complex]:
    """Return the filter that a parameter file describes (docs/method.md#low-pass-filter, Q45).

    Parameters
    ----------
    settings : FilterSettings
    fs, tau, decimation
        As `Lowpass`.

    Raises
    ------
    ValueError
        Any other kind or status.
    """
    if settings.status == "off":
        return _unchanged
    if settings.status != "on":
        raise ValueError(f"filter status {settings.status!r}: use 'on' or 'off'")
    if settings.type != "butterworth":
        raise ValueError(f"filter type {settings.type!r}: only 'butterworth' exists")
    return Lowpass(
        settings.bw,
        fs,
        tau,
        order=settings.order,
        zero_phase=settings.zero_phase,
        decimation=decimation,
    )


def _unchanged(x: Complex) -> Complex:
    return x
