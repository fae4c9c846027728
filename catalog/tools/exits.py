"""Exit codes of ``python -m catalog``, and the refusal that has one of its own."""

from enum import IntEnum

from catalog.errors import CovisError

__all__ = ["Exit", "UsageError"]


class Exit(IntEnum):
    """What a shell script can tell from a command."""

    DONE = 0
    NOTHING = 1
    USAGE = 2
    UNREADABLE = 3
    INTERRUPTED = 130


class UsageError(CovisError):
    """Words of the command line that do not go together."""
