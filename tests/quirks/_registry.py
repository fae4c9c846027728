"""Known answers: what a run gives with a quirk mended, and what without; each is one function."""

from collections import defaultdict
from collections.abc import Callable

Check = Callable[[bool, tuple[str, ...]], None]

KNOWN: dict[str, list[Check]] = defaultdict(list)
"""Checks by quirk. A check is given whether the quirk is mended, and the fixes to ask for."""


def known_answer(quirk: str) -> Callable[[Check], Check]:
    """Mark a check as one of the known answers of a quirk."""

    def registered(check: Check) -> Check:
        KNOWN[quirk].append(check)
        return check

    return registered


def hold(quirk: str, check: Check) -> None:
    """See a known answer hold with the quirk as in the original, and mended."""
    check(False, ())
    check(True, (quirk,))
