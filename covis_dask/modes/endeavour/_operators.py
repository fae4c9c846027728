"""What is done to every ping of 2010-15: each has its own header, so its own filter, beams, calibration."""

from collections.abc import Callable
from dataclasses import dataclass

from covis_dask.modes._phased_ping import PhasedPing
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.record import Samples
from covis_dask.raw.sweep import Ping, PingHeader
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.beamform import Beamformer, ReceiverArray, Sector, beam_count, beamformer
from covis_dask.sonar.calibration import Calibration, Medium, SonarSettings, calibration
from covis_dask.sonar.filter import make_filter
from covis_dask.sonar.fused import FusedBeamformer
from covis_dask.sonar.phase import correct_phase, monitor_samples, phase_offset
from covis_dask.sonar.ranges import range_axis
from covis_dask.sonar.seawater import absorption, absorption_2010

__all__ = ["OperatorCache", "PingOperators", "calibrated_beams"]


@dataclass(frozen=True, slots=True, eq=False)
class PingOperators:
    """What one header asks for.

    Parameters
    ----------
    header : PingHeader
    filter : callable
        Element data [N, E] (or beams) to filtered and decimated ones.
    beamformer : Beamformer
    fused : FusedBeamformer
        Both in one go.
    ranges : ndarray of float64
        Slant range of each sample of the beams, m.
    calibration : Calibration
    monitor : int
        Length of the transmitted signal in the monitor channel, samples.
    """

    header: PingHeader
    filter: Callable[[Complex], Complex]
    beamformer: Beamformer
    fused: FusedBeamformer
    ranges: Real
    calibration: Calibration
    monitor: int


class OperatorCache:
    """Makes the operators of a ping, and keeps them for the next ping with the same settings.

    Parameters
    ----------
    parameters : Parameters
    log : callable
        Takes a line for the run's log.
    decimation : int
        Of the filter; only the imaging mode decimates (docs/method.md#low-pass-filter).

    Attributes
    ----------
    fault : str or None
        What is wrong with the calibration of some ping (Q44).
    """

    def __init__(self, parameters: Parameters, log: Callable[[str], None], decimation: int = 1) -> None:
        self.fault: str | None = None
        self._parameters = parameters
        self._log = log
        self._decimation = decimation
        self._made: dict[tuple[float, ...], PingOperators] = {}

    def open(self, ping: Ping) -> tuple[Complex, PingOperators]:
        """Return the element data [N, E] of a ping, and the operators for it; raises as `recorded`."""
        samples, operators = self.recorded(ping)
        return samples.decode(), operators

    def recorded(self, ping: Ping) -> tuple[Samples, PingOperators]:
        """Return the samples of a ping as they were recorded, and the operators for it.

        Raises
        ------
        ValueError
            With the reason why this is a bad ping: a fault in its file, no header (Q22), or one that cannot
            be right.
        """
        header, samples, record = ping.header, ping.samples, ping.record
        if ping.fault is not None or samples is None or record is None:
            raise ValueError(ping.fault or "it has no data")
        if header is None:
            raise ValueError("it has no usable rec_7000 header")
        self._check(header, *samples.shape)
        key = (
            header.xmit_freq,
            header.sample_rate,
            header.pulse_width,
            header.power_sel,
            header.gain_sel,
            header.sound_speed,
            record.first_samp,
            *samples.shape,
        )
        if key not in self._made:
            self._made[key] = self._make(header, samples, record.first_samp)
        return samples, self._made[key]

    def signal(self, samples: Samples, reference: Samples | None, operators: PingOperators) -> PhasedPing:
        """Return a ping with its phase against that of the reference, 0 without one.

        See docs/method.md#phase-correction.

        Raises
        ------
        ValueError
            The ping is too short to be filtered.
        """
        phase = 0.0
        if reference is not None:
            start, other = samples.decode(operators.monitor), reference.decode(operators.monitor)
            phase = phase_offset(start, other, self._parameters.phase.channel, operators.monitor)
        return PhasedPing(samples, phase, operators.fused, operators.fused.rows_of(samples.shape[0]))

    def phased(self, x: Complex, reference: Complex, operators: PingOperators) -> Complex:
        """Return element data with the transmit phase of the reference (docs/method.md#phase-correction)."""
        return correct_phase(x, reference, self._parameters.phase.channel, operators.monitor)

    def _check(self, header: PingHeader, nsamps: int, nelems: int) -> None:
        """Refuse a header that cannot be right: its ping would be put in the wrong place."""
        wanted = self._parameters.header
        if abs(header.sample_rate - wanted.sample_rate) > wanted.tolerance:
            raise ValueError(
                f"its header gives {header.sample_rate:g} samples per second, not {wanted.sample_rate:g}"
            )
        if header.fault is not None:
            raise ValueError(f"its header cannot be right: {header.fault}")
        if self._monitor(header) > nsamps:
            raise ValueError(f"its transmission of {header.pulse_width:g} s is longer than the ping")
        if beam_count(header.xmit_freq) != nelems:
            raise ValueError(f"its header gives {header.xmit_freq:g} Hz, which has not {nelems} channels")

    def _make(self, header: PingHeader, samples: Samples, first_samp: int) -> PingOperators:
        """Make the operators for one header and size of ping."""
        parameters = self._parameters
        fixes = parameters.fixes
        decimation = self._decimation if parameters.filter.status == "on" else 1
        nsamps, nelems = samples.shape
        lowpass = make_filter(parameters.filter, header.sample_rate, header.pulse_width, decimation)
        beams = beamformer(
            header.xmit_freq,
            header.sound_speed,
            header.sample_rate / decimation,
            ReceiverArray(nelems, parameters.beamformer.aperture, fixes.silent_monitor),
            Sector(parameters.beamformer.start_angle, parameters.beamformer.end_angle),
        )
        ranges = range_axis(
            -(-nsamps // decimation),
            header.sound_speed,
            header.sample_rate,
            decimation=decimation,
            first_samp=first_samp,
            from_zero=fixes.ranges_from_zero,
        )
        gains = calibration(
            parameters.calibrate.mode,
            "END",
            SonarSettings(header.xmit_freq, header.pulse_width, header.power_sel, header.gain_sel),
            Medium(header.sound_speed, self._absorption(header)),
            angles=beams.angles,
            ranges=ranges,
        )
        if gains.fault is not None and gains.fault != self.fault:
            self.fault = gains.fault
            self._log(f"warning: {gains.fault}")
        fused = FusedBeamformer(lowpass, beams, parameters.precision)
        return PingOperators(header, lowpass, beams, fused, ranges, gains, self._monitor(header))

    def _monitor(self, header: PingHeader) -> int:
        """Return the length of the transmitted signal in the monitor channel, samples."""
        return monitor_samples(self._parameters.phase.pulses, header.sample_rate, header.pulse_width)

    def _absorption(self, header: PingHeader) -> float:
        """Return the absorption, dB/m: the original's constants, or the formula (Q13)."""
        if not self._parameters.fixes.absorption_formula:
            return absorption_2010(header.xmit_freq)
        water = self._parameters.water
        return absorption(
            header.xmit_freq,
            header.sound_speed,
            water,
            zero_celsius=273.15,
        )


def calibrated_beams(signal: PhasedPing, operators: PingOperators) -> Complex:
    """Return the calibrated beams [N, B] of a ping: filtered, beamformed and scaled in one go."""
    beams: Complex = operators.calibration.apply(signal.beams())
    return beams
