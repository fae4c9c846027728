"""A Docker engine of our own, and base images made without a registry; kept by version in the test cache.

What differs from a user's machine: base images are made with debootstrap, MongoDB is a stand-in that speaks
its protocol, and the Matlab runtime image is a stand-in that computes nothing. MinIO is the real server.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cluster import programs
from cluster.processes import Process, ServerFailed

__all__ = ["ROOT", "Docker", "Unavailable", "docker_engine"]

ROOT = Path(__file__).resolve().parents[2]
_IMAGES = Path(__file__).with_name("images")
_COMPOSE = "v2.40.3"
_COMPOSE_MODULE = "github.com/docker/compose/v2"
_CA = Path("/etc/ssl/certs/ca-certificates.crt")
_BASE = "3"
"""Changes whenever the base images are made differently."""

_KEEP = "168h"
"""How long layers without a name stay in the cache."""


class Unavailable(Exception):
    """There can be no engine here; the message says why."""


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "covis-test"


@dataclass(frozen=True, slots=True)
class Docker:
    """A running engine."""

    environ: Mapping[str, str]

    def run(
        self, *words: str, check: bool = True, timeout: float = 600, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the docker command."""
        done = subprocess.run(
            ["docker", *words],
            cwd=ROOT,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise ServerFailed(
                f"docker {' '.join(words)}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            )
        return done

    def has(self, image: str) -> bool:
        return self.run("image", "inspect", image, check=False).returncode == 0

    def build(self, tag: str, folder: Path, **arguments: str) -> None:
        words = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self.run("build", "--network=host", f"--build-arg=PIP_CERT={_CA}", *words, "--tag", tag, str(folder))

    def sweep(self) -> None:
        """Remove what a session that was killed has left, which the engine has just started again."""
        for what, remove in (
            (("ps", "--all"), ("rm", "--force", "--volumes")),
            (("volume", "ls"), ("volume", "rm")),
            (("network", "ls", "--filter", "type=custom"), ("network", "rm")),
        ):
            if left := self.run(*what, "--quiet").stdout.split():
                self.run(*remove, *left)

    def make_images(self) -> None:
        """Make the images that a user would pull."""
        self._debootstrap("python:3.11-slim-bookworm", "bookworm", "python3,python3-venv,ca-certificates")
        self._debootstrap("covis-test-bullseye", "bullseye", "python3,ca-certificates")
        minio = programs.minio()
        if minio is None:
            raise Unavailable("MinIO has not been built (make services)")
        release = f"minio/minio:{programs.MINIO_RELEASE}"
        if not self.has(release):
            with tempfile.TemporaryDirectory() as folder:
                shutil.copytree(_IMAGES / "minio", folder, dirs_exist_ok=True)
                shutil.copyfile(minio, Path(folder) / "minio")
                self.build(release, Path(folder))
        self.build("mongo:8.0", _IMAGES / "mongodb", SECANTUSDB=version("secantusdb"))
        # Stages of builds have no name; those of today make the next build quick.
        self.run("image", "prune", "--force", "--filter", f"until={_KEEP}")

    def make_matlab(self, products: Path) -> None:
        """Make the stand-in for the Matlab runtime image, which hands out these .mat files."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(_IMAGES / "matlab", folder, dirs_exist_ok=True)
            shutil.copytree(ROOT / "tests" / "standin" / "pycovis", Path(folder) / "pycovis")
            shutil.copytree(products, Path(folder) / "products")
            self.build("amarburg/covis-postprocess:latest", Path(folder))

    def _debootstrap(self, image: str, suite: str, packages: str) -> None:
        """Make a Debian base image, unless this version of it is there; with this machine's certificates."""
        mark = f"covis-test-base:{suite}-{_BASE}"
        if self.has(mark) and self.has(image):
            return
        with tempfile.TemporaryDirectory(prefix="covis-base-") as folder:
            root, packed = Path(folder) / "root", Path(folder) / "base.tar"
            _command(
                "debootstrap", "--variant=minbase", f"--include={packages}", suite, str(root), timeout=600
            )
            shutil.copyfile(_CA, root / _CA.relative_to("/"))
            shutil.rmtree(root / "var" / "cache" / "apt")
            _command("tar", "-C", str(root), "-cf", str(packed), ".", timeout=300)
            self.run("import", str(packed), mark)
        self.run("tag", mark, image)


def _command(*words: str, timeout: float, cwd: Path | None = None) -> None:
    done = subprocess.run(
        words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise Unavailable(f"{' '.join(words[:3])} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def _plugin() -> Path:
    """Return Docker Compose, built from source when it is not in the cache."""
    config = _cache() / "docker-config"
    plugin = config / "cli-plugins" / "docker-compose"
    kept = _cache() / f"docker-compose-{_COMPOSE}" / "docker-compose"
    if not os.access(kept, os.X_OK):
        if shutil.which("go") is None:
            raise Unavailable("there is no Go to build Docker Compose with")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            where = Path(folder)
            (where / "go.mod").write_text(
                f"module covis.test/compose\n\nrequire {_COMPOSE_MODULE} {_COMPOSE}\n"
            )
            (where / "main.go").write_text(
                f'package main\n\nimport _ "{_COMPOSE_MODULE}/cmd"\n\nfunc main() {{}}\n'
            )
            _command("go", "mod", "tidy", timeout=600, cwd=where)
            flags = f"-s -w -X {_COMPOSE_MODULE}/internal.Version={_COMPOSE}"
            words = ("go", "build", "-mod=mod", "-ldflags", flags, "-o", "compose", f"{_COMPOSE_MODULE}/cmd")
            _command(*words, timeout=900, cwd=where)
            (where / "compose").replace(kept)
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.unlink(missing_ok=True)
    plugin.symlink_to(kept)
    return config


@contextmanager
def docker_engine(folder: Path) -> Iterator[Docker]:
    """Start an engine on a socket of its own, and stop it; its images stay in the cache.

    Raises
    ------
    Unavailable
        When there is no root, or a program is missing.
    """
    if os.geteuid() != 0:
        raise Unavailable("a Docker engine needs root")
    for program in ("dockerd", "docker", "debootstrap"):
        if shutil.which(program) is None:
            raise Unavailable(f"there is no {program} (.ci/packages installs it)")
    config = _plugin()
    # Not below pytest's folder: the engine mounts a network namespace there.
    run = Path(tempfile.mkdtemp(prefix="covis-docker-"))
    socket = f"unix://{run / 'docker.sock'}"
    environ = {
        **os.environ,
        "DOCKER_HOST": socket,
        "DOCKER_CONFIG": str(config),
        "DOCKER_BUILDKIT": "0",
        "COMPOSE_BAKE": "false",
    }
    engine = Docker(environ)
    data = _cache() / "docker"
    data.mkdir(parents=True, exist_ok=True)
    command = [
        "dockerd", "--host", socket, "--data-root", str(data), "--exec-root", str(run / "exec"),
        "--pidfile", str(run / "docker.pid"), "--storage-driver", "overlay2",
    ]  # fmt: skip

    def ready() -> bool:
        return engine.run("version", check=False).returncode == 0

    with (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one engine at a time has these images
        last = data / "last-run"
        if last.exists():
            _forget(Path(last.read_text()))  # of a session that was killed
        last.write_text(str(run))
        process = Process("dockerd", command, folder, ready)
        try:
            try:
                process.start()
            except ServerFailed:
                process.start()  # on a busy machine its containerd may take longer than dockerd waits
            engine.sweep()
            yield engine
        except ServerFailed as error:
            if process.pid is not None:
                raise
            why = str(error).strip().splitlines()[-1]
            raise Unavailable(f"the Docker engine does not start here: {why}") from error
        finally:
            process.stop(grace=60)
            _forget(run)


def _forget(run: Path) -> None:
    """End what the engine has left, which its own folder's name tells, and remove that folder."""
    if not run.name.startswith("covis-docker-"):
        return
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        program = Path(os.fsdecode(words.split(b"\0")[0])).name
        if f"{run}/".encode() in words and program.startswith(("dockerd", "containerd")):
            with suppress(ProcessLookupError):
                os.kill(int(entry.parent.name), signal.SIGKILL)
    for line in Path("/proc/mounts").read_text().splitlines():
        place = line.split()[1]
        if place.startswith(f"{run}/"):
            subprocess.run(["umount", "--lazy", place], timeout=30, check=False)
    shutil.rmtree(run, ignore_errors=True)
