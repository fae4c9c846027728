"""Other processes: what they weigh, how they ended, and their end with all that they have started."""

import os
import signal
from contextlib import suppress

import psutil  # type: ignore[import-untyped]  # ships no type information

__all__ = ["ending", "has_ended", "kill_tree", "memory_of_tree", "resident"]


def resident(pid: int) -> int:
    """Return the resident memory of a process, bytes; 0 when it has gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def memory_of_tree(pid: int) -> int:
    """Return the resident memory of a process and of all that it has started, bytes."""
    return resident(pid) + sum(resident(child.pid) for child in _started_by(pid))


def has_ended(pid: int) -> bool:
    """Say whether a process has ended, be it that nobody has waited for it yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def kill_tree(pid: int) -> None:
    """End a process that leads its own group at once, with its group and all that it has started.

    The process must not have been waited for, so that its number is still its own. Safe to call twice.
    """
    # What is started while we look is caught by the second look; what has lost its parent, by its group.
    for _ in range(2):
        started = _started_by(pid)
        _kill_group(pid)
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)  # should it not lead its group yet
        for process in started:
            # psutil refuses a process that has taken over a number: it remembers when each was started.
            with suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) == process.pid:
                    _kill_group(process.pid)
                process.kill()


def ending(code: int) -> str:
    """Say how a process ended, of its exit code as `subprocess` has it.

    Examples
    --------
    >>> ending(-11), ending(3)
    ('by SIGSEGV', 'by itself, with code 3')
    """
    if code >= 0:
        return f"by itself, with code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _started_by(pid: int) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return found
