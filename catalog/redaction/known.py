"""The secrets that this process knows, in every form a library may print them in.

A value becomes known when a reference is looked up, or when it is given where a secret belongs; variables of
the environment that are called secrets are known from the start. Only values are kept, and only in memory.
"""

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import unquote

from catalog.redaction.forms import forms_of, pattern_of, probe_of
from catalog.redaction.names import is_harmless_option, is_harmless_parameter, is_secret_name

__all__ = ["forgetting", "hide_known", "register", "register_options", "register_url"]

_SHORTEST: Final = 4
_SHORTEST_PIECE: Final = 4
_SHORTEST_ACCOUNT: Final = 8
_SHORTEST_WORD: Final = 6
_OUR_WORDS: Final = """
admin administrator anonymous batch catalog catalogue covis covis-dask dask data database default dmas
example false guest host http https imaging key local localhost minio minioadmin mongo mongodb none null
ocean password postgres products public raw root runs scheduler secret sonar test token true user
username wasabi worker
"""
_ORDINARY: Final = frozenset(_OUR_WORDS.split())
"""Words that our own texts are made of: without them the texts would say nothing."""

_URL: Final = re.compile(r"[A-Za-z][\w+.-]*://\S")
_DELIMITERS: Final = re.compile(r"[\s/@:?#&=%+;,\"'\\]+")
_MIXED: Final = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])\S{8,}")
_ASSIGNED: Final = re.compile(r"=\s*[\"']?([^\s\"';]+)")
_LOCK: Final = Lock()


@dataclass(slots=True)
class _Known:
    """What is known, and how often that has changed."""

    values: dict[str, None] = field(default_factory=dict)
    version: int = 0

    def add(self, new: Iterable[str]) -> None:
        with _LOCK:
            self.values = {**self.values, **dict.fromkeys(new)}  # who reads the one before is not disturbed
            self.version += 1

    def reset(self, values: dict[str, None]) -> None:
        with _LOCK:
            self.values = values
            self.version += 1


_known: Final = _Known()


def register(value: object) -> None:
    """Take note of a secret, so that no text shows it any more.

    Parameters
    ----------
    value : object
        Its text counts. A URL is no secret as a whole: see `register_url`. Very short values, addresses and
        words of our own are taken out only where they stand in the place of a secret.
    """
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = text.strip()
    if _URL.match(text):
        register_url(text)
        _register_path(text)
    elif not (text.startswith("/") and Path(text).is_dir()):  # a folder that is there is a place
        _keep(text, pieces=True)


def register_url(url: str) -> None:
    """Take note of what is secret in a URL: account, password, and values of its query."""
    rest = url.partition("://")[2]
    query = rest.partition("?")[2]
    userinfo, at, address = rest.rpartition("@")
    account, colon, password = userinfo.partition(":")
    if at and "/" not in account:  # else the @ is one of the path
        _keep(password, pieces=True)
        is_token = not colon and not url.lower().startswith(("sftp:", "ssh:"))  # as web servers take it
        if len(account) >= _SHORTEST_ACCOUNT or is_token:
            _keep(account, pieces=True)
        query = address.partition("?")[2]
        if "@" in query or "?" in userinfo:
            _keep(userinfo.partition("@")[0].partition(":")[2], pieces=True)
    for part in re.split(r"[&;#]", query):
        name, _, value = part.partition("=")
        if not is_harmless_parameter(name):
            _keep(value or name, pieces=False)


def _register_path(url: str) -> None:
    """Take note of long keys in the path of a URL that is itself referred to as a secret."""
    for segment in url.partition("://")[2].partition("?")[0].split("/")[1:]:
        if len(segment) >= 20 and re.search(r"\d", segment) and re.search(r"[A-Za-z]", segment):
            _keep(segment, pieces=False)


def register_options(options: Mapping[str, Any], *, hidden: bool = False) -> None:
    """Take note of all options, at any depth, that are not known to be harmless.

    Parameters
    ----------
    options : mapping
        Arguments of a file system or a cluster.
    hidden : bool
        They belong to one that is not known to be harmless.
    """
    for name, value in options.items():
        _register_option(str(name), value, hidden or not is_harmless_option(str(name)))


def _register_option(name: str, value: object, hidden: bool) -> None:
    if isinstance(value, Mapping):
        register_options(value, hidden=hidden)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _register_option(name, item, hidden)
    elif _URL.match(str(value)):
        register_url(str(value))
    elif is_secret_name(name) and not isinstance(value, bool):
        register(value)
    elif hidden and isinstance(value, str | bytes) and not _says_little(name, str(value)):
        _keep(str(value), pieces=False)


def _says_little(name: str, text: str) -> bool:
    """Tell names of variables, and words such as INFO, which many texts are made of."""
    return (name == "name" and re.fullmatch(r"[A-Z][A-Z0-9_]*", text) is not None) or (
        text.isalpha() and len(text) < _SHORTEST_WORD
    )


def _keep(text: str, *, pieces: bool) -> None:
    """Note a value, and what it may be torn into: by a parser of URLs, or line by line if it is a script."""
    found = {text, *text.splitlines(), *_ASSIGNED.findall(text)}
    if re.search(r"\s", text):
        found |= {word for word in text.split() if _MIXED.fullmatch(word) or (pieces and len(word) >= 8)}
    elif pieces:
        torn = {piece for part in (text, unquote(text)) for piece in _DELIMITERS.split(part)}
        found |= {piece for piece in torn if len(piece) >= _SHORTEST_PIECE}
    parts = (part.strip() for part in found)
    new = {part for part in parts if len(part) >= _SHORTEST and not _is_ordinary(part)} - _known.values.keys()
    if new:
        _known.add(new)


def _is_ordinary(text: str) -> bool:
    if text.lower() in _ORDINARY or re.fullmatch(r"\d{1,5}|[\d.]+\s?[smh]|\$\{\w+\}|\*+", text):
        return True
    try:
        ipaddress.ip_address(text.rpartition(":")[0] or text)
    except ValueError:
        return False
    return True


@contextmanager
def forgetting() -> Iterator[None]:
    """Forget at the end what becomes known meanwhile: for tests, whose secrets are made up."""
    before = _known.values
    try:
        yield
    finally:
        _known.reset(before)


def hide_known(text: str, mark: str) -> str:
    """Put a mark in the place of every known secret in a text."""
    named = tuple(value for name, value in os.environ.items() if _is_named(name, value))
    probes, pattern = _compiled(_known.version, named)
    low = text.lower()  # to look for a part of each is faster than the expression, and nearly always enough
    return pattern.sub(mark, text) if any(probe in low for probe in probes) else text


def _is_named(name: str, value: str) -> bool:
    """Tell that a variable of the environment holds a secret, referred to or not."""
    return len(value) >= 6 and (is_secret_name(name) or ("@" in value and "://" in value))


@lru_cache(maxsize=2)
def _compiled(_version: int, named: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str]]:
    """Return one expression for all that is known, and texts of which one is in whatever it matches."""
    for value in named:
        register(value)
    forms = {form for value in _known.values for form in forms_of(value)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    pattern = re.compile("|".join(map(pattern_of, longest_first)) or r"(?!)", re.IGNORECASE)
    return frozenset(map(probe_of, forms)), pattern
