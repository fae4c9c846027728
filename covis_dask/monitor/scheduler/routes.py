"""What the scheduler's web server serves of ours, and the link in Dask's menu."""

import asyncio
import json
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from distributed import Scheduler
from tornado import web
from tornado.ioloop import IOLoop

from covis_dask.errors import CovisError
from covis_dask.monitor.page.source import PageSource
from covis_dask.monitor.scheduler.metrics import metrics
from covis_dask.products.thumbnail import thumbnail

__all__ = ["add_routes"]

_SMALL = 540
_SERVED = {".png": "image/png", ".txt": "text/plain; charset=utf-8", ".html": "text/html; charset=utf-8"}


class _Handler(web.RequestHandler):
    def initialize(self, source: PageSource) -> None:
        self.source = source


class _Status(_Handler):
    """The numbers as JSON."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(self.source.state.to_document()))


class _Metrics(_Handler):
    """The numbers for Prometheus."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(metrics(self.source.state))


class _Store(_Handler):
    """Pictures, logs and reports of the product store, as the scheduler itself may read them."""

    async def get(self, path: str) -> None:
        pure = PurePosixPath(path)
        kind = _SERVED.get(pure.suffix)
        if kind is None or ".." in pure.parts or pure.is_absolute():
            raise web.HTTPError(404)
        small = self.get_query_argument("small", "") == "1"
        try:
            data = await asyncio.to_thread(self._read, path, small)
        except (CovisError, OSError) as error:
            raise web.HTTPError(503, reason="the product store does not answer") from error
        if data is None:
            raise web.HTTPError(404)
        self.set_header("Content-Type", "image/webp" if small and pure.suffix == ".png" else kind)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, max-age=60")
        await self.finish(data)

    def _read(self, path: str, small: bool) -> bytes | None:
        history = self.source.history
        if history is None:
            return None
        data = history.store().read_bytes(path)
        return _thumbnail(data) if data is not None and small and path.endswith(".png") else data


@lru_cache(maxsize=32)
def _thumbnail(picture: bytes) -> bytes:
    return thumbnail(picture, _SMALL)


def add_routes(scheduler: Scheduler, source: PageSource) -> None:
    """Add page, JSON, metrics and store to a scheduler's web server, and the page to its menu.

    Parameters
    ----------
    scheduler : Scheduler
        One without a dashboard gets all but the page.
    source : PageSource
    """
    given: dict[str, Any] = {"source": source}
    plain = web.Application([
        (r".*/covis/status\.json", _Status, given),
        (r".*/covis/metrics", _Metrics, given),
        (r".*/covis/store/(.+)", _Store, given),
    ])  # fmt: skip
    scheduler.http_application.add_application(plain)
    bokeh = next((app for app in scheduler.http_application.applications if hasattr(app, "app_paths")), None)
    if bokeh is None:
        return
    from distributed.dashboard.core import BokehApplication
    from distributed.dashboard.scheduler import template_variables

    from covis_dask.monitor.page.document import covis_page

    variables = template_variables(scheduler)
    if "covis" not in variables["pages"]:
        variables["pages"].insert(0, "covis")
    pages = BokehApplication(
        {"/covis": lambda server, extra, document: covis_page(source, extra, document)},  # noqa: ARG005
        scheduler,
        prefix=bokeh.prefix,
        template_variables=variables,
    )
    scheduler.http_application.add_application(pages)
    pages.initialize(IOLoop.current())
    pages.start()
