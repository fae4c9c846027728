"""Files of the product store for the page, as the scheduler itself may read them: pictures, or downloads."""

import asyncio
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from fsspec.implementations.local import LocalFileSystem
from tornado import web

from covis_dask.errors import CovisError
from covis_dask.monitor.scheduler.handlers import Handler
from covis_dask.products.thumbnail import thumbnail
from covis_dask.storage import ProductStore

__all__ = ["Stored"]

_SMALL: Final = 540
_SERVED: Final = {
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".html": "application/octet-stream",
}
_LONGEST: Final = 1024
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\\/]+")


class Stored(Handler):
    """Pictures, logs and reports of the product store.

    A picture is shown; everything else is a download, for a stored page would run in the origin of ours.
    """

    async def get(self, path: str) -> None:
        """Answer with the file."""
        if not _is_plain(path):
            raise web.HTTPError(400, reason="no such name can be in the store")
        pure = PurePosixPath(path)
        kind = _SERVED.get(pure.suffix)
        if kind is None:
            raise web.HTTPError(404, reason="pictures, logs and reports are served, nothing else")
        is_picture = pure.suffix == ".png"
        small = is_picture and self.get_query_argument("small", "") == "1"
        try:
            data = await asyncio.to_thread(self._read, path, small)
        except (CovisError, OSError) as error:
            raise web.HTTPError(503, reason="the product store does not answer") from error
        if data is None:
            raise web.HTTPError(404, reason="the store has no such file")
        self.set_header("Content-Type", "image/webp" if small else kind)
        if not is_picture:
            name = re.sub(r"[^\w.+-]", "_", pure.name, flags=re.ASCII)
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("Cache-Control", "private, max-age=60")
        await self.finish(data)

    def _read(self, path: str, small: bool) -> bytes | None:
        history = self.source.history
        if history is None:
            return None
        store = history.store()
        if not _is_inside(store, path):
            return None
        data = store.read_bytes(path)
        return _thumbnail(data) if data is not None and small else data


def _is_plain(path: str) -> bool:
    """Tell that a path has ordinary names only: none is empty, leads upwards, or holds odd characters."""
    names = path.split("/")
    return len(path.encode()) <= _LONGEST and all(
        _NAME.fullmatch(name) and name not in (".", "..") and len(name.encode()) <= 255 for name in names
    )


def _is_inside(store: ProductStore, path: str) -> bool:
    """Tell that a file of a store in a folder is one, and lies there: no link out of it is followed."""
    if not isinstance(store.fs, LocalFileSystem):
        return True
    file = Path(store.full(path)).resolve()
    return file.is_relative_to(Path(store.root).resolve()) and file.is_file()


@lru_cache(maxsize=32)
def _thumbnail(picture: bytes) -> bytes:
    return thumbnail(picture, _SMALL)
