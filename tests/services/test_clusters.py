"""Clusters that the batch starts, or finds by address: real SLURM, real sshd, TLS."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.processes import Process, free_ports
from cluster.servers import dask_scheduler
from cluster.tls import write_tls
from tests._place import Place, diffuse
from tests.services._slurm import SlurmMissing, slurm
from tests.services._sshd import SshServer, ssh_server

pytestmark = [
    pytest.mark.skipif(
        "COVIS_TEST_CLUSTERS" not in os.environ,
        reason="starts SLURM and SSH clusters, and takes minutes: set COVIS_TEST_CLUSTERS=1",
    ),
    pytest.mark.service,
]

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


def _start(place: Place, *words: str, **environ: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "covis_dask.batch", "--year", "2014", "--json", *words],
        cwd=place.path,
        env={**os.environ, "DASK_CONFIG": str(place.path / "config"), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
    batch = _start(place, "--cluster", "slurm", "--adapt", "0:2", "--retries", "4", **slurm_environ)
    try:
        end = time.monotonic() + 90
        while not (running := _jobs(slurm_environ, "RUNNING")) and time.monotonic() < end:
            assert batch.poll() is None, batch.communicate()[1][-3000:]
            time.sleep(0.5)
        while not place.products() and time.monotonic() < end:
            time.sleep(0.2)
        subprocess.run(["scancel", running[0]], env={**os.environ, **slurm_environ}, timeout=20, check=True)
        report = _report(batch)
    finally:
        batch.kill()
    assert report["counts"]["done"] + report["counts"]["already"] == _RUNS
    assert len(place.products()) == _RUNS
    end = time.monotonic() + 30
    while _jobs(slurm_environ) and time.monotonic() < end:
        time.sleep(0.5)
    assert _jobs(slurm_environ) == []


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
    report = _report(_start(place, "--cluster", "ssh"))
    assert report["counts"]["done"] == _RUNS
    end = time.monotonic() + 30
    while (left := _spawned(place)) and time.monotonic() < end:
        time.sleep(0.5)
    assert left == []


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
    worker = Process(
        "worker",
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"],
        tmp_path / "logs",
        lambda: "Registered to" in (tmp_path / "logs" / "worker.log").read_text(),
        environ,
    )
    try:
        scheduler.start()
        worker.start()
        assert "established connection to tls://" in scheduler.log.read_text()
        report = _report(_start(place, "--scheduler", address))
        assert report["counts"]["done"] == _RUNS
        other = write_tls(tmp_path / "other", ["127.0.0.1"])
        (place.path / "config" / settings.name).unlink()
        (place.path / "config" / settings.name).symlink_to(other)
        stranger = _start(place, "--force", "--scheduler", address)
        _, err = stranger.communicate(timeout=100)
        assert stranger.returncode == 2, err
        assert f"no Dask scheduler answers at {address}" in err
    finally:
        worker.stop()
        scheduler.stop()
