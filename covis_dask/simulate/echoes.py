"""Echoes of scatterers on the elements of the array, ping after ping.

Scatterers are set down on a mesh of samples and azimuths. Per ping that mesh is convolved with the pulse
along range and multiplied with the response of the array: the cost goes with the size of the mesh, hardly
with the number of scatterers. Where they move at different speeds, the pulse, which motion turns, is
interpolated between a few speeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from covis_dask.simulate.geometry import Real, View
from covis_dask.simulate.instrument import Instrument
from covis_dask.simulate.scene import Component, Scatterers, gaussian

__all__ = ["Echoes", "echoes"]

Signal = NDArray[np.complex64]

_MOST_COLUMNS = 1200
"""More different azimuths are rounded to a fine mesh."""
_MISFIT = 1e-3
"""Largest error of the interpolation between speeds."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Echoes as they reach the array; arrays [J].

    Parameters
    ----------
    row, sine : ndarray of float64
        Where each echo falls: sample, and sine of the azimuth.
    amplitude : ndarray of complex128
        Counts on one element.
    speed, jitter : ndarray of float64
        Radial velocity (m/s) and flutter of the phase (rad).
    """

    row: Real
    sine: Real
    amplitude: NDArray[np.complex128]
    speed: Real
    jitter: Real

    def only(self, some: NDArray[np.bool_]) -> "Arrivals":
        """Return some of them."""
        return Arrivals(
            self.row[some], self.sine[some], self.amplitude[some], self.speed[some], self.jitter[some]
        )


class Echoes:
    """The echoes of scatterers that are all steady, or all alive, for one burst.

    Parameters
    ----------
    instrument : Instrument
    samples : int
        N.
    arrivals : Arrivals
    """

    def __init__(self, instrument: Instrument, samples: int, arrivals: Arrivals) -> None:
        row, speed = arrivals.row, arrivals.speed
        self._amplitude = arrivals.amplitude
        self._turn = -2 * instrument.wavenumber * speed
        self._renewed = np.isinf(arrivals.jitter)
        # What is new in every ping has no phase to carry on.
        self._moving = bool(np.any(speed[~self._renewed]))
        self._flutter = np.where(self._renewed, 0.0, arrivals.jitter)
        self._steady: Signal | None = None

        columns, column = np.unique(_rounded(arrivals.sine, instrument), return_inverse=True)
        half = instrument.half_pulse
        whole = np.floor(row).astype(np.int64)
        first = int(whole.min()) - half
        self._height = int(whole.max()) + 2 + half - first
        # A part of each echo falls on the sample before it, the rest on the one after it.
        self._split = np.concatenate([1 - (row - whole), row - whole])
        at = column * self._height + (whole - first)
        self._at = np.concatenate([at, at + 1])
        self._mesh = (len(columns), self._height)

        nodes = _nodes(speed, 2 * instrument.wavenumber * instrument.pulse_length)
        self._shares = _lagrange(nodes, speed)
        self._length = fft.next_fast_len(self._height)
        self._pulses = _pulses(instrument, nodes, self._length)
        self._steering = instrument.steering(columns)
        # Rows of the mesh that lie within the record.
        self._from, self._to = max(-first, 0), min(samples - first, self._height)
        self._rows = slice(first + self._from, first + self._to)

    @property
    def steady(self) -> bool:
        """Whether all pings of the burst have the same echoes."""
        return not (self._moving or self._renewed.any() or self._flutter.any())

    def add_to(self, signal: Signal, elapsed: float, rng: np.random.Generator) -> None:
        """Add the echoes of a ping, so many seconds after the first, to a signal [N, E]."""
        if self._to <= self._from:
            return
        if not self.steady:
            signal[self._rows] += self._form(self._alive(elapsed, rng))
            return
        if self._steady is None:
            self._steady = self._form(self._amplitude)
        signal[self._rows] += self._steady

    def _alive(self, elapsed: float, rng: np.random.Generator) -> NDArray[np.complex128]:
        """Amplitudes of this ping."""
        amplitude = self._amplitude
        if self._moving:
            amplitude = amplitude * np.exp(1j * self._turn * elapsed)
        if self._flutter.any():
            amplitude = amplitude * np.exp(1j * self._flutter * rng.standard_normal(len(amplitude)))
        if self._renewed.any():
            amplitude = amplitude * np.where(self._renewed, gaussian(rng, len(amplitude)), 1.0)
        return amplitude

    def _form(self, amplitude: NDArray[np.complex128]) -> Signal:
        spectrum = np.zeros((self._mesh[0], self._length), dtype=np.complex64)
        size = self._mesh[0] * self._mesh[1]
        for share, pulse in zip(self._shares, self._pulses, strict=True):
            put = np.tile(amplitude * share, 2) * self._split
            mesh = np.empty(size, dtype=np.complex64)
            mesh.real = np.bincount(self._at, put.real, size)
            mesh.imag = np.bincount(self._at, put.imag, size)
            spectrum += fft.fft(mesh.reshape(self._mesh), self._length, axis=1) * pulse
        echo = fft.ifft(spectrum, axis=1, overwrite_x=True)[:, self._from : self._to]
        signal: Signal = echo.T @ self._steering
        return signal


def _rounded(sine: Real, instrument: Instrument) -> Real:
    """Round azimuths to a quarter of the beam width where there are too many of them."""
    if len(np.unique(sine)) <= _MOST_COLUMNS:
        return sine
    step = instrument.sound_speed / instrument.frequency / (4 * instrument.aperture)
    rounded: Real = np.rint(sine / step) * step
    return rounded


def _nodes(speed: Real, reach: float) -> Real:
    """Return the speeds between which to interpolate; `reach` is the turn of half a pulse, rad per m/s."""
    low, high = float(speed.min()), float(speed.max())
    turn, count = reach * (high - low) / 2, 1
    while turn**count / (2 ** (count - 1) * math.factorial(count)) > _MISFIT:
        count += 1
    chebyshev = np.cos(math.pi * (np.arange(count) + 0.5) / count)
    return np.array((low + high) / 2 + (high - low) / 2 * chebyshev)


def _lagrange(nodes: Real, speed: Real) -> Real:
    """Return the shares [Q, J] of the nodes in each speed."""
    shares = np.ones((len(nodes), len(speed)))
    for i, node in enumerate(nodes):
        for j, other in enumerate(nodes):
            if i != j:
                shares[i] *= (speed - other) / (node - other)
    return shares


def _pulses(instrument: Instrument, nodes: Sequence[float] | Real, length: int) -> list[Signal]:
    """Return the spectra of the pulse, centred on sample 0, at the speeds of the nodes."""
    offset = np.arange(float(length))
    offset[length - instrument.half_pulse :] -= length
    return [fft.fft(instrument.pulse(offset, float(node)).astype(np.complex64)) for node in nodes]


def echoes(
    instrument: Instrument, view: View, component: Component, samples: int, rng: np.random.Generator
) -> list[Echoes]:
    """Return the echoes of a component of the scene in one burst: the steady ones, and those that live.

    Parameters
    ----------
    instrument : Instrument
    view : View
    component : Component
    samples : int
        N.
    rng : numpy.random.Generator
        For what is drawn once per burst.
    """
    scatterers = component.scatterers(view, rng)
    receiver = view.to_receiver(scatterers.position)
    seen = view.sector(receiver) & (scatterers.amplitude != 0)
    if not seen.any():
        return []
    scatterers = _only(scatterers, seen)
    receiver = receiver[seen]
    distance = np.linalg.norm(receiver, axis=1)
    sine = receiver[:, 0] / distance
    if scatterers.fills:
        # Laid out on a mesh of azimuths; rounding errors must not make several columns of one.
        sine = np.round(sine, 9)
    gain = instrument.target_gain(distance, sine) * instrument.vertical_gain(receiver[:, 2] / distance)
    if scatterers.fills:
        gain *= instrument.volume_gain(sine)
    amplitude = scatterers.amplitude * gain * np.exp(-2j * instrument.wavenumber * distance)
    away = (scatterers.position - view.head) / distance[:, None]
    speed = np.einsum("ij,ij->i", scatterers.velocity, away)
    arrivals = Arrivals(distance / instrument.sample_length, sine, amplitude, speed, scatterers.jitter)
    alive = (scatterers.jitter > 0) | (speed != 0)
    return [Echoes(instrument, samples, arrivals.only(part)) for part in (~alive, alive) if part.any()]


def _only(scatterers: Scatterers, seen: NDArray[np.bool_]) -> Scatterers:
    return Scatterers(
        scatterers.position[seen],
        scatterers.amplitude[seen],
        scatterers.velocity[seen],
        scatterers.jitter[seen],
        scatterers.fills,
    )
