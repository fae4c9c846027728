"""The sonar: array, pulse, levels, and the 12-bit numbers it records.

See docs/method.md#instrument, #element-data-record, #beamforming to #scattering-strength.

Sample s is the echo from slant range ``s c / (2 fs)``: the pulse is centred on its travel time. Its envelope
is a half cosine over two pulse lengths, so that half-power duration and energy are those of a rectangular
pulse of length tau, and hardly anything is lost in the processing's low-pass filter.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import hamming

from catalog.vocabulary import Site
from covis_dask.modes import spec_for
from covis_dask.modes.spec import Acquisition
from covis_dask.simulate.geometry import Attitude, Era, Real, View
from covis_dask.sonar.beamform import beam_count
from covis_dask.sonar.calibration import Calibration, Medium, SonarSettings, calibration
from covis_dask.sonar.seawater import ASHES, ENDEAVOUR, absorption, sound_speed

__all__ = ["SAMPLE_RATE", "Instrument", "acquisition", "instrument"]

_SITES: dict[Era, Site] = {"END": Site.ENDEAVOUR, "ASHES": Site.ASHES}

SAMPLE_RATE = 34482.758
"""Complex samples per second in all files seen, Hz."""

_FULL_SCALE = 2047
_ROWS = 128
"""Samples made into numbers together: they stay in the cache."""
_TARGET_MODES = {
    ("END", 396_000): "TS",
    ("END", 200_000): "TS",
    ("ASHES", 396_000): "TS-Fan",
    ("ASHES", 200_000): "TS-Wide",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Settings of the sonar and state of the water; `instrument` gives those of an era and mode.

    Parameters
    ----------
    era : {"END", "ASHES"}
    frequency : float
        Transmit frequency, Hz.
    channels : int
        Elements recorded. The last is the transmit monitor: it hears the pulse, but no echo.
    pulse_length : float
        tau, s.
    sample_rate : float
        Hz.
    power, gain : float
        Settings of source level and receiver gain, dB.
    sound_speed : float
        Of the water, m/s.
    header_sound_speed : float
        What the ping headers say, m/s.
    absorption : float
        Of the water, dB/m.
    sector : float
        Half the sector over which the processing spreads its beams, degrees (the calibration goes by beam
        number).
    vertical_width : float
        Height of the fan between half-power points, transmitter and receiver together, degrees.
    aperture : float
        Distance from the first to the last element, m.
    monitor : float
        Pulse on the monitor channel, counts.
    leakage : float
        Its share on the other channels.
    noise : float
        RMS of the complex noise of a channel, counts.
    random_phase : bool
        Every ping is transmitted with a random phase, which echoes and monitor share.
    clock_offset : float
        Drift of the receiver's clock, as the radial velocity (m/s) that it feigns on all channels.
    samp_type : int
        16: samples in the upper 12 bits, clipped to them. 0: plain 16-bit numbers.
    max_ping_rate : float
        As in the ping headers, Hz.
    """

    era: Era
    frequency: float
    channels: int
    pulse_length: float
    power: float
    gain: float
    sound_speed: float
    header_sound_speed: float
    absorption: float
    sector: float
    vertical_width: float
    sample_rate: float = SAMPLE_RATE
    aperture: float = 0.408
    monitor: float = 700.0
    leakage: float = 0.3
    noise: float = 1.0
    random_phase: bool = True
    clock_offset: float = 0.0
    samp_type: int = 16
    max_ping_rate: float = 2.0

    @property
    def wavenumber(self) -> float:
        """``2 pi f / c``, rad/m."""
        return 2 * math.pi * self.frequency / self.sound_speed

    @property
    def sample_length(self) -> float:
        """Slant range between two samples, m."""
        return self.sound_speed / (2 * self.sample_rate)

    @property
    def beam_angles(self) -> Real:
        """Angles of the beams that the processing forms [B], rad."""
        edge = math.radians(self.sector)
        return np.linspace(-edge, edge, beam_count(self.frequency))

    @property
    def weights(self) -> Real:
        """Weights with which the processing sums the channels [E]; 0 for the monitor, which has no echo."""
        weights: Real = hamming(self.channels, sym=True)
        weights[-1] = 0.0
        return weights

    def view(self, attitude: Attitude, samples: int) -> View:
        """Return what a ping of so many samples sees with this attitude."""
        return View(
            attitude,
            (samples + self.half_pulse) * self.sample_length,
            math.radians(self.vertical_width),
            range_step=self.sound_speed * self.pulse_length / 12,
            sine_step=self.sound_speed / self.frequency / (2 * self.aperture),
        )

    def steering(self, sine: Real) -> NDArray[np.complex64]:
        """Return the response [M, E] of the elements to echoes from azimuths with these sines [M]."""
        positions = self.aperture / 2 * np.linspace(-1, 1, self.channels)
        response = np.exp(-1j * self.wavenumber * np.outer(sine, positions)).astype(np.complex64)
        response[:, -1] = 0
        heard: NDArray[np.complex64] = response
        return heard

    def pulse(self, offset: Real, velocity: float = 0.0) -> NDArray[np.complex128]:
        """Return the echo's envelope at sample offsets from its centre, turned by a radial velocity (m/s)."""
        time = offset / self.sample_rate
        inside = np.abs(time) < self.pulse_length
        envelope = np.where(inside, np.cos(math.pi / 2 * time / self.pulse_length), 0.0)
        turned: NDArray[np.complex128] = envelope * np.exp(-2j * self.wavenumber * velocity * time)
        return turned

    @property
    def half_pulse(self) -> int:
        """Samples from the centre of the pulse to where it has died away."""
        return math.ceil(self.pulse_length * self.sample_rate)

    def target_gain(self, distance: Real, sine: Real) -> Real:
        """Return the amplitude of one element (counts) per root of cross-section (m) [J].

        Exactly what the processing's calibration of target strength takes away again.

        Parameters
        ----------
        distance : ndarray of float64, [J]
            Slant ranges, m.
        sine : ndarray of float64, [J]
            Sines of the azimuths.
        """
        gains = self._calibration(_TARGET_MODES[self.era, int(self.frequency)], distance)
        gain: Real = 1 / (gains.range_gain * self._toward(gains, sine) * self.weights.sum())
        return gain

    def volume_gain(self, sine: Real) -> Real:
        """Return the factor [J] that gives a volume its calibrated level.

        The table's beams are wider than those that the array forms. The factor is the root of nominal over
        simulated insonified volume.
        """
        one = np.ones(1)
        as_target = self._calibration(_TARGET_MODES[self.era, int(self.frequency)], one)
        as_volume = self._calibration("VSS", one)
        nominal = as_target.range_gain[0] * self._toward(as_target, sine)
        nominal /= as_volume.range_gain[0] * self._toward(as_volume, sine)
        # Integral of the squared beam pattern over the sine of the azimuth, for equally spaced elements.
        spacing = self.aperture / (self.channels - 1)
        weights = self.weights
        across = self.sound_speed / self.frequency / spacing * (weights**2).sum() / weights.sum() ** 2
        height = math.radians(self.vertical_width) * math.sqrt(math.pi / math.log(2)) / 2
        depth = self.sound_speed * self.pulse_length / 2
        gain: Real = nominal / np.sqrt(depth * height * across / np.sqrt(1 - sine**2))
        return gain

    def vertical_gain(self, sine: Real) -> Real:
        """Return the loss of amplitude [J] of echoes from out of the fan's plane (sine of the angle)."""
        angle = np.arcsin(sine) / math.radians(self.vertical_width)
        gain: Real = np.exp(-2 * math.log(2) * angle**2)
        return gain

    def crosstalk(self, samples: int) -> NDArray[np.complex64]:
        """Return the transmitted pulse as the channels hear it directly [N, E], counts.

        The whole pulse lies in the record, which begins when the transmission does.
        """
        share = np.full(self.channels, self.leakage)
        # Every channel hears it over another path.
        turns = np.exp(2j * math.pi * np.random.default_rng(self.channels).random(self.channels))
        share[-1], turns[-1] = 1.0, 1.0
        pulse = self.monitor * self.pulse(np.arange(float(samples)) - self.half_pulse)
        return np.outer(pulse, share * turns).astype(np.complex64)

    def drift(self, samples: int) -> NDArray[np.complex64]:
        """Return the turning [N] that the clock offset gives all channels."""
        time = np.arange(samples) / self.sample_rate
        turned: NDArray[np.complex64] = np.exp(-2j * self.wavenumber * self.clock_offset * time).astype(
            np.complex64
        )
        return turned

    def digitise(self, signal: NDArray[np.complex64], rng: np.random.Generator) -> NDArray[np.int16]:
        """Add noise to a signal [N, E] (counts) and record it: int16 [N, E, 2], I and Q."""
        step, most = (16, _FULL_SCALE) if self.samp_type == 16 else (1, 16 * _FULL_SCALE)
        recorded = np.empty((*signal.shape, 2), dtype=np.int16)
        for first in range(0, len(signal), _ROWS):
            rows = slice(first, first + _ROWS)
            counts = rng.standard_normal(recorded[rows].shape, dtype=np.float32)
            counts *= np.float32(self.noise / math.sqrt(2))
            counts += signal[rows].view(np.float32).reshape(counts.shape)
            np.rint(counts, out=counts)
            np.clip(counts, -most, most, out=counts)
            counts *= step
            recorded[rows] = counts
        return recorded

    def _calibration(self, mode: str, ranges: Real) -> Calibration:
        return calibration(
            mode,
            self.era,
            SonarSettings(self.frequency, self.pulse_length, self.power, self.gain),
            Medium(self.sound_speed, self.absorption),
            angles=self.beam_angles,
            ranges=ranges,
        )

    def _toward(self, gains: Calibration, sine: Real) -> Real:
        """Gain of the beams, interpolated for directions between them."""
        angle = np.arcsin(np.clip(sine, -1, 1))
        gain: Real = np.exp(np.interp(angle, self.beam_angles, np.log(gains.beam_gain)))
        return gain


def acquisition(era: Era, family: str) -> Acquisition:
    """Return how the sonar is set for a mode.

    Raises
    ------
    ModeUnsupported
        When nothing is known of the mode.
    ValueError
        When its spec does not say.
    """
    spec = spec_for(_SITES[era], family)
    if spec.acquisition is None:
        raise ValueError(f"the spec of {spec} runs does not say how they are acquired")
    return spec.acquisition


def instrument(era: Era, family: str, **settings: Any) -> Instrument:
    """Return the sonar as it is set for a mode.

    Water and fan are the true ones, which the profile ``corrected`` assumes; the headers of 2018+ give the
    sound speed that they gave, 1468 m/s.

    Parameters
    ----------
    era : {"END", "ASHES"}
    family : str
        Its spec says how it is acquired.
    **settings
        Anything that shall be different.

    Raises
    ------
    ModeUnsupported, ValueError
        As for `acquisition`.
    """
    usual = acquisition(era, family)
    frequency = usual.frequency
    water = ENDEAVOUR if era == "END" else ASHES
    c = 1480.0
    if era == "ASHES":
        c = sound_speed(
            water.temperature, water.salinity, water.depth, water.latitude, absolute_salinity=True
        )
    base: dict[str, Any] = {
        "era": era,
        "frequency": frequency,
        "channels": usual.channels,
        "pulse_length": usual.pulse_length,
        "power": usual.power,
        "gain": usual.gain,
        "sound_speed": c,
        "header_sound_speed": c if era == "END" else 1468.0,
        "absorption": absorption(frequency, c, water, zero_celsius=273.15),
        "sector": usual.sector,
        "vertical_width": usual.vertical_width,
        "max_ping_rate": usual.max_ping_rate,
    }
    return Instrument(**{**base, **settings})
