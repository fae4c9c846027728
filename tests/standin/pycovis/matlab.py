# ruff: noqa: UP006, UP032, UP035, PTH110, PTH112, PTH113, PTH118, PTH119, PTH123, PTH208
"""Behaves like the compiled package: slow to open, talkative, and able to fail in every way the real one can.

It computes nothing: it copies a .mat file that lies ready in the folder STANDIN, named after run or mode.
There ``script.json`` may say what goes wrong with which run. Standard library only, any Python from 3.5 on.
"""

import ctypes
import io
import json
import os
import shutil
import signal
import time
from typing import Any, Dict, List

_state = {"runtime": False}


class MatlabRuntimeError(Exception):
    """What the runtime raises for an error in Matlab code."""


def initialize_runtime(options: List[str]) -> None:
    """Open the runtime; that takes time, and it can be done once."""
    if _state["runtime"]:
        raise RuntimeError("the runtime is open already")
    if options != ["-nodisplay"]:
        raise ValueError(options)
    if not os.path.isdir(os.environ["MCR_CACHE_ROOT"]):
        raise RuntimeError("no MCR_CACHE_ROOT")
    time.sleep(float(os.environ.get("STANDIN_START", "0.2")))
    if os.environ.get("STANDIN_BROKEN"):
        raise RuntimeError("Could not open the runtime library")
    _state["runtime"] = True


def initialize() -> "Package":
    """Return the package."""
    if not _state["runtime"]:
        raise RuntimeError("initialize_runtime comes first")
    return Package()


class Package:
    """The functions of the compiled code."""

    def __init__(self) -> None:
        self.folder = os.environ["STANDIN"]

    def postproc_metadata(self, stdout: io.StringIO, stderr: io.StringIO) -> Dict[str, str]:
        """Say what code this is."""
        assert isinstance(stdout, io.StringIO)
        assert isinstance(stderr, io.StringIO)
        return {"verstr": "2.1.2", "gitrev": "0123abc", "gittags": "v2.1.2", "matlab_version": "9.8 (R2020a)"}

    def process(self, run: str, mat: str, stdout: io.StringIO, stderr: io.StringIO) -> List[Any]:
        """Process a run: print, go wrong as told, or leave a .mat file."""
        assert isinstance(stdout, io.StringIO)
        assert isinstance(stderr, io.StringIO)
        name = os.path.basename(run)
        assert os.path.isfile(os.path.join(run, "sweep.json")), os.listdir(run)
        stdout.write("Processing {}\n".format(name))
        os.write(1, b"ANS = 42 (from below Python)\n")
        stderr.write("Warning: \xe9trange\n")
        stdout.write("pid {} secret {}\n".format(os.getpid(), os.environ.get("NAS_SECRET_KEY")))
        shutil.rmtree(run)  # as the original does (Q47)
        if not self._go_wrong(name, mat):
            self._copy(name, mat)
        return []

    def process_fullimaging(self, run: str, mat: str, stdout: io.StringIO, stderr: io.StringIO) -> List[Any]:
        """Process a full-range run, into two files."""
        self.process(run, mat, stdout, stderr)
        name = os.path.basename(run) + "-diffuse"
        self._copy(name, mat.replace("imaging1", "diffuse_fr1"))
        return []

    def terminate(self) -> None:
        """Close."""

    def _copy(self, name: str, mat: str) -> None:
        mode = name.rsplit("-", 1)[-1].lower().rstrip("0123456789")
        for ready in (name, mode):
            path = os.path.join(self.folder, ready + ".mat")
            if os.path.exists(path):
                shutil.copyfile(path, mat)
                return
        raise MatlabRuntimeError("unrecognised data type")

    def _go_wrong(self, name: str, mat: str) -> bool:
        try:
            with open(os.path.join(self.folder, "script.json")) as file:
                what = json.load(file).get(name, "")
        except OSError:
            what = ""
        if what == "raise":
            raise MatlabRuntimeError("Index exceeds the number of array elements (0). at covis_read line 12")
        if what == "hang":
            if os.fork() == 0:
                time.sleep(600)
            time.sleep(600)
        if what == "exit":
            print("Matlab is leaving", flush=True)
            os._exit(3)
        if what == "segfault":
            ctypes.string_at(0)
        if what == "oom":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "garbage":
            with open(mat, "wb") as file:
                file.write(b"MATLAB 5.0 MAT-file, cut short")
        return what in ("nothing", "garbage")
