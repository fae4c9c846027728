"""A small S3 server that holds a few objects and otherwise answers what it is told to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

from covis_dask.config import Location

QUICK = {"connect_timeout": 3, "read_timeout": 5, "retries": {"max_attempts": 1}}

CODES: dict[str, tuple[int, str, str]] = {
    "expired-token": (400, "ExpiredToken", "The provided token has expired."),
    "skewed": (
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    ),
    "bad-signature": (
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided.",
    ),
    "bad-key": (
        403,
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    "denied": (403, "AccessDenied", "Access Denied."),
    "region": (
        400,
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
    ),
    "quota": (403, "QuotaExceeded", "Bucket quota exceeded"),
    "full": (507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold."),
    "archived": (403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
    "busy": (503, "SlowDown", "Please reduce your request rate."),
    "internal": (500, "InternalError", "We encountered an internal error. Please try again."),
    "no-bucket": (404, "NoSuchBucket", "The specified bucket does not exist"),
}
"""Bucket, and what is said of everything in it: HTTP status, code and message."""

AWAY = ("busy", "internal")
REFUSING = sorted(CODES.keys() - {*AWAY, "no-bucket"})
ENTIRELY = ("bad-key", "bad-signature", "expired-token", "region", "skewed")
"""Refusals that hold for whatever is asked."""
PAGE = b"<!doctype html>\n<html><body>Please sign in to the wireless network</body></html>"
"""What a captive portal sends for everything, with HTTP 200, where the bucket is called ``page``."""


def saying(status: int, code: str = "") -> str:
    """Name a bucket of which everything is refused with one status and code."""
    return f"say-{status}-{code}"


def path_of(target: str) -> str:
    """Return what a request asks for, without its query."""
    return unquote(target.partition("?")[0])


@dataclass
class Answers:
    """The server, as a test sees it.

    Parameters
    ----------
    url : str
    objects : dict
        Bytes by ``/bucket/key``; whatever else is asked for gets the bucket's error, or AccessDenied.
        Those in ``archived`` are known, and cannot be read.
    asked : list of str
        Method and path of every request.
    scripted : dict
        Status, content type and body by path; these come before all else.
    """

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    scripted: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)

    def location(self, bucket: str) -> Location:
        """Describe a bucket as a user's configuration would."""
        return Location(f"s3://{bucket}", endpoint=self.url, key="k", secret="s")


@contextmanager
def answering(objects: Mapping[str, bytes] | None = None) -> Iterator[Answers]:
    """Run the server while the block lasts."""
    answers = Answers(objects=dict(objects or {}))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = path_of(self.path)
            answers.asked.append(f"{self.command} {path}")
            if path in answers.scripted:
                status, kind, body = answers.scripted[path]
                self.send(status, body, kind=kind)
                return
            if path.startswith("/page"):
                self.send(200, PAGE, kind="text/html; charset=utf-8")
                return
            cold = path.startswith("/archived/") and self.command == "GET"
            data = None if cold else answers.objects.get(path)
            if data is None:
                bucket = path.split("/")[1]
                status, code, message = CODES.get(bucket, CODES["denied"])
                if bucket.startswith("say-"):
                    number, code = bucket.removeprefix("say-").split("-")
                    status, message = int(number), f"the words of {number}"
                self.send(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())
            elif asked := self.headers.get("Range"):
                first, _, last = asked.removeprefix("bytes=").partition("-")
                part = data[int(first) : int(last or len(data) - 1) + 1]
                self.send(206, part, f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
            else:
                self.send(200, data)

        def send(
            self, status: int, body: bytes, span: str | None = None, kind: str = "application/xml"
        ) -> None:
            self.send_response(status)
            if status < 200 or status in (204, 304):  # which have no body
                self.end_headers()
                return
            if path_of(self.path).startswith("/say-301-PermanentRedirect"):
                self.send_header("x-amz-bucket-region", "eu-central-1")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if span:
                self.send_header("Content-Range", span)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 (the base class's names)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answers.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
