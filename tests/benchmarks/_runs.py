"""Raw archives of real size, simulated once and kept in a cache folder.

A few pings per elevation are simulated in full, for some of the elevations; all others repeat those of the
nearest one. Decompressor, filter and detector see the statistics of real pings, and no repetition is near
enough for the compression to notice. Archives are packed as gzip packs them, and noise makes those of
imaging, Doppler and bathymetry about as large as the instrument's (docs/method.md#mode-words).
"""

import datetime as dt
import math
import os
import struct
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from isal import igzip, isal_zlib

from covis_dask.raw.record import parse_record_header
from covis_dask.simulate.files import Motion, extras, index_csv, ping_header, sweep_json
from covis_dask.simulate.geometry import Era
from covis_dask.simulate.instrument import instrument
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import RunSpec, simulate
from covis_dask.simulate.scene import Plume, PointScatterers, Scene
from covis_dask.simulate.seafloor import FlowPatch, Seafloor
from covis_dask.simulate.specs import run_spec

__all__ = ["CASES", "Case", "archive_of", "cache_folder", "seven_zip_of"]

_VERSION: Final = "2"
_LEVEL: Final = 6
"""gzip's own choice."""


@dataclass(frozen=True, slots=True)
class Case:
    """A run to measure.

    Parameters
    ----------
    name : str
    site, family : str
    full, small : RunSpec
        Real size, and a size for the smoke test.
    scene : Scene
    modelled : int
        Elevations that are simulated; the others repeat them.
    """

    name: str
    site: str
    family: str
    full: RunSpec
    small: RunSpec
    scene: Scene
    modelled: int = 8

    def spec(self, scale: str) -> RunSpec:
        """Return the run at a scale, ``full`` or ``small``."""
        return self.full if scale == "full" else self.small


def _steps(first: float, last: float, count: int) -> tuple[float, ...]:
    return tuple(first + (last - first) * n / (count - 1) for n in range(count))


_INFERNO = Plume((-13.27, -0.77, 2.0), -38.0, top=14.0)
_GROTTO = Plume((-11.1, -9.3, 4.0), -41.0, velocity=0.6, top=24.0)
_STRUCTURE = PointScatterers(((-11.6, -9.6, 6.5), (-10.6, -8.9, 7.5)), (-28.0, -31.0))
_FLOOR = Seafloor(strength=-12.0, bumps=0.12, flow=(FlowPatch(-9.0, 4.0, 2.5, 0.9),), radius=34.0, seed=2)


def _spec(
    era: Era, family: str, noise: float, samples: int, pings: int, pitches: tuple[float, ...] | None = None
) -> RunSpec:
    """Describe a run; `noise` (counts, rms) decides how large its archive becomes."""
    settings = instrument(era, family, noise=noise)
    return run_spec(era, family, settings=settings, samples=samples, pings=pings, pitches=pitches)


def _diffuse(pings: int) -> RunSpec:
    return _spec("ASHES", "diffuse", 1.0, 1644, pings)


CASES: Final = {
    case.name: case
    for case in (
        Case(
            "imaging",
            "Ashes",
            "imaging",
            _spec("ASHES", "imaging", 2.2, 3522, 4, _steps(-19.0, 60.0, 109)),
            _spec("ASHES", "imaging", 2.2, 700, 3, _steps(-10.0, 40.0, 4)),
            Scene((_INFERNO,)),
        ),
        Case("diffuse-40", "Ashes", "diffuse", _diffuse(40), _diffuse(12), Scene((_FLOOR,))),
        Case("diffuse-200", "Ashes", "diffuse", _diffuse(200), _diffuse(12), Scene((_FLOOR,))),
        Case(
            "doppler-2014",
            "Endeavour",
            "doppler",
            _spec("END", "doppler", 2.2, 3460, 40, _steps(21.0, 60.0, 79)),
            _spec("END", "doppler", 2.2, 700, 3, _steps(24.0, 34.0, 3)),
            Scene((_GROTTO, _STRUCTURE)),
            modelled=4,
        ),
        Case(
            "bathy",
            "Ashes",
            "bathy",
            _spec("ASHES", "bathy", 0.3, 3522, 2, _steps(-58.0, 18.0, 170)),
            _spec("ASHES", "bathy", 0.3, 700, 2, _steps(-44.0, -20.0, 4)),
            Scene((replace(_FLOOR, count=600_000),)),
        ),
    )
}
"""The runs that are measured, by name."""

_PINGS_MODELLED: Final = 4
"""Pings simulated per elevation; longer bursts repeat them."""


def cache_folder() -> Path:
    """Return the folder of the simulated archives; it survives, and may be removed at any time."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "covis-test" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def archive_of(case: Case, scale: str, folder: Path | None = None) -> Path:
    """Return the .tar.gz archive of a run, made if it is not there.

    Parameters
    ----------
    case : Case
    scale : {"full", "small"}
    folder : Path, optional
        Where to look and to put it; the cache folder when not given.
    """
    spec = case.spec(scale)
    home = (folder or cache_folder()) / f"{case.name}-{scale}-{_VERSION}"
    path = home / f"{spec.basename}.tar.gz"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            _write(case, spec, file)
        part.replace(path)
        print(f"simulated {path.name}: {path.stat().st_size / 1e6:.0f} MB, {_since(started)}", flush=True)
    return path


def seven_zip_of(archive: Path) -> Path:
    """Return a .7z with the members of a .tar.gz, beside it; made if it is not there."""
    path = archive.with_name(archive.name.removesuffix(".tar.gz") + ".7z")
    if not path.exists():
        started = time.perf_counter()
        with igzip.open(archive) as packed, tarfile.open(fileobj=packed) as tar:  # type: ignore[no-untyped-call]
            members = {
                entry.name.rpartition("/")[2]: data.read()
                for entry in tar
                if (data := tar.extractfile(entry)) is not None
            }
        write_archive(members, path)
        print(f"packed {path.name}: {path.stat().st_size / 1e6:.0f} MB, {_since(started)}", flush=True)
    return path


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.0f} s"


class _Gzip:
    """A gzip stream in pieces; a piece that comes again, as the same object, is not compressed again."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = self._sum = 0
        self._packed: dict[int, tuple[bytes, bytes]] = {}
        file.write(b"\x1f\x8b\x08" + bytes(5) + b"\x00\x03")

    def write(self, piece: bytes, *, again: bool = False) -> None:
        """Write a piece; `again` keeps what becomes of it."""
        self._size += len(piece)
        self._sum = isal_zlib.crc32(piece, self._sum)
        if id(piece) in self._packed:
            self._file.write(self._packed[id(piece)][1])
            return
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        # Flushed in full it does not refer to what was before, and can stand anywhere.
        packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
        if again:
            self._packed[id(piece)] = piece, packed
        self._file.write(packed)

    def close(self) -> None:
        """Write the end of the stream."""
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._file.write(packer.flush() + struct.pack("<II", self._sum, self._size % (1 << 32)))


def _write(case: Case, spec: RunSpec, file: BinaryIO) -> None:
    packed = _Gzip(file)
    mtime = int(dt.datetime(2019, 1, 1, tzinfo=dt.UTC).timestamp())
    for name, data in _members(case, spec):
        entry = tarfile.TarInfo(f"{spec.folder}/{name}")
        entry.size, entry.mtime = len(data), mtime
        packed.write(entry.tobuf(tarfile.USTAR_FORMAT))
        packed.write(data, again=name.endswith(".bin"))
        packed.write(bytes(-len(data) % tarfile.BLOCKSIZE))
    packed.write(bytes(2 * tarfile.BLOCKSIZE))
    packed.close()


def _members(case: Case, spec: RunSpec) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a run in the order of their names, as the instrument packed them."""
    models = _models(case, spec)
    pitches = spec.pitches
    yield "index.csv", index_csv(spec.rows())
    headers, records = [], []
    for ping in spec.plan():
        name = f"{ping.number:06d}"
        headers.append((f"rec_7000_{name}.json", ping_header(ping.number, ping.time, spec.instrument)))
        if ping.recorded:
            nearest = min(models, key=lambda pitch: abs(pitch - pitches[ping.burst]))
            found = models[nearest]
            records.append((f"rec_7038_{name}.bin", found[ping.number % len(found)]))
    yield from headers
    yield from records
    yield (
        "sweep.json",
        sweep_json(
            spec.basename,
            spec.mode.lower(),
            spec.start,
            spec.end,
            spec.instrument,
            Motion((spec.roll, pitches[0], spec.attitude(0).heading), 0.0, len(pitches)),
        ),
    )
    yield from extras(spec.instrument, spec.rows()).items()


def _models(case: Case, spec: RunSpec) -> dict[float, list[bytes]]:
    """Simulate some elevations of a run: pitch to records."""
    count = min(case.modelled, len(spec.pitches))
    chosen = sorted({spec.pitches[math.floor((n + 0.5) / count * len(spec.pitches))] for n in range(count)})
    # One elevation needs more pings: they are its only variety.
    pings = min(spec.pings, 40 if len(chosen) == 1 else _PINGS_MODELLED)
    small = replace(spec, pitches=tuple(chosen), pings=pings)
    members = simulate(small, case.scene)
    models: dict[float, list[bytes]] = {pitch: [] for pitch in chosen}
    for ping in small.plan():
        if ping.recorded:
            record = members[f"rec_7038_{ping.number:06d}.bin"]
            assert parse_record_header(record).nsamps == spec.samples
            models[chosen[ping.burst]].append(record)
    return models
