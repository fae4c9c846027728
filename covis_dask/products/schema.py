"""Which form of the data files a product has; how they are made says its engine, where they lie its manifest.

A change here makes no product stale: `covis_dask.products.upgrade` carries older ones forward.
"""

import xarray as xr

from covis_dask.errors import DocumentError
from covis_dask.products._grids import as_computed

__all__ = ["ATTRIBUTE", "SCHEMA", "as_computed", "schema_of"]

_STEM = "covis-dask/product/"
_NEWEST = 2

ATTRIBUTE = "product_schema"
"""Global attribute that says which form a file has; those of form 1 have none."""

SCHEMA = f"{_STEM}{_NEWEST}"
"""The form that is written now."""


def schema_of(ds: xr.Dataset) -> int:
    """Return the form of a product as a number.

    Raises
    ------
    DocumentError
        When a newer version of this package wrote it.
    """
    text = str(ds.attrs.get(ATTRIBUTE, f"{_STEM}1"))
    number = text.removeprefix(_STEM)
    if not number.isdigit() or not 1 <= int(number) <= _NEWEST:
        raise DocumentError(
            f"the product of {ds.attrs.get('basename', 'a run')} has the form {text}, which this version of "
            f"covis-dask does not know ({SCHEMA} is its newest): install a newer one to read it"
        )
    return int(number)
