"""Some cases of every kind, every case that ever failed, and bombs; each kind in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import KINDS

_CASES = 400
_KEPT = Path(__file__).with_name("kept.txt")
_ROOT = Path(__file__).resolve().parents[2]


def _fuzz(*words: str) -> str:
    """Run cases in a process, which tells what failed and how much memory it took; return what it says."""
    command = [sys.executable, "-m", "tests.fuzz", *words]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_cases(kind: str) -> None:
    """Whatever is changed, what comes is read or refused in a sentence; quickly, and in little memory."""
    assert _fuzz(kind, str(_CASES)).startswith(f"{_CASES} cases, 0 failed")


def test_kept_cases() -> None:
    """No case that ever failed fails again."""
    kept = [line.partition("#")[0].strip() for line in _KEPT.read_text("utf-8").splitlines()]
    words = [line.replace(" ", ":") for line in kept if line]
    assert _fuzz(*words).startswith(f"{len(words)} cases, 0 failed")


def test_bombs() -> None:
    """Small files that want to become large are read or refused below a gigabyte of memory."""
    assert ", 0 failed" in _fuzz("bombs")


def test_a_failing_case_is_told() -> None:
    """The program ends with 1 and the trace of what went wrong."""
    script = (
        "import sys; from tests.fuzz import __main__ as fuzz\n"
        "fuzz.KINDS = {'document': lambda rng, folder: 1 / 0}\n"
        "sys.exit(fuzz.main(['document', '2']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "document 1\n" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert "2 cases, 2 failed" in done.stdout
