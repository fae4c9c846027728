"""Batch processing of COVIS multibeam sonar runs on a Dask cluster.

``python -m covis_dask.batch`` processes runs chosen from the catalogue, ``python -m covis_dask.process``
single archives. The parts are described in docs/architecture.md.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("covis-dask")
