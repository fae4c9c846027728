"""Who may ask the scheduler's web server: no page of another origin, and no name that only points here.

A browser sends along from which page a request comes (``Origin``, ``Sec-Fetch-Site``) and by which name it
knows the server (``Host``). A hostile page can make the browser ask us, and can have its own name point to
this machine (DNS rebinding); it cannot change what the browser says of both. This holds for Dask's pages too.
"""

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from distributed import Scheduler
from tornado import web
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule

__all__ = ["Guard", "guard_server"]


@dataclass(frozen=True, slots=True)
class Guard:
    """Tells requests that may be answered from those that may not.

    Parameters
    ----------
    proxies : frozenset of str
        Names, with a port where only that port is meant, by which a proxy serves this server.
    """

    proxies: frozenset[str]

    @classmethod
    def of(cls, hosts: Iterable[str]) -> "Guard":
        """Make it of what the configuration says (``covis.dashboard.hosts``)."""
        return cls(frozenset(str(host).lower() for host in hosts))

    def refusal(self, host: str, headers: Mapping[str, str], method: str = "GET") -> str | None:
        """Return why a request is not answered, or None.

        Parameters
        ----------
        host : str
            By which name it asks.
        headers : mapping
        method : str
        """
        host = host.lower()
        if not self._is_ours(host):
            return f"this is not {host}; if a proxy serves it by that name, add it to covis.dashboard.hosts"
        origin = headers.get("Origin")
        if origin is not None and not self._may_come_from(origin.lower(), host):
            return "pages of another origin may not ask this server"
        is_visit = headers.get("Sec-Fetch-Mode") == "navigate" and method in ("GET", "HEAD")
        if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not is_visit:
            return "pages of another origin may not use what this server holds"
        return None

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        return (
            name in ("localhost", socket.gethostname().lower())
            or name.endswith(".localhost")
            or _is_address(name)
            or self._is_proxy(host)
        )

    def _may_come_from(self, origin: str, host: str) -> bool:
        try:
            place = urlsplit(origin).netloc
        except ValueError:
            return False
        return bool(place) and (place == host or self._is_proxy(place))

    def _is_proxy(self, host: str) -> bool:
        return bool(self.proxies & {host, _name(host)})


def _name(host: str) -> str:
    """Return a host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    """Tell an address, which nobody else's name can stand for, from a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _Strange(Matcher):
    """Matches what may not be answered."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        reason = self._guard.refusal(request.host, request.headers, request.method or "")
        return None if reason is None else {"target_kwargs": {"reason": reason}}


class _Refused(web.RequestHandler):
    """Says no, to any method."""

    def initialize(self, reason: str) -> None:
        self._why = reason

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(f"refused: {self._why}\n")


def guard_server(scheduler: Scheduler, guard: Guard) -> None:
    """Let a scheduler's web server ask the guard before anything else."""
    rules = scheduler.http_application.default_router.rules
    rules[:] = [rule for rule in rules if not isinstance(rule.matcher, _Strange)]
    rules.insert(0, Rule(_Strange(guard), _Refused))
