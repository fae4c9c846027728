"""Small runs of every kind, and the .mat files that the stand-in for Matlab hands out for them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from fsspec.implementations.local import LocalFileSystem
from scipy.io import loadmat, savemat

from catalog.model import RawFile, Run
from covis_dask.engines import engine_named
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.products.mat import write_mat
from covis_dask.products.metadata import finish_dataset
from covis_dask.raw.source import ArchiveSource
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import RunSpec, simulate
from covis_dask.simulate.scene import PointScatterers, Scene
from covis_dask.simulate.specs import run_spec
from tests.unit._datasets import facts

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Endeavour/imaging": ("END", {"pitches": (20.0, 22.0, 24.0), "pings": 2, "samples": 320}),
    "Endeavour/doppler": ("END", {"pitches": (24.0, 26.0, 28.0), "pings": 3, "samples": 320}),
    "Endeavour/diffuse": ("END", {"pings": 6, "samples": 400}),
    "Ashes/imaging": ("ASHES", {"pitches": (-9.0, -5.0), "pings": 3, "samples": 240}),
    "Ashes/doppler": ("ASHES", {"pitches": (2.0, 6.0), "pings": 3, "samples": 240}),
    "Ashes/diffuse": ("ASHES", {}),
    "Ashes/bathy": ("ASHES", {"pitches": (-44.0, -41.0), "samples": 300}),
    "Ashes/fullimaging": ("ASHES", {"pitches": (-40.0, -20.0, 0.0), "pings": 9}),
}
_SCENE = Scene((PointScatterers(((-9.0, -8.0, 0.0), (-8.0, -9.0, 6.0)), (-10.0, -10.0), jitter=0.5),))


def spec_of(kind: str) -> RunSpec:
    """Return the settings of a small run."""
    era, changes = KINDS[kind]
    return run_spec(era, kind.rpartition("/")[2], **changes)


def run_of(kind: str, archive: Path) -> Run:
    """Return the catalogue's document of a run."""
    spec, site = spec_of(kind), kind.partition("/")[0]
    mode = spec.basename.rpartition("-")[2]
    return Run(spec.basename, spec.start, mode, site, (RawFile("COVIS-NAS", archive.name),))


def archive_of(
    kind: str, folder: Path, members: Callable[[dict[str, bytes]], dict[str, bytes]] = dict
) -> Path:
    """Write the raw archive of a small run."""
    spec = spec_of(kind)
    return write_archive(
        members(dict(_members(kind))), folder / f"{spec.basename}.tar.gz", folder=spec.folder
    )


@cache
def _members(kind: str) -> dict[str, bytes]:
    return dict(simulate(spec_of(kind), _SCENE))


def source_of(archive: Path) -> ArchiveSource:
    """Return an archive as an engine wants it."""
    return ArchiveSource(LocalFileSystem(), str(archive))


def native(kind: str, archive: Path) -> xr.Dataset:
    """Return what the native engine makes of a run."""
    site, family = kind.split("/")
    return engine_named("native").process(
        source_of(archive), run_of(kind, archive), parameters_for(family, site), Context()
    )


def matlab_files(kind: str, dataset: xr.Dataset, folder: Path) -> list[Path]:
    """Write a dataset as the original would: its structure, with the fields and types that are Matlab's own.

    Beyond `write_mat`: headers and types of pings, ping numbers of bursts, a time of small integers, the
    worker's metadata; a full-range run gives two files.
    """
    site, family = kind.split("/")
    spec = spec_of(kind)
    known = facts(spec.basename, parameters=parameters_for(family, site).to_dict(), site=site)
    path = folder / f"{spec.basename}.mat"
    write_mat(finish_dataset(dataset, known), path)
    content = loadmat(path, chars_as_strings=True)
    variables = {name: value for name, value in content.items() if not name.startswith("__")}
    for covis in variables.values():
        _as_the_original(covis, site)
    if family != "fullimaging":
        savemat(path, variables, do_compression=True, long_field_names=True)
        return [path]
    second = path.with_name(path.name.replace(".mat", "-diffuse.mat"))
    beams = variables["diffuse"][0, 0]["processing"][0, 0]["beamformer"][0, 0]
    beams["angle"], beams["range"] = dataset["beam_angle_fr"].values, dataset["beam_range_fr"].values
    names = {path: "imaging", second: "diffuse"}
    for place, name in names.items():
        savemat(place, {name: variables[name]}, do_compression=True, long_field_names=True)
    return [path, second]


def _as_the_original(covis: np.ndarray[Any, Any], site: str) -> None:
    """Give a structure what only the original has."""
    it = covis[0, 0]
    bursts = it["burst"]
    if bursts.size and "start_ping" not in (bursts.dtype.names or ()):
        kinds = [(name, object) for name in ("pitch", "ping", "npings")]
        rows = np.empty(bursts.shape, dtype=kinds)
        for place in np.ndindex(bursts.shape):
            first, count = int(bursts[place]["first_ping"].item()), int(bursts[place]["npings"].item())
            rows[place] = (
                bursts[place]["pitch"],
                np.arange(first, first + count, dtype=np.uint8),
                np.uint8(count),
            )
        it["burst"] = rows
    header = np.zeros((1, 1), dtype=[("xmit_freq", object), ("sound_speed", object), ("power_sel", object)])
    header[0, 0] = (np.int32(396_000), np.uint16(1468), np.uint8(220))
    pings = it["ping"]
    if pings.size and site == "Ashes":
        rows = np.empty(pings.shape, dtype=[*((name, object) for name in pings.dtype.names), ("hdr", object)])
        for place in np.ndindex(pings.shape):
            rows[place] = (*pings[place], header)
        it["ping"] = rows
