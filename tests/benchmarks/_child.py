"""Measurements as processes of their own, and the environment they get."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "bare_environment", "measured"]

ROOT = Path(__file__).resolve().parents[2]
_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def bare_environment() -> dict[str, str]:
    """Return the environment without what decides how many threads there are, and how fast they are."""
    environment = {name: value for name, value in os.environ.items() if name not in _THREADS}
    # Where this is set, for the sake of equal results on unequal machines, it also sets the speed.
    environment.pop("OPENBLAS_CORETYPE", None)
    return environment


def measured(module: str, *words: object, threads: int | None = None) -> dict[str, Any]:
    """Run ``python -m tests.benchmarks.MODULE`` and return the JSON of its last line.

    Parameters
    ----------
    module : str
    words : object
        Its arguments.
    threads : int, optional
        Most threads of numerical libraries; their own choice when not given.
    """
    environment = bare_environment()
    if threads is not None:
        environment |= dict.fromkeys(_THREADS, str(threads))
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, words)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"measuring {module} {words} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
