"""Folders in scratch whose process has died: told by a lock that goes with its holder."""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DeadFolder", "dead_folders", "hold", "scratch_folder"]

_OURS = re.compile(r"covis-(?:raw-|run-|matlab-)?[a-z0-9_]{8,12}")
_NOBODY_ELSES = re.compile(r"covis-(?:raw|run|matlab)-")
"""Without a lock a bare name may be anybody's, such as ``covis-products``."""
_LOCK = ".in-use"
_YOUNG = 60.0
_DAY = 86400.0

_held: dict[Path, int] = {}
"""Descriptors of the locks that this process holds; they close when it ends, however it does."""


@dataclass(frozen=True, slots=True)
class DeadFolder:
    """A folder that nobody uses any more.

    Parameters
    ----------
    path : Path
    size : int
        Bytes in it.
    """

    path: Path
    size: int

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def hold(folder: Path) -> None:
    """Say that a scratch folder is in use, for as long as this process lives or the folder stands.

    Where the file system keeps no locks, age alone has to tell (`dead_folders`).
    """
    for gone in [path for path in _held if not path.exists()]:
        os.close(_held.pop(gone))
    if folder in _held:
        return
    with suppress(OSError):
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        _held[folder] = descriptor
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def scratch_folder(scratch: str | Path | None) -> Iterator[Path]:
    """Give a temporary folder in scratch (the system's own when not given) that is known to be in use."""
    with tempfile.TemporaryDirectory(prefix="covis-", dir=scratch) as name:
        folder = Path(name)
        hold(folder)
        try:
            yield folder
        finally:
            if folder in _held:  # network file systems keep what is open
                os.close(_held.pop(folder))


def dead_folders(scratch: Path, grace: float) -> Iterator[DeadFolder]:
    """Find the scratch folders of this user's processes that have died.

    Parameters
    ----------
    scratch : Path
    grace : float
        Seconds for which nothing must have changed in a folder whose process has left no lock, as those of
        earlier releases; a day at least.
    """
    with suppress(OSError):
        for folder in sorted(scratch.iterdir()):
            with suppress(FileNotFoundError):
                if _is_dead(folder, grace):
                    yield DeadFolder(folder, sum(size for size, _ in _files(folder)))


def _is_dead(folder: Path, grace: float) -> bool:
    if not _OURS.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    if folder.stat().st_uid != os.geteuid():
        return False
    newest = max((changed for _, changed in _files(folder)), default=0.0)
    quiet = time.time() - max(newest, folder.stat().st_mtime)
    lock = folder / _LOCK
    if not lock.exists():
        return _NOBODY_ELSES.match(folder.name) is not None and quiet > max(grace, _DAY)
    return quiet > _YOUNG and _is_free(lock)


def _is_free(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _files(folder: Path) -> Iterator[tuple[int, float]]:
    """Yield size and time of change of every file and folder in a folder."""
    for where, folders, names in os.walk(folder):
        for name in (*folders, *names):
            with suppress(OSError):
                known = Path(where, name).lstat()
                yield (0 if name in folders else known.st_size), known.st_mtime
