"""Nobody gets in: other origins, other names, stored pages, odd paths, and steering without the token."""

import http.client
import json
import stat
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from catalog.redaction import redact
from catalog.store import open_catalog
from covis_dask.batches.clusters import open_client, page_link, steering_note
from covis_dask.batches.request import ClusterSpec
from covis_dask.config.defaults import DEFAULTS
from covis_dask.errors import ConfigurationError
from covis_dask.monitor.scheduler.guard import Guard
from covis_dask.monitor.scheduler.plugin import StatusPlugin
from covis_dask.monitor.scheduler.steering import STEERING_HEADER, Steering
from tests.unit._layout1 import BASENAME, unpack

_JSON = {"Content-Type": "application/json"}
_PNG = b"\x89PNG\r\n\x1a\n<script>alert(1)</script>"


@dataclass(frozen=True)
class _Server:
    """The web server of a scheduler, asked as a browser would."""

    port: int
    token: str

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = b"{}" if method == "POST" else None
        link.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = {"Host": host or f"127.0.0.1:{self.port}", **(headers or {})}
        for name, value in sent.items():
            link.putheader(name, value)
        if body is not None:
            link.putheader("Content-Length", str(len(body)))
        link.endheaders(body)
        answer = link.getresponse()
        found = answer.status, dict(answer.headers), answer.read()
        link.close()
        return found


def _steering_of(dask_scheduler: object) -> tuple[str, str]:
    plugin = dask_scheduler.plugins[StatusPlugin.name]  # type: ignore[attr-defined]
    return str(plugin.steering.token), str(plugin.steering.file)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with a page, a log, pictures, and links that lead out of it."""
    folder = tmp_path_factory.mktemp("place")
    with open_catalog(f"sqlite:///{folder}/catalog.sqlite") as catalog:
        catalog.count  # noqa: B018 (made by being opened)
    root = folder / "products"
    (root / "p").mkdir(parents=True)
    (root / "p" / "report.html").write_text("<script>alert(1)</script>")
    (root / "p" / "output.txt").write_text("<script>alert(1)</script>")
    (root / "p" / "x.png").write_bytes(_PNG)
    (folder / "secret.txt").write_text("not of the store")
    (root / "p" / "link.txt").symlink_to(folder / "secret.txt")
    (root / "out").symlink_to(folder)
    unpack(root)
    (root / "damaged").mkdir()
    (root / "damaged" / "metadata.json").write_text("{")
    return root


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[_Server]:
    """Give the web server of a scheduler with the page."""
    places = {
        "covis.catalog.url": f"sqlite:///{store.parent}/catalog.sqlite",
        "covis.products": {"url": str(store)},
        "covis.dashboard.hosts": ["covis.example.org", "gate.example.org:8443"],
    }
    with (
        dask.config.set(places),
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(StatusPlugin())
        token, _ = client.run_on_scheduler(_steering_of)
        port = urllib.parse.urlsplit(client.dashboard_link).port
        assert port is not None
        yield _Server(port, token)


@pytest.mark.parametrize("path", ["/covis", "/covis/status.json", "/covis/metrics", "/status", "/health"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.com"},
        {"Host": "evil.example.com:8787"},
        {"Host": "127.0.0.1.evil.example.com"},
        {"Host": "localhost.evil.example.com"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_pages_of_others_are_refused(server: _Server, path: str, headers: dict[str, str]) -> None:
    """A name that only points here (DNS rebinding) and a page of another origin get nothing at all."""
    further = {name: value for name, value in headers.items() if name != "Host"}
    code, answered, body = server.ask(path, headers=further, host=headers.get("Host"))
    assert code == 403
    assert body.startswith(b"refused: ")
    assert "Access-Control-Allow-Origin" not in answered


@pytest.mark.parametrize("origin", ["http://evil.example.com", "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["/covis/ws", "/status/ws"])
def test_a_socket_is_no_way_around(server: _Server, path: str, origin: str) -> None:
    """A page of another origin opens no socket either, neither ours nor Dask's."""
    upgrade = {
        "Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert server.ask(path, headers=upgrade)[0] == 403


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8787", None),
        ("localhost:9999", "http://localhost:9999"),
        ("127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("[::1]:8787", "http://[::1]:8787"),
        ("10.1.2.3:8787", None),
        ("covis.example.org", "https://covis.example.org"),
        ("127.0.0.1:8787", "https://COVIS.example.org:443"),
        ("gate.example.org:8443", None),
    ],
)
def test_whom_the_guard_knows(host: str, origin: str | None) -> None:
    """The machine, its addresses, tunnels to it and configured proxies may ask."""
    guard = Guard.of(["covis.example.org", "gate.example.org:8443"])
    headers = {} if origin is None else {"Origin": origin}
    assert guard.refusal(host, headers) is None
    assert guard.refusal(host, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}) is None


def test_a_proxy_with_a_port_is_that_port() -> None:
    """A proxy configured with its port is no other server of its machine; the sentence says what to do."""
    reason = Guard.of(["gate.example.org:8443"]).refusal("gate.example.org:80", {})
    assert reason is not None
    assert "covis.dashboard.hosts" in reason


def test_every_answer_of_ours_is_locked(server: _Server) -> None:
    """Data and errors run nothing; the page runs what came with it, each time by another word."""
    for path in (
        "/covis/status.json",
        "/covis/metrics",
        "/covis/store/p/output.txt",
        "/covis/store/none.png",
    ):
        _, headers, _ = server.ask(path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "sandbox" in headers["Content-Security-Policy"]
    words = set()
    for _ in range(2):
        code, headers, body = server.ask("/covis")
        assert code == 200
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
        )
        assert "'unsafe-inline'" not in policy["script-src"]
        assert policy["frame-ancestors"] == "'self'"
        nonce = policy["script-src"].partition("'nonce-")[2].partition("'")[0]
        words.add(nonce)
        assert body.count(b"<script") == body.count(f'<script nonce="{nonce}"'.encode()) > 2
    assert len(words) == 2


def test_stored_files_are_pictures_or_downloads(server: _Server) -> None:
    """A stored page never runs in our origin: it is a download, as a log is; a picture is only a picture."""
    for name in ("report.html", "output.txt"):
        code, headers, body = server.ask(f"/covis/store/p/{name}")
        assert (code, body) == (200, b"<script>alert(1)</script>")
        assert headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert "html" not in headers["Content-Type"]
    code, headers, _ = server.ask("/covis/store/p/x.png")
    assert (code, headers["Content-Type"]) == (200, "image/png")


def test_a_runs_picture_and_log_are_found_by_its_folder(server: _Server) -> None:
    """The manifest says where they are: the picture is shown, small if asked for, the log downloaded."""
    code, headers, body = server.ask(f"/covis/run/{BASENAME}/picture")
    assert (code, headers["Content-Type"], body[1:4]) == (200, "image/png", b"PNG")
    code, headers, body = server.ask(f"/covis/run/{BASENAME}/picture?small=1")
    assert (code, headers["Content-Type"], body[8:12]) == (200, "image/webp", b"WEBP")
    code, headers, body = server.ask(f"/covis/run/{BASENAME}/log")
    assert (code, b"engine native" in body) == (200, True)
    assert headers["Content-Disposition"] == f'attachment; filename="{BASENAME}.txt"'
    for run in ("nothing", "damaged", "p"):
        assert [server.ask(f"/covis/run/{run}/{part}")[0] for part in ("picture", "log")] == [404, 404]
    for run in ("p/%00", "../products/p", "p//x", "p%5cx", "p/%2e%2e", "a" * 300):
        assert server.ask(f"/covis/run/{run}/picture")[0] == 400


@pytest.mark.parametrize(
    "path", ["p/link.txt", "out/secret.txt", "out/products/p/output.txt", "p/none.png", "p.html"]
)
def test_links_out_of_the_store_are_not_followed(server: _Server, path: str) -> None:
    """A link in the store that leads elsewhere, and what is not there at all, is not found."""
    expected = 200 if path.startswith("out/products") else 404  # that one leads out and back in
    assert server.ask(f"/covis/store/{path}")[0] == expected


_ODD = [
    "p/%00.png", "p/a%0ab.png", "../catalog.png", "p/%2e%2e/x.png", "/etc/x.txt", "p//x.png", "p/./x.png", "",
    "p%5cx.png", "p/%ff.png", f"p/{'a' * 300}.png", f"p/{'%C3%BC' * 200}.png", f"{'a/' * 600}x.png",
]  # fmt: skip


@pytest.mark.parametrize("path", _ODD)
def test_odd_paths_are_refused(server: _Server, path: str) -> None:
    """NUL and other control characters, ways upwards, empty and endless names are bad requests."""
    assert server.ask(f"/covis/store/{path}")[0] == 400


@pytest.mark.parametrize("path", ["p/x.nc", "catalog.sqlite", "p/metadata.json", "p/x.svg", "p/x"])
def test_other_files_are_not_served(server: _Server, path: str) -> None:
    """Neither products nor catalogues nor pictures that can run are served."""
    assert server.ask(f"/covis/store/{path}")[0] == 404


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (_JSON, 403),
        ({**_JSON, STEERING_HEADER: "guess"}, 403),
        ({**_JSON, STEERING_HEADER: "TOKEN"}, 204),
        ({**_JSON, STEERING_HEADER: "TOKEN", "Origin": "http://evil.example.com"}, 403),
        (
            {**_JSON, STEERING_HEADER: "TOKEN", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
            403,
        ),
    ],
)
def test_steering_needs_the_token(server: _Server, headers: dict[str, str], code: int) -> None:
    """Who shows the token in its header, as JSON, from our own page or from no page, may steer."""
    sent = {name: server.token if value == "TOKEN" else value for name, value in headers.items()}
    found, _, body = server.ask("/covis/steering", "POST", sent)
    assert found == code
    assert server.token.encode() not in body
    assert server.ask("/covis/steering", "GET", {STEERING_HEADER: server.token})[0] == 405


def test_the_token_is_for_the_owner(server: _Server) -> None:
    """It lies in a private file, is no part of any page, and goes with its scheduler."""
    steering = Steering.begin("127.0.0.1")
    assert steering.file is not None
    assert steering.token is not None
    assert stat.S_IMODE(steering.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(steering.file.parent.stat().st_mode) == 0o700
    assert steering.file.read_text().strip() == steering.token
    assert steering.token not in repr(steering) + redact(f"a log with {steering.token}")
    steering.end()
    assert not steering.file.parent.exists()
    assert not steering.accepts("")
    for path in ("/covis", "/covis/status.json", "/covis/metrics", "/info/main/workers.html"):
        assert server.token.encode() not in server.ask(path)[2]


@pytest.mark.parametrize(
    ("address", "wanted", "reference", "is_on"),
    [
        ("127.0.0.1", "auto", None, True),
        ("::1", "auto", None, True),
        ("0.0.0.0", "auto", None, False),
        ("10.1.2.3", "auto", None, False),
        ("0.0.0.0", "auto", "${COVIS_STEERING_TOKEN}", True),
        ("0.0.0.0", "on", None, True),
        ("127.0.0.1", "off", "${COVIS_STEERING_TOKEN}", False),
        ("127.0.0.1", False, None, False),
    ],
)
def test_where_steering_is_on(
    monkeypatch: pytest.MonkeyPatch, address: str, wanted: bool | str, reference: str | None, is_on: bool
) -> None:
    """By itself it is on where only this machine can ask; elsewhere somebody must say so, or give a token."""
    monkeypatch.setenv("COVIS_STEERING_TOKEN", "sea-urchin-2718")
    steering = Steering.begin(address, wanted, reference)
    assert (steering.token is not None) is is_on
    assert steering.accepts("sea-urchin-2718") is (is_on and reference is not None)
    steering.end()
    with pytest.raises(ConfigurationError, match="auto, on or off"):
        Steering.begin(address, "perhaps")


def _where(dask_scheduler: object) -> list[str]:
    server = dask_scheduler.http_server  # type: ignore[attr-defined]
    sockets = [socket.getsockname()[0] for socket in server._sockets.values()]
    return [*sockets, str(dask_scheduler.address)]  # type: ignore[attr-defined]


def test_a_cluster_of_a_batch_listens_on_loopback_and_says_where() -> None:
    """Scheduler and dashboard of a local cluster are this machine's alone; the page's address is printed."""
    with (
        dask.config.set({"covis.dashboard.address": DEFAULTS["dashboard"]["address"].replace("8787", "0")}),
        open_client(ClusterSpec(workers=1)) as client,
    ):
        *dashboard, scheduler = client.run_on_scheduler(_where)
        assert dashboard == ["127.0.0.1"]
        assert scheduler.startswith("tcp://127.0.0.1:")
        client.register_plugin(StatusPlugin())
        note = steering_note(client)
        assert Path(note.removeprefix("; steering token in ")).read_text()
        link = page_link(client)
        assert link.startswith("http://127.0.0.1:")
        assert link.endswith("/covis")
        port = urllib.parse.urlsplit(link).port
        assert port is not None
        assert json.loads(_Server(port, "").ask("/covis/status.json")[2])["workers"]
        with dask.config.set({"distributed.dashboard.link": "https://proxy/{port}/status"}):
            assert page_link(client) == f"https://proxy/{port}/covis"
