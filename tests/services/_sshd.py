"""A real OpenSSH server on loopback, with a host key and an account key of its own."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import programs
from cluster.processes import Process, free_ports


@dataclass(frozen=True)
class SshServer:
    """Where it listens, and the keys."""

    port: int
    user: str
    key: Path
    known_hosts: Path
    process: Process


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Start sshd for this user, public keys only."""
    program = programs.sshd()
    if program is None or shutil.which("ssh-keygen") is None:
        pytest.skip("there is no OpenSSH server here (Debian: openssh-server)")
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=60
        )
    (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
    port = free_ports()[0]
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n"
        "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd started by root insists on it

    def answers() -> bool:
        with socket.create_connection(("127.0.0.1", port), 2) as line:
            return line.recv(4) == b"SSH-"

    process = Process("sshd", [program, "-D", "-e", "-f", str(config)], folder, answers, patience=20)
    process.start()
    try:
        yield SshServer(port, getpass.getuser(), folder / "user", known_hosts, process)
    finally:
        process.stop()
