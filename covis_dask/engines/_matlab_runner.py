# ruff: noqa: UP006, UP035
# It runs alone, under the Python of the Matlab runtime's day: 3.5 and later.
"""Runs the compiled Matlab package, and is told what to do in lines of JSON.

Standard library only: `MatlabRunner` starts this file under the Python of the Matlab image. Requests come on
standard input, answers go to standard output, one JSON object a line; whatever Matlab prints goes to standard
error, which is the log of the run.

    {"do": "process", "id": 1, "function": "process", "run": FOLDER, "mat": FILE}
    {"id": 1, "ok": true, "metadata": {...}}
    {"id": 1, "ok": false, "error": "MatlabRuntimeError: ..."}
"""

import io
import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import IO, Any, Dict

END_OF_LOG = b"\x1e\n"
"""Written to the log before each answer, so that the worker knows when it has read all of it."""


class Lines(io.StringIO):
    """Text that is passed on line by line; the runtime wants a StringIO and looks at nothing else."""

    def write(self, text: str) -> int:
        """Pass text on."""
        sys.stderr.write(text)
        sys.stderr.flush()
        return len(text)


def answers() -> IO[str]:
    """Keep standard output for answers, and give what Matlab prints to standard error instead."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "w", 1)


def requests() -> IO[str]:
    """Keep standard input for requests, so that nothing else can read from it."""
    kept = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return os.fdopen(kept, "r", 1)


def watch(parent: int) -> None:
    """End this whole process group when the worker has gone away without a word."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def plain(value: Any) -> Any:
    """Turn what the runtime returns into what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    try:
        return [plain(item) for item in value]
    except TypeError:
        return str(value)


def described(error: BaseException) -> str:
    """Say what an error is, in one text."""
    return "{}: {}".format(type(error).__name__, str(error).strip() or "no message")


def start() -> Any:
    """Open the runtime, once, and return the compiled package."""
    import pycovis.matlab as compiled  # type: ignore[import-not-found]

    compiled.initialize_runtime(["-nodisplay"])
    return compiled.initialize()


def metadata_of(package: Any) -> Any:
    """Ask what code this is; a package that cannot tell still works."""
    try:
        return plain(package.postproc_metadata(stdout=Lines(), stderr=Lines()))
    except Exception as error:
        return {"error": described(error)}


def process(package: Any, request: Dict[str, Any]) -> None:
    """Process one unpacked run into a .mat file."""
    function = getattr(package, request["function"])
    function(request["run"], request["mat"], stdout=Lines(), stderr=Lines())


def main() -> int:
    """Serve until the requests end."""
    told, said = requests(), answers()

    def answer(**fields: Any) -> None:
        sys.stderr.flush()
        os.write(2, END_OF_LOG)
        said.write(json.dumps(fields) + "\n")
        said.flush()

    watcher = threading.Thread(target=watch, args=(os.getppid(),))
    watcher.daemon = True
    watcher.start()
    try:
        package = start()
    except BaseException as error:
        traceback.print_exc()
        answer(id=0, ok=False, error=described(error))
        return 1
    answer(id=0, ok=True, python=sys.version.split()[0], metadata=metadata_of(package))
    for line in iter(told.readline, ""):
        request = json.loads(line)
        try:
            process(package, request)
        except Exception as error:
            traceback.print_exc()
            answer(id=request["id"], ok=False, error=described(error))
        else:
            answer(id=request["id"], ok=True)
    package.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
