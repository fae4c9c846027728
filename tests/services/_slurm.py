"""A real SLURM of our own: munged, slurmctld, slurmd on loopback, in one folder."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cluster.processes import Process, ServerFailed, free_ports

__all__ = ["SlurmMissing", "slurm"]

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "setpriv")
_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"


class SlurmMissing(Exception):
    """There can be no SLURM here; the message says why."""


def _which(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=_SBIN)


@contextmanager
def slurm(folder: Path, cores: int = 2) -> Iterator[Mapping[str, str]]:
    """Start SLURM with one node, and stop it; gives the environment that its commands need.

    Raises
    ------
    SlurmMissing
        When there is no root, or a program is missing.
    """
    if os.geteuid() != 0:
        raise SlurmMissing("slurmd needs root")
    missing = [program for program in _PROGRAMS if _which(program) is None]
    if missing:
        raise SlurmMissing(f"there is no {', '.join(missing)} (.ci/packages installs it)")
    munge, host = folder / "munge", socket.gethostname().split(".")[0]
    munge.mkdir()
    for name in ("state", "spool"):
        (folder / name).mkdir()
    # munge looks at every folder above its files; pytest's are for their owner alone.
    for parent in (munge, *munge.parents):
        if os.fspath(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    key = munge / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    for path in (munge, key):
        shutil.chown(path, "munge", "munge")
    socket_path = munge / "munge.socket"
    controller, node = free_ports(2)
    config = folder / "slurm.conf"
    config.write_text(
        f"""ClusterName=covis
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket_path}
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder / "state"}
SlurmdSpoolDir={folder / "spool"}
SlurmctldPidFile={folder / "slurmctld.pid"}
SlurmdPidFile={folder / "slurmd.pid"}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=12000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
    )
    environ = {"SLURM_CONF": str(config)}

    def idle() -> bool:
        words = ["sinfo", "--noheader", "--format=%T"]
        done = subprocess.run(
            words, env={**os.environ, **environ}, capture_output=True, text=True, timeout=10, check=False
        )
        return done.stdout.strip() == "idle"

    as_munge = ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups"]
    munged = [
        *as_munge, _which("munged") or "", "--foreground", f"--key-file={key}", f"--socket={socket_path}",
        f"--pid-file={munge / 'pid'}", f"--log-file={munge / 'log'}", f"--seed-file={munge / 'seed'}",
    ]  # fmt: skip
    processes = (
        Process("munged", munged, folder, socket_path.exists),
        Process("slurmctld", [_which("slurmctld") or "", "-D"], folder, lambda: True, environ),
        Process("slurmd", [_which("slurmd") or "", "-D", "-N", host], folder, idle, environ),
    )
    with ExitStack() as stack:
        try:
            for process in processes:
                stack.callback(process.stop)
                process.start()
        except ServerFailed as error:
            raise SlurmMissing(f"SLURM does not start here: {error}") from error
        yield environ
