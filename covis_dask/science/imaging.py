"""Second level of imaging products: where the plumes are, how they lean, how far they reach."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import xarray as xr

from covis_dask.config.science import ScienceSection
from covis_dask.science._plumes import (
    LEVELS,
    VENTS,
    FoundVent,
    add_axis,
    add_centres,
    coordinates,
    find_vents,
    level_flags,
    vents_of,
    window,
)
from covis_dask.science.constants import water_at
from covis_dask.science.extent import Extent, plume_extent
from covis_dask.science.fixes import science_fixes
from covis_dask.science.flags import LevelFlag, VentFlag
from covis_dask.science.grids import PlumeFields, plume_fields
from covis_dask.science.line import centre_line
from covis_dask.science.originals import original_fields, original_line, original_volume
from covis_dask.science.quantities import Quantities
from covis_dask.science.run import attributes_of, one_run, site_of
from covis_dask.science.temperature import add_temperature

__all__ = ["level2"]

_LOWEST: Final = (-60.0,)
_LEVELS_DB: Final = (-60.0, -50.0, -40.0)


def level2(ds: xr.Dataset, science: ScienceSection) -> xr.Dataset:
    """Make the second level of an imaging product.

    Parameters
    ----------
    ds : Dataset
        Of an imaging or a full-range run.
    science : ScienceSection
        Vents, thresholds, profile.

    Returns
    -------
    Dataset
        Centre, axis, lean and extent of every plume (docs/science.md), with 1-sigma errors and flags.
    """
    ds = one_run(ds)
    vents, notes = vents_of(ds, science)
    fields = plume_fields(ds, window(vents)) if vents else None
    if vents and fields is None:
        notes.append("The product has no volume of backscatter.")
    matlab = science.profile == "matlab"
    fixes = science_fixes(science.profile, science.fixes)
    if matlab and fields is not None:
        fields = original_fields(fields)
    follow = partial(original_line, fixes=fixes) if matlab else centre_line
    found, more = find_vents(fields, vents, follow)
    coords = coordinates(ds, found)
    levels = coords["level"].values
    out = Quantities()
    add_centres(out, found, levels)
    add_axis(out, found, levels)
    add_temperature(out, found, levels, ds, science)
    thresholds = _LOWEST if matlab else thresholds_of(ds, science)
    cut = _add_extents(out, found, fields, coords, thresholds, matlab=matlab)
    out.flags(
        "flag",
        LEVELS,
        level_flags(found, levels, lambda _, line: line.flags),
        LevelFlag,
        "doubts about a level",
    )
    flags = [int(one.flags | (VentFlag.CUT_BY_EDGE if c else 0)) for one, c in zip(found, cut, strict=True)]
    out.flags("plume_flag", VENTS, flags, VentFlag, "doubts about a plume")
    return out.dataset(coords, attributes_of(ds, science, notes + more, **_facts(ds, science)))


def thresholds_of(ds: xr.Dataset, science: ScienceSection) -> tuple[float, ...]:
    """Return the thresholds of a plume's extent, dB re 1/m."""
    return tuple(science.plume.extent_levels.get(site_of(ds), _LEVELS_DB))


def _extent(fields: PlumeFields, one: FoundVent, level: float, *, matlab: bool) -> Extent | None:
    """Measure one plume above one threshold; the originals take squares about the centre line."""
    if one.line is None:
        return None
    if matlab:
        return original_volume(fields.backscatter, one.line)
    return plume_extent(fields.backscatter, level, (*one.place, one.vent.z), one.vent.search_radius)


def _add_extents(
    out: Quantities,
    found: Sequence[FoundVent],
    fields: PlumeFields | None,
    coords: dict[str, Any],
    thresholds: tuple[float, ...],
    *,
    matlab: bool,
) -> list[bool]:
    """Add what exceeds the thresholds; say of each vent whether the sector cuts it."""
    attributes = {"long_name": "threshold of volume backscattering strength, re 1 m-1", "units": "dB"}
    coords["threshold"] = xr.Variable(("threshold",), np.array(thresholds), attributes)
    extents: list[list[Extent | None]] = [
        [
            _extent(fields, one, level, matlab=matlab)
            if fields is not None and one.line is not None
            else None
            for level in thresholds
        ]
        for one in found
    ]
    for name, key in (
        ("plume_height", "height"),
        ("plume_width", "width"),
        ("plume_volume", "volume"),
        ("integrated_backscatter", "integrated"),
        ("mean_backscatter", "mean"),
    ):
        values = [[np.nan if e is None else getattr(e, key) for e in row] for row in extents]
        out.add(name, ("vent", "threshold"), np.reshape(values, (len(found), len(thresholds))))
    return [any(e is not None and e.cut for e in row) for row in extents]


def _facts(ds: xr.Dataset, science: ScienceSection) -> dict[str, Any]:
    """Return what else the attributes say."""
    water = water_at(site_of(ds))
    return {
        "title": "Second-level quantities of plume imaging",
        "impedance_expansion_per_kelvin": water.impedance_expansion,
        "spectrum": science.plume.spectrum,
    }
