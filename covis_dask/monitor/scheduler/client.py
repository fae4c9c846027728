"""Questions to a scheduler about what its COVIS plugin knows, without becoming one of its clients."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from distributed.core import rpc
from distributed.protocol.serialize import Serialize
from distributed.security import Security

from covis_dask.batches.status import BatchStatus

__all__ = ["SchedulerClient"]

_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class SchedulerClient:
    """Asks one scheduler; every answer is None when nobody there understands the question in time.

    Parameters
    ----------
    address : str
        Such as ``tcp://host:8786``.
    """

    address: str

    def status(self) -> dict[str, Any] | None:
        """Return all its numbers as JSON values."""
        answer = self._ask("covis_status")
        return answer if isinstance(answer, dict) else None

    def snapshot(self, batch: str) -> BatchStatus | None:
        """Return the status of one batch."""
        answer = self._ask("covis_snapshot", batch=batch)
        return answer if isinstance(answer, BatchStatus) else None

    def _ask(self, question: str, **arguments: Any) -> Any | None:
        async def asked() -> Any:
            security = Security().get_connection_args("client")
            async with asyncio.timeout(_PATIENCE):
                async with rpc(self.address, timeout=_PATIENCE, connection_args=security) as scheduler:
                    answer = await getattr(scheduler, question)(**arguments)
            return answer.data if isinstance(answer, Serialize) else answer  # in a process nothing is pickled

        # A notebook's own thread has an event loop that is running already.
        with ThreadPoolExecutor(1) as thread:
            try:
                return thread.submit(asyncio.run, asked()).result()
            except (OSError, TimeoutError, ValueError, RuntimeError, AttributeError):
                return None
