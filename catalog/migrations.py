"""Carrying a stored catalogue forward to the schema of this program, step by step.

Each store lists its steps as ``(version, function)`` in order: the function carries a catalogue of the
version before to that version. A catalogue gets its new version only after the steps have read all of it.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from catalog.errors import CatalogError

__all__ = ["Steps", "newest", "pending"]

D = TypeVar("D")

Steps = Sequence[tuple[int, Callable[[D], None]]]
"""Versions and what carries a database to them, in order."""


def newest(steps: Steps[D]) -> int:
    """Return the version that this program writes."""
    return steps[-1][0]


def pending(steps: Steps[D], version: int, name: str) -> Steps[D]:
    """Return the steps that a catalogue still needs.

    Parameters
    ----------
    steps : sequence of (int, callable)
    version : int
        Of the catalogue as it lies there; 0 for an empty one.
    name : str
        Of the catalogue, for the message.

    Raises
    ------
    CatalogError
        When a later release has made it.
    """
    if version > newest(steps):
        raise CatalogError(
            f"catalogue {name} has schema {version}, and this program knows schemas up to {newest(steps)}: "
            "it was made by a newer release; install that one"
        )
    return [step for step in steps if step[0] > version]
