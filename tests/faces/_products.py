"""One product per mode, era and profile: what its file says, its numbers, its fingerprint.

The numbers are kept twice. The hash of a variable is that of its bytes, and holds on machines like the one of
the snapshot: BLAS and the compiler choose other instructions on another processor, and sums then round
otherwise. There the summaries count, which a change of the method cannot meet.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from covis_dask.products._grids import as_computed
from covis_dask.products._groups import group_of
from covis_dask.products.reading import read_netcdf
from covis_dask.simulate import RunSpec, Scene, instrument, simulate
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.seafloor import Seafloor
from covis_dask.simulate.specs import run_spec
from tests.faces._doors import covis
from tests.unit._small_runs import MODES, Mode

__all__ = ["CASES", "PROFILES", "machine", "made", "numbers_differ", "product", "with_numbers_of"]

PROFILES = ("matlab", "corrected")
CASES = tuple((mode, profile) for mode in MODES for profile in PROFILES)

_TOLERANCE = 1e-5
"""Of the largest value: what another order of sums may change, and a change of the method may not."""
_VOLATILE = (
    "date_created",
    "date_modified",
    "date_issued",
    "date_metadata_modified",
    "history",
    "software_version",
)
_CUBE = {"xmin": -4, "xmax": 4, "ymin": -4, "ymax": 4, "dx": 0.5, "dy": 0.5, "zmin": 2, "zmax": 7, "dz": 0.5}
_PLANE = {"xmin": -8, "xmax": 8, "ymin": -8, "ymax": 8, "dx": 0.5, "dy": 0.5}


def machine() -> str:
    """Name what the last bits of a number depend on: processor, and the BLAS kernels chosen for it."""
    blas = (entry for entry in threadpool_info() if entry["user_api"] == "blas")
    kernels = sorted({str(entry.get("architecture")) for entry in blas})
    return f"{llvmlite.binding.get_host_cpu_name()} {'/'.join(kernels)} numpy-{np.__version__}"


def made(mode: Mode, profile: str, folder: Path) -> Path:
    """Process a small run by ``covis process``; returns the product's folder."""
    spec = _spec(mode)
    archive = folder / "raw" / f"{spec.basename}.tar"
    if not archive.exists():
        write_archive(simulate(spec, _scene(mode)), archive, folder=spec.folder)
    words = [word for setting in _settings(mode) for word in ("--set", setting)]
    output = folder / f"{mode}-{profile}"
    assert covis("process", str(archive), "--output", str(output), "--profile", profile, *words) == 0
    (manifest,) = output.rglob("metadata.json")
    return manifest.parent


def _spec(mode: Mode) -> RunSpec:
    """Return what to simulate: noise that fills the grids, but where there is bathymetry a seafloor."""
    if mode.family != "bathy":
        return mode.spec
    sonar = instrument(mode.era, mode.family, gain=44.0, noise=0.25)
    return run_spec(mode.era, mode.family, settings=sonar, pitches=mode.pitches, pings=2, samples=400)


def _scene(mode: Mode) -> Scene:
    if mode.family != "bathy":
        return Scene()
    return Scene((Seafloor(strength=-12.0, bumps=0.12, radius=12.0, count=60_000, seed=2),))


def _settings(mode: Mode) -> list[str]:
    """Return small grids about the head, in the words of ``--set``."""
    parameters = mode.parameters("matlab")
    owners = {"": parameters, **({"imaging.": parameters.imaging} if parameters.imaging else {})}
    return [
        f"{owner}grids.{number}.{key}={value}"
        for owner, it in owners.items()
        for number, grid in enumerate(it.grids)
        for key, value in (_PLANE if grid.zmin is None else _CUBE).items()
    ]


def product(folder: Path) -> dict[str, Any]:
    """Describe the product in a folder, without what differs from one making to the next."""
    manifest = json.loads((folder / "metadata.json").read_text())
    (file,) = (folder / manifest["folder"]).glob("*.nc")
    ds = read_netcdf(file.read_bytes(), file.name, decode=False)
    computed = as_computed(ds)  # numbers are compared in the order in which a mode computes them
    return {
        "machine": machine(),
        "fingerprint": manifest["fingerprint"],
        "files": sorted(entry["name"].removeprefix(f"{manifest['folder']}/") for entry in manifest["files"]),
        "pings": manifest["pings"],
        "bursts": manifest["bursts"],
        "notes": manifest["notes"],
        "dims": {str(name): size for name, size in ds.sizes.items()},
        "attributes": _attributes(ds.attrs),
        "variables": {
            str(name): _variable(variable, computed.variables.get(name, variable).values)
            for name, variable in sorted(ds.variables.items(), key=lambda item: str(item[0]))
        },
    }


def _variable(variable: "xr.Variable", values: "NDArray[Any]") -> dict[str, Any]:
    return {
        "group": group_of(tuple(map(str, variable.dims))),
        "dims": list(variable.dims),
        "dtype": str(variable.dtype),
        "attributes": _attributes(variable.attrs),
        "numbers": _numbers(values),
    }


def _attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _masked(str(name), value) for name, value in attrs.items()}


def _masked(name: str, value: Any) -> Any:
    if name in _VOLATILE:
        return "..."
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def _numbers(values: "NDArray[Any]") -> dict[str, Any]:
    """Return hash and summary of the values of a variable."""
    found: dict[str, Any] = {"hash": hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]}
    if values.dtype.kind not in "fiu":
        return found
    sound = values[np.isfinite(values)].astype(np.float64)
    found["finite"] = int(sound.size)
    if sound.size:
        parts = {"mean": sound.mean(), "spread": sound.std(), "lowest": sound.min(), "highest": sound.max()}
        found |= {name: float(f"{part:.9g}") for name, part in parts.items()}
    return found


def with_numbers_of(kept: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return a product's description with numbers and machine of another."""
    variables = {
        name: {**variable, "numbers": kept["variables"].get(name, variable)["numbers"]}
        for name, variable in now["variables"].items()
    }
    return {**now, "machine": kept["machine"], "variables": variables}


def numbers_differ(kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the variables whose numbers have changed: in any bit on a like machine, else in the summary."""
    exact = kept["machine"] == now["machine"]
    found = []
    for name, variable in now["variables"].items():
        before, after = kept["variables"][name]["numbers"], variable["numbers"]
        if before["hash"] == after["hash"]:
            continue
        if exact or before.keys() != after.keys() or not all(_near(before, after, key) for key in before):
            found.append(f"{name}: {before} -> {after}")
    return found


def _near(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> bool:
    if key == "hash":
        return True
    if key == "finite":
        return bool(before[key] == after[key])
    scale = max(abs(before["lowest"]), abs(before["highest"]))
    return bool(abs(before[key] - after[key]) <= _TOLERANCE * scale)
