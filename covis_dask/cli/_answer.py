"""How these commands talk, and end."""

import sys
from collections.abc import Callable

from catalog.errors import CatalogError
from covis_dask.cli.exits import Exit
from covis_dask.errors import CovisError

__all__ = ["answered", "put"]


def put(text: str) -> None:
    """Write to standard output."""
    print(text)


def answered(work: Callable[[], int]) -> int:
    """Do the work of a command; an error becomes a sentence and exit code 2."""
    try:
        return work()
    except (CatalogError, CovisError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.CONFIGURATION
