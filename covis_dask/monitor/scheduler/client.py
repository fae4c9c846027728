"""Ask a scheduler for what its COVIS plugin knows, without becoming one of its clients."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distributed.core import rpc
from distributed.protocol.serialize import Serialize
from distributed.security import Security

__all__ = ["ask_scheduler"]

_PATIENCE = 5.0


def ask_scheduler(address: str, question: str, **arguments: Any) -> Any | None:
    """Ask, and wait for the answer for some seconds.

    Parameters
    ----------
    address : str
        Such as ``tcp://host:8786``.
    question : str
        ``covis_status`` (all numbers as JSON values) or ``covis_snapshot`` (one ``batch`` as a status).

    Returns
    -------
    object, or None
        None when nobody answers there, or nobody who understands the question.
    """

    async def asked() -> Any:
        security = Security().get_connection_args("client")
        async with asyncio.timeout(_PATIENCE):
            async with rpc(address, timeout=_PATIENCE, connection_args=security) as scheduler:
                answer = await getattr(scheduler, question)(**arguments)
        return answer.data if isinstance(answer, Serialize) else answer  # within a process nothing is pickled

    # A notebook's own thread has an event loop that is running already.
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(asyncio.run, asked()).result()
        except (OSError, TimeoutError, ValueError, RuntimeError, AttributeError):
            return None
