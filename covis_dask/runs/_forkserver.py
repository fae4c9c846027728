"""The program that makes the processes in which runs compute: it has all that runs need imported, and forks.

A worker has threads and must not fork; this process has one, so a child is there in milliseconds and has all
modules. Each child leads a session of its own, serves one call after the other, and goes when its worker has
gone: at once when it has nothing to do, else when its run has ended, be it committed or failed.
"""

import atexit
import faulthandler
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any

import dask.config

from catalog.redaction import redact
from covis_dask.raw.leftovers import hold
from covis_dask.runs import events
from covis_dask.runs._calls import SAID, Call, Ended, Fork, Reap, Told

__all__ = ["main"]

NEEDED = (
    "covis_dask.runs.worker",
    "covis_dask.products.writers",
    "covis_dask.engines.native",
    "covis_dask.modes.ashes.imaging",  # and with it the kernels; engines import modes as they are needed
)

_LATER = 10.0
_LONGEST_ALARM = 2**31 - 1
"""A worker ends what takes too long; what has lost its worker ends itself, so much later, s."""
_FAREWELL = 10
_PATIENCE = 2.0
_FIRST_TO_GO = "500"
"""When the machine has no memory left, the kernel is to end the run, not its worker."""


def main(descriptor: int) -> None:
    """Serve the worker at the other end of a socket until it goes; then wait for what is still computing."""
    control: Connection = Connection(descriptor)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # They are meant for the worker. A handler, since programs that we start would inherit SIG_IGN.
        signal.signal(number, lambda *_: None)
    try:
        control.recv().take_over()
        for name in NEEDED:
            import_module(name)
    except BaseException:
        control.send(traceback.format_exc())
        return
    _point_output_at(os.devnull)
    control.send(None)
    child = _ForkServer(control).serve()
    if child is not None:
        connection, order = child
        _Child(connection, order).serve()


def _point_output_at(path: str) -> None:
    """Write what is printed to a file, and hold nothing that the worker's own callers may wait for."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    os.close(file)


class _ForkServer:
    """Forks and reaps, as the worker says."""

    def __init__(self, control: Connection) -> None:
        self._control = control
        self._folders: dict[int, Path] = {}

    def serve(self) -> tuple[Connection, Fork] | None:
        """Do as told; returns in each child its connection and orders, and None at the very end."""
        while True:
            try:
                order = self._control.recv()
            except (EOFError, OSError):
                self._outlast()
                return None
            if isinstance(order, Reap):
                self._control.send(self._reap(order.pid))
            elif (child := self._fork(order)) is not None:
                return child

    def _fork(self, order: Fork) -> tuple[Connection, Fork] | None:
        descriptor = recv_handle(self._control)
        try:
            pid = os.fork()
        except OSError as error:
            os.close(descriptor)
            self._control.send(error)
            return None
        if pid == 0:
            self._control.close()
            return Connection(descriptor), order
        os.close(descriptor)
        self._folders[pid] = order.folder
        self._control.send(pid)
        return None

    def _reap(self, pid: int) -> int | None:
        """Wait for a child that has ended, and end its group; None when it had to be ended as well."""
        deadline = time.monotonic() + _PATIENCE
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while (ended := os.waitid(os.P_PID, pid, flags)) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        code = self._bury(pid)
        return None if ended is None else code

    def _bury(self, pid: int) -> int:
        # Before it is waited for: until then no other process can have its number.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        self._folders.pop(pid, None)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _outlast(self) -> None:
        """Wait for children that have lost their worker: each has a deadline of its own."""
        while self._folders:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            if ended is None:
                return
            folder = self._folders.get(ended.si_pid)
            self._bury(ended.si_pid)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


class _Child:
    """A process in which runs compute, one after the other."""

    def __init__(self, connection: Connection, order: Fork) -> None:
        os.setsid()
        order.surroundings.take_over()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
        faulthandler.enable()
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._connection = connection
        self._folder = order.folder
        self._call: Call | None = None
        # What is registered later, by engines, comes before it.
        atexit.register(shutil.rmtree, order.folder, ignore_errors=True)

    def serve(self) -> None:
        """Answer calls until the worker goes away, or has gone meanwhile."""
        events.listen(self._tell)
        with suppress(EOFError, OSError):
            while True:
                self._connection.send(self._serve_once())
                signal.alarm(0)
                self._call = None
        signal.alarm(_FAREWELL)  # threads that an engine has left must not keep it

    def _serve_once(self) -> Ended:
        try:
            call = self._connection.recv()
        except (ImportError, AttributeError) as error:  # the worker knows a module that we do not
            return Ended(None, f"{type(error).__name__}: {error}")
        self._prepare(call)
        try:
            return Ended(call.function(*call.arguments))
        except BaseException as error:
            traceback.print_exc()
            sys.stderr.flush()
            return Ended(None, redact(f"{type(error).__name__}: {error}"))

    def _prepare(self, call: Call) -> None:
        """Give a call a folder and a deadline, neither of which it can leave behind."""
        self._call = call
        signal.alarm(min(int(call.computing + _LATER) + 1, _LONGEST_ALARM))
        # Where that is impossible, the run will find out, and say so in its own words.
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            hold(self._folder)
            _point_output_at(os.fspath(self._folder / SAID))
            os.truncate(self._folder / SAID, 0)
            dask.config.set({"covis.scratch": os.fspath(self._folder)})
            tempfile.tempdir = os.environ["TMPDIR"] = os.fspath(self._folder)

    def _tell(self, event: Mapping[str, Any]) -> None:
        """Tell the worker, unless it has gone or has no time: the run must not wait for it."""
        if self._call is not None and event.get("stage", "") not in events.COMPUTING:
            signal.alarm(min(int(self._call.finishing + _LATER) + 1, _LONGEST_ALARM))
        with suppress(OSError):
            if select.select([], [self._connection], [], 0)[1]:
                self._connection.send(Told(event))
