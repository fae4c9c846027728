"""Keywords as a request: the options of ``covis batch``, spelled as there or as Python values."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from catalog.errors import SelectionError
from catalog.query import RunQuery
from catalog.selection import SELECTION_WORDS
from covis_dask.batches.request import BatchRequest, ClusterSpec
from covis_dask.errors import ConfigurationError
from covis_dask.modes.parameters import load_overrides, parse_set

__all__ = ["Options", "Selection", "query_of", "request_of"]

_Several = str | int | Sequence[str] | Sequence[int]


class Selection(TypedDict, total=False):
    """Which runs, as ``covis batch --help`` explains it; ``from_`` is ``--from``."""

    year: _Several
    month: _Several
    from_: str
    to: str
    mode: str | Sequence[str]
    site: str | Sequence[str]
    basename: str | Sequence[str]
    regex: str
    sample: int | str
    limit: int


class Options(Selection, total=False):
    """Every option of ``covis batch``; a flag is True, and ``set`` may be a mapping of parameters."""

    job: str
    engine: str
    profile: str
    fixes: str | Sequence[str]
    preset: str
    parameters: str
    set: dict[str, Any] | Sequence[str]
    ancillary: str
    format: str | Sequence[str]
    prefix: str
    force: bool
    verify: bool
    only: str
    retries: int
    scheduler: str
    cluster: str
    workers: int
    adapt: str


_SELECTION = frozenset(SELECTION_WORDS)
_PLAIN = frozenset(
    {"job", "engine", "profile", "preset", "prefix", "ancillary", "force", "verify", "only", "retries"}
)
_CLUSTER = frozenset({"scheduler", "cluster", "workers", "adapt"})
_OTHER = frozenset({"fixes", "parameters", "set", "format"})
_NUMBERS = frozenset({"workers", "retries"})


def query_of(keywords: Mapping[str, Any]) -> RunQuery:
    """Turn selection keywords into a query.

    Raises
    ------
    ConfigurationError
        For keywords that make no sense.
    """
    try:
        return RunQuery.from_text(keywords)
    except SelectionError as error:
        raise ConfigurationError(str(error)) from error


def request_of(keywords: Mapping[str, Any]) -> BatchRequest:
    """Turn keywords into a request.

    Raises
    ------
    ConfigurationError
        For keywords that there are not, that make no sense, or that contradict each other.
    """
    unknown = keywords.keys() - _SELECTION - _PLAIN - _CLUSTER - _OTHER
    if unknown:
        raise ConfigurationError(f"unknown keyword {min(unknown)}")
    given = {name: value for name, value in keywords.items() if value is not None}
    for name in _NUMBERS & given.keys():
        if not isinstance(given[name], int):
            raise ConfigurationError(f"{name} must be a whole number, not {given[name]!r}")
    plain: dict[str, Any] = {name: value for name, value in given.items() if name in _PLAIN}
    if "fixes" in given:
        plain["fixes"] = tuple(_several(given["fixes"]))
    if "format" in given:
        plain["formats"] = tuple(dict.fromkeys(_several(given["format"])))
    return BatchRequest(
        query=query_of({name: value for name, value in given.items() if name in _SELECTION}),
        overrides=_overrides(given),
        cluster=ClusterSpec.from_options(
            **{name: value for name, value in given.items() if name in _CLUSTER}
        ),
        **plain,
    )


def _several(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    overrides = load_overrides(given["parameters"]) if "parameters" in given else {}
    changed = given.get("set", {})
    if isinstance(changed, Mapping):
        return overrides | dict(changed)
    return overrides | dict(parse_set(text) for text in _several(changed))
