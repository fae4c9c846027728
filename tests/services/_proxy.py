"""A TCP proxy on loopback that is slow, breaks off, hangs or refuses, as told."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PIECE = 16 * 1024


class FaultProxy:
    """Stands before one server; its faults may be changed at any time.

    Parameters
    ----------
    target : str
        URL of the server.

    Attributes
    ----------
    rate : float or None
        Bytes per second that it lets through towards the client.
    cuts : int
        How many of the next answers it breaks off after `cut_after` bytes.
    hangs : bool
        Whether answers stay away.
    refuses : bool
        Whether connections are closed, those that are open at their next bytes.
    connections : int
        How many there have been.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._scheme = parts.scheme
        self.rate: float | None = None
        self.cuts = 0
        self.cut_after = 100_000
        self.hangs = False
        self.refuses = False
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        opened = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        )
        self._server = opened.result(10)
        self.url = f"{self._scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if not self.refuses:
                back, forth = await asyncio.open_connection(*self._target)
                up = asyncio.ensure_future(self._pump(reader, forth, answers=False))
                down = asyncio.ensure_future(self._pump(back, writer, answers=True))
                try:
                    await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    up.cancel()
                    down.cancel()
                    forth.transport.abort()
        writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := await source.read(_PIECE):
                while answers and self.hangs:
                    await asyncio.sleep(0.05)
                if answers and self.rate:
                    await asyncio.sleep(len(data) / self.rate)
                if self.refuses:
                    return
                passed += len(data)
                if answers and self.cuts > 0 and passed > self.cut_after:
                    self.cuts -= 1
                    return
                sink.write(data)
                await sink.drain()
