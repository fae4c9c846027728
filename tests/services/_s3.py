"""A real S3 server (SeaweedFS) on loopback, with a writer and a reader."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import s3fs

_WEED = Path(sys.executable).with_name("weed")
_PORTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class S3Server:
    """Where the server listens, and who may do what."""

    endpoint: str
    writer: tuple[str, str] = ("writer", "writer-secret-0001")
    reader: tuple[str, str] = ("reader", "reader-secret-0001")

    def filesystem(self) -> s3fs.S3FileSystem:
        """Open a file system for the writer."""
        key, secret = self.writer
        return s3fs.S3FileSystem(
            key=key,
            secret=secret,
            endpoint_url=self.endpoint,
            use_listings_cache=False,
            skip_instance_cache=True,
        )


def _free_ports(count: int) -> list[int]:
    """Find ports whose port + 10000, the server's gRPC port, is free too."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe, socket.socket() as grpc:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port > 50_000 or port in found:
                continue
            try:
                grpc.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            found.append(port)
    return found


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start the server, wait until it takes a PUT, and stop it by its process id."""
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    server = S3Server(f"http://127.0.0.1:{ports['s3']}")
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": actions,
        }
        for name, (key, secret), actions in (
            ("writer", server.writer, ["Admin", "Read", "Write", "List", "Tagging"]),
            ("reader", server.reader, ["Read", "List"]),
        )
    ]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    command = [
        str(_WEED), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        "-s3.port.iceberg=0", "-admin.ui=false", "-webdav=false", "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
    ]  # fmt: skip
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env={**os.environ, "GOMEMLIMIT": "400MiB"}
        )
    try:
        _wait(server, process, folder / "weed.log")
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: S3Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            fs = server.filesystem()
            if not fs.exists("ready"):
                fs.mkdir("ready")
            fs.pipe_file("ready/probe", b"x")
        except Exception:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.3)
        else:
            return
