"""Phase correction: the random phase of each transmission, seen through its leak into one channel.

See docs/method.md#phase-correction, and #doppler-2010-15 for the clock offset.
"""

import math

import numpy as np

from covis_dask.sonar._types import Complex

__all__ = ["correct_phase", "monitor_samples", "offset_covariance", "phase_offset"]


def monitor_samples(pulses: float, fs: float, tau: float) -> int:
    """Return how many samples `pulses` pulse lengths last.

    Parameters
    ----------
    pulses : float
        Number of pulse lengths: 3 for the monitor channel, 5 for crosstalk in a normal one.
    fs : float
        Sample rate, Hz.
    tau : float
        Pulse length, s.
    """
    return math.floor(pulses * fs * tau + 0.5)


def phase_offset(x: Complex, ref: Complex, channel: int, nsamps: int) -> float:
    """Return the phase of `x` against `ref` in one channel, rad (docs/method.md#phase-correction).

    Parameters
    ----------
    x, ref : ndarray of complex128, [N, E]
        Element data of this ping and of the reference ping, as recorded.
    channel : int
        Channel that hears the transmission, counted from 0; negative from the end.
    nsamps : int
        Length of the transmission, samples.

    Raises
    ------
    ValueError
        `nsamps` is longer than one of the pings, or there is no such channel.
    """
    if nsamps > min(x.shape[0], ref.shape[0]):
        raise ValueError(
            f"the transmission lasts {nsamps} samples, the ping has {min(x.shape[0], ref.shape[0])}"
        )
    # The channel is counted in the reference ping, so that a negative one means the same in both.
    channel = range(ref.shape[1])[channel] if -ref.shape[1] <= channel < ref.shape[1] else x.shape[1]
    if channel >= x.shape[1]:
        raise ValueError(f"there is no channel {channel} in a ping of {x.shape[1]} channels")
    product = np.vdot(ref[:nsamps, channel], x[:nsamps, channel])
    return float(np.angle(product))


def correct_phase(x: Complex, ref: Complex, channel: int, nsamps: int) -> Complex:
    """Turn `x` so that its transmission has the phase of that of `ref` (docs/method.md#phase-correction).

    Parameters
    ----------
    x, ref, channel, nsamps
        As in `phase_offset`.

    Returns
    -------
    ndarray of complex128, [N, E]
        A new array.

    Raises
    ------
    ValueError
        As `phase_offset`.
    """
    turned: Complex = x * np.exp(-1j * phase_offset(x, ref, channel, nsamps))
    return turned


def offset_covariance(x: Complex, channel: int, nsamps: int, lag: int) -> complex:
    """Return the autocovariance of the monitored transmission at `lag`, summed.

    See docs/method.md#doppler-2010-15, #doppler-2018.

    Its phase is the Doppler shift that the clocks of transmitter and receiver feign.

    Parameters
    ----------
    x : ndarray of complex128, [N, E]
        Element data after phase correction, unfiltered.
    channel : int
        Monitor channel, counted from 0; negative from the end.
    nsamps : int
        Length of the transmission, samples.
    lag : int
        Lag, samples.
    """
    monitor = x[:nsamps, channel]
    late = monitor[lag:]
    return complex(np.vdot(late, monitor[: late.shape[0]]))
