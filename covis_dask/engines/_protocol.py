"""The seam between a task and whatever computes its product (docs/architecture.md#engines)."""

from __future__ import annotations  # the names below are for the type checker alone

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
    resources : mapping
        What a worker must offer to be given its runs, by Dask's names; empty for any worker.
    """

    name: str
    version: str
    resources: Mapping[str, float]

    def supports(self, run: Run) -> bool:
        """Say whether there is a program for this kind of run."""

    def check(self, parameters: Parameters) -> None:
        """Look whether it can work with these parameters, before anything is computed.

        Raises
        ------
        ConfigurationError
            When it cannot.
        """

    def process(
        self, source: ArchiveSource, run: Run, parameters: Parameters, context: Context
    ) -> xr.Dataset:
        """Compute the product of one run; files of the engine's own go into ``context.extra``.

        Raises
        ------
        InputError
            When the data are at fault.
        EngineError
            When the data look sound, and the engine fails all the same.
        """
