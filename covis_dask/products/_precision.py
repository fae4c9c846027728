"""How many digits a number of a product deserves."""

from typing import Final

import numpy as np
import xarray as xr

from covis_dask.products._grids import is_gridded

__all__ = ["narrowed"]

_ORIGINAL: Final = "matlab"
_HEIGHTS: Final = "m"


def narrowed(ds: xr.Dataset, profile: str) -> xr.Dataset:
    """Store gridded numbers in single precision where the science allows it.

    Single precision is right to 6e-8 of a value. Echoes scatter by a tenth of their strength at best, and
    velocities by a thousandth, so weights, fractions, backscatter and velocities lose nothing. Heights stay
    as they are, since diffuse flow is mapped onto them; so does everything of profile ``matlab``, whose
    numbers are compared with the original's to the last bit.
    """
    if profile == _ORIGINAL:
        return ds
    single = {
        name: variable.astype(np.float32)
        for name, variable in ds.data_vars.items()
        if is_gridded(variable) and variable.dtype == np.float64 and variable.attrs.get("units") != _HEIGHTS
    }
    return ds.assign(single)
