"""A web server that behaves like the archive-file service of Ocean Networks Canada."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "0ncT0ken-c0ffee00"


@dataclass
class OncService:
    """The running service.

    Parameters
    ----------
    files : mapping
        Contents by name.
    ranges : bool
        Whether it honours the ``Range`` header.
    sizes : bool
        Whether it says how long a file is.
    breaks : int
        How many of the next downloads it breaks off half-way.
    down : bool
        Whether it answers HTTP 503.
    """

    files: Mapping[str, bytes]
    ranges: bool = True
    sizes: bool = True
    breaks: int = 0
    down: bool = False
    url: str = ""
    requests: list[str] = field(default_factory=list)


@contextmanager
def onc_service(files: Mapping[str, bytes]) -> Iterator[OncService]:
    """Serve on loopback."""
    service = OncService(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            service.requests.append(f"{query.get('filename')} {self.headers.get('Range') or ''}".strip())
            if service.down:
                self._refuse(503, "Service Unavailable")
            elif url.path != "/api/archivefile/download":
                self._refuse(404, "Not Found")
            elif query.get("token") != TOKEN:
                self._refuse(400, "Invalid token")
            elif query.get("filename") not in files:
                self._refuse(400, "Invalid parameter value: filename")
            else:
                self._send(files[query["filename"]])

        def _refuse(self, code: int, message: str) -> None:
            body = json.dumps({"errors": [{"errorCode": 127, "errorMessage": message}]}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send(self, data: bytes) -> None:
            asked = self.headers.get("Range")
            if asked and service.ranges:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                stop = min(int(last) + 1 if last else len(data), len(data))
                part = data[int(first) : stop]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{len(data)}")
            else:
                part = data
                self.send_response(200)
            if service.sizes:
                self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if service.breaks and len(part) > 1:
                service.breaks -= 1
                part = part[: len(part) // 2]
            self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients may hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
