"""One tiny run of every mode, through the engine, for what must hold in all of them."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import uuid4

import fsspec
import numpy as np
import xarray as xr

from catalog.model import Run
from catalog.names import parse_basename
from covis_dask.engines.native import NativeEngine
from covis_dask.modes import parameters_for, spec_for
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import GridSpec, Parameters
from covis_dask.raw.source import ArchiveSource
from covis_dask.simulate import RunSpec, Scene, instrument, simulate
from covis_dask.simulate.geometry import Era
from covis_dask.simulate.specs import run_spec

__all__ = ["MODES", "Members", "Mode", "gridded", "in_folder", "in_tar", "process", "reworded"]

Members = dict[str, bytes]

_CUBE = GridSpec("any", -4.0, 4.0, -4.0, 4.0, 0.5, 0.5, 2.0, 7.0, 0.5)
_PLANE = GridSpec("any", -8.0, 8.0, -8.0, 8.0, 0.5, 0.5)


@dataclass(frozen=True)
class Mode:
    """A mode of an era, and a run of noise that is large enough to come through it."""

    era: Era
    family: str
    pitches: tuple[float, ...]
    pings: int
    samples: int = 160

    @property
    def site(self) -> str:
        return "Endeavour" if self.era == "END" else "Ashes"

    @property
    def presets(self) -> tuple[str, ...]:
        return spec_for(self.site, self.family).presets

    @property
    def spec(self) -> RunSpec:
        # A receiver so loud that noise alone passes the thresholds of the signal-to-noise ratio.
        noise = 900.0 if self.family == "fullimaging" else 60.0
        settings = instrument(self.era, self.family, noise=noise, pulse_length=0.0005)
        return run_spec(
            self.era,
            self.family,
            settings=settings,
            pitches=self.pitches,
            pings=self.pings,
            samples=self.samples,
            interval=0.5,
        )

    @property
    def basename(self) -> str:
        return self.spec.basename

    @property
    def numbers(self) -> list[int]:
        """Numbers of the pings recorded."""
        return [ping.number for ping in self.spec.plan() if ping.recorded]

    @property
    def bursts(self) -> list[set[int]]:
        """Numbers of the pings recorded of each burst."""
        return [
            {ping.number for ping in self.spec.plan() if ping.recorded and ping.burst == burst}
            for burst in range(len(self.pitches))
        ]

    @property
    def members(self) -> Members:
        """A fresh copy of the run's files."""
        return dict(_members(self))

    def parameters(self, profile: str, preset: str | None = None) -> Parameters:
        """Return the default parameters, but for small grids about the head."""
        made = parameters_for(self.family, self.site, preset=preset, profile=profile)
        made = replace(made, grids=tuple(map(_small, made.grids)))
        if made.imaging is not None:
            made = replace(made, imaging=replace(made.imaging, grids=tuple(map(_small, made.imaging.grids))))
        return made

    def __str__(self) -> str:
        return f"{self.site}-{self.family}"


def _small(spec: GridSpec) -> GridSpec:
    return replace(_PLANE if spec.zmin is None else _CUBE, type=spec.type)


MODES = (
    Mode("END", "imaging", (30.0, 40.0, 50.0), 3),
    Mode("END", "doppler", (30.0, 40.0, 50.0), 3),
    Mode("END", "diffuse", (-18.2,), 9, 300),
    Mode("ASHES", "imaging", (0.0, 10.0), 3),
    Mode("ASHES", "doppler", (5.0, 15.0), 3),
    Mode("ASHES", "diffuse", (-20.4,), 9, 300),
    Mode("ASHES", "bathy", (-40.0, -30.0), 3),
    Mode("ASHES", "fullimaging", (-8.0, 4.0), 6),
)


@cache
def _members(mode: Mode) -> Members:
    return simulate(mode.spec, Scene())


def in_folder(mode: Mode, members: Mapping[str, bytes]) -> ArchiveSource:
    """Lay the files of a run in a folder in memory."""
    fs, folder = fsspec.filesystem("memory"), f"/{uuid4().hex}/{mode.basename}"
    for name, data in members.items():
        fs.pipe_file(f"{folder}/{name}", data)
    return ArchiveSource(fs, folder)


def in_tar(mode: Mode, files: Iterable[tuple[str, bytes]]) -> ArchiveSource:
    """Pack files, in the order given and with all repetitions, as a .tar in memory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files:
            entry = tarfile.TarInfo(f"{mode.spec.folder}/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    fs, path = fsspec.filesystem("memory"), f"/{uuid4().hex}/{mode.basename}.tar"
    fs.pipe_file(path, buffer.getvalue())
    return ArchiveSource(fs, path)


def process(mode: Mode, source: ArchiveSource, parameters: Parameters) -> xr.Dataset:
    """Make the product of a run."""
    name = parse_basename(mode.basename)
    run = Run(basename=mode.basename, datetime=name.datetime, mode=name.mode, site=name.site)
    return NativeEngine().process(source, run, parameters, Context())


def gridded(ds: xr.Dataset) -> dict[str, np.ndarray[Any, Any]]:
    """Return grids, weights and axes: what a fault of one ping must not change unseen."""
    kept = {
        str(name): variable.values
        for name, variable in ds.variables.items()
        if "ping" not in variable.dims and not str(name).startswith("burst_")
    }
    assert len(kept) > 4
    return kept


def reworded(member: bytes, **changes: Any) -> bytes:
    """Return a ping's header with other values; ... as a value leaves the field out."""
    hdr = json.loads(member)["hdr"] | changes
    return json.dumps({"hdr": {name: value for name, value in hdr.items() if value is not ...}}).encode()
