"""Waiting for a store that does not answer, without losing what was computed meanwhile."""

from collections.abc import Callable
from typing import Final, TypeVar

import tenacity

from covis_dask.errors import StorageUnavailable

__all__ = ["LONGEST_PAUSE", "retry_while_unavailable"]

LONGEST_PAUSE: Final = 60.0
"""Longest time, s, between two tries; whoever comes back is noticed soon."""

T = TypeVar("T")


def retry_while_unavailable(
    call: Callable[[], T], max_outage: float, pause: float, log: Callable[[str], None]
) -> T:
    """Repeat a call while a store does not answer.

    Parameters
    ----------
    call : callable
        May be repeated without harm.
    max_outage : float
        Longest time, s, to go on trying.
    pause : float
        Before the second try, s; doubles up to `LONGEST_PAUSE`.
    log : callable
        Takes a line on each failure.

    Raises
    ------
    StorageUnavailable
        The last one, when the outage has lasted too long.
    """

    def say(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log(f"{error}; trying again in {state.upcoming_sleep:.0f} s")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(StorageUnavailable),
        wait=tenacity.wait_exponential(multiplier=pause, max=LONGEST_PAUSE),
        stop=tenacity.stop_before_delay(max_outage),
        before_sleep=say,
        reraise=True,
    )
    return retrying(call)
