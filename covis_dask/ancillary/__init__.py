"""Seafloor grids that go with a date: which one is valid when, and how a product becomes one.

A folder, on any fsspec file system, holds gridded NetCDF files with the attribute ``valid_from`` (UTC),
or the three Matlab files of the original under their own names, whose dates are known
(docs/method.md#diffuse-flow-2018). ``python -m covis_dask.ancillary`` lists them, and makes bathymetry
products into new ones.
"""

from covis_dask.ancillary._folder import FolderAncillary, SeafloorFile, open_ancillary
from covis_dask.ancillary._register import register

__all__ = ["FolderAncillary", "SeafloorFile", "open_ancillary", "register"]
