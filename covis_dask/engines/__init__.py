"""Engines turn a raw archive into a dataset; the batch neither knows nor cares how."""

from collections.abc import Callable
from functools import cache

from covis_dask.engines._protocol import Engine
from covis_dask.engines.native import NativeEngine

__all__ = ["ENGINES", "Engine", "engine_named"]

ENGINES: dict[str, Callable[[], Engine]] = {"native": NativeEngine}
"""Engines by name."""


@cache
def engine_named(name: str) -> Engine:
    """Return the engine of that name; one per process."""
    return ENGINES[name]()
