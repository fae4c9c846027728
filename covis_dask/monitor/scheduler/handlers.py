"""What all our pages have in common: headers that keep a browser from doing more than to show them."""

import base64
import hashlib
import secrets
from typing import Any, Final

from bokeh.server.views.doc_handler import DocHandler
from tornado import web

from covis_dask.monitor.page.source import PageSource

__all__ = ["Handler", "PageHandler"]

_EVERYWHERE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""What is no page runs and loads nothing, should a browser take it for one."""

_INLINE: Final = ("this.closest('figure').hidden = true", "myFunction()")
"""Handlers within the HTML: ours of a picture that is missing, and Dask's of its menu. No other runs."""


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _page_policy(nonce: str, host: str) -> str:
    """Return the policy of the page: scripts are Bokeh's own and the template's, whatever a text may hold.

    Bokeh makes functions of text (``unsafe-eval``) and writes styles, and its socket is on this server.
    """
    scripts = f"'self' 'nonce-{nonce}' 'unsafe-eval' 'unsafe-hashes' {' '.join(map(_hash, _INLINE))}"
    return "; ".join([
        "default-src 'none'",
        f"script-src {scripts}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        f"connect-src 'self' ws://{host} wss://{host}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "object-src 'none'",
    ])  # fmt: skip


class Handler(web.RequestHandler):
    """Answers with data: nothing that runs.

    Parameters
    ----------
    source : PageSource
    """

    def initialize(self, source: PageSource) -> None:
        """Take what the application was made with."""
        self.source = source

    def set_default_headers(self) -> None:
        """Set what every answer has, errors included."""
        for name, value in _EVERYWHERE.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", _DATA_POLICY)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what is wrong in a line of text; no traceback leaves the scheduler."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {self._reason}\n")


class PageHandler(DocHandler):  # type: ignore[misc]  # bokeh's types are skipped
    """Bokeh's page, with a policy that lets no script run but those that came with the page."""

    def prepare(self) -> None:
        """Draw the word that the page's own scripts carry."""
        self._nonce = secrets.token_urlsafe(16)
        for name, value in _EVERYWHERE.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", _page_policy(self._nonce, self.request.host))

    def write(self, chunk: Any) -> None:
        """Mark the scripts. Nothing a run said is in the page yet: that comes later, through the socket."""
        if isinstance(chunk, str):
            chunk = chunk.replace("<script", f'<script nonce="{self._nonce}"')
        super().write(chunk)
