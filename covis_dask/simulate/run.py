"""A whole raw run: pings of a scene, and the files around them (docs/method.md#raw-data)."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from catalog.vocabulary import HEAD_HEIGHT, SITES, Site
from covis_dask.raw.record import RecordHeader, pack_record
from covis_dask.simulate.echoes import Signal, echoes
from covis_dask.simulate.faults import break_run
from covis_dask.simulate.files import Motion, Row, extras, index_csv, ping_header, sweep_json
from covis_dask.simulate.geometry import Attitude, View
from covis_dask.simulate.instrument import Instrument
from covis_dask.simulate.scene import Scene

__all__ = ["PingPlan", "RunSpec", "simulate"]

_ENDEAVOUR, _ASHES = SITES[Site.ENDEAVOUR], SITES[Site.ASHES]
_YAW_CENTER = 135.0
_ROLL_GEAR = 6.0


@dataclass(frozen=True, slots=True)
class PingPlan:
    """One ping of a run.

    Parameters
    ----------
    number : int
        As in the file names.
    burst : int
        Index of its elevation.
    time : datetime
        UTC.
    recorded : bool
        False for the ping fired while the head moves: it has a header, but no record and no row.
    """

    number: int
    burst: int
    time: dt.datetime
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What to simulate.

    Parameters
    ----------
    mode : str
        Word of the run's name: upper case for Endeavour, such as ``diffuse3`` for Ashes.
    start : datetime
        UTC; to the millisecond (Endeavour) or second (Ashes).
    instrument : Instrument
    samples : int
        N.
    pitches : tuple of float
        Sensor pitch of each burst, degrees; kept to 0.1 degree, as the files do.
    pings : int
        Pings recorded per burst.
    roll : float
        Sensor roll, degrees.
    heading : float
        True heading of the fan's centre, degrees.
    interval : float
        Seconds between pings.
    pause : float
        Seconds in which the head moves on to the next burst.
    altitude : float
        Height of the head above the base, m.
    seed : int
        The same seed gives the same bytes.
    faults : tuple of str
        See `covis_dask.simulate.faults.break_run`.
    """

    mode: str
    start: dt.datetime
    instrument: Instrument
    samples: int
    pitches: tuple[float, ...]
    pings: int
    roll: float = 0.6
    heading: float = 230.0
    interval: float = 0.5
    pause: float = 2.5
    altitude: float = HEAD_HEIGHT
    seed: int = 0
    faults: tuple[str, ...] = ()

    @property
    def endeavour(self) -> bool:
        """Whether it is a run of 2010-15."""
        return self.instrument.era == "END"

    @property
    def basename(self) -> str:
        """Name of the run."""
        return f"{self._stamp('APLUWCOVISMBSONAR001_', self.start)}-{self.mode}"

    @property
    def folder(self) -> str:
        """Name of the directory in the archive: at Endeavour it may have two time stamps."""
        if not self.endeavour:
            return self.basename
        first = self._stamp("APLUWCOVISMBSONAR001_", self.start)
        return f"{first}_{self._stamp('', self.end)}-{self.mode}"

    def _stamp(self, lead: str, moment: dt.datetime) -> str:
        if not self.endeavour:
            return f"COVIS-{moment:%Y%m%dT%H%M%S}"
        return f"{lead}{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"

    def plan(self) -> Iterator[PingPlan]:
        """Yield the pings in the order of their numbers."""
        number, moment = 1, self.start + dt.timedelta(seconds=1)
        for burst in range(len(self.pitches)):
            for _ in range(self.pings):
                yield PingPlan(number, burst, moment, recorded=True)
                number, moment = number + 1, moment + dt.timedelta(seconds=self.interval)
            if not self.endeavour:
                yield PingPlan(number, burst, moment, recorded=False)
                number += 1
            moment += dt.timedelta(seconds=self.pause)

    @property
    def end(self) -> dt.datetime:
        """When the last ping was sent."""
        return max(ping.time for ping in self.plan())

    def attitude(self, burst: int) -> Attitude:
        """Return how the head is turned in a burst, as the files say."""
        return Attitude(
            self.instrument.era, round(self.pitches[burst], 1), round(self.roll, 1), self._heading
        )

    def view(self, burst: int) -> View:
        """Return what the pings of a burst see."""
        return self.instrument.view(self.attitude(burst), self.samples)

    @property
    def _central(self) -> float:
        """True heading of the centred head, 2018+, by the year (docs/method.md#ping-table)."""
        return _ASHES.heading(self.start.year) + _ASHES.declination

    @property
    def _heading(self) -> float:
        """The heading as the reading that it is made from can tell it."""
        zero = _ENDEAVOUR.declination if self.endeavour else self._central - _YAW_CENTER
        return round(self.heading - zero, 1) + zero

    def _angles(self, burst: int) -> tuple[float, ...]:
        """Columns 3 to 8 of index.csv: pitch, roll and yaw motor, sensor pitch, roll and heading."""
        attitude = self.attitude(burst)
        pitch, roll = attitude.pitch, attitude.roll
        magnetic = attitude.heading - (_ENDEAVOUR if self.endeavour else _ASHES).declination
        yaw = attitude.heading - self._central + _YAW_CENTER
        # The motor counts down while the head looks up.
        return (220.0 - pitch, roll * _ROLL_GEAR, yaw, pitch, roll, magnetic % 360)

    def rows(self) -> list[Row]:
        """Return the rows of index.csv: number, time, six angles."""
        rows = [(p.number, p.time, self._angles(p.burst)) for p in self.plan() if p.recorded]
        if not self.endeavour:
            before = self.start - dt.timedelta(seconds=20)
            rows.insert(0, (0, before, (220.0, 0.0, 0.0, 0.1, -0.2, _ASHES.heading())))
        return rows


def simulate(spec: RunSpec, scene: Scene) -> dict[str, bytes]:
    """Return the files of a run: names and contents, in the order in which they were written.

    Parameters
    ----------
    spec : RunSpec
    scene : Scene

    Raises
    ------
    ValueError
        When `spec` names a fault that cannot be.
    """
    instrument, pitches = spec.instrument, spec.pitches
    step = pitches[1] - pitches[0] if len(pitches) > 1 else 0.0
    members = {
        "sweep.json": sweep_json(
            spec.basename,
            spec.mode.lower(),
            spec.start,
            spec.end,
            instrument,
            Motion((spec.roll, pitches[0], spec.attitude(0).heading), step, len(pitches)),
        ),
        "index.csv": index_csv(spec.rows()),
        **extras(instrument, spec.rows()),
    }
    # One thread: sums in another order would round otherwise, and the pings are small.
    with threadpool_limits(1, "blas"):
        pings = _pings(spec, scene)
        for ping in spec.plan():
            members[f"rec_7000_{ping.number:06d}.json"] = ping_header(ping.number, ping.time, instrument)
            if ping.recorded:
                members[f"rec_7038_{ping.number:06d}.bin"] = next(pings)
    break_run(members, spec.faults)
    return members


def _pings(spec: RunSpec, scene: Scene) -> Iterator[bytes]:
    """Yield the records of a run's pings."""
    instrument, samples = spec.instrument, spec.samples
    always = instrument.crosstalk(samples)
    drift = instrument.drift(samples)[:, None]
    burst, parts = -1, []
    for ping in spec.plan():
        if not ping.recorded:
            continue
        if ping.burst != burst:
            burst = ping.burst
            view = spec.view(burst)
            drawn = np.random.default_rng((spec.seed, 1, burst))
            parts = [
                part
                for component in scene.components
                for part in echoes(instrument, view, component, samples, drawn)
            ]
        rng = np.random.default_rng((spec.seed, 2, ping.number))
        signal: Signal = always.copy()
        for part in parts:
            part.add_to(signal, (ping.time - spec.start).total_seconds(), rng)
        phase = rng.uniform(0, 2 * np.pi) if instrument.random_phase else 0.0
        signal *= drift * np.complex64(np.exp(1j * phase))
        header = RecordHeader(
            serial_number=7038000 + ping.number,
            number=ping.number,
            total_nelems=instrument.channels,
            nsamps=samples,
            nelems=instrument.channels,
            first_samp=0,
            last_samp=samples - 1,
            samp_type=instrument.samp_type,
        )
        yield pack_record(header, instrument.digitise(signal, rng))
