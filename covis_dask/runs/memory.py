"""What the C library does with memory that a run has freed.

Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_=65536``, so that they do not look larger than they are.
Each ping of some MB is then fetched from the system anew, page by page: 2.5 s of an imaging run of 8.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["reused_memory"]

# Of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MIB = 1 << 20
_LARGE = 16 * _MIB
"""What is larger comes from the system and goes back to it at once; a ping is smaller."""
_KEPT = 64 * _MIB
"""Free memory beyond this goes back."""


@contextmanager
def reused_memory() -> Iterator[None]:
    """Keep what is freed for what comes next, and give it back at the end.

    Does nothing where the C library is not glibc. What is set stays set in this process.
    """
    library: Any = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):
        yield
        return
    library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
    library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        library.malloc_trim(0)
