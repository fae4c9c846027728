"""Small runs of 2010-15 in memory, of known physics, for tests of the mode programs."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.modes import parameters_for, program
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.record import RecordHeader, Samples
from covis_dask.raw.sweep import Ping, PingHeader, PingTable, RawSweep

Complex = NDArray[np.complex128]

FS = 34482.758
C = 1480.0
TAU = 0.0005
APERTURE = 0.408
CROSSTALK = 500.0


def header(freq: float = 396_000.0, **changes: float) -> PingHeader:
    """Make a header; changes by field name."""
    values = {
        "xmit_freq": freq,
        "sample_rate": FS,
        "pulse_width": TAU,
        "max_ping_rate": 2.0,
        "power_sel": 220.0 if freq == 396_000.0 else 190.0,
        "gain_sel": 53.0,
        "sound_speed": C,
        **changes,
    }
    return PingHeader(**values, fields=values)


def elements(angle: float, nelems: int = 256, freq: float = 396_000.0) -> Complex:
    """Return the element amplitudes [E] of a plane wave from an angle, rad (docs/method.md#beamforming)."""
    places = APERTURE / 2 * (-1 + 2 * np.arange(nelems) / (nelems - 1))
    wave: Complex = np.exp(-1j * 2 * np.pi * freq / C * places * np.sin(angle))
    return wave


def transmission(nsamps: int, nelems: int = 256, phase: float = 0.0) -> Complex:
    """Return a ping [N, E] with nothing but the transmitted pulse in the monitor channel."""
    data = np.zeros((nsamps, nelems), np.complex128)
    data[: round(3 * FS * TAU) + 1, -1] = CROSSTALK * np.exp(1j * phase)
    return data


@dataclass(frozen=True)
class Row:
    """One row of the ping table: number, attitude in degrees."""

    ping: int
    pitch: float
    roll: float = 1.0
    heading: float = 212.0


def table(rows: Sequence[Row]) -> PingTable:
    """Make a ping table."""

    def column(name: str) -> NDArray[np.float64]:
        return np.array([getattr(row, name) for row in rows], np.float64)

    still = np.zeros(len(rows))
    return PingTable(
        np.array([row.ping for row in rows], np.int64),
        1.3e9 + column("ping") / 4,
        still,
        still,
        still,
        column("pitch"),
        column("roll"),
        column("heading"),
    )


@dataclass
class MemorySweep(RawSweep):
    """A run in memory: rows of the table, and pings by number."""

    rows: Sequence[Row]
    files: Mapping[int, Ping]
    document: Mapping[str, Any] = field(default_factory=lambda: {"mode": "imaging"})
    strangers: tuple[int, ...] = ()
    basename: str = "APLUWCOVISMBSONAR001_20111001T210757.973Z-IMAGING"

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @property
    def unlisted(self) -> tuple[int, ...]:
        return self.strangers

    @property
    def sweep(self) -> Mapping[str, Any]:
        return self.document

    @property
    def table(self) -> PingTable:
        return table(self.rows)

    def header(self, number: int) -> PingHeader | None:
        return self.files[number].header if number in self.files else None

    def pings(self, channels: int, wanted: Container[int] | None = None) -> Iterator[Ping]:
        for row in self.rows:
            ping = self.files.get(row.ping)
            if ping is None:
                continue
            if ping.samples is not None and ping.samples.shape[1] != channels:
                ping = replace(ping, samples=None, fault=f"{ping.samples.shape[1]} channels, not {channels}")
            yield ping if wanted is None or row.ping in wanted else replace(ping, samples=None)


def make_ping(number: int, data: Complex, head: PingHeader | None = None, first_samp: int = 0) -> Ping:
    """Make a sound ping."""
    nsamps, nelems = data.shape
    record = RecordHeader(1, number, nelems, nsamps, nelems, first_samp, first_samp + nsamps - 1, 16)
    return Ping(
        number, Samples.of(data), None, head or header(396_000.0 if nelems == 256 else 200_000.0), record
    )


def bad_ping(number: int, freq: float = 396_000.0) -> Ping:
    """Make a ping whose file cannot be read."""
    return Ping(number, None, "the file is cut off", header(freq), None)


def run(rows: Sequence[Row], signal: Callable[[Row], Complex], **changes: Any) -> MemorySweep:
    """Make a run whose pings come from a function of their row."""
    return MemorySweep(rows, {row.ping: make_ping(row.ping, signal(row)) for row in rows}, **changes)


def noise(nsamps: int, nelems: int = 256, seed: int = 0, level: float = 10.0) -> Callable[[Row], Complex]:
    """Return a signal of independent noise in every ping, the same for the same ping number."""

    def signal(row: Row) -> Complex:
        rng = np.random.default_rng((seed, row.ping))
        drawn = rng.normal(size=(nsamps, nelems, 2)) @ np.array([1, 1j]) * level
        made: Complex = transmission(nsamps, nelems, rng.uniform(0, 2 * np.pi)) + drawn
        return made

    return signal


def steps(pitches: Sequence[float], pings: int = 2, **changes: float) -> list[Row]:
    """Return rows of a sweep: so many pings at each pitch."""
    return [
        Row(index * pings + ping + 1, pitch, **changes)
        for index, pitch in enumerate(pitches)
        for ping in range(pings)
    ]


def settings(family: str, profile: str, **overrides: Any) -> Parameters:
    """Return the parameters of a family; keys with ``__`` for the dots."""
    changed = {key.replace("__", "."): value for key, value in overrides.items()}
    return parameters_for(family, "Endeavour", profile=profile, overrides=changed)


def make(sweep: RawSweep, parameters: Parameters, log: Callable[[str], None] = lambda _: None) -> xr.Dataset:
    """Make the product of a run."""
    found = program(parameters.family, "Endeavour")
    assert found is not None
    return found(sweep, parameters, Context(log=log))


def naive_grid(
    axes: tuple[NDArray[np.float64], ...],
    bursts: Sequence[tuple[tuple[NDArray[np.float64], ...], NDArray[np.float64]]],
    *,
    corrected: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid bursts of (coordinates, values) with plain loops, as docs/method.md#gridding words it for 2010-15.

    Returns value (NaN where nothing came) and weight.
    """
    shape = (len(axes[1]), len(axes[0]), *(len(axis) for axis in axes[2:]))
    value, weight = np.zeros(shape), np.zeros(shape)
    flat = [array.ravel(order="F") for array in np.meshgrid(*axes)]
    for coords, values in bursts:
        chosen = np.isfinite(values)
        for c, axis in zip(coords, axes, strict=True):
            chosen &= (c >= axis[0]) & (c <= axis[-1])
        columns = [array.T[chosen.T].tolist() for array in (*coords, values)]
        samples = [(place, v) for *place, v in zip(*columns, strict=True)]
        for corner in np.ndindex(*(2,) * len(axes)):
            before = value.copy(), weight.copy()
            for place, v in samples:
                w, cell = _corner(place, corner, axes, flat, corrected=corrected)
                if corrected:
                    value[cell] += w * v
                    weight[cell] += w
                else:
                    value[cell] = before[0][cell] + w * v
                    weight[cell] = before[1][cell] + w
    with np.errstate(invalid="ignore"):
        return np.where(weight == 0, np.nan, value / weight), weight


def _corner(
    place: Sequence[float],
    corner: tuple[int, ...],
    axes: tuple[NDArray[np.float64], ...],
    flat: Sequence[NDArray[np.float64]],
    *,
    corrected: bool,
) -> tuple[float, tuple[int, ...]]:
    """Return the weight of a sample at one corner, and the cell."""
    neighbours, parts = [], []
    for n, (p, axis) in enumerate(zip(place, axes, strict=True)):
        position = (p - axis[0]) / (axis[1] - axis[0])
        pair = (int(np.floor(position)), int(np.ceil(position)))
        neighbours.append(pair)
        index = pair[corner[n]]
        node = axis[index] if corrected else flat[n][index]
        parts.append(1 - abs(node - p) / (axis[1] - axis[0]))
    if corrected:
        x, y, *z = (pair[c] for pair, c in zip(neighbours, corner, strict=True))
        return float(np.prod(parts)), (y, x, *z)
    swapped = corner if len(corner) == 3 else corner[::-1]
    x, y, *z = (pair[c] for pair, c in zip(neighbours, swapped, strict=True))
    return float(np.sqrt(np.sum(np.square(parts)))), (y, x, *z)
