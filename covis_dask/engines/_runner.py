"""The worker's side of the Matlab runner: a child process in its own group, spoken to in lines of JSON."""

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

from covis_dask.errors import ConfigurationError, EngineCrashed, EngineError, OutOfMemory
from covis_dask.processes import ending, kill_tree
from covis_dask.raw.leftovers import hold

__all__ = ["MatlabRunner"]

_TICK = 0.5
_LAST_WORDS = 5.0
_END_OF_LOG = "\x1e"
_LAST_LINES = 5
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "DISPLAY")
_OURS = "COVIS_MATLAB_ENV_"
"""``COVIS_MATLAB_ENV_LD_LIBRARY_PATH=...`` in the worker's environment is the runner's LD_LIBRARY_PATH."""


def _nothing() -> None:
    """Do nothing while waiting."""


class MatlabRunner:
    """One runner process, with a folder of its own for everything the Matlab runtime writes.

    Parameters
    ----------
    python : str
        The Python that has `pycovis`; a name on PATH, or a path.
    scratch : Path, optional
        Where its folder is made; the system's place for temporary files when not given.
    start_timeout : float
        Longest time the runtime may take to open, s.

    Attributes
    ----------
    metadata : mapping
        What the compiled package says of itself: ``verstr``, ``gitrev`` and the like, and ``python``.
    runs : int
        Runs it has been given.
    """

    def __init__(self, python: str, scratch: Path | None, start_timeout: float) -> None:
        self._python = python
        self._scratch = scratch
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[str] | None = None
        self._folder: Path | None = None
        self._answers: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self.metadata: Mapping[str, Any] = {}
        self.runs = 0

    @property
    def alive(self) -> bool:
        """Whether it can take a run."""
        return self._process is not None and self._process.poll() is None

    def start(self, log: Callable[[str], None], tick: Callable[[], None] = _nothing) -> None:
        """Start the process and open the Matlab runtime; takes a while.

        Parameters
        ----------
        log : callable
            Takes what is printed, line by line.
        tick : callable
            Called twice a second; what it raises ends the runner.

        Raises
        ------
        ConfigurationError
            When there is no such Python, or it has no `pycovis`.
        EngineError
            When the runtime does not open.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="covis-matlab-", dir=self._scratch))
        hold(self._folder)
        for name in ("mcr", "tmp", "home"):
            (self._folder / name).mkdir()
        self._process = self._launch(self._folder)
        self._listen(self._process)
        deadline = time.monotonic() + self._start_timeout

        def patience() -> None:
            tick()
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the Matlab runtime did not open within {self._start_timeout:.0f} s "
                    "(covis.matlab.start-timeout)"
                )

        answer = self._answer(log, patience)
        if not answer["ok"]:
            self.kill()
            if "No module named" in answer["error"]:
                raise ConfigurationError(
                    f"{self._python} has no compiled COVIS package ({answer['error']}); "
                    "--engine matlab needs workers made from the Matlab image"
                )
            raise EngineError(f"the Matlab runtime cannot be opened: {answer['error']}")
        self.metadata = {**answer["metadata"], "python": answer["python"]}

    def _launch(self, folder: Path) -> "subprocess.Popen[str]":
        """Start the Python that has the Matlab runtime."""
        script = files("covis_dask.engines") / "_matlab_runner.py"
        try:
            return subprocess.Popen(  # noqa: S603 (the configured Python and our own script)
                [self._python, "-u", str(script)],
                cwd=folder / "tmp",
                env=_environment(folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            self._tidy()
            raise ConfigurationError(
                f"the Matlab engine's Python ({self._python}, covis.matlab.python) cannot be started: "
                f"{error}; --engine matlab needs workers made from the Matlab image"
            ) from error

    def process(
        self,
        function: str,
        run: Path,
        mat: Path,
        log: Callable[[str], None],
        tick: Callable[[], None] = _nothing,
    ) -> None:
        """Process one unpacked run.

        Parameters
        ----------
        function : str
            Of the compiled package: ``process`` or ``process_fullimaging``.
        run : Path
            Folder of the run; the runner may do with it what it likes.
        mat : Path
            File to be made.
        log, tick : callable
            As for `start`.

        Raises
        ------
        EngineError
            When Matlab raises, or the process ends, with what it said.
        OutOfMemory
            When something killed the process.
        """
        if self._process is None or self._process.stdin is None:
            raise EngineError("the Matlab runner has not been started")
        self.runs += 1
        request = {"do": "process", "id": self.runs, "function": function, "run": str(run), "mat": str(mat)}
        with suppress(OSError):  # it may have ended; the wait for its answer says how
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        answer = self._answer(log, tick)
        if not answer["ok"]:
            raise EngineError(f"the Matlab code failed: {answer['error']}{self._context()}")

    def kill(self) -> None:
        """End the whole process group at once, and remove its folder; safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            # Matlab starts helpers of its own: they must go too, also when their parent is gone.
            if process.returncode is None:
                kill_tree(process.pid)
            process.wait()
            for thread in self._threads:
                thread.join(timeout=5)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with suppress(OSError):  # a request that nobody will read
                        pipe.close()
        self._tidy()

    def _tidy(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        def answers(stream: IO[str]) -> None:
            for line in stream:
                try:
                    answer = json.loads(line)
                except ValueError:
                    self._said.put(line)
                else:
                    self._answers.put(answer)
            self._answers.put(None)

        def lines(stream: IO[str]) -> None:
            for line in stream:
                self._said.put(line)

        for target, stream in ((answers, process.stdout), (lines, process.stderr)):
            self._threads.append(threading.Thread(target=target, args=(stream,), daemon=True))
            self._threads[-1].start()

    def _answer(self, log: Callable[[str], None], tick: Callable[[], None]) -> Mapping[str, Any]:
        """Wait for the answer, passing on what is said meanwhile; on any error the runner is ended."""
        self._last.clear()
        try:
            answer = self._wait(log, tick)
        except BaseException:
            self.kill()
            raise
        # Its last words were written before the answer, but another thread reads them.
        deadline = time.monotonic() + _LAST_WORDS
        while not self._pass_on(log) and time.monotonic() < deadline:
            time.sleep(0.01)
        return answer

    def _wait(self, log: Callable[[str], None], tick: Callable[[], None]) -> Mapping[str, Any]:
        while True:
            self._pass_on(log)
            tick()
            try:
                answer = self._answers.get(timeout=_TICK)
            except queue.Empty:
                continue
            if answer is None:
                raise self._ended(log)
            return answer

    def _pass_on(self, log: Callable[[str], None]) -> bool:
        """Log what has been said; tells whether that was all that belongs to an answer."""
        while True:
            try:
                line = self._said.get_nowait().rstrip("\r\n")
            except queue.Empty:
                return False
            if line == _END_OF_LOG:
                return True
            if line.strip():
                self._last.append(line)
                log(f"matlab| {line}")

    def _ended(self, log: Callable[[str], None]) -> EngineError | OutOfMemory:
        """Make the error for a process that ended by itself."""
        code = 0
        if self._process is not None:
            code = self._process.wait()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join(timeout=1)
        self._pass_on(log)
        if code == -signal.SIGKILL:
            return OutOfMemory(
                "the Matlab runner was killed, most likely for lack of memory; give the worker more"
                + self._context()
            )
        return EngineCrashed(f"the Matlab runner ended {ending(code)}{self._context()}")

    def _context(self) -> str:
        """Return the last lines it printed, for an error's text."""
        return f"; its last words: {' / '.join(self._last)}" if self._last else ""


def _environment(folder: Path) -> dict[str, str]:
    """Return the runner's environment: no secrets of ours, and folders of its own."""
    environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environ |= {
        name.removeprefix(_OURS): value
        for name, value in os.environ.items()
        if name.startswith(_OURS) and value
    }
    return environ | {
        "MCR_CACHE_ROOT": str(folder / "mcr"),
        "MATLAB_PREFDIR": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:replace",
    }
