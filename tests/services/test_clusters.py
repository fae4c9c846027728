"""Clusters that the batch starts, or finds by address: real SLURM, real sshd, TLS."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.processes import Process, free_ports
from cluster.servers import dask_scheduler
from cluster.tls import write_tls
from covis_dask import __version__
from tests._place import Place, diffuse
from tests.services._compose import wait_for
from tests.services._slurm import SlurmMissing, slurm
from tests.services._sshd import SshServer, ssh_server

pytestmark = [pytest.mark.clusters, pytest.mark.service]

_RUNS = 6


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a catalogued archive of small runs, and a configuration that says where by absolute path."""
    it = Place(tmp_path)
    for hour in range(1, _RUNS + 1):
        it.store(diffuse(hour))
    it.catalogue()
    return it


def _configure(place: Place, **section: Any) -> None:
    data = place.path / "covis-data"
    covis = {
        "catalog": {"url": f"sqlite:///{data / 'catalog.sqlite'}"},
        "hosts": {"COVIS-NAS": {"url": str(data / "raw")}},
        "products": {"url": str(data / "products")},
        "ancillary": {"url": str(data / "ancillary")},
        "backoff": "1s",
        **section,
    }
    (place.path / "config").mkdir(exist_ok=True)
    (place.path / "config" / "covis.yaml").write_text(yaml.safe_dump({"covis": covis}))


@contextmanager
def _started(place: Place, *words: str, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a batch; it does not outlive the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "covis_dask.batch", "--year", "2014", "--json", *words],
        cwd=place.path,
        env={**os.environ, "DASK_CONFIG": str(place.path / "config"), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as batch:
        try:
            yield batch
        finally:
            batch.kill()


def _report(batch: "subprocess.Popen[str]", seconds: float = 200) -> dict[str, Any]:
    out, err = batch.communicate(timeout=seconds)
    assert batch.returncode == 0, err[-4000:]
    found: dict[str, Any] = json.loads(out)
    assert sum(found["counts"].values()) == found["expected"] == _RUNS
    return found


@pytest.fixture(scope="module")
def slurm_environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Give a running SLURM, or skip with the reason."""
    try:
        with slurm(tmp_path_factory.mktemp("slurm")) as environ:
            yield environ
    except SlurmMissing as error:
        pytest.skip(str(error))


def _jobs(environ: Mapping[str, str], state: str = "") -> list[str]:
    words = ["squeue", "--noheader", "--format=%i", *(["--states", state] if state else [])]
    done = subprocess.run(
        words, env={**os.environ, **environ}, capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.split()


def test_slurm_workers_come_and_go(place: Place, slurm_environ: Mapping[str, str]) -> None:
    """Adaptive workers run as SLURM jobs; one is cancelled in the middle; every run is done, no job stays."""
    arguments = {
        "cores": 1,
        "processes": 1,
        "memory": "2 GB",
        "walltime": "00:15:00",
        "interface": "lo",
        "log_directory": str(place.path / "jobs"),
        "local_directory": str(place.path / "scratch"),
    }
    _configure(place, cluster={"slurm": arguments})
    words = ("--cluster", "slurm", "--adapt", "0:2", "--retries", "4")
    with _started(place, *words, **slurm_environ) as batch:
        _wait_for_products(place, batch)
        running = _jobs(slurm_environ, "RUNNING")
        subprocess.run(["scancel", running[0]], env={**os.environ, **slurm_environ}, timeout=20, check=True)
        report = _report(batch)
    assert report["counts"]["done"] + report["counts"]["already"] == _RUNS
    assert len(place.products()) == _RUNS
    wait_for(lambda: not _jobs(slurm_environ), 60)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[SshServer]:
    """Give an SSH server of our own, for the user we are."""
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    with ssh_server(folder) as server:
        yield server


def test_ssh_starts_scheduler_and_workers(place: Place, sshd: SshServer) -> None:
    """Scheduler and workers are started over SSH, with the batch's configuration, and are gone afterwards."""
    login = {
        "port": sshd.port,
        "username": sshd.user,
        "client_keys": [str(sshd.key)],
        "known_hosts": str(sshd.known_hosts),
    }
    options = {
        "hosts": ["127.0.0.1"] * 3,
        "connect_options": login,
        "scheduler_options": {"host": "127.0.0.1"},
        "worker_options": {"host": "127.0.0.1", "local_directory": str(place.path / "scratch")},
    }
    _configure(place, cluster={"ssh": options})
    with _started(place, "--cluster", "ssh") as batch:
        report = _report(batch)
    assert report["counts"]["done"] == _RUNS
    wait_for(lambda: not _spawned(place), 60)


def _spawned(place: Place) -> list[str]:
    """Return the workers that SSH has started for this place; their scratch folder is among their words."""
    marker = str(place.path).encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"dask_spec" in words and marker in words:
            found.append(entry.name)
    return found


def test_a_late_worker_of_another_version_stops_the_batch(place: Place, tmp_path: Path) -> None:
    """A worker that comes after the check at connection is found out by the first run it is given."""
    _configure(place)
    port, dashboard = free_ports(2)
    environ = {"DASK_CONFIG": str(place.path / "config")}
    scheduler = dask_scheduler(
        "scheduler", tmp_path / "logs", port=port, dashboard=dashboard, environ=environ
    )
    address = f"tcp://127.0.0.1:{port}"
    worker = _worker("worker", address, tmp_path / "logs", environ)
    other = _worker(
        "other",
        address,
        tmp_path / "logs",
        environ,
        "--preload",
        "import covis_dask._version as own; own.__version__ = '0.0.9'",
    )
    try:
        scheduler.start()
        worker.start()
        with _started(place, "--scheduler", address) as batch:
            _wait_for_products(place, batch)
            worker.kill()  # the runs that are left are for the other
            other.start()
            out, err = batch.communicate(timeout=200)
    finally:
        for process in (other, worker, scheduler):
            process.stop()
    assert batch.returncode == 2, err
    assert f"covis-dask is {__version__} in the batch and 0.0.9 on worker" in err
    counts = json.loads(out)["counts"]
    assert counts["done"] + counts["not-run"] == _RUNS
    assert 1 <= len(place.products()) < _RUNS


def _wait_for_products(place: Place, batch: "subprocess.Popen[str]") -> None:
    """Wait until a batch has committed its first product."""

    def found() -> set[str]:
        assert batch.poll() is None, batch.communicate()[1][-3000:]
        return place.products()

    wait_for(found, 180)


def _worker(name: str, address: str, logs: Path, environ: Mapping[str, str], *words: str) -> Process:
    command = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-dashboard",
    ]

    def registered() -> bool:
        return "Registered to" in (logs / f"{name}.log").read_text()

    return Process(name, [*command, *words], logs, registered, environ, patience=180)


def test_tls_between_all(place: Place, tmp_path: Path) -> None:
    """With dask-tls.yaml everywhere all of it speaks TLS; who has no certificate of ours is turned away."""
    _configure(place)
    settings = write_tls(tmp_path / "tls", ["127.0.0.1"])
    assert (tmp_path / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    (place.path / "config" / settings.name).symlink_to(settings)
    environ = {"DASK_CONFIG": str(place.path / "config")}
    port, dashboard = free_ports(2)
    scheduler = dask_scheduler(
        "scheduler", tmp_path / "logs", port=port, dashboard=dashboard, environ=environ
    )
    address = f"tls://127.0.0.1:{port}"
    worker = _worker("worker", address, tmp_path / "logs", environ)
    try:
        scheduler.start()
        worker.start()
        # The worker hears first that it is taken; the scheduler's own line follows.
        wait_for(lambda: "established connection to tls://" in scheduler.log.read_text())
        with _started(place, "--scheduler", address) as batch:
            report = _report(batch)
        assert report["counts"]["done"] == _RUNS
        other = write_tls(tmp_path / "other", ["127.0.0.1"])
        (place.path / "config" / settings.name).unlink()
        (place.path / "config" / settings.name).symlink_to(other)
        with _started(place, "--force", "--scheduler", address) as stranger:
            _, err = stranger.communicate(timeout=200)
        assert stranger.returncode == 2, err
        assert f"no Dask scheduler answers at {address}" in err
    finally:
        worker.stop()
        scheduler.stop()
