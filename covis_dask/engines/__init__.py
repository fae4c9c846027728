"""Engines turn a raw archive into a dataset; the batch neither knows nor cares how."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from covis_dask.engines._protocol import Engine

__all__ = ["ENGINES", "Engine", "engine_named"]

ENGINES: Mapping[str, str] = MappingProxyType(
    {"native": "NativeEngine", "matlab": "MatlabEngine", "both": "BothEngines"}
)
"""Engines: the module of this package, and the class in it, which is imported when first asked for."""


@cache
def engine_named(name: str) -> Engine:
    """Return the engine of that name; one per process."""
    made: Engine = getattr(import_module(f"{__name__}.{name}"), ENGINES[name])()
    return made
