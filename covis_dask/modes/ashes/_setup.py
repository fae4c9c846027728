"""What is the same for all pings of a 2018+ run: header, sound speed, filter, beams, ranges, calibration."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.names import BadName, parse_basename
from catalog.vocabulary import SITES, Site
from covis_dask.errors import NoValidPings, SweepIncomplete
from covis_dask.modes._phased_ping import PhasedPing
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.record import RecordHeader, Samples
from covis_dask.raw.sweep import PingHeader, PingTable, RawSweep
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.beamform import Beamformer, ReceiverArray, Sector, beamformer
from covis_dask.sonar.calibration import (
    Calibration,
    CalibrationUnavailable,
    Medium,
    SonarSettings,
    calibration,
)
from covis_dask.sonar.filter import make_filter
from covis_dask.sonar.fused import FusedBeamformer
from covis_dask.sonar.geometry import BeamDirections, HeadAttitude, directions_ashes
from covis_dask.sonar.grid import GridAxes
from covis_dask.sonar.phase import monitor_samples, phase_offset
from covis_dask.sonar.ranges import range_axis
from covis_dask.sonar.seawater import absorption, sound_speed

__all__ = ["PhasedPing", "RangeCalibration", "SonarSetup", "run_start"]

_MONITOR_CHANNELS = 256
"""Only the large array records the transmit monitor, as its last channel."""


@dataclass(frozen=True, slots=True, eq=False)
class RangeCalibration:
    """Slant ranges [N] (m) of a ping's samples, their calibration, and their numbers in the record (Q53)."""

    ranges: Real
    calibration: Calibration
    first_samp: int
    last_samp: int


@dataclass(frozen=True, slots=True, eq=False)
class SonarSetup:
    """Numbers and operators of one run; make one with `SonarSetup.of`.

    Attributes
    ----------
    parameters : Parameters
    header : PingHeader
        The one header that serves all pings (docs/method.md#ping-headers).
    c : float
        Sound speed of geometry and steering, m/s.
    c_scale : float
        Sound speed of the VSS volume and the Doppler scale, m/s (Q14).
    alpha : float
        Absorption, dB/m.
    decimation : int
        Every so many-th sample is kept by the filter.
    reference : int
        Samples of the transmission that are compared for the phase.
    heading : float
        Magnetic heading of the centred head, degrees.
    beams : Beamformer
    fused : FusedBeamformer
        Filter and beams: recorded samples -> beams [ceil(N / decimation), B].
    """

    parameters: Parameters
    header: PingHeader
    c: float
    c_scale: float
    alpha: float
    decimation: int
    reference: int
    heading: float
    beams: Beamformer
    fused: FusedBeamformer

    @classmethod
    def of(
        cls, sweep: RawSweep, parameters: Parameters, channels: int, rate: float, *, decimates: bool
    ) -> "SonarSetup":
        """Set up a run.

        Parameters
        ----------
        sweep : RawSweep
        parameters : Parameters
        channels : int
            Channels of the mode: 256 or 128.
        rate : float
            Sample rate by which the header is chosen, Hz.
        decimates : bool
            Whether the mode heeds ``filter.decimation``.

        Raises
        ------
        SweepIncomplete
            When no header has the sample rate (Q37).
        NoValidPings
            When the header's numbers make every ping fail: frequency, pulse length.
        """
        header, water, filtering = sweep.common_header(rate), parameters.water, parameters.filter
        if not (header.pulse_width > 0 and header.sound_speed > 0):
            raise NoValidPings(
                f"no ping can be processed: the header gives a pulse of {header.pulse_width:g} s "
                f"and a sound speed of {header.sound_speed:g} m/s"
            )
        fixes = parameters.fixes
        c = sound_speed(
            water.temperature,
            water.salinity,
            water.depth,
            water.latitude,
            absolute_salinity=fixes.one_sound_speed,
        )
        decimation = filtering.decimation if decimates and filtering.status == "on" else 1
        lowpass, beams = _filter_and_beams(parameters, header, c, channels, decimation)
        return cls(
            parameters=parameters,
            header=header,
            c=c,
            c_scale=c if fixes.one_sound_speed else header.sound_speed,
            alpha=absorption(
                header.xmit_freq,
                c,
                water,
                zero_celsius=273.15 if fixes.one_sound_speed else 273.0,
            ),
            decimation=decimation,
            reference=monitor_samples(parameters.phase.pulses, header.sample_rate, header.pulse_width),
            heading=_central_heading(sweep, parameters),
            beams=beams,
            fused=FusedBeamformer(lowpass, beams, parameters.precision),
        )

    @property
    def fs(self) -> float:
        """Sample rate after the filter, Hz; divided once, however many pings there are (Q46)."""
        return self.header.sample_rate / self.decimation

    def signal(self, x: Samples | Complex, reference: Complex) -> PhasedPing:
        """Find the phase of element data against that of its reference, of which the first samples do.

        Raises
        ------
        ValueError
            The ping is shorter than the transmission, or too short to be filtered: a bad ping.
        """
        samples = x if isinstance(x, Samples) else Samples.of(x)
        phase = phase_offset(
            samples.decode(self.reference), reference, self.parameters.phase.channel, self.reference
        )
        return PhasedPing(samples, phase, self.fused, self.fused.rows_of(samples.shape[0]))

    def range_calibration(self, nsamps: int, record: RecordHeader) -> RangeCalibration:
        """Return ranges and calibration for pings of `nsamps` samples (after the filter).

        Parameters
        ----------
        nsamps : int
        record : RecordHeader
            Of a ping; its first sample counts where ranges begin at zero (Q10).

        Raises
        ------
        NoValidPings
            When there is no such calibration at this frequency (Q12).
        """
        header, from_zero = self.header, self.parameters.fixes.ranges_from_zero
        ranges = range_axis(
            nsamps,
            self.c,
            header.sample_rate,
            decimation=self.decimation,
            first_samp=record.first_samp if from_zero else 0,
            from_zero=from_zero,
        )
        try:
            gains = calibration(
                self.parameters.calibrate.mode,
                "ASHES",
                SonarSettings(header.xmit_freq, header.pulse_width, header.power_sel, header.gain_sel),
                Medium(self.c_scale, self.alpha),
                angles=self.beams.angles,
                ranges=ranges,
            )
        except CalibrationUnavailable as error:
            raise NoValidPings(f"no burst can be calibrated: {error}") from error
        return RangeCalibration(ranges, gains, record.first_samp, record.last_samp)

    def world(self, ranges: Real, attitude: HeadAttitude) -> tuple[Real, Real, Real]:
        """Return world coordinates (m) of ranges [N], or of one range per beam [1, B].

        See docs/method.md#world-coordinates.
        """
        return self.directions(attitude).at(ranges)

    def directions(self, attitude: HeadAttitude) -> BeamDirections:
        """Return the directions of the beams in the world (docs/method.md#world-coordinates)."""
        return directions_ashes(self.beams.angles, attitude, self.parameters.position.altitude)

    def max_range(self, axes: GridAxes, table: PingTable, rows: Sequence[int]) -> float:
        """Return a range (m) beyond which no sample lies in a grid, whichever attitude of `rows` counts."""
        attitudes = [self.attitude(table, [row]) for row in rows]
        slack = sum(
            max(values) - min(values)
            for values in zip(*((each.yaw, each.roll, each.pitch) for each in attitudes), strict=True)
        )
        lower, upper = [axis[0] for axis in axes.axes], [axis[-1] for axis in axes.axes]
        return self.directions(attitudes[0]).max_range(lower, upper, slack)

    def attitude(self, table: PingTable, rows: Sequence[int]) -> HeadAttitude:
        """Return the mean attitude of rows of the ping table; one row gives its own.

        See docs/method.md#ping-table.
        """
        centre = self.parameters.attitude.yaw_center
        # A motor reading of exactly 0 means that there is none: the head is taken to be centred.
        yaws = np.where(table.yaw == 0, 0.0, table.yaw - centre)
        yaw, roll, pitch = (
            float(np.mean(values[list(rows)])) * np.pi / 180
            for values in (yaws, table.sensor_roll, table.sensor_pitch)
        )
        return HeadAttitude(yaw, roll, pitch, self.heading, self.parameters.position.declination)


def _filter_and_beams(
    parameters: Parameters, header: PingHeader, c: float, channels: int, decimation: int
) -> tuple[Callable[[Complex], Complex], Beamformer]:
    """Make filter and beamformer; numbers that do not go together leave no ping to process."""
    span = parameters.beamformer
    silent = parameters.fixes.silent_monitor and channels == _MONITOR_CHANNELS
    try:
        lowpass = make_filter(parameters.filter, header.sample_rate, header.pulse_width, decimation)
        beams = beamformer(
            header.xmit_freq,
            c,
            header.sample_rate / decimation,
            ReceiverArray(channels, span.aperture, silent),
            Sector(span.start_angle, span.end_angle),
        )
    except ValueError as error:
        raise NoValidPings(f"no ping can be filtered and beamformed: {error}") from error
    return lowpass, beams


def run_start(sweep: RawSweep) -> dt.datetime:
    """Return the start of a run: from its name, or the first ping's time where the name has none.

    Raises
    ------
    SweepIncomplete
        When neither tells it.
    """
    try:
        return parse_basename(sweep.basename).datetime
    except BadName:
        pass
    try:
        return dt.datetime.fromtimestamp(float(sweep.table.time[0]), dt.UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise SweepIncomplete(f"neither its name nor index.csv says when {sweep.basename} began") from error


def _central_heading(sweep: RawSweep, parameters: Parameters) -> float:
    """Heading of the centred head: as configured, or by the year of the run (Q39)."""
    configured = parameters.attitude.central_heading
    if configured is not None:
        return configured
    return SITES[Site.ASHES].heading(run_start(sweep).year)
