"""A server program as a child process: its log, its health, its end by process id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["Process", "ServerFailed", "free_ports"]

_PAUSE = 0.2


class ServerFailed(RuntimeError):
    """A server did not come up; the message ends with the last lines of its log."""


def free_ports(count: int = 1, *, with_grpc: bool = False) -> list[int]:
    """Find free ports on loopback.

    Parameters
    ----------
    count : int
        How many, all different.
    with_grpc : bool
        Whether port + 10000 must be free too (SeaweedFS serves gRPC there).
    """
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as probe, socket.socket() as grpc:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port in ports:
                continue
            if with_grpc:
                if port > 50_000:
                    continue
                try:
                    grpc.bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
            ports.append(port)
    return ports


class Process:
    """One server in a process group of its own, so that Ctrl-C in a terminal leaves its end to us.

    Parameters
    ----------
    name : str
        For messages, and for the log's file name.
    command : sequence of str
    folder : Path
        Working folder; the log is ``<name>.log`` in it.
    healthy : callable
        Says whether the server answers; may raise anything while it does not.
    environ : mapping
        Added to this process's environment. Secrets go here, never into `command`.
    patience : float
        Longest time, s, that it may take to come up.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        healthy: Callable[[], bool],
        environ: Mapping[str, str] | None = None,
        patience: float = 60.0,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._folder = folder
        self._environ = dict(environ or {})
        self._healthy = healthy
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else None

    def start(self, *, wait: bool = True) -> None:
        """Start it; wait until it answers, unless told otherwise.

        Raises
        ------
        ServerFailed
            When it ends, or does not answer in time. It is stopped then.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 (commands of ours)
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, **self._environ},
                start_new_session=True,
            )
        if wait:
            self.wait_healthy()

    def wait_healthy(self) -> None:
        """Wait until it answers; see `start`."""
        end = time.monotonic() + self._patience
        while not self.is_healthy():
            if self.pid is None or time.monotonic() > end:
                self.stop()
                tail = self.log.read_text("utf-8", errors="replace")[-2000:]
                raise ServerFailed(f"{self.name} did not come up; the end of {self.log}:\n{tail}")
            time.sleep(_PAUSE)

    def is_healthy(self) -> bool:
        """Say whether it answers just now."""
        try:
            return self._healthy()
        except Exception:  # each client library has errors of its own for 'not yet'
            return False

    def pause(self) -> None:
        """Freeze it, and return when it is frozen: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            # Only the last of its threads to stop is told of; until then one of them may still answer.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        self._reap(20)

    def stop(self, grace: float = 20.0) -> None:
        """End it in peace, by force after `grace` seconds; safe to call twice."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        if self._process.poll() is None:
            self._process.terminate()
        self._reap(grace)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and to the children it may have."""
        if self.pid is not None:
            os.killpg(self.pid, number)

    def _reap(self, grace: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(grace)
        self._process = None
