"""How these commands talk, and end."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from catalog.errors import CatalogError
from catalog.redaction import redact
from covis_dask.cli.exits import Exit
from covis_dask.errors import CovisError

__all__ = ["answered", "put", "unparsable"]


def put(text: str) -> None:
    """Write to standard output."""
    print(text)


def answered(work: Callable[[], int]) -> int:
    """Do the work of a command; an error becomes a sentence and exit code 2."""
    try:
        return work()
    except (CatalogError, CovisError, ValueError) as error:
        print(f"error: {redact(str(error))}", file=sys.stderr)
        return Exit.CONFIGURATION


_MALFORMED = re.compile(r"config file at '(.+?)' is malformed(?:.*?(got a \w+ instead))?", re.DOTALL)


def unparsable(error: ValueError) -> str | None:
    """Say which file of settings Dask could not read, and where in it; None for any other error.

    Dask reads all of them when it is first imported, and this is what its import raises.
    """
    if (found := _MALFORMED.search(str(error))) is None:
        return None
    path = found[1]
    try:
        yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        what = f"the whole must be keys and values ({found[2]})" if found[2] else str(error)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what = f"{where}{fault.problem or fault.context}"
        if "'\\t'" in what:
            what += " (a tab; indent with spaces)"
    except (OSError, ValueError, yaml.YAMLError) as fault:
        what = " ".join(str(fault).split())
    return f"the file of settings {path} cannot be read: {what}"
