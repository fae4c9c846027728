"""What the page shows of the product store, as the scheduler itself may read it: pictures, or downloads."""

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from tornado import web

from covis_dask.batches.history import History
from covis_dask.errors import CovisError, RunError
from covis_dask.monitor.scheduler.handlers import Handler
from covis_dask.products.stored import ProductMissing
from covis_dask.products.thumbnail import thumbnail

__all__ = ["OfRun", "Stored"]

_SMALL: Final = 540
_SERVED: Final = {
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".html": "application/octet-stream",
}
_LONGEST: Final = 1024
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\\/]+")


class _Answering(Handler):
    """A picture is shown; all else is a download, for a stored page would run in the origin of ours."""

    async def answer(self, name: str, kind: str, read: Callable[[History], bytes | None]) -> None:
        """Answer with what is read of the store; 404 when that is nothing."""
        history = self.source.history
        try:
            data = None if history is None else await asyncio.to_thread(read, history)
        except (ProductMissing, RunError) as error:
            raise web.HTTPError(404, reason="the run has no such file") from error
        except (CovisError, OSError) as error:
            raise web.HTTPError(503, reason="the product store does not answer") from error
        if data is None:
            raise web.HTTPError(404, reason="the store has no such file")
        self.set_header("Content-Type", kind)
        if not kind.startswith("image/"):
            name = re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII)
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("Cache-Control", "private, max-age=60")
        await self.finish(data)

    @property
    def small(self) -> bool:
        """Whether a small copy of a picture is asked for."""
        return self.get_query_argument("small", "") == "1"


class OfRun(_Answering):
    """Picture and log of a run, by its folder: its manifest says where they are."""

    async def get(self, run: str, part: str) -> None:
        """Answer with the run's current picture, or the log of its latest attempt."""
        if not _is_plain(run):
            raise web.HTTPError(400, reason="no such name can be in the store")
        basename = PurePosixPath(run).name
        if part == "log":
            kind = _SERVED[".txt"]
            await self.answer(f"{basename}.txt", kind, lambda history: history.log(basename, run).encode())
        elif self.small:
            await self.answer("", "image/webp", lambda history: _thumbnail(history.picture(basename, run)))
        else:
            await self.answer("", "image/png", lambda history: history.picture(basename, run))


class Stored(_Answering):
    """Pictures, logs and reports, by their paths below the store."""

    async def get(self, path: str) -> None:
        """Answer with the file."""
        if not _is_plain(path):
            raise web.HTTPError(400, reason="no such name can be in the store")
        pure = PurePosixPath(path)
        kind = _SERVED.get(pure.suffix)
        if kind is None:
            raise web.HTTPError(404, reason="pictures, logs and reports are served, nothing else")
        if pure.suffix == ".png" and self.small:
            await self.answer("", "image/webp", lambda history: _small(history, path))
        else:
            await self.answer(pure.name, kind, lambda history: history.store().read_bytes(path))


def _small(history: History, path: str) -> bytes | None:
    data = history.store().read_bytes(path)
    return None if data is None else _thumbnail(data)


def _is_plain(path: str) -> bool:
    """Tell that a path has ordinary names only: none is empty, leads upwards, or holds odd characters."""
    names = path.split("/")
    return len(path.encode()) <= _LONGEST and all(
        _NAME.fullmatch(name) and name not in (".", "..") and len(name.encode()) <= 255 for name in names
    )


@lru_cache(maxsize=32)
def _thumbnail(picture: bytes) -> bytes:
    return thumbnail(picture, _SMALL)
