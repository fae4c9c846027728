"""Scratch that is full or away: a fault of the place, which may pass; never of the run or the program."""

import errno
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covis_dask.errors import StorageUnavailable

__all__ = ["scratch_errors", "scratch_fault", "scratch_place"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PROBE = bytes(4 << 20)


def scratch_place() -> str:
    """Name this machine's scratch, for those who count outages."""
    return f"scratch of {socket.gethostname()}"


@contextmanager
def scratch_errors(folder: Path | None) -> Iterator[None]:
    """Turn what a write to scratch raises into our error.

    Parameters
    ----------
    folder : Path, optional
        The system's own when not given.

    Raises
    ------
    StorageUnavailable
    """
    try:
        yield
    except OSError as error:
        raise _fault(error, folder) from error


def scratch_fault(error: BaseException, folder: Path | str | None) -> StorageUnavailable | None:
    """Say whether an error came of scratch; the folder itself is asked.

    Libraries hide the reason (HDF5 says no more than "HDF error"), so a few megabytes are written there.

    Parameters
    ----------
    error : BaseException
        Not one of ours.
    folder : Path or str, optional
        The system's own when not given.
    """
    if not isinstance(error, (OSError, RuntimeError)):
        return None
    if isinstance(error, OSError) and error.errno in _FULL:
        return _fault(error, folder)
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            left = len(_PROBE)
            while left:
                left -= file.write(_PROBE[:left])
    except OSError as refused:
        return _fault(refused, folder)
    return None


def _fault(error: OSError, folder: Path | str | None) -> StorageUnavailable:
    if error.errno in _FULL:
        what = (
            f"no room in scratch {folder or _own()}: free some space, or point covis.scratch at a larger disk"
        )
    else:
        what = (
            f"the scratch folder {folder or _own()} cannot be used ({error.strerror or error}): "
            "make it usable, or let covis.scratch name another"
        )
    fault = StorageUnavailable(what)
    fault.place = scratch_place()
    return fault


def _own() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return "of the system"
