"""Workers import what runs need when they start or a batch connects, so that no run has to wait for it."""

import asyncio
from importlib import import_module
from typing import Any

from distributed import WorkerPlugin

__all__ = ["ReadyPlugin"]

_NEEDED = (
    "covis_dask.runs.worker",
    "covis_dask.engines.native",
    "covis_dask.modes.ashes.imaging",  # and with it the kernels; engines import modes as they are needed
)


class ReadyPlugin(WorkerPlugin):
    """Imports, on every worker that is there or will come, the modules that process a run: seconds once."""

    name = "covis-ready"
    idempotent = True

    async def setup(self, worker: Any) -> None:  # noqa: ARG002  # Dask's signature
        """Import them beside the event loop, which has heartbeats to send."""
        await asyncio.to_thread(_import)


def _import() -> None:
    for name in _NEEDED:
        import_module(name)
