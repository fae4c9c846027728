"""Narrow-band phase-shift beamformer (docs/method.md#beamforming).

Elements and beams lie mirrored about the middle of the array. With the sums and differences of the two
elements of a pair, the complex product of E x B becomes two real ones of E/2 x B/2: the same numbers for a
quarter of the work.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal.windows import hamming

from covis_dask.sonar._types import Complex, Real

__all__ = ["Beamformer", "ReceiverArray", "Sector", "beam_count", "beamformer"]

_BEAMS = {200_000: 128, 396_000: 256}
# Rows folded, multiplied and unfolded together: they stay in the cache.
_ROWS = 256


def beam_count(freq: float) -> int:
    """Return the number of beams formed at a transmit frequency (Hz).

    Raises
    ------
    ValueError
        Neither 200 kHz nor 396 kHz.
    """
    try:
        return _BEAMS[int(freq)] if freq == int(freq) else _BEAMS[-1]
    except KeyError:
        raise ValueError(f"no beams are defined at {freq:g} Hz: use 200000 or 396000") from None


@dataclass(frozen=True, slots=True)
class ReceiverArray:
    """The receiving array.

    Parameters
    ----------
    channels : int
        Channels of the data, the monitor included; even.
    aperture : float
        Distance from the first to the last element, m.
    silent_monitor : bool
        Give the last channel, the transmit monitor, no weight (Q8).
    """

    channels: int
    aperture: float = 0.408
    silent_monitor: bool = False


@dataclass(frozen=True, slots=True)
class Sector:
    """First and last beam, degrees, positive to the right."""

    start_deg: float
    end_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class Beamformer:
    """Forms beams from element data; make one with `beamformer`.

    Attributes
    ----------
    freq, c, fs : float
        Transmit frequency (Hz), sound speed (m/s), sample rate (Hz).
    angles : ndarray of float64, [B]
        Beam angles, rad, positive to the right.
    weights : ndarray of float64, [E]
        Weights of the elements.
    positions : ndarray of float64, [E]
        Positions of the elements along the array, m.
    mirrored : bool
        The beams are mirrored about the middle too, and only one half of them is multiplied.
    """

    freq: float
    c: float
    fs: float
    angles: Real
    weights: Real
    positions: Real
    _even: Real
    _odd: Real
    mirrored: bool

    @property
    def folded(self) -> tuple[Real, Real]:
        """The two real matrices, for sums and for differences of mirrored elements, [E/2, B/2]."""
        return self._even, self._odd

    def narrowed(self, left: int) -> "Beamformer":
        """Return one that leaves out the `left` outermost beams of each side; the others are the same."""
        formed = slice(left, self._even.shape[1] - (0 if self.mirrored else left))
        return replace(
            self,
            angles=self.angles[left : len(self.angles) - left],
            _even=self._even[:, formed],
            _odd=self._odd[:, formed],
        )

    @property
    def steering(self) -> Complex:
        """The whole matrix [E, B] of docs/method.md#beamforming: beams are ``x @ steering``."""
        k = 2 * np.pi * self.freq / self.c
        delays = np.exp(1j * k * self.positions[:, None] * np.sin(self.angles))
        matrix: Complex = self.weights[:, None] * delays
        return matrix

    def __call__(self, x: Complex) -> Complex:
        """Form the beams [N, B] of element data [N, E].

        Raises
        ------
        ValueError
            The channels are not those the beamformer was made for.
        """
        nelems = len(self.weights)
        if x.shape[1] != nelems:
            raise ValueError(f"{x.shape[1]} channels, but the beamformer was made for {nelems}")
        beams = np.empty((x.shape[0], len(self.angles)), dtype=np.complex128)
        for first in range(0, len(x), _ROWS):
            self._form(x[first : first + _ROWS], beams[first : first + _ROWS])
        return beams

    def _form(self, x: Complex, beams: Complex) -> None:
        half = len(self.weights) // 2
        rows = len(x)
        near, far = x[:, :half], x[:, : half - 1 : -1]
        if self.weights[-1] == 0:  # the monitor channel takes no part (Q8); its partner does
            far = far.copy()
            far[:, 0] = 0
        # Real and imaginary parts become rows, so that the products are real.
        even = np.empty((2, rows, half))
        odd = np.empty((2, rows, half))
        np.add(near.real, far.real, out=even[0])
        np.add(near.imag, far.imag, out=even[1])
        np.subtract(near.real, far.real, out=odd[0])
        np.subtract(near.imag, far.imag, out=odd[1])
        cosines = (even.reshape(2 * rows, half) @ self._even).reshape(2, rows, -1)
        sines = (odd.reshape(2 * rows, half) @ self._odd).reshape(2, rows, -1)
        left = beams[:, : cosines.shape[2]]
        np.subtract(cosines[0], sines[1], out=left.real)
        np.add(cosines[1], sines[0], out=left.imag)
        if self.mirrored:
            right = beams[:, : cosines.shape[2] - 1 : -1]
            np.add(cosines[0], sines[1], out=right.real)
            np.subtract(cosines[1], sines[0], out=right.imag)


def beamformer(freq: float, c: float, fs: float, array: ReceiverArray, sector: Sector) -> Beamformer:
    """Make the beamformer of a run (docs/method.md#beamforming).

    Parameters
    ----------
    freq : float
        Transmit frequency, Hz: 200000 (128 beams) or 396000 (256 beams).
    c : float
        Sound speed, m/s.
    fs : float
        Sample rate of the data, Hz (after decimation); kept for the range axis.
    array : ReceiverArray
    sector : Sector

    Raises
    ------
    ValueError
        Unknown frequency, or an odd number of channels.
    """
    nelems = array.channels
    if nelems < 2 or nelems % 2:
        raise ValueError(f"{nelems} channels: an even number is needed")
    beams = beam_count(freq)
    element = np.arange(nelems)
    positions = array.aperture / 2 * (-1 + 2 * element / (nelems - 1))
    angles = np.pi / 180 * np.linspace(sector.start_deg, sector.end_deg, beams)
    weights = hamming(nelems, sym=True)
    half = nelems // 2
    mirrored = sector.start_deg == -sector.end_deg
    formed = angles[: beams // 2] if mirrored else angles
    phases = 2 * np.pi * freq / c * positions[:half, None] * np.sin(formed)
    even = weights[:half, None] * np.cos(phases)
    odd = weights[:half, None] * np.sin(phases)
    if array.silent_monitor:
        weights = weights.copy()
        weights[-1] = 0.0
    return Beamformer(freq, c, fs, angles, weights, positions, even, odd, mirrored)
