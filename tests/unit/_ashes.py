"""Small synthetic runs of 2018+, made from what the beams shall hold."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

import numpy as np

from covis_dask.errors import SweepIncomplete
from covis_dask.modes import parameters_for
from covis_dask.modes.parameters import GridSpec, Parameters
from covis_dask.raw.record import RecordHeader, Samples
from covis_dask.raw.sweep import Ping, PingHeader, PingTable, RawSweep
from covis_dask.sonar._types import Complex, Real
from covis_dask.sonar.beamform import ReceiverArray, Sector, beamformer

FS = 34482.758
C = 1484.4770262845132
PROFILES = ("matlab", "corrected")
NAME = "COVIS-20190820T120001-imaging1"


def header(**changes: float) -> PingHeader:
    """Make a header of a 396 kHz run."""
    fields = {
        "xmit_freq": 396000.0,
        "sample_rate": FS,
        "pulse_width": 0.0005,
        "max_ping_rate": 2.0,
        "power_sel": 220.0,
        "gain_sel": 53.0,
        "sound_speed": 1468.0,
        **changes,
    }
    return PingHeader(**fields, fields=fields)


@dataclass(frozen=True)
class Row:
    """One row of index.csv."""

    ping: int
    rot_pitch: float = 200.0
    pitch: float = 0.0
    roll: float = 0.0
    yaw: float = 135.0
    time: float | None = None


def table(rows: Sequence[Row]) -> PingTable:
    """Make a ping table; pings follow each other by half a second unless told."""
    times = [1.5e9 + 0.5 * row.ping if row.time is None else row.time for row in rows]
    columns = [[r.rot_pitch, 0.0, r.yaw, r.pitch, r.roll, 280.0] for r in rows]
    numbers = np.array([row.ping for row in rows], np.int64)
    return PingTable(numbers, np.array(times), *np.array(columns, np.float64).reshape(-1, 6).T)


@dataclass
class FakeSweep:
    """Stands in for a `RawSweep`: element data, or the sentence of a fault, by ping number."""

    table: PingTable
    data: Mapping[int, Complex | str]
    common: PingHeader = field(default_factory=header)
    basename: str = NAME
    sweep: Mapping[str, Any] = field(default_factory=dict)
    first_samp: int = 0
    decoded: list[int] = field(default_factory=list)

    def common_header(self, target_rate: float) -> PingHeader:
        if abs(self.common.sample_rate - target_rate) > 1:
            raise SweepIncomplete(f"no rec_7000 header has a sample_rate within 1 of {target_rate:g}")
        return self.common

    def pings(self, channels: int, wanted: Container[int] | None = None) -> Iterator[Ping]:
        for number in self.table.ping.tolist():
            found = self.data.get(number)
            if isinstance(found, str):
                yield Ping(number, None, found, None, None)
            elif found is not None:
                assert found.shape[1] == channels
                record = record_of(found, number, self.first_samp)
                want = wanted is None or number in wanted
                if want:
                    self.decoded.append(number)
                yield Ping(number, Samples.of(found) if want else None, None, None, record)


def record_of(data: Complex, number: int = 1, first_samp: int = 0) -> RecordHeader:
    """Make the record header of element data [N, E]."""
    nsamps, nelems = data.shape
    return RecordHeader(0, number, nelems, nsamps, nelems, first_samp, first_samp + nsamps - 1, 16)


def fake(rows: Sequence[Row], data: Mapping[int, Complex | str], **others: Any) -> RawSweep:
    """Make a sweep that mode programs accept."""
    return cast(RawSweep, FakeSweep(table(rows), data, **others))


def decoded(sweep: RawSweep) -> list[int]:
    """Tell which pings a program had decoded."""
    return cast(FakeSweep, sweep).decoded


def parameters(
    family: str, profile: str, preset: str | None = None, grid: GridSpec | None = None, **overrides: Any
) -> Parameters:
    """Make parameters; `grid` replaces bounds and spacing of every grid, `__` in a key stands for a dot."""
    made = parameters_for(
        family,
        "Ashes",
        preset=preset,
        profile=profile,
        overrides={key.replace("__", "."): value for key, value in overrides.items()},
    )
    if grid is None:
        return made
    made = replace(made, grids=tuple(_on(grid, spec) for spec in made.grids))
    if made.imaging is not None:
        made = replace(made, imaging=replace(made.imaging, grids=(_on(CUBE, made.imaging.grids[0]),)))
    return made


def _on(grid: GridSpec, spec: GridSpec) -> GridSpec:
    return replace(grid, type=spec.type)


CUBE = GridSpec("any", -4.0, 4.0, -4.0, 4.0, 0.5, 0.5, 2.0, 7.0, 0.5)
"""A volume about the head, for pings of a few metres."""
PLANE = GridSpec("any", -8.0, 8.0, -8.0, 8.0, 0.5, 0.5)


def elements(beams: Complex | Real, limit: float = 54.0, *, monitor: bool = True) -> Complex:
    """Return element data whose beams are the given ones [N, 256], as far as an array can make them.

    Parameters
    ----------
    beams : ndarray
        Smooth over the beams.
    limit : float
        Outermost beam, degrees.
    monitor : bool
        Whether the last channel takes part (it does not in `corrected`, Q8).
    """
    made: Complex = beams.astype(np.complex128) @ _inverse(limit, monitor)
    return made


@cache
def _inverse(limit: float, monitor: bool) -> Complex:
    former = beamformer(
        396000.0, C, FS, ReceiverArray(256, silent_monitor=not monitor), Sector(-limit, limit)
    )
    inverse: Complex = np.linalg.pinv(former.steering, rcond=1e-6).astype(np.complex128)
    return inverse


def plane_wave(angle: float, channels: int = 256, freq: float = 396000.0) -> Complex:
    """Return the elements [1, E] of a plane wave from an angle (rad), of amplitude 1 in its beam."""
    former = beamformer(freq, C, FS, ReceiverArray(channels), Sector(-64.0, 64.0))
    k = 2 * np.pi * freq / C
    wave: Complex = np.exp(-1j * k * former.positions * np.sin(angle))[None, :] / former.weights.sum()
    return wave


def transmission(nsamps: int, channels: int = 256, phase: float = 0.0) -> Complex:
    """Return a ping [N, E] that holds nothing but the transmission, in the channels that hear it."""
    ping = np.zeros((nsamps, channels), np.complex128)
    ping[:90, [9, -1]] = 500 * np.exp(1j * phase)
    return ping


def named(ds: Any, original: str) -> Any:
    """Return a variable by its original name."""
    return next(v for v in ds.variables.values() if v.attrs.get("original_name") == original)


def floor_echo(
    nsamps: int, pitch: float, height: float | Real = 0.0, limit: float = 54.0, width: float = 20.0
) -> Real:
    """Return beams [N, 256] of amplitude 1 where a level seafloor is met, the head at 4.2 m, yaw and roll 0.

    Parameters
    ----------
    nsamps : int
    pitch : float
        Degrees, negative down.
    height : float or ndarray, [256]
        Of the seafloor above the base, m.
    limit : float
        Outermost beam, degrees.
    width : float
        Half the length of the echo, samples.
    """
    angles = np.radians(np.linspace(-limit, limit, 256))
    distance = (4.2 - height) / (np.cos(angles) * np.sin(np.radians(-pitch)))
    away: Real = np.arange(nsamps, dtype=np.float64)[:, None] - distance * 2 * FS / C
    return np.where(np.abs(away) < width, np.cos(np.pi * away / (2 * width)) ** 2, 0.0)
