"""What every command says to ``--help``, at a fixed width; as a program of its own it prints them as JSON."""

import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
import warnings

from tests.faces._doors import covis

__all__ = ["COMMANDS", "MODULES", "helps"]

COMMANDS = (
    "",
    "batch",
    "process",
    "status",
    "log",
    "open",
    "files",
    "get",
    "upgrade",
    "verify",
    "gc",
    "report",
    "catalog",
    "catalog import",
    "catalog select",
    "catalog count",
    "catalog years",
    "catalog batches",
    "catalog copy",
    "ancillary",
    "ancillary register",
    "ancillary list",
    "config",
    "config show",
    "config init",
    "doctor",
    "completion",
)
MODULES = (
    "catalog",
    "cluster.demo",
    "cluster.local_stack",
    "cluster.tls",
    "covis_dask.ancillary",
    "covis_dask.batch",
    "covis_dask.process",
    "covis_dask.simulate",
    "covis_dask.simulate.demo",
)
_WIDTH = "100"


def helps() -> dict[str, str]:
    """Return the help of every command, by the words that ask for it.

    One new process says it all, as if at a terminal of a fixed width.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.faces._helps"],
        env={**os.environ, "COLUMNS": _WIDTH, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _said_by_command(words: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        covis(*words.split(), "--help")
    return said.getvalue()


def _said_by_module(name: str) -> str:
    said = io.StringIO()
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of modules that have been imported already
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    return said.getvalue()


if __name__ == "__main__":
    commands = {f"covis {words}".strip(): _said_by_command(words) for words in COMMANDS}
    modules = {f"python -m {name}": _said_by_module(name) for name in MODULES}
    print(json.dumps(commands | modules))
