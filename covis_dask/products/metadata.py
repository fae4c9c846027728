"""CF-1.10 and ACDD-1.3 metadata: what makes a dataset a product that stands on its own."""

import xarray as xr

from covis_dask.modes import spec_for
from covis_dask.products._acdd import global_attributes, plain_attributes
from covis_dask.products._conventions import conform
from covis_dask.products._facts import Attribution, ProductFacts

__all__ = ["Attribution", "ProductFacts", "finish_dataset"]


def finish_dataset(ds: xr.Dataset, provenance: ProductFacts) -> xr.Dataset:
    """Return the dataset of a mode program with everything a file needs to be understood alone.

    Adds global attributes (CF-1.10, ACDD-1.3), axes with their attributes, an axis `time` of length one, the
    place on Earth, and links from each gridded variable to its weights. Values of profile ``matlab`` are not
    touched, those of others narrowed to single precision where that loses nothing; attributes of the mode
    program stay.

    Parameters
    ----------
    ds : Dataset
        Dims (y, x) or (y, x, z), with a suffix where axes differ. Its attribute `mode` names the family of
        modes whose program made it.
    provenance : ProductFacts

    Returns
    -------
    Dataset
        Grids have the dims (time, z, y, x) or (time, y, x).

    Raises
    ------
    ModeUnsupported
        When nothing is known of that family.
    """
    spec = spec_for(provenance.site, str(ds.attrs.get("mode", provenance.parameters.get("family"))))
    out = conform(ds, spec, provenance.start, provenance.profile, provenance.parameters)
    out.attrs = {**plain_attributes(ds.attrs), **global_attributes(out, provenance, spec)}
    return out
