"""The version of this package, as it is installed."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("covis-dask")
