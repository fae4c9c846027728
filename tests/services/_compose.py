"""docker-compose.yml as a project of its own: what a user types, and what can be asked of it."""

import json
import os
import secrets
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from cluster.processes import free_ports
from tests.services._docker import ROOT, Docker

__all__ = ["Batch", "Stack", "wait_for"]

T = TypeVar("T")

_PORTS = (
    "MONGODB_PORT",
    "MINIO_PORT",
    "MINIO_CONSOLE_PORT",
    "SCHEDULER_PORT",
    "DASHBOARD_PORT",
    "JUPYTER_PORT",
)


def wait_for(what: Callable[[], T], seconds: float = 120) -> T:
    """Ask until the answer is true, and return it; what cannot be requested just now has not answered."""
    end = time.monotonic() + seconds
    while True:
        try:
            if answer := what():
                return answer
        except OSError:
            pass
        assert time.monotonic() < end, f"it did not happen within {seconds:.0f} s"
        time.sleep(0.2)


class Batch:
    """A batch that the `batch` service is at."""

    def __init__(self, command: Sequence[str], docker: Docker) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(docker.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def going_on(self) -> bool:
        return self._process.poll() is None

    def report(self, timeout: float = 600) -> dict[str, Any]:
        """Wait for its end; return its report, once it has been checked for sums."""
        out, err = self._process.communicate(timeout=timeout)
        start = out.find("{")
        assert start >= 0, f"{self._process.returncode}\n{out[-2000:]}\n{err[-4000:]}"
        found: dict[str, Any] = json.loads(out[start:])
        assert sum(found["counts"].values()) == found["expected"], found["counts"]
        return found


class Stack:
    """The compose project of this test run."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        self.docker = docker
        self.project = f"covis-test-{os.getpid()}"
        ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        words = {
            "MONGODB_USER": "covis",
            "MONGODB_PASSWORD": secrets.token_hex(12),
            "MINIO_ACCESS_KEY": "covis",
            "MINIO_SECRET_KEY": secrets.token_hex(12),
            "PAGE_MONGODB_USER": "covis-page",
            "PAGE_MONGODB_PASSWORD": secrets.token_hex(12),
            "PAGE_MINIO_ACCESS_KEY": "covis-page",
            "PAGE_MINIO_SECRET_KEY": secrets.token_hex(12),
            "JUPYTER_TOKEN": secrets.token_hex(12),
            "WORKER_MEMORY": "900m",
            **{name: str(port) for name, port in ports.items()},
        }
        self.token = words["JUPYTER_TOKEN"]
        self.secrets = (words["MONGODB_PASSWORD"], words["MINIO_SECRET_KEY"])
        self.dashboard = f"http://127.0.0.1:{ports['DASHBOARD_PORT']}"
        self.jupyter = f"http://127.0.0.1:{ports['JUPYTER_PORT']}"
        self.volumes_before = self.volumes()
        environment, override = folder / "environment", folder / "override.yml"
        environment.write_text("".join(f"{name}={value}\n" for name, value in words.items()))
        override.write_text(yaml.safe_dump(_override()))
        self._words = (
            "compose", "--project-name", self.project, "--env-file", str(environment),
            "--file", str(ROOT / "docker-compose.yml"), "--file", str(override),
        )  # fmt: skip

    def compose(
        self, *words: str, check: bool = True, timeout: float = 900
    ) -> "subprocess.CompletedProcess[str]":
        return self.docker.run(*self._words, *words, check=check, timeout=timeout)

    def batch(self, *words: str) -> Batch:
        return Batch(["docker", *self._words, "run", "--rm", "-T", "batch", *words, "--json"], self.docker)

    def volumes(self) -> set[str]:
        """Return the names of all volumes of the engine, anonymous ones too."""
        return set(self.docker.run("volume", "ls", "--quiet").stdout.split())

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--quiet", service).stdout.split()

    def facts(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        found: dict[str, Any] = json.loads(self.docker.run("inspect", container).stdout)[0]
        return found

    def killed_for_memory(self, since: float) -> set[str]:
        """Return the containers in which the kernel has killed a process since then."""
        words = ("--since", f"{since:.0f}", "--until", f"{time.time():.0f}", "--filter", "event=oom")
        return set(self.docker.run("events", *words, "--format", "{{.ID}}").stdout.split())

    def workers(self) -> list[dict[str, Any]]:
        """Return the workers that the scheduler knows, and what each is at."""
        with urllib.request.urlopen(f"{self.dashboard}/covis/status.json", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["workers"]
        return found

    def wait_workers(self, count: int) -> None:
        """Wait until the scheduler has so many workers."""
        wait_for(lambda: len(self.workers()) >= count)

    def busy_worker(self, batch: Batch) -> str:
        """Wait until a native worker is at a run of a batch that has not ended; return its container."""
        containers = self.containers("worker")

        def found() -> list[str]:
            assert batch.going_on(), batch.report()
            busy = tuple(it["host"] for it in self.workers() if it["run"])
            return [container for container in containers if container.startswith(busy)]

        return wait_for(found)[0]

    def crash(self, container: str) -> None:
        """End a container's first process as a crash would; what `docker kill` ends is not started again."""
        os.kill(int(self.facts(container)["State"]["Pid"]), signal.SIGKILL)


def _override() -> dict[str, Any]:
    """Return what this machine needs and a user's does not: network and certificates for builds."""
    build = {"network": "host", "args": {"PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"}}
    patience = {
        "DASK_COVIS__BACKOFF": "1s",
        "DASK_COVIS__MATLAB__KNOWS": '{"Endeavour": ["diffuse"]}',
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "15s",
    }
    names = ("buckets", "prepare", "scheduler", "worker", "batch", "demo", "jupyter", "matlab-worker")
    services: dict[str, Any] = {name: {"build": build, "environment": patience} for name in names}
    del services["prepare"]["environment"]
    services["matlab-worker"]["deploy"] = {"resources": {"limits": {"memory": "1500m"}}}
    return {"services": services}
