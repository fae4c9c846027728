"""The servers that covis-dask works with, each as one process on loopback."""

import json
import sys
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import s3fs
from pymongo import MongoClient

from cluster import programs
from cluster.processes import Process, ServerFailed, free_ports

__all__ = ["Account", "MongoServer", "S3Server", "dask_scheduler", "dask_worker", "mongo_server", "s3_server"]

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Account:
    """Key and secret of one who may use an S3 server."""

    key: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 server with one account that may do everything.

    Parameters
    ----------
    process : Process
    endpoint : str
        ``http://127.0.0.1:PORT``.
    kind : str
        ``MinIO`` or ``SeaweedFS``.
    key, secret : str
        The account.
    """

    process: Process
    endpoint: str
    kind: str
    key: str
    secret: str = field(repr=False)

    def filesystem(self) -> s3fs.S3FileSystem:
        """Open a file system for the account."""
        return s3fs.S3FileSystem(
            key=self.key,
            secret=self.secret,
            endpoint_url=self.endpoint,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def make_buckets(self, *names: str) -> None:
        """Make the buckets that are not there."""
        fs = self.filesystem()
        for name in names:
            if not fs.exists(name):
                fs.mkdir(name)


def s3_server(
    name: str,
    folder: Path,
    account: Account,
    *,
    port: int | None = None,
    kind: str | None = None,
    reader: Account | None = None,
) -> S3Server:
    """Describe an S3 server: real MinIO where there is one, else SeaweedFS.

    Parameters
    ----------
    name : str
        Of the process and its log.
    folder : Path
        Data, configuration and log; a server started there again finds its data.
    account : Account
        One that may do everything.
    port : int, optional
        A free one when not given.
    kind : {"MinIO", "SeaweedFS"}, optional
        Insist on one of the two.
    reader : Account, optional
        A further account that may only read; MinIO has none but temporary ones (STS).

    Raises
    ------
    ServerFailed
        When there is no such program.
    """
    minio, weed = programs.minio(), programs.weed()
    if kind != "SeaweedFS" and minio:
        return _minio(minio, name, folder, account, port or free_ports()[0])
    if kind != "MinIO" and weed:
        return _weed(weed, name, folder, account, port, reader)
    raise ServerFailed(f"no {kind or 'S3 server'} is here; `make services` obtains one")


def _minio(program: str, name: str, folder: Path, account: Account, port: int) -> S3Server:
    endpoint = f"http://{HOST}:{port}"
    process = Process(
        name,
        # The console needs a port of its own, and the last releases have little in it.
        [program, "server", str(folder / name), "--address", f"{HOST}:{port}", "--quiet"],
        folder,
        lambda: _answers(f"{endpoint}/minio/health/ready"),
        {
            "MINIO_ROOT_USER": account.key,
            "MINIO_ROOT_PASSWORD": account.secret,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "GOMEMLIMIT": "400MiB",
        },
    )
    return S3Server(process, endpoint, "MinIO", account.key, account.secret)


def _weed(
    program: str,
    name: str,
    folder: Path,
    account: Account,
    port: int | None,
    reader: Account | None,
) -> S3Server:
    free = free_ports(5, with_grpc=True)
    ports = dict(zip(("master", "volume", "filer", "admin", "s3"), (*free[:4], port or free[4]), strict=True))
    data = folder / name
    data.mkdir(parents=True, exist_ok=True)
    config = folder / f"{name}.json"
    identities = [_identity("covis", account, ["Admin", "Read", "Write", "List", "Tagging"])]
    if reader is not None:
        identities.append(_identity("reader", reader, ["Read", "List"]))
    config.touch(mode=0o600)
    config.write_text(json.dumps({"identities": identities}), encoding="utf-8")
    command = [
        program, "mini", f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}", f"-s3.config={config}",
        *(f"-{which}.port={number}" for which, number in ports.items()),
        # What it serves beside S3 has fixed ports, which a second server would find taken.
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false", "-webdav=false",
        "-s3.allowDeleteBucketNotEmpty=false", "-s3.autoCreateBucket=false", "-master.telemetry=false",
    ]  # fmt: skip

    def ready() -> bool:
        # It answers long before it can store anything.
        fs = server.filesystem()
        if not fs.exists("ready"):
            fs.mkdir("ready")
        fs.pipe_file("ready/probe", b"x")
        fs.rm_file("ready/probe")
        fs.rmdir("ready")
        return True

    process = Process(name, command, folder, ready, {"GOMEMLIMIT": "400MiB"})
    server = S3Server(process, f"http://{HOST}:{ports['s3']}", "SeaweedFS", account.key, account.secret)
    return server


def _identity(name: str, account: Account, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": account.key, "secretKey": account.secret}]
    return {"name": name, "credentials": credentials, "actions": actions}


def _answers(url: str) -> bool:
    with closing(urllib.request.urlopen(url, timeout=2)) as answer:  # noqa: S310 (http on loopback)
        return bool(answer.status == 200)


@dataclass(frozen=True, slots=True)
class MongoServer:
    """A server that speaks the MongoDB protocol."""

    process: Process
    url: str
    kind: str


def mongo_server(name: str, folder: Path, *, port: int | None = None) -> MongoServer:
    """Describe a MongoDB-protocol server: mongod where PATH has one, else the test server ``secantusdb``.

    Parameters
    ----------
    name : str
        Of the process and its log.
    folder : Path
        Data and log; a server started there again finds its data.
    port : int, optional
        A free one when not given.

    Raises
    ------
    ServerFailed
        When there is no such program.
    """
    program, real = programs.mongo(), programs.mongod()
    if program is None:
        raise ServerFailed("no server that speaks the MongoDB protocol is here: pip install secantusdb")
    port = port or free_ports()[0]
    data = folder / name
    data.mkdir(parents=True, exist_ok=True)
    where = ["--port", str(port)]
    command = (
        [program, "--bind_ip", HOST, *where, "--dbpath", str(data)]
        if real
        else [
            program,
            "--standalone",
            "--sync-on-commit",
            "--host",
            HOST,
            *where,
            "--storage-path",
            str(data),
        ]
    )
    url = f"mongodb://{HOST}:{port}/"

    def ready() -> bool:
        with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=500) as client:
            client.admin.command("ping")
        return True

    return MongoServer(Process(name, command, folder, ready), url, "mongod" if real else "secantusdb")


def dask_scheduler(
    name: str, folder: Path, *, port: int, dashboard: int, environ: Mapping[str, str]
) -> Process:
    """Describe a Dask scheduler with its dashboard."""
    command = [
        sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", HOST, "--port", str(port),
        "--dashboard-address", f"{HOST}:{dashboard}", "--preload", "covis_dask.monitor.preload",
    ]  # fmt: skip
    # A run that kills its worker is the driver's to judge, not the scheduler's.
    ours = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", **environ}
    return Process(name, command, folder, lambda: _answers(f"http://{HOST}:{dashboard}/health"), ours)


def dask_worker(name: str, folder: Path, *, scheduler: str, environ: Mapping[str, str]) -> Process:
    """Describe a Dask worker with one thread under a nanny; secrets reach it by `environ`."""
    scratch = folder / name
    scratch.mkdir(parents=True, exist_ok=True)
    port = free_ports()[0]
    command = [
        sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--host", HOST, "--nthreads", "1",
        "--name", name, "--local-directory", str(scratch), "--dashboard-address", f"{HOST}:{port}",
    ]  # fmt: skip
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return Process(
        name, command, folder, lambda: _answers(f"http://{HOST}:{port}/health"), {**threads, **environ}
    )
