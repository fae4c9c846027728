"""Steering batches from the page: a token that only the scheduler's owner can read.

To look is free for everybody who can reach the page; to change something needs the token. It is drawn when
the scheduler starts, and lies in a file that its owner alone may read. Where other machines can reach the
page, steering is off unless the configuration says otherwise (``covis.dashboard``).
"""

import hmac
import ipaddress
import json
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado import web

from catalog.redaction import register
from covis_dask.config import expand
from covis_dask.errors import ConfigurationError
from covis_dask.monitor.page.source import PageSource
from covis_dask.monitor.scheduler.handlers import Handler

__all__ = ["STEERING_HEADER", "CheckToken", "SteeredHandler", "Steering"]

STEERING_HEADER = "X-Covis-Token"
"""Header of a request that changes something. No form and no foreign page can set it."""


@dataclass(slots=True)
class Steering:
    """Whether batches can be steered from the page, and by which token.

    Parameters
    ----------
    token : str, optional
        None when steering is off.
    folder : Path, optional
        A private one that holds the token's file; None for a token of the configuration.
    """

    token: str | None = field(default=None, repr=False)
    folder: Path | None = None

    @classmethod
    def begin(cls, address: str, wanted: bool | str = "auto", reference: str | None = None) -> "Steering":
        """Draw a token, where that is wanted.

        Parameters
        ----------
        address : str
            Where the web server listens.
        wanted : bool or "auto"
            ``auto`` is on where only this machine can ask, and where a token is configured.
        reference : str, optional
            Reference to a token (``${NAME}``) for everybody who may steer.

        Raises
        ------
        ConfigurationError
            When the token's variable is not set, or the word is none of these.
        """
        words = {"auto": "auto", "on": True, "true": True, "off": False, "false": False}
        choice = words.get(str(wanted).lower())
        if choice is None:
            raise ConfigurationError(f"covis.dashboard.steering: write auto, on or off, not {wanted!r}")
        if choice is False or (choice == "auto" and reference is None and not _is_loopback(address)):
            return cls()
        if reference is not None:
            return cls(expand(reference))
        token = secrets.token_urlsafe(32)
        register(token)
        folder = Path(tempfile.mkdtemp(prefix="covis-steering-"))  # its owner's alone
        file = folder / "token"
        file.touch(mode=0o600)
        file.write_text(token + "\n", encoding="utf-8")
        return cls(token, folder)

    @property
    def file(self) -> Path | None:
        """Where the owner finds the token."""
        return None if self.folder is None else self.folder / "token"

    def accepts(self, token: str) -> bool:
        """Tell whether a token is the right one, in a time that says nothing about it."""
        return self.token is not None and hmac.compare_digest(self.token.encode(), token.encode())

    def end(self) -> None:
        """Forget the token, and remove its file."""
        self.token = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class SteeredHandler(Handler):
    """Base of every request that changes something: a POST of JSON that shows the token.

    A subclass has a `post` that may read `body`; it is reached by the owner only.
    """

    SUPPORTED_METHODS = ("POST",)

    def initialize(self, source: PageSource, steering: Steering | None = None) -> None:
        """Take what the application was made with."""
        super().initialize(source)
        self._steering = steering or Steering()
        self.body: dict[str, Any] = {}

    def prepare(self) -> None:
        """Refuse whoever does not show the token."""
        if self._steering.token is None:
            raise web.HTTPError(403, reason="steering is off here; see covis.dashboard.steering")
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise web.HTTPError(415, reason="send JSON")
        if not self._steering.accepts(self.request.headers.get(STEERING_HEADER, "")):
            raise web.HTTPError(403, reason="the steering token is missing or wrong")
        try:
            self.body = json.loads(self.request.body or b"{}")
        except ValueError:
            raise web.HTTPError(400, reason="the body is no JSON") from None
        if not isinstance(self.body, dict):
            raise web.HTTPError(400, reason="the body must be an object")


class CheckToken(SteeredHandler):
    """Tells who asks that the token is right, and changes nothing."""

    def post(self) -> None:
        """Answer 204."""
        self.set_status(204)
