"""What the second level must know of a run besides its grids, and what it says of itself."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from covis_dask.config.science import Entry, ScienceSection

__all__ = ["VERSION", "attributes_of", "day_of", "entries_of", "one_run", "site_of", "wavenumber"]

VERSION = "1"
"""Of the second level; a new one makes its results stale."""

E = TypeVar("E", bound=Entry)

_REPEATED = ("basename", "mode", "preset", "site", "fingerprint", "time_coverage_start", "time_coverage_end")


def one_run(ds: xr.Dataset) -> xr.Dataset:
    """Return the product of a run without the dimension of time that its file has.

    Raises
    ------
    ValueError
        Several runs at once.
    """
    if "time" not in ds.dims:
        return ds
    if ds.sizes["time"] != 1:
        count = ds.sizes["time"]
        raise ValueError(
            f"the second level takes the product of one run, not {count}: choose one with isel(time=...)"
        )
    return ds.isel(time=0)


def site_of(ds: xr.Dataset) -> str:
    """Return the site of a run; empty where the product does not say."""
    return str(ds.attrs.get("site", ""))


def day_of(ds: xr.Dataset) -> dt.date | None:
    """Return the day of a run (UTC), None where the product does not say."""
    for text in (ds.attrs.get("time_coverage_start"), ds.attrs.get("time_coverage_end")):
        if text:
            return dt.datetime.fromisoformat(str(text)).date()
    if "time" in ds.coords and ds["time"].size == 1:
        return dt.date.fromisoformat(str(np.datetime64(ds["time"].values.item(), "ns"))[:10])
    return None


def entries_of(entries: Mapping[str, E | None], site: str, day: dt.date | None) -> dict[str, E]:
    """Return the vents, regions or shadows that hold for a site on a day."""
    return {name: one for name, one in entries.items() if one is not None and one.holds(site, day)}


def wavenumber(ds: xr.Dataset, default: float) -> float:
    """Return the wavenumber of the sound (rad/m), or a default where the product does not say."""
    frequency, speed = (float(ds.attrs.get(key, np.nan)) for key in ("transmit_frequency", "sound_speed"))
    return 2 * np.pi * frequency / speed if frequency > 0 and speed > 0 else default


def parameter(ds: xr.Dataset, group: str, key: str, default: float) -> float:
    """Return a parameter of the first level, or a default where the product does not say."""
    try:
        return float(json.loads(str(ds.attrs["parameters"]))[group][key])
    except (KeyError, TypeError, ValueError):
        return default


def attributes_of(
    ds: xr.Dataset, science: ScienceSection, notes: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Return the attributes of second-level results.

    Parameters
    ----------
    ds : Dataset
        The product.
    science : ScienceSection
    notes : sequence of str
        Sentences for whoever uses the results.
    **more
        Further attributes.
    """
    repeated = {name: ds.attrs[name] for name in _REPEATED if name in ds.attrs}
    return {
        "Conventions": "CF-1.10",
        **repeated,
        "level1_profile": str(ds.attrs.get("profile", "")),
        "profile": science.profile,
        "fixes": " ".join(science.fixes),
        "science_version": VERSION,
        "notes": " ".join(notes),
        **more,
    }
