"""Products of an older form carried to the newest, without raw data."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from catalog.vocabulary import describe_site
from covis_dask.modes import ModeSpec
from covis_dask.modes.dataset import ping_use
from covis_dask.products._acdd import place_attributes
from covis_dask.products._conventions import conform
from covis_dask.products._grids import spec_of
from covis_dask.products._moment import unix_times
from covis_dask.products.schema import ATTRIBUTE, SCHEMA, schema_of

__all__ = ["upgrade_dataset"]

_PARTS: Final = {"_real": ", real part", "_imag": ", imaginary part"}


def upgrade_dataset(old: xr.Dataset) -> xr.Dataset:
    """Return a product in the newest form; one that has it already is returned as it is.

    Numbers are those of the old file, but for what the newest form stores in single precision (never those of
    profile ``matlab``). What the old file does not hold is told from what it does: which pings were used from
    those that its attributes call bad, missing or left out.

    Parameters
    ----------
    old : Dataset
        All groups of a file together; see `covis_dask.products.reading.read_netcdf`.

    Raises
    ------
    DocumentError
        When a newer version of this package wrote it.
    ModeUnsupported
        When nothing is known of its mode.
    """
    if schema_of(old) == 2:
        return old
    spec = spec_of(old)
    parameters = json.loads(old.attrs.get("parameters", "{}"))
    start = dt.datetime.fromisoformat(str(old.attrs["time_coverage_start"]))
    renamed = _renamed(_with_use(old, parameters), spec)
    new = conform(renamed, spec, start, str(old.attrs.get("profile", "")), parameters)
    new.attrs = _attributes(old.attrs, new, spec)
    return new


def _with_use(old: xr.Dataset, parameters: Mapping[str, Any]) -> xr.Dataset:
    """Add which pings were used."""
    if "ping_number" not in old.variables or "ping_used" in old.variables:
        return old
    numbers = np.asarray(old["ping_number"].values)
    out = {*_numbers(old.attrs.get("bad_ping")), *_numbers(old.attrs.get("missing_ping"))}
    for burst in json.loads(old.attrs.get("bursts_skipped_reasons", "[]")):
        out |= {int(number) for number in burst["pings"]}
    averaged = np.ones(len(numbers), bool)
    if "window_pings" in old.attrs:  # diffuse flow of 2018+ takes the first seconds of a run
        times = unix_times(old["ping_time"])
        averaged = times <= times[0] + float(parameters["averaging"]["avg_win"])
    use = ping_use(numbers, [number for number in numbers[averaged].tolist() if number not in out])
    attributes = {"original_name": use.original_name, "long_name": use.long_name, "units": use.units}
    return old.assign(ping_used=("ping", use.values, attributes))


def _numbers(listed: Any) -> list[int]:
    return [int(number) for number in np.ravel(listed)] if listed is not None else []


def _renamed(old: xr.Dataset, spec: ModeSpec) -> xr.Dataset:
    """Call variables what they are called now."""
    new = old.copy()
    for variable in new.data_vars.values():
        original = str(variable.attrs.get("original_name", ""))
        ending = next((part for part in _PARTS if original.endswith(part)), "")
        described = spec.variables.get(original) or spec.variables.get(original.removesuffix(ending))
        if described is not None:
            part = "" if original in spec.variables else _PARTS[ending]
            variable.attrs = {**variable.attrs, "long_name": described.long_name + part}
    return new


def _attributes(old: Mapping[str, Any], new: xr.Dataset, spec: ModeSpec) -> dict[str, Any]:
    """Carry the global attributes over, with what has changed in them."""
    kept = {name: value for name, value in old.items() if not name.startswith(("geospatial_", "local_"))}
    notes = [note for note in spec.notes if note not in str(old.get("notes", ""))]
    told = {
        name: separator.join(filter(None, (str(old.get(name, "")), *more)))
        for name, separator, more in (
            ("notes", "; ", notes),
            ("comment", ". ", notes),
            ("history", "\n", [f"carried from the first form of products to {SCHEMA}"]),
        )
    }
    place = place_attributes(new, describe_site(spec.site))
    return {**kept, **{name: text for name, text in told.items() if text}, ATTRIBUTE: SCHEMA, **place}
