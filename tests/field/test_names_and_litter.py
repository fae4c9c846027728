"""Names in upper case are the same names; what a Mac or a storage box adds is no part of the run."""

import pytest

from tests.field._runs import SOUND, read
from tests.unit._rawruns import KINDS, NAME, run_files, stored


@pytest.mark.parametrize("kind", KINDS)
def test_upper_case(kind: str) -> None:
    """A run whose files are named in upper case, as old file systems do, is read."""
    files = [(f"{NAME}/{name.rpartition('/')[2].upper()}", data) for name, data in run_files()]
    log: list[str] = []
    assert read(stored(kind, files), log) == SOUND
    assert all("again" in line for line in log)


@pytest.mark.parametrize("kind", KINDS)
def test_litter_is_one_line(kind: str) -> None:
    """Litter beside every file takes one line of the log in all, and changes nothing."""
    files = []
    for name, data in run_files():
        folder, _, base = name.rpartition("/")
        files += [
            (f"{folder}/._{base}", b"\0\5\x16\7" + bytes(60)),
            (f"{folder}/@eaDir/{base}@SynoEAStream", b"x"),
            (f"{folder}/@eaDir/{base}", b"x"),
            (f"__MACOSX/{folder}/._{base}", b"x"),
            (name, data),
        ]
    files += [(f"{NAME}/.DS_Store", b"x"), (f"{NAME}/Thumbs.db", b"x")]
    log: list[str] = []
    assert read(stored(kind, files), log) == SOUND
    (line,) = (line for line in log if "again" not in line)
    each = 3 if kind == "folder" else 4  # what lies beside the run's folder is not looked at
    assert f"and {each * len(run_files()) + 1} more" in line
