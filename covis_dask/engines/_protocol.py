"""The seam between a task and whatever computes its product (design.md 3, engine protocol)."""

from typing import Protocol

import xarray as xr

from catalog.model import Run
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.source import ArchiveSource

__all__ = ["Engine"]


class Engine(Protocol):
    """Something that turns one raw archive into a dataset.

    Attributes
    ----------
    name : str
        Goes into the product prefix and the fingerprint.
    version : str
        Changes whenever the numbers may change; goes into the fingerprint.
    """

    name: str
    version: str

    def supports(self, run: Run) -> bool:
        """Say whether there is a program for this kind of run."""

    def process(
        self, source: ArchiveSource, run: Run, parameters: Parameters, context: Context
    ) -> xr.Dataset:
        """Compute the product of one run.

        Raises
        ------
        InputError
            When the data are at fault.
        EngineError
            When the data look sound, and the engine fails all the same.
        """
