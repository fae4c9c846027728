"""Keywords of the notebook as words of the command line: one parser explains and refuses for both."""

import argparse
import contextlib
import io
from collections.abc import Mapping
from typing import Any

from catalog.query import RunQuery
from catalog.words import SelectionError, add_selection_arguments, query_from_arguments
from covis_dask.cli.batch import parser, refuse_contradictions
from covis_dask.errors import ConfigurationError

__all__ = ["arguments_of", "query_of_words"]


def _line(words: Mapping[str, Any]) -> list[str]:
    """Spell keywords as a command line."""
    line: list[str] = []
    for name, value in words.items():
        option = f"--{name.rstrip('_').replace('_', '-')}"
        if value is None or value is False:
            continue
        if value is True:
            line.append(option)
        elif isinstance(value, Mapping):
            line += [f"{option}={key}={item}" for key, item in value.items()]
        elif isinstance(value, str | int | float):
            line.append(f"{option}={value}")
        else:
            line += [f"{option}={item}" for item in value]
    return line


def _parse(with_words: argparse.ArgumentParser, words: Mapping[str, Any]) -> argparse.Namespace:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return with_words.parse_args(_line(words))
    except SystemExit:
        reason = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise ConfigurationError(reason or "these words make no sense") from None


def query_of_words(words: Mapping[str, Any]) -> RunQuery:
    """Turn selection words into a query.

    Raises
    ------
    ConfigurationError
        For words that make no sense.
    """
    selecting = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_selection_arguments(selecting)
    try:
        return query_from_arguments(_parse(selecting, words))
    except SelectionError as error:
        raise ConfigurationError(str(error)) from error


def arguments_of(words: Mapping[str, Any]) -> tuple[argparse.Namespace, RunQuery]:
    """Turn words of the batch command into its arguments and the query.

    Raises
    ------
    ConfigurationError
        For words that make no sense, or contradict each other.
    """
    arguments = _parse(parser(), words)
    refuse_contradictions(arguments)
    try:
        query = query_from_arguments(arguments)
    except SelectionError as error:
        raise ConfigurationError(str(error)) from error
    if query == RunQuery():
        raise ConfigurationError('say which runs: year=2014, mode="diffuse" ... (regex="." takes them all)')
    return arguments, query
