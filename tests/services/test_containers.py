"""docker-compose.yml as a user runs it, on a real engine: process, break, account for all, leave nothing."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.processes import ServerFailed, free_ports
from tests.services._docker import ROOT, Docker, Unavailable, docker_engine

pytestmark = [
    pytest.mark.skipif(
        "COVIS_TEST_CLUSTERS" not in os.environ,
        reason="builds images and runs the compose stack for many minutes: set COVIS_TEST_CLUSTERS=1",
    ),
    pytest.mark.service,
    pytest.mark.timeout(1800),
]

_RUNS = 5
"""Runs of the demonstration that are processed, to be quick."""
_SERVICES = ("buckets", "prepare", "scheduler", "worker", "batch", "demo")


class Stack:
    """The compose project of this test run."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        self.docker = docker
        self.project = f"covis-test-{os.getpid()}"
        ports = dict(
            zip(
                ("MONGODB_PORT", "MINIO_PORT", "MINIO_CONSOLE_PORT", "SCHEDULER_PORT", "DASHBOARD_PORT"),
                free_ports(5),
                strict=True,
            )
        )
        words = {
            "MONGODB_USER": "covis",
            "MONGODB_PASSWORD": secrets.token_hex(12),
            "MINIO_ACCESS_KEY": "covis",
            "MINIO_SECRET_KEY": secrets.token_hex(12),
            "WORKER_MEMORY": "900m",
            **{name: str(port) for name, port in ports.items()},
        }
        self.secrets = (words["MONGODB_PASSWORD"], words["MINIO_SECRET_KEY"])
        self.dashboard = f"http://127.0.0.1:{ports['DASHBOARD_PORT']}"
        self.volumes_before = self.volumes()
        self._environment = folder / "environment"
        self._environment.write_text("".join(f"{name}={value}\n" for name, value in words.items()))
        self._override = folder / "override.yml"
        self._override.write_text(yaml.safe_dump(_override()))

    @property
    def words(self) -> tuple[str, ...]:
        return (
            "compose", "--project-name", self.project, "--env-file", str(self._environment),
            "--file", str(ROOT / "docker-compose.yml"), "--file", str(self._override),
        )  # fmt: skip

    def compose(
        self, *words: str, check: bool = True, timeout: float = 900
    ) -> "subprocess.CompletedProcess[str]":
        return self.docker.run(*self.words, *words, check=check, timeout=timeout)

    def start_batch(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["docker", *self.words, "run", "--rm", "-T", "batch", *words, "--json"],
            cwd=ROOT,
            env=dict(self.docker.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def report(self, batch: "subprocess.Popen[str]", timeout: float = 600) -> dict[str, Any]:
        """Wait for a batch; return its report, with the runs by name, once it has been checked for sums."""
        out, err = batch.communicate(timeout=timeout)
        start = out.find("{")
        assert start >= 0, f"{batch.returncode}\n{out[-2000:]}\n{err[-4000:]}"
        found: dict[str, Any] = json.loads(out[start:])
        assert sum(found["counts"].values()) == found["expected"], found["counts"]
        found["by_name"] = {run["basename"]: run for run in found["runs"]}
        found["log"] = err
        return found

    def volumes(self) -> set[str]:
        """Return the names of all volumes of the engine, anonymous ones too."""
        return set(self.docker.run("volume", "ls", "--quiet").stdout.split())

    def containers(self, service: str) -> list[str]:
        done = self.compose("ps", "--quiet", service)
        return done.stdout.split()

    def wait_workers(self, count: int, seconds: float = 90) -> None:
        """Wait until the scheduler counts so many workers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.dashboard}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                text = ""
            numbers = [
                float(line.split()[-1])
                for line in text.splitlines()
                if line.startswith("dask_scheduler_workers{") and 'state="idle"' in line
            ]
            if sum(numbers) >= count:
                return
            time.sleep(1)
        raise AssertionError(f"{count} workers did not come back")


def _override() -> dict[str, Any]:
    """Return what this machine needs and a user's does not: network and certificates for builds."""
    build = {"network": "host", "args": {"PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"}}
    patience = {
        "DASK_COVIS__BACKOFF": "1s",
        "DASK_COVIS__MATLAB__KNOWS": '{"Endeavour": ["diffuse"]}',
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "15s",
    }
    services = {name: {"build": build, "environment": patience} for name in _SERVICES}
    services["prepare"] = {"build": build}
    services["matlab-worker"] = {
        "build": build,
        "environment": patience,
        "deploy": {"resources": {"limits": {"memory": "1500m"}}},
    }
    return {"services": services}


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """Give a running engine with the images that a user would pull, or skip with the reason."""
    folder = tmp_path_factory.mktemp("docker")
    try:
        with docker_engine(folder) as engine:
            engine.make_images()
            yield engine
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stack(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give the running project with two workers and the demonstration's archive; nothing of it stays."""
    it = Stack(docker, tmp_path_factory.mktemp("compose"))
    try:
        it.compose("build", "worker")
        it.compose("up", "--detach", "--wait", "--wait-timeout", "180", "--scale", "worker=2")
        yield it
    except ServerFailed:
        print(it.compose("logs", "--tail", "40", check=False).stdout)
        raise
    finally:
        it.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def test_compose_refuses_to_start_without_credentials(docker: Docker, tmp_path: Path) -> None:
    """With no .env the very first word is what to do, and nothing starts; .env.example holds no secret."""
    empty = tmp_path / "empty"
    empty.touch()
    done = docker.run(
        "compose", "--env-file", str(empty), "--file", str(ROOT / "docker-compose.yml"), "config", check=False
    )
    assert done.returncode != 0
    assert "run sh cluster/make-env, or copy .env.example to .env" in done.stderr
    values = [
        line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if line[:1].isalpha()
    ]
    assert {name for name, value in values if value} == {"MONGODB_USER", "MINIO_ACCESS_KEY"}


def test_the_demo_is_processed(stack: Stack) -> None:
    """`docker compose run demo` simulates, catalogues and processes; run again, nothing is done twice."""
    done = stack.compose("run", "--rm", "-T", "demo", "--json", "--limit", str(_RUNS))
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["counts"]["done"] == report["expected"] == _RUNS, report["counts"]
    again = stack.report(stack.start_batch("--year", "2014", "--limit", str(_RUNS)))
    assert again["counts"]["already"] == again["expected"] == _RUNS
    logs = stack.compose("logs").stdout
    assert not any(secret in logs for secret in stack.secrets)
    assert len(stack.containers("worker")) == 2


def test_containers_are_confined(stack: Stack) -> None:
    """No service runs as root, with capabilities, or on a root it can write; ports are on loopback."""
    for service in ("mongodb", "minio", "scheduler", "worker"):
        (container, *_) = stack.containers(service)
        (facts,) = json.loads(stack.docker.run("inspect", container).stdout)
        host = facts["HostConfig"]
        assert facts["Config"]["User"].split(":")[0] not in {"", "0", "root"}, service
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["Init"], service
        assert host["Memory"] > 0, service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        bound = [entry["HostIp"] for entries in (host["PortBindings"] or {}).values() for entry in entries]
        assert set(bound) <= {"127.0.0.1"}, service


def test_the_dashboard_opens_in_a_browser(stack: Stack, tmp_path: Path) -> None:
    """Dask's dashboard and the COVIS page are drawn by a real browser."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium (.ci/packages installs it)")
    for page, word in (("status", "Bokeh"), ("covis", "COVIS")):
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
        done = subprocess.run(
            [browser, *words, f"--user-data-dir={tmp_path / page}", f"{stack.dashboard}/{page}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert word in done.stdout, done.stdout[-1000:] + done.stderr[-1000:]


def _crash(stack: Stack, container: str) -> None:
    """End a container's first process as a crash would; what `docker kill` ends is not started again."""
    pid = int(stack.docker.run("inspect", "--format", "{{.State.Pid}}", container).stdout)
    os.kill(pid, signal.SIGKILL)


def test_every_run_survives_what_goes_wrong(stack: Stack) -> None:
    """A worker killed, MinIO frozen, the scheduler restarted: each run is committed once or accounted for."""
    batch = stack.start_batch("--year", "2014", "--limit", str(_RUNS), "--force", "--retries", "5")
    time.sleep(8)
    _crash(stack, stack.containers("worker")[0])
    time.sleep(2)
    (minio,) = stack.containers("minio")
    stack.docker.run("pause", minio)
    time.sleep(6)
    stack.docker.run("unpause", minio)
    time.sleep(2)
    stack.docker.run("restart", "--time", "2", *stack.containers("scheduler"))
    report = stack.report(batch)
    ended = {run["state"] for run in report["runs"]}
    assert ended <= {"done", "already", "failed"}, report["counts"]
    assert all(run["kind"] for run in report["runs"] if run["state"] == "failed")
    stack.wait_workers(2)
    after = stack.report(stack.start_batch("--year", "2014", "--limit", str(_RUNS), "--verify"))
    assert after["counts"]["done"] + after["counts"]["already"] == after["expected"], after["counts"]


def test_a_run_beyond_its_memory_limit_is_told(stack: Stack) -> None:
    """The kernel kills a worker at its container's limit: the run ends as lost, the next is processed."""
    stack.wait_workers(2)
    words = ("--year", "2014", "--mode", "imaging", "--limit", "1", "--force", "--retries", "0")
    fine = [word for axis in "xyz" for word in ("--set", f"grids.backscatter_cross_section.d{axis}=0.1")]
    report = stack.report(stack.start_batch(*words, *fine, "--prefix", "too-fine"))
    (run,) = report["runs"]
    assert (run["state"], run["kind"]) == ("failed", "worker-lost"), run
    stack.wait_workers(2)
    report = stack.report(stack.start_batch(*words))
    assert report["counts"]["done"] == 1


def test_matlab_runs_go_to_matlab_workers(stack: Stack, tmp_path: Path) -> None:
    """The Matlab image runs both Pythons side by side; native and Matlab workers serve one cluster."""
    from tests.standin.runs import archive_of, matlab_files, native

    kind = "Endeavour/diffuse"
    (mat,) = matlab_files(kind, native(kind, archive_of(kind, tmp_path)), tmp_path)
    products = tmp_path / "products"
    products.mkdir()
    mat.rename(products / "diffuse.mat")
    stack.docker.make_matlab(products)
    stack.compose("--profile", "matlab", "build", "matlab-worker")
    stack.compose("--profile", "matlab", "up", "--detach", "--wait", "--no-recreate", "matlab-worker")
    words = ("--year", "2014", "--mode", "diffuse", "--limit", "2")
    report = stack.report(stack.start_batch(*words, "--engine", "matlab"))
    assert report["counts"]["done"] == 2, report["runs"]
    (container,) = stack.containers("matlab-worker")
    assert {run["worker"] for run in report["runs"]} == {container[:12]}
    pythons = stack.docker.run(
        "exec", container, "sh", "-c", "/usr/bin/python3 -V; python3 -V"
    ).stdout.split()
    assert pythons[1].startswith("3.9.")
    assert pythons[3].startswith("3.11.")


def test_down_leaves_nothing(stack: Stack) -> None:
    """`docker compose down --volumes` takes containers, volumes and networks with it."""
    stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
    label = f"label=com.docker.compose.project={stack.project}"
    for words in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert stack.docker.run(*words, "--quiet", "--filter", label).stdout.strip() == "", words
    assert stack.volumes() <= stack.volumes_before
