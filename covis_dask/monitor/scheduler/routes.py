"""What the scheduler's web server serves of ours, and the link in Dask's menu."""

import json
from typing import Any

from bokeh.server.views.doc_handler import DocHandler
from distributed import Scheduler
from tornado import web
from tornado.ioloop import IOLoop

from covis_dask.monitor.page.source import PageSource
from covis_dask.monitor.scheduler.handlers import Handler, PageHandler
from covis_dask.monitor.scheduler.metrics import metrics
from covis_dask.monitor.scheduler.steering import CheckToken, Steering
from covis_dask.monitor.scheduler.stored import OfRun, Stored

__all__ = ["add_routes"]


class _Status(Handler):
    """The numbers as JSON."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(self.source.state.to_document()))


class _Metrics(Handler):
    """The numbers for Prometheus."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(metrics(self.source.state))


def add_routes(scheduler: Scheduler, source: PageSource, steering: Steering) -> None:
    """Add page, JSON, metrics and store to a scheduler's web server, and the page to its menu.

    Parameters
    ----------
    scheduler : Scheduler
        One without a dashboard gets all but the page.
    source : PageSource
    steering : Steering
        What requests that change something must show.
    """
    given: dict[str, Any] = {"source": source}
    steered = {**given, "steering": steering}
    plain = web.Application([
        (r".*/covis/status\.json", _Status, given),
        (r".*/covis/metrics", _Metrics, given),
        (r".*/covis/store/(.*)", Stored, given),
        (r".*/covis/run/(.*)/(log|picture)", OfRun, given),
        (r".*/covis/steering", CheckToken, steered),
    ])  # fmt: skip
    scheduler.http_application.add_application(plain)
    bokeh = next((app for app in scheduler.http_application.applications if hasattr(app, "app_paths")), None)
    if bokeh is not None:
        _add_page(scheduler, source, bokeh.prefix)


def _add_page(scheduler: Scheduler, source: PageSource, prefix: str) -> None:
    from distributed.dashboard.core import BokehApplication
    from distributed.dashboard.scheduler import template_variables

    from covis_dask.monitor.page.document import covis_page

    variables = template_variables(scheduler)
    if "covis" not in variables["pages"]:
        variables["pages"].insert(0, "covis")
    pages = BokehApplication(
        {"/covis": lambda server, extra, document: covis_page(source, extra, document)},  # noqa: ARG005
        scheduler,
        prefix=prefix,
        template_variables=variables,
    )
    for rule in pages.wildcard_router.rules:
        if rule.target is DocHandler:
            rule.target = PageHandler
    scheduler.http_application.add_application(pages)
    pages.initialize(IOLoop.current())
    pages.start()
