r"""Regular expressions of users, which never take longer than they are given.

A pattern such as ``(\w+)+!`` tries more ways than there are atoms before it gives up on a name; Python's own
`re` cannot be stopped meanwhile. The syntax is Python's.
"""

import time
from typing import Any, Final

import regex

from catalog.errors import SelectionError

__all__ = ["Searcher", "check_pattern"]

_PATIENCE: Final = 10.0
"""Seconds that a selection may spend on its pattern; sound ones take microseconds a name."""


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression.

    Raises
    ------
    SelectionError
    """
    _compiled(pattern)


class Searcher:
    """Looks for a pattern in one name after another.

    Parameters
    ----------
    pattern : str or None
        None is found in every name.
    patience : float
        Seconds for all names together.
    """

    def __init__(self, pattern: str | None, patience: float = _PATIENCE) -> None:
        self._pattern = None if pattern is None else _compiled(pattern)
        self._left = patience

    def __call__(self, name: str) -> bool:
        """Say whether a name holds the pattern anywhere.

        Raises
        ------
        SelectionError
            When the patience has come to an end.
        """
        if self._pattern is None:
            return True
        start = time.perf_counter()
        try:
            found = self._pattern.search(name, timeout=max(self._left, 1e-3))
        except TimeoutError:
            raise SelectionError(
                f"--regex {self._pattern.pattern!r} takes too long: there are too many ways to match it in "
                f"{name!r}; nest no repetitions"
            ) from None
        self._left -= time.perf_counter() - start
        return found is not None


def _compiled(pattern: str) -> Any:
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise SelectionError(f"--regex {pattern!r} is not a regular expression: {error}") from error
