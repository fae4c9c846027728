"""Exit codes, the same for every command that processes runs."""

from collections.abc import Mapping
from enum import IntEnum

from catalog.vocabulary import RunState

__all__ = ["EPILOG", "Exit", "exit_for"]


class Exit(IntEnum):
    """What a shell script can tell from a command."""

    DONE = 0
    SOME_FAILED = 1
    CONFIGURATION = 2
    NOTHING_SELECTED = 3
    INTERRUPTED = 130


EPILOG = """\
exit codes:
    0  every selected run is done, was done before, or is of a kind no program exists for
    1  some runs failed or are quarantined
    2  wrong words or wrong configuration; the batch did not start, or stopped at once
    3  nothing selected
  130  interrupted; the same command resumes where this one stopped
"""


def exit_for(counts: Mapping[str, int]) -> Exit:
    """Choose the exit code that the states of the runs call for."""
    if (
        counts.get(RunState.FAILED, 0)
        or counts.get(RunState.QUARANTINED, 0)
        or counts.get(RunState.NOT_RUN, 0)
    ):
        return Exit.SOME_FAILED
    return Exit.DONE
