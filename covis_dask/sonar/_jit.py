"""Compiled loops: one way to make them, for all of them.

Kernels are compiled when first called and kept on disk beside the code (or in the user's cache folder, where
that cannot be written, or else in a temporary one), per machine type; they leave other threads running. Sums
are not reordered, so the results do not depend on the length of vectors; but a product and the sum it feeds
may be rounded only once.
"""

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

__all__ = ["kernel", "kernel_cache"]

F = TypeVar("F", bound=Callable[..., Any])

_LOG = logging.getLogger("covis_dask")


def kernel(function: F) -> F:
    """Compile a function of arrays and numbers."""
    made: F = _kept(function) or _kept(function, _temporary_folder()) or _compiled(function, cache=False)
    return made


def _kept(function: Callable[..., Any], folder: str | None = "") -> Any:
    """Compile a function and keep it on disk; None where there is no folder to write.

    Parameters
    ----------
    function : callable
    folder : str, optional
        Which; where Numba finds one when empty.
    """
    if folder is None:
        return None
    if folder:
        numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]  # set when it is imported
    try:
        return _compiled(function, cache=True)
    except RuntimeError:  # code and home are read-only
        return None


def _compiled(function: Callable[..., Any], *, cache: bool) -> Any:
    return numba.njit(cache=cache, nogil=True, error_model="numpy", fastmath={"contract"})(function)


def _temporary_folder() -> str | None:
    """Return a folder of this user's own for compiled code; who makes it says so, once for all processes."""
    try:
        folder = Path(tempfile.gettempdir()) / f"covis-kernels-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            about = folder.lstat()
            # Code is run from there: it must be nobody else's.
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o022:
                return None
        else:
            _LOG.warning(
                "compiled kernels are kept in %s, for neither the installation nor the home folder can be "
                "written; let NUMBA_CACHE_DIR name a folder that lasts",
                folder,
            )
    except OSError:
        return None
    return os.fspath(folder)


def kernel_cache() -> tuple[str | None, bool]:
    """Return the folder where compiled kernels are kept, if there is one, and whether it lasts."""

    @kernel
    def probe(value: float) -> float:
        return value

    made: Any = probe
    folder = getattr(made._cache, "cache_path", None)
    return folder, folder is not None and "covis-kernels-" not in str(folder)
