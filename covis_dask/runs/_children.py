"""A worker's handles on the processes in which its runs compute; `_forkserver` is their program."""

import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path

from covis_dask.errors import ConfigurationError, WorkerLost
from covis_dask.processes import has_ended, kill_tree
from covis_dask.runs._calls import Fork, Reap, Surroundings

__all__ = ["Child", "ForkServer"]

_START = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from covis_dask.runs._forkserver import main; main(int(sys.argv[1]))"
)
_OPENING = 300.0
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)
"""A process that forks must have one thread, and numerical libraries start theirs when they are loaded."""


class ForkServer:
    """The process that makes children; it has imported all that runs need.

    Parameters
    ----------
    surroundings : Surroundings

    Raises
    ------
    ConfigurationError
        When it cannot be started, or cannot import what it needs.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._lock = threading.Lock()
        self._control, theirs = Pipe()
        words = [*subprocess._args_from_interpreter_flags(), "-c", _START]  # type: ignore[attr-defined]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (this Python and our own program)
                [sys.executable, *words, str(theirs.fileno()), *surroundings.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env={**surroundings.environ, **_ONE_THREAD},
                start_new_session=True,  # Ctrl-C is not meant for it
            )
        fault = self._open(surroundings)
        if fault is not None:
            code = self._process.poll()
            if code is None:  # it hangs, and would stay
                kill_tree(self._process.pid)
            self.close()
            if code is not None and code < 0:
                raise WorkerLost(f"the process that starts others for runs was ended by signal {-code}")
            raise ConfigurationError(f"this worker cannot start processes for its runs: {fault}")

    def _open(self, surroundings: Surroundings) -> str | None:
        """Give it the configuration, and wait until it is ready; returns what went wrong."""
        said: str | None = None
        try:
            self._control.send(surroundings)
            if not self._control.poll(_OPENING):
                return f"it was not ready after {_OPENING:.0f} s"
            said = self._control.recv()
        except (EOFError, OSError):
            said = self._process.communicate()[1].decode(errors="replace") or "it ended without a word"
        if self._process.stderr is not None:
            self._process.stderr.close()
        return None if said is None else said.strip().rpartition("\n")[2]

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can make children."""
        return self._process.poll() is None

    def fork(self, scratch: str | None, surroundings: Surroundings) -> "Child":
        """Make a child.

        Raises
        ------
        WorkerLost
            When the system does not allow it now.
        """
        try:
            place = Path(scratch or tempfile.gettempdir())
        except FileNotFoundError:  # no place for temporary files at all: the run will say so
            place = Path("/nowhere")
        folder = place.absolute() / f"covis-{uuid.uuid4().hex[:12]}"
        ours, theirs = Pipe()
        try:
            with self._lock, theirs:
                self._control.send(Fork(folder, surroundings))
                send_handle(self._control, theirs.fileno(), self._process.pid)
                answer = self._control.recv()
        except (EOFError, OSError) as error:
            answer = error
        if not isinstance(answer, int):
            ours.close()
            raise WorkerLost(f"this worker cannot start a process for the run: {answer or 'it has gone'}")
        return Child(answer, ours, folder, surroundings, self)

    def reap(self, pid: int) -> int | None:
        """Return the exit code of a child that has ended; None when it had to be ended, or nobody knows."""
        try:
            with self._lock:
                self._control.send(Reap(pid))
                code: int | None = self._control.recv()
        except (EOFError, OSError):
            return None
        return code

    def close(self) -> None:
        """Let it go; what it has made and is at work ends by itself, and it stays until then."""
        self._control.close()
        threading.Thread(target=self._process.wait, daemon=True).start()


class Child:
    """A process for runs.

    Parameters
    ----------
    pid : int
    connection : Connection
        Calls go there, events and answers come from there.
    folder : Path
        Where it keeps all that is temporary.
    surroundings : Surroundings
    server : ForkServer

    Attributes
    ----------
    runs : int
        Calls it has been given.
    """

    def __init__(
        self, pid: int, connection: Connection, folder: Path, surroundings: Surroundings, server: ForkServer
    ) -> None:
        self.pid = pid
        self.connection = connection
        self.folder = folder
        self.surroundings = surroundings
        self.server = server
        self.runs = 0
        self._lock = threading.Lock()
        self._reaped = False

    @property
    def is_idle(self) -> bool:
        """Whether it lives and has nothing to say, as one that waits for a call."""
        return not self.connection.poll() and not has_ended(self.pid)

    def kill(self) -> None:
        """End it at once, with all that it has started; safe at any time."""
        with self._lock:
            if not self._reaped:
                kill_tree(self.pid)

    def reap(self) -> int | None:
        """Return how it ended; see `ForkServer.reap`."""
        with self._lock:
            self._reaped = True
            return self.server.reap(self.pid)

    def end(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        if not self._reaped:
            self.reap()
        self.connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)
