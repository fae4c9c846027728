"""What a scheduler's pages are drawn from."""

from dataclasses import dataclass, field

from covis_dask.batches.history import History
from covis_dask.monitor.page.shared import Shared
from covis_dask.monitor.scheduler.state import SchedulerState

__all__ = ["PageSource"]


@dataclass(slots=True)
class PageSource:
    """The present state of a scheduler, and how its past can be read.

    Parameters
    ----------
    state : SchedulerState
    history : History, optional
        None until the configuration has been read.
    store_note : str, optional
        Why the product store cannot be shown, as a sentence; None when it can.
    """

    state: SchedulerState = field(default_factory=SchedulerState)
    history: History | None = None
    store_note: str | None = "it has not been asked yet"
    shared: Shared = field(init=False)

    def __post_init__(self) -> None:
        self.shared = Shared(self.state.clock)
