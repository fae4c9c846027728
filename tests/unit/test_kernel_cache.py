"""Compiled kernels where neither the installation nor the home folder can be written."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from covis_dask.cli._places import check_scratch, scratch_space
from covis_dask.config import load_settings

_PROGRAM = """
import numba.core.caching as caching

real = caching._CacheLocator.ensure_cache_path

def only_temporary(self):
    if "covis-kernels" not in self.get_cache_path():
        raise OSError(30, "Read-only file system")
    real(self)

for name in ("UserProvidedCacheLocator", "InTreeCacheLocator", "InTreeCacheLocatorFsAgnostic",
             "UserWideCacheLocator", "ZipCacheLocator"):
    if hasattr(caching, name):
        getattr(caching, name).ensure_cache_path = only_temporary

from covis_dask.cli._places import check_kernels
from covis_dask.sonar._jit import kernel

@kernel
def twice(value):
    return 2 * value

assert twice(21) == 42
print(check_kernels())
"""


def _run(folder: Path) -> "subprocess.CompletedProcess[str]":
    program = folder / "program.py"  # Numba keeps only what comes from a file
    program.write_text(_PROGRAM)
    return subprocess.run(
        [sys.executable, program], cwd=folder, env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_read_only_home_and_installation(tmp_path: Path) -> None:
    """Kernels run from a temporary folder of the user's own; that is said once, not by every process."""
    first, second = _run(tmp_path), _run(tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    folder = tmp_path / f"covis-kernels-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert str(folder) in first.stderr
    assert second.stderr == ""
    assert first.stdout.startswith("warn  kernels")


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    """Code is run from there, so a folder that others may write is passed over; kernels work all the same."""
    folder = tmp_path / f"covis-kernels-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    done = _run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cannot be kept" in done.stdout
    assert not list(folder.iterdir())


def test_doctor_finds_scratch_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is not there, or takes no file, is RED with the system's words."""
    (tmp_path / "file").write_text("in the way")
    settings = load_settings({})
    for scratch, words in (("gone", "No such file"), ("file", "Not a directory")):
        space = scratch_space(replace(settings, scratch=str(tmp_path / scratch)))
        found = check_scratch("scratch here", *space)
        assert (found.state, words in found.text) == ("RED", True), found
    assert scratch_space(replace(settings, scratch=str(tmp_path)))[2] == ""
