"""``python -m cluster.local_stack``: every service of a real installation, as plain processes on loopback.

Two S3 hosts (MinIO, or SeaweedFS where there is none), a server that speaks the MongoDB protocol, a Dask
scheduler with its dashboard, and workers under nannies. Tests use it, and people without Docker.
"""

import argparse
import secrets
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Self

import yaml

from cluster.processes import Process, ServerFailed, free_ports
from cluster.servers import (
    Account,
    MongoServer,
    S3Server,
    dask_scheduler,
    dask_worker,
    mongo_server,
    s3_server,
)

__all__ = ["LocalStack", "Ports", "main"]

_ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1; a free one where none is given."""

    nas: int | None = None
    wasabi: int | None = None
    mongo: int | None = None
    scheduler: int | None = None
    dashboard: int | None = None


@dataclass(slots=True)
class LocalStack:
    """The services, in a folder that holds their data, logs, configuration and secrets.

    Use as a context manager: whatever happens inside, every process is stopped by its id.

    Parameters
    ----------
    folder : Path
        Data survive there from one start to the next.
    workers : int
        Dask workers, one thread each.
    ports : Ports
    settings : mapping
        Further entries of section ``covis`` for workers and commands, such as ``{"backoff": "1s"}``.
    """

    folder: Path
    workers: int = 2
    ports: Ports = field(default_factory=Ports)
    settings: Mapping[str, Any] = field(default_factory=dict)
    nas: S3Server = field(init=False)
    wasabi: S3Server = field(init=False)
    mongo: MongoServer = field(init=False)
    scheduler: Process = field(init=False)
    dask_workers: list[Process] = field(init=False)
    scheduler_address: str = field(init=False)
    dashboard: str = field(init=False)
    _secrets: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._secrets = self._keep_secrets()
        logs = self.folder / "services"
        keys = self._secrets
        nas = Account(keys["NAS_ACCESS_KEY"], keys["NAS_SECRET_KEY"])
        wasabi = Account(keys["WASABI_ACCESS_KEY"], keys["WASABI_SECRET_KEY"])
        self.nas = s3_server("nas", logs, nas, port=self.ports.nas)
        self.wasabi = s3_server("wasabi", logs, wasabi, port=self.ports.wasabi)
        self.mongo = mongo_server("mongo", logs, port=self.ports.mongo)
        free = free_ports(2)
        port, dashboard = self.ports.scheduler or free[0], self.ports.dashboard or free[1]
        self.scheduler_address = f"tcp://127.0.0.1:{port}"
        self.dashboard = f"http://127.0.0.1:{dashboard}/covis"
        environ = self.environ()
        self.scheduler = dask_scheduler("scheduler", logs, port=port, dashboard=dashboard, environ=environ)
        self.dask_workers = [
            dask_worker(f"worker-{number}", logs, scheduler=self.scheduler_address, environ=environ)
            for number in range(1, self.workers + 1)
        ]

    def _keep_secrets(self) -> dict[str, str]:
        """Make the accounts of the S3 hosts once, in a file that only its owner reads."""
        path = self.folder / _ENVIRONMENT
        names = ("NAS_ACCESS_KEY", "NAS_SECRET_KEY", "WASABI_ACCESS_KEY", "WASABI_SECRET_KEY")
        if path.exists():
            known = dict(line.removeprefix("export ").split("=", 1) for line in path.read_text().splitlines())
            if all(name in known for name in names):
                return {name: known[name] for name in names}
        return {name: secrets.token_hex(10) for name in names}

    def environ(self) -> dict[str, str]:
        """Return what a command needs in its environment to work on this stack."""
        return {"DASK_CONFIG": str(self.folder / "config"), **self._secrets}

    def configuration(self) -> dict[str, Any]:
        """Return section ``covis`` of the stack; secrets are references into the environment."""
        nas = {"endpoint": self.nas.endpoint, "key": "${NAS_ACCESS_KEY}", "secret": "${NAS_SECRET_KEY}"}
        wasabi = {
            "endpoint": self.wasabi.endpoint,
            "key": "${WASABI_ACCESS_KEY}",
            "secret": "${WASABI_SECRET_KEY}",
        }
        return {
            "catalog": {"url": self.mongo.url},
            "hosts": {"COVIS-NAS": {"url": "s3://raw", **nas}, "WASABI": {"url": "s3://covis-raw", **wasabi}},
            "products": {"url": "s3://postprocessed", **nas},
            "ancillary": {"url": str(self.folder / "ancillary")},
            **self.settings,
        }

    def _write_files(self) -> None:
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        text = yaml.safe_dump({"covis": self.configuration()}, sort_keys=False)
        (config / "covis.yaml").write_text(text, encoding="utf-8")
        environment = self.folder / _ENVIRONMENT
        environment.touch(mode=0o600)
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environ().items()]
        environment.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def processes(self) -> list[Process]:
        """Every service, in the order of starting."""
        return [
            self.nas.process, self.wasabi.process, self.mongo.process, self.scheduler, *self.dask_workers
        ]  # fmt: skip

    def start(self) -> None:
        """Start everything and wait until all of it answers; on failure nothing is left running.

        Raises
        ------
        ServerFailed
            With the end of the log of the service that did not come up.
        """
        self._write_files()
        try:
            for process in self.processes:
                process.start(wait=False)
            for process in self.processes:
                process.wait_healthy()
            self.nas.make_buckets("raw", "postprocessed")
            self.wasabi.make_buckets("covis-raw")
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raise `ServerFailed` when a service has ended by itself."""
        if gone := [process.name for process in self.processes if process.pid is None]:
            raise ServerFailed(f"{', '.join(gone)} ended; see the logs in {self.folder / 'services'}")

    def stop(self) -> None:
        """Stop everything, workers first; safe to call twice."""
        with ExitStack() as stack:
            for process in self.processes:
                stack.callback(process.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _load_demo(stack: LocalStack, say: Any) -> None:
    """Put the demonstration's runs on the first S3 host and into the catalogue."""
    from catalog.ingest import walk_store
    from catalog.store import open_catalog
    from covis_dask.simulate.archive import write_demo_archive

    raw = stack.folder / "demo"
    say("simulating the demonstration's raw runs (existing ones are kept)")
    for path in write_demo_archive(raw):
        stack.nas.filesystem().put_file(str(path), f"raw/{path.relative_to(raw)}")
    with open_catalog(stack.mongo.url) as catalog:
        new, _ = catalog.add_raw(walk_store(stack.nas.filesystem(), "raw", "COVIS-NAS").runs)
    say(f"{new} runs are new in the catalogue")


def _explain(stack: LocalStack) -> str:
    python = shlex.quote(sys.executable)
    return f"""
COVIS-NAS   {stack.nas.endpoint}  bucket raw, products in bucket postprocessed ({stack.nas.kind})
WASABI      {stack.wasabi.endpoint}  bucket covis-raw ({stack.wasabi.kind})
catalogue   {stack.mongo.url} ({stack.mongo.kind})
scheduler   {stack.scheduler_address}
dashboard   {stack.dashboard}
logs        {stack.folder / "services"}/*.log

In another terminal:
  source {shlex.quote(str(stack.folder / _ENVIRONMENT))}
  {python} -m covis_dask.cli doctor --scheduler {stack.scheduler_address}
  {python} -m covis_dask.cli batch --year 2014 --scheduler {stack.scheduler_address}

Ctrl-C stops everything; data stay in {stack.folder}.
"""


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set."""
    told = threading.Event()

    def handler(_number: int, _frame: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def main(argv: Sequence[str] | None = None) -> int:
    """Start the stack, say what it offers, and stop it on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m cluster.local_stack", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path("covis-stack"), help="data and logs (covis-stack)"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="Dask workers (2)")
    parser.add_argument("--demo", action="store_true", help="load the demo runs into it")
    for name in Ports.__dataclass_fields__:
        parser.add_argument(f"--{name}-port", type=int, metavar="PORT", help="(a free one)")
    arguments = parser.parse_args(argv)
    ports = Ports(**{name: getattr(arguments, f"{name}_port") for name in Ports.__dataclass_fields__})

    def say(line: str) -> None:
        print(line, flush=True)  # noqa: T201 (a command line talks)

    with _until_told() as told:
        try:
            stack = LocalStack(arguments.folder, arguments.workers, ports)
            say("starting ...")
            with stack:
                if arguments.demo:
                    _load_demo(stack, say)
                say(_explain(stack))
                while not told.wait(1.0):
                    stack.check()
                say("stopping ...")
        except ServerFailed as error:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
