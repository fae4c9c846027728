"""Matlab files with the original's structure `covis`, for the scripts that read it.

See docs/method.md#contents-of-a-product.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.io import savemat

from catalog.vocabulary import describe_site
from covis_dask.products._grids import WEIGHT, Grid, as_computed, extras, grids, spec_of
from covis_dask.products._matlab import field_name, plain, struct_array

__all__ = ["write_mat"]

_UNITS = {"m-1": "1/meters", "m s-1": "m/second", "cm s-1": "cm/second", "1": "none", "m": "meters"}
_BOUNDS = ("xmin", "xmax", "ymin", "ymax", "zmin", "zmax")
_PING = {
    "ping_number": "num",
    "ping_time": "sec",
    "rotator_pitch": "rot_pitch",
    "sensor_pitch": "sen_pitch",
    "rotator_roll": "rot_roll",
    "sensor_roll": "sen_roll",
    "rotator_yaw": "rot_yaw",
    "sensor_heading": "sen_head",
}
_BURST = {
    "burst_pitch": "pitch",
    "burst_elev": "pitch",
    "burst_npings": "npings",
    "burst_first_ping": "first_ping",
    "burst_start": "start_ping",
    "burst_used": "used",
}
_BEAMS = {"beam_angle": "angle", "beam_range": "range"}
_SONAR = {
    "transmit_frequency": "fc",
    "sound_speed": "c",
    "sample_rate": "fs",
    "array_length": "array_length",
    "beams": "num_beams",
}
_PROVENANCE = ("software_version", "engine", "engine_version", "preset", "profile", "fixes", "fingerprint")
_HEADER_BYTES = 116


def write_mat(ds: xr.Dataset, path: Path | str) -> None:
    """Write a finished dataset as a version 5 .mat file.

    Imaging and bathymetry have one structure `covis.grid`, the other modes a cell array of them. Cells no
    sample reached hold 0, as in the original; in bathymetry they stay NaN, which is the original's rule for
    it. A full-range run gives two variables, `imaging` and `diffuse`, as the original's worker kept them.
    Equal datasets give equal bytes.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.metadata.finish_dataset`.
    path : Path or str
        An existing file is replaced.
    """
    ds = as_computed(ds)
    all_grids = grids(ds, spec_of(ds))
    parts = dict.fromkeys(grid.description.part for grid in all_grids) or {"covis": None}
    content = {
        part: _structure(ds, [grid for grid in all_grids if grid.description.part == part]) for part in parts
    }
    savemat(path, content, do_compression=True, long_field_names=True, oned_as="column")
    with Path(path).open("r+b") as file:
        # The text at the head of the file has the date in it.
        file.write(b"MATLAB 5.0 MAT-file, product of covis-dask".ljust(_HEADER_BYTES))


def _structure(ds: xr.Dataset, part_grids: list[Grid]) -> dict[str, Any]:
    """Build the structure `covis`."""
    attrs = ds.attrs
    parameters = json.loads(attrs.get("parameters", "{}"))
    small = {
        name: value for name, value in extras(ds).items() if name != "ping_used"
    }  # the original has none
    built = [_grid(grid, str(attrs.get("basename", ""))) for grid in part_grids]
    if built:
        listed = _PING.keys() | _BURST.keys() | _BEAMS.keys()
        # As the original does: what is on no grid, such as the clock offset, goes with grid 1.
        built[0] |= {field_name(name): value for name, value in small.items() if name not in listed}
    single = len(part_grids) == 1 and not part_grids[0].description.prefix
    return {
        "type": str(parameters.get("family", attrs.get("mode", ""))),
        "comments": describe_site(str(attrs.get("site", ""))).comment,
        "user": {"verbose": 0.0, "debug": 0.0, "outpath": "nan"},
        "release": str(attrs.get("product_version", "")),
        "sonar": {"position": plain(parameters.get("position", {}))},
        "processing": _processing(parameters, attrs, small),
        "grid": built[0] if single else plain(built),
        "sweep": {**plain(json.loads(attrs.get("sweep", "{}"))), "name": str(attrs.get("basename", ""))},
        "ping": struct_array(_chosen(small, _PING)),
        "burst": struct_array(_chosen(small, _BURST)),
        "bad_ping": np.atleast_1d(np.asarray(attrs.get("bad_ping", []), dtype=np.float64)),
        "metadata": {field_name(name): str(attrs[name]) for name in _PROVENANCE if name in attrs},
    }


def _chosen(small: Mapping[str, NDArray[Any]], names: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    return {names[name]: value for name, value in small.items() if name in names}


def _processing(
    parameters: Mapping[str, Any], attrs: Mapping[str, Any], small: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """Return the parameter groups, under the names the original gave them in a product."""
    groups = {name: group for name, group in parameters.items() if isinstance(group, Mapping)}
    processing: dict[str, Any] = plain({k: v for k, v in groups.items() if k not in ("position", "imaging")})
    beamformer = processing.setdefault("beamformer", {})
    beamformer |= {field: float(attrs[name]) for name, field in _SONAR.items() if name in attrs}
    beamformer |= _chosen(small, _BEAMS)
    renamed = {
        "snr": ("noise", {"noise_floor": "noise_floor", "snr_thresh": "threshold"}),
        "oscfar": ("oscfar", {"percentile": "clutterp", "threshold": "scrthreshold"}),
        "averaging": ("averaging", {"avg_win": "win"}),
    }
    for name, (group, keys) in renamed.items():
        if group in groups:
            processing[name] = {
                new: float(groups[group][old]) for old, new in keys.items() if old in groups[group]
            }
    return processing


def _grid(grid: Grid, basename: str) -> dict[str, Any]:
    """Build one grid structure: values, and coordinates as full arrays, which the scripts expect."""
    axes = grid.axes()
    ends = [float(end) for axis in axes for end in (axis[0], axis[-1])]
    steps = [float(axis[1] - axis[0]) if len(axis) > 1 else 0.0 for axis in axes]
    units = grid.units
    structure: dict[str, Any] = {
        "type": grid.description.type,
        "shape": "rectangular",
        "units": {"spatial": "meters", "value": _UNITS.get(units, units)},
        "dimensions": float(grid.dimensions),
        "bounds": dict(zip(_BOUNDS, ends, strict=False)),
        "spacing": dict(zip(("dx", "dy", "dz"), steps, strict=False)),
        "axis": np.array([ends + [0.0] * (6 - len(ends))]),
        "size": np.array([grid.shape], dtype=np.float64),
        "name": basename,
    }
    structure |= dict(zip("xyz", np.meshgrid(*axes, indexing="xy"), strict=False))
    names = grid.names()
    weight = grid.values(WEIGHT) if WEIGHT in names else None
    for name in names:
        values = _double(grid.values(name))
        structure[field_name(name)] = values if grid.description.keeps_gaps else _filled(values, weight)
    return structure


def _filled(values: NDArray[Any], weight: NDArray[Any] | None) -> NDArray[Any]:
    """Put the original's 0 where no sample reached."""
    empty = np.isnan(values) if weight is None else weight == 0
    return np.where(empty, 0, values)


def _double(values: NDArray[Any]) -> NDArray[Any]:
    """Give Matlab scripts the double precision that they expect."""
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
