"""What `make` promises: all commands are told, and `make test` goes on to the cluster tests."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PYTHON = """#!/bin/sh
echo "$*" >>"$0.log"
case "$*" in
  *"not clusters"*) exit {first} ;;
esac
exit {second}
"""


def _make(*words: str) -> "subprocess.CompletedProcess[str]":
    if (program := shutil.which("make")) is None:
        pytest.skip("there is no make here")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        [program, *words], cwd=_ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_tells_every_target() -> None:
    """`make help` has one line for each target that a user may name."""
    targets = re.findall(r"^\.PHONY: (.*)$", (_ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
    told = [line.split()[1] for line in _make("help").stdout.splitlines()]
    assert sorted(told) == sorted(targets)
    assert len(told) > 10


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (0, 1)])
def test_the_cluster_tests_run_even_after_a_failure(tmp_path: Path, first: int, second: int) -> None:
    """`make test` runs both parts whatever becomes of the first, and fails when either has failed."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(_PYTHON.format(first=first, second=second))
    python.chmod(0o755)
    for mark in (".installed", ".version"):
        (tmp_path / mark).touch()
    done = _make("test", f"VENV={tmp_path}")
    assert bool(done.returncode) == bool(first or second), done.stderr
    calls = Path(f"{python}.log").read_text().splitlines()
    assert len(calls) == 2
    assert "-m not clusters" in calls[0]
    assert "-m clusters tests/services" in calls[1]
