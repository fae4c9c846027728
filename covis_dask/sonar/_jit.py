"""Compiled loops: one way to make them, for all of them.

Kernels are compiled when first called and kept on disk beside the code (or in the user's cache folder, where
that cannot be written), per machine type; they leave other threads running. Sums are not reordered, so the
results do not depend on the length of vectors; but a product and the sum it feeds may be rounded only once.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["kernel"]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function of arrays and numbers."""
    compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})(function)
    made: F = compiled
    return made
