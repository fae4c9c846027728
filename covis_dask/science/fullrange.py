"""Second level of full-range products: plumes of their volume, diffuse flow of their maps."""

import xarray as xr

from covis_dask.config.science import ScienceSection
from covis_dask.science import imaging
from covis_dask.science.diffuse import level2_of
from covis_dask.science.run import one_run

__all__ = ["level2"]


def level2(ds: xr.Dataset, science: ScienceSection) -> xr.Dataset:
    """Make the second level of a full-range product: that of imaging, and that of diffuse flow.

    Parameters
    ----------
    ds : Dataset
        Of a full-range run.
    science : ScienceSection

    Returns
    -------
    Dataset
        Thresholds of the plumes' extent have the dimension ``extent_threshold`` here.
    """
    ds = one_run(ds)
    plumes = imaging.level2(ds, science)
    if "threshold" in plumes.dims:
        plumes = plumes.rename({"threshold": "extent_threshold"})
    maps = level2_of(ds, science, "_fr")
    notes = " ".join(text for text in (plumes.attrs["notes"], maps.attrs["notes"]) if text)
    attributes = {
        **plumes.attrs,
        **maps.attrs,
        "notes": notes,
        "title": "Second-level quantities of a full-range run",
    }
    return xr.merge([plumes, maps], compat="equals", join="exact").assign_attrs(attributes)
