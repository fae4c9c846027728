"""Ranges of S3 objects over connections of our own: right bytes, or a word that s3fs has to be asked."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import s3fs

from covis_dask.raw._direct import direct_way

DATA = bytes(range(256)) * 4000


class _Server(ThreadingHTTPServer):
    """Serves ranges of `DATA`; counts connections and requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.connections = 0
        self.requests = 0
        self.status = 206
        self.cut = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self.server.requests += 1
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        part = DATA[first : last + 1]
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part[: len(part) // 2] if self.server.cut else part)
        self.close_connection = self.server.cut

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    """Give a running server."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@dataclass
class _Signs:
    """As much of an S3 file system as is asked here."""

    port: int
    protocol: tuple[str, ...] = ("s3", "s3a")
    anon: bool = False
    client_kwargs: dict[str, Any] = field(default_factory=dict)
    config_kwargs: dict[str, Any] = field(default_factory=lambda: {"read_timeout": 5})
    s3_additional_kwargs: dict[str, Any] = field(default_factory=dict)
    req_kw: dict[str, Any] = field(default_factory=dict)

    def sign(self, path: str, expiration: int) -> str:
        return f"http://127.0.0.1:{self.port}/{path}?signed-for={expiration}"


def _view(size: int) -> memoryview:
    return memoryview(bytearray(size))


def test_ranges_fill_the_buffer(server: _Server) -> None:
    """Each range has its bytes, and one connection serves them all."""
    way = direct_way(_Signs(server.server_port), "raw/a.tar")
    assert way is not None
    for start, size in ((0, 100_000), (700_001, 300_000), (len(DATA) - 7, 7)):
        view = _view(size)
        assert way.fill(start, view)
        assert view == DATA[start : start + size]
    way.close()
    assert server.connections == 1


@pytest.mark.parametrize("status", [200, 301, 403, 404, 503])
def test_refusals_are_left_to_s3fs(server: _Server, status: int) -> None:
    """Any answer but the range is a no, and nothing more is asked this way."""
    server.status = status
    way = direct_way(_Signs(server.server_port), "raw/a.tar")
    assert way is not None
    assert not way.fill(0, _view(1000))
    assert not way.fill(0, _view(1000))
    way.close()
    assert server.requests == 1


def test_line_that_breaks_may_hold_the_next_time(server: _Server) -> None:
    """An answer that breaks off is a no for that range; the next range is tried again."""
    way = direct_way(_Signs(server.server_port), "raw/a.tar")
    assert way is not None
    server.cut = True
    assert not way.fill(0, _view(1000))
    server.cut = False
    view = _view(1000)
    assert way.fill(5, view)
    assert view == DATA[5:1005]
    way.close()


@pytest.mark.parametrize(
    "told",
    [
        {"protocol": ("gcs",)},
        {"protocol": "memory"},
        {"anon": True},
        {"client_kwargs": {"verify": False}},
        {"config_kwargs": {"proxies": {"http": "http://proxy"}}},
        {"s3_additional_kwargs": {"SSECustomerKey": "x"}},
        {"req_kw": {"RequestPayer": "requester"}},
    ],
)
def test_what_a_signature_cannot_say_goes_through_s3fs(told: dict[str, Any]) -> None:
    """Other stores, and S3 with settings of its own for connections or requests, have no direct way."""
    assert direct_way(_Signs(1, **told), "raw/a.tar") is None


def test_s3fs_has_what_is_asked_of_it() -> None:
    """The real file system knows the attributes that decide, and signs without asking its server."""
    fs = s3fs.S3FileSystem(
        key="key", secret="secret", endpoint_url="http://127.0.0.1:1", use_listings_cache=False
    )
    way = direct_way(fs, "raw/a.tar")
    assert way is not None
    assert way._signed().netloc == "127.0.0.1:1"
    assert "secret" not in way._signed().query
