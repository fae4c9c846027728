"""CF-1.10 and ACDD-1.3 metadata: what makes a dataset a product that stands on its own."""

import datetime as dt
from collections.abc import Mapping

import numpy as np
import xarray as xr

from covis_dask.modes import ModeSpec, spec_for
from covis_dask.products._acdd import global_attributes, plain_attributes
from covis_dask.products._facts import Attribution, ProductFacts
from covis_dask.products._grids import WEIGHT, grids

__all__ = ["Attribution", "ProductFacts", "finish_dataset"]

# CF 5.6 asks for true latitude and longitude beside axes marked X and Y. In a local frame there are none, so
# x and y carry no `axis` attribute; the checker then takes them for what they are.
_AXES: Mapping[str, Mapping[str, str]] = {
    "x": {"long_name": "Easting of COVIS", "units": "m"},
    "y": {"long_name": "Northing of COVIS", "units": "m"},
    "z": {"long_name": "Height above COVIS base", "units": "m", "axis": "Z", "positive": "up"},
}
_TIME_ENCODING = {
    # Endeavour names carry milliseconds; a whole number of them survives every reader.
    "units": "milliseconds since 1970-01-01T00:00:00Z",
    "calendar": "standard",
    "dtype": "int64",
}


def finish_dataset(ds: xr.Dataset, provenance: ProductFacts) -> xr.Dataset:
    """Return the dataset of a mode program with everything a file needs to be understood alone.

    Adds global attributes (CF-1.10, ACDD-1.3), axis attributes, a scalar coordinate `time`, and links from
    each gridded variable to its weights. Values are not touched; attributes of the mode program stay.

    Parameters
    ----------
    ds : Dataset
        Dims (y, x) or (y, x, z), with a suffix where axes differ. Its attribute `mode` names the family of
        modes whose program made it.
    provenance : ProductFacts

    Raises
    ------
    ModeUnsupported
        When nothing is known of that family.
    """
    spec = spec_for(provenance.site, str(ds.attrs.get("mode", provenance.parameters.get("family"))))
    moment = np.datetime64(provenance.start.astimezone(dt.UTC).replace(tzinfo=None), "ns")
    out = ds.assign_coords(time=((), moment))
    out["time"].attrs = {"long_name": "Start of the run", "standard_name": "time", "axis": "T"}
    out["time"].encoding = dict(_TIME_ENCODING)
    _describe_axes(out)
    _link_weights(out, spec)
    for variable in out.data_vars.values():
        described = spec.variables.get(variable.attrs.get("original_name", ""))
        if described is not None and described.standard_name is not None:
            variable.attrs.setdefault("standard_name", described.standard_name)
    out.attrs = {**plain_attributes(ds.attrs), **global_attributes(out, provenance, spec)}
    return out


def _describe_axes(ds: xr.Dataset) -> None:
    """Name the axes in the words of docs/method.md#quick-looks."""
    for name, axis in ds.coords.items():
        head, _, suffix = str(name).partition("_")
        if head in _AXES and axis.dims == (name,):
            axis.attrs.pop("axis", None)
            axis.attrs.update(_AXES[head])
            if suffix:
                axis.attrs["comment"] = f"The {suffix} grids have axes of their own."
        axis.attrs.setdefault("coverage_content_type", "coordinate")


def _link_weights(ds: xr.Dataset, spec: ModeSpec) -> None:
    """Point each gridded variable at the weights it was normalised with."""
    for grid in grids(ds, spec):
        weight = grid.fields.get(WEIGHT)
        for name, variable in grid.fields.items():
            kind = "auxiliaryInformation" if name == WEIGHT else "physicalMeasurement"
            attrs = ds[variable.name].attrs
            attrs.setdefault("coverage_content_type", kind)
            if weight is not None and name != WEIGHT:
                attrs.setdefault("ancillary_variables", str(weight.name))
    for variable in ds.data_vars.values():
        variable.attrs.setdefault("coverage_content_type", "auxiliaryInformation")
