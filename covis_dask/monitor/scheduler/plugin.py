"""The scheduler's part: listens to drivers and workers, and serves the COVIS page beside Dask's own."""

import asyncio
import logging
from typing import Any

import dask.config
from distributed import Client, Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol.serialize import to_serialize
from tornado.ioloop import PeriodicCallback

from catalog.errors import CatalogError
from covis_dask.batches.history import History
from covis_dask.config.reading import read_section
from covis_dask.config.sections import DashboardSection
from covis_dask.errors import ConfigurationError, CovisError
from covis_dask.monitor.page.source import PageSource
from covis_dask.monitor.scheduler.guard import Guard, guard_server
from covis_dask.monitor.scheduler.routes import add_routes
from covis_dask.monitor.scheduler.steering import Steering
from covis_dask.runs.events import TOPIC

__all__ = ["StatusPlugin", "bring_page"]

logger = logging.getLogger("distributed.covis")

_HISTORY_EVERY = 60.0


class StatusPlugin(SchedulerPlugin):
    """Keeps the state, and the routes ``/covis``, ``/covis/status.json``, ``/covis/metrics``.

    A driver registers it with the scheduler it uses; ``dask scheduler --preload covis_dask.monitor.preload``
    has it from the start.
    """

    name = "covis-status"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        """Begin to listen, and add our routes to the dashboard."""
        self.source = PageSource()
        self._tasks: set[asyncio.Task[None]] = set()
        for address, worker in scheduler.workers.items():
            self.source.state.add_worker(address, str(worker.name), worker.host)
        scheduler.handlers |= {"covis_status": self.status, "covis_snapshot": self.snapshot}
        self.steering = _open_to_browsers(scheduler)
        add_routes(scheduler, self.source, self.steering)
        self._history_clock = PeriodicCallback(self._read_soon, _HISTORY_EVERY * 1000)
        self._history_clock.start()
        self._read_soon()

    async def close(self) -> None:
        """Stop reading the history, and take back the token for steering."""
        self.steering.end()
        self._history_clock.stop()
        for task in self._tasks:
            task.cancel()

    async def status(self, **_: Any) -> dict[str, Any]:
        """Answer a client that asks for the numbers (`covis status`)."""
        return self.source.state.to_document()

    async def snapshot(self, batch: str, **_: Any) -> Any:
        """Answer a client that shows a batch itself (`notebook.attach`)."""
        status = self.source.state.batches.get(batch)
        return None if status is None else to_serialize(status.snapshot())

    def log_event(self, topic: str, msg: Any) -> None:
        """Take in an event of ours."""
        if topic == TOPIC and isinstance(msg, dict):
            self.source.state.take(msg)
            came_to_be = msg.get("op") == "ended" and self.source.store_note is not None
            if msg.get("op") == "over" or (came_to_be and not self._tasks):
                self._read_soon()

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Note a worker."""
        state = scheduler.workers[worker]
        self.source.state.add_worker(worker, str(state.name), state.host)

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:  # noqa: ARG002
        """Forget a worker."""
        self.source.state.remove_worker(worker)

    def remove_client(self, scheduler: Scheduler, client: str) -> None:  # noqa: ARG002
        """Note that a driver has gone."""
        self.source.state.remove_client(client)

    def _read_soon(self) -> None:
        task = asyncio.ensure_future(self._read_history())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_history(self) -> None:
        """Ask the catalogue for the batches before, away from the event loop."""
        try:
            history = self.source.history = self.source.history or History.here()
            self.source.state.past = await asyncio.to_thread(history.batches)
            self.source.state.past_note = None
        except (CatalogError, CovisError) as error:
            self.source.state.past_note = f"the scheduler cannot read the catalogue: {error}"
            logger.info("no history of batches: %s", error)
        try:
            history = self.source.history = self.source.history or History.here()
            await asyncio.to_thread(history.check_store)
            self.source.store_note = None
        except CovisError as error:
            self.source.store_note = str(error)


def _open_to_browsers(scheduler: Scheduler) -> Steering:
    """Let browsers in as the configuration says, and draw the token for steering."""
    try:
        section = read_section(DashboardSection, dask.config.get("covis.dashboard"), "dashboard")
        guard_server(scheduler, Guard.of(section.hosts))
        address = str(scheduler.http_server.address)  # type: ignore[attr-defined]  # Dask's own word
        steering = Steering.begin(address, section.steering, section.token)
    except ConfigurationError as error:
        logger.warning("steering is off: %s", error)
        guard_server(scheduler, Guard.of(()))
        return Steering()
    if steering.file is not None:
        logger.info("the token for steering is in %s", steering.file)
    return steering


def bring_page(client: Client) -> None:
    """Bring the page to a scheduler; one that has it keeps its own, and no batch fails for want of it."""
    try:
        client.register_plugin(StatusPlugin())
    except Exception as error:  # whatever is raised on the scheduler comes here
        logger.info("the scheduler does not accept the COVIS page: %s", error)
