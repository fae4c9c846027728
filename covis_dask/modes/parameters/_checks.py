"""How an impossible value is refused."""

from covis_dask.errors import ConfigurationError

__all__ = ["require"]


def require(fact: bool, sentence: str) -> None:
    """Refuse an impossible value with a sentence.

    Raises
    ------
    ConfigurationError
        When `fact` is false.
    """
    if not fact:
        raise ConfigurationError(sentence)
