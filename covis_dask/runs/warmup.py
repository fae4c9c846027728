"""Workers start the processes that runs compute in when they start themselves, or a batch connects."""

import asyncio
from contextlib import suppress
from typing import Any

from distributed import WorkerPlugin

from covis_dask.errors import CovisError
from covis_dask.runs.isolation import await_children, warm_up

__all__ = ["ReadyPlugin"]


class ReadyPlugin(WorkerPlugin):
    """Prepares every worker that is there or will come: runs need modules that take seconds to import."""

    name = "covis-ready"
    idempotent = True

    async def setup(self, worker: Any) -> None:  # noqa: ARG002  # Dask's signature
        """Start them beside the event loop, which has heartbeats to send."""
        # A worker that cannot is told so by its first run, whose batch then stops with the reason.
        with suppress(CovisError):
            await asyncio.to_thread(warm_up)

    async def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Stay until the runs at work have ended: in a container nothing outlives the worker."""
        await asyncio.to_thread(await_children)
