"""``covis doctor`` on this machine's folders: scratch, and where compiled kernels are kept."""

import shutil
import tempfile

from dask.utils import format_bytes

from covis_dask.cli._finding import Finding
from covis_dask.config import Settings

__all__ = ["check_kernels", "check_scratch", "scratch_space"]

_SCRATCH_RED = 2 * 2**30
_SCRATCH_ENOUGH = 20 * 2**30


def scratch_space(settings: Settings) -> tuple[str, int, str]:
    """Return the scratch folder, the bytes free there, and why it cannot be written (empty when it can)."""
    try:
        folder = settings.scratch or tempfile.gettempdir()
    except OSError as error:  # no folder for temporary files at all
        return "the system's", -1, str(error)
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"covis-dask looks whether it may write here\n")
    except OSError as error:
        return folder, -1, error.strerror or str(error)
    return folder, free, ""


def check_scratch(name: str, folder: str, free: int, fault: str = "") -> Finding:
    """Judge what `scratch_space` returned."""
    if fault or free < 0:
        what = f"{folder} cannot be written: {fault or 'there is no such folder'}"
        return Finding(name, "RED", what, "make it writable, or let covis.scratch name another")
    text = f"{format_bytes(free)} free in {folder}"
    if free < _SCRATCH_ENOUGH:
        state = "RED" if free < _SCRATCH_RED else "warn"
        return Finding(name, state, text, "free some space, or point covis.scratch at a larger disk")
    return Finding(name, "ok", text)


def check_kernels() -> Finding:
    """See whether compiled kernels can be kept; where not, each process compiles them anew."""
    from covis_dask.sonar._jit import kernel_cache  # Numba comes with it

    folder, lasts = kernel_cache()
    if lasts:
        return Finding("kernels", "ok", f"compiled kernels are kept in {folder}")
    what = (
        f"are kept in {folder}, a temporary folder" if folder else "cannot be kept: each process makes them"
    )
    advice = "let NUMBA_CACHE_DIR name a folder that can be written, and lasts"
    return Finding("kernels", "warn", f"compiled kernels {what}", advice)
