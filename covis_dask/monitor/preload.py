"""``dask scheduler --preload covis_dask.monitor.preload``: a scheduler with the COVIS page from the start."""

from distributed import Scheduler

from covis_dask.monitor.scheduler.plugin import StatusPlugin

__all__ = ["dask_setup"]


async def dask_setup(scheduler: Scheduler) -> None:
    """Add the page to a scheduler that is about to start."""
    # Not registered: that would start it, and the scheduler starts all its plugins itself a moment later.
    scheduler.add_plugin(StatusPlugin(), idempotent=True)
