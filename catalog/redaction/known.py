"""The secrets that this process knows, in every form a library may print them in.

A value becomes known when a reference is looked up, or when it is given where a secret belongs; variables of
the environment that are called secrets are known from the start. Only values are kept, and only in memory.
"""

import base64
import html
import ipaddress
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from catalog.redaction.names import is_harmless_option, is_harmless_parameter, is_secret_name

__all__ = ["hide_known", "register", "register_options", "register_url"]

_SHORTEST: Final = 4
_SHORTEST_PIECE: Final = 5
_SHORTEST_ACCOUNT: Final = 8
_WORD: Final = 8
"""A shorter value is taken out where it stands alone only: other words may contain it."""

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
_KEPT: Final[dict[str, None]] = {}
_LOCK: Final = Lock()


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
    elif not (text.startswith("/") and Path(text).is_dir()):  # a folder that is there is a place
        _keep(text, pieces=True)


def register_url(url: str) -> None:
    """Take note of what is secret in a URL: account, password, values of its query, long keys in its path."""
    rest = url.partition("://")[2]
    place, _, query = rest.partition("?")
    userinfo, at, address = rest.rpartition("@")
    if at:
        account, _, password = userinfo.partition(":")
        _keep(password, pieces=True)
        if len(account) >= _SHORTEST_ACCOUNT or not password:
            _keep(account, pieces=True)
        place, _, query = address.partition("?")
        if "@" in query or "?" in userinfo:
            _keep(userinfo.partition("@")[0].partition(":")[2], pieces=True)
    for part in re.split(r"[&;#]", query):
        name, _, value = part.partition("=")
        if not is_harmless_parameter(name):
            _keep(value or name, pieces=False)
    for segment in place.split("/")[1:]:
        if len(segment) >= 20 and re.search(r"\d", segment) and re.search(r"[A-Za-z]", segment):
            _keep(segment, pieces=False)


def register_options(options: Mapping[str, Any]) -> None:
    """Take note of all options, at any depth, that are not known to be harmless."""
    for name, value in options.items():
        _register_option(name, value, hidden=not is_harmless_option(str(name)))


def _register_option(name: str, value: object, *, hidden: bool) -> None:
    if isinstance(value, Mapping):
        if is_secret_name(str(name)) or str(name).lower() in ("headers", "env"):
            for inner in value.values():
                _register_option("", inner, hidden=True)
        else:
            register_options(value)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _register_option(name, item, hidden=hidden)
    elif isinstance(value, str | bytes) or (is_secret_name(str(name)) and not isinstance(value, bool)):
        text = value if isinstance(value, str) else str(value)
        if _URL.match(text):
            register_url(text)
        elif hidden:
            register(value)


def _keep(text: str, *, pieces: bool) -> None:
    """Note a value, and what it may be torn into: by a parser of URLs, or line by line if it is a script."""
    found = {text, *text.splitlines(), *_ASSIGNED.findall(text)}
    if re.search(r"\s", text):
        found |= {word for word in text.split() if _MIXED.fullmatch(word)}
    elif pieces:
        torn = {piece for part in (text, unquote(text)) for piece in _DELIMITERS.split(part)}
        found |= {piece for piece in torn if len(piece) >= _SHORTEST_PIECE}
    parts = (part.strip() for part in found)
    new = {part for part in parts if len(part) >= _SHORTEST and not _is_ordinary(part)} - _KEPT.keys()
    if new:
        with _LOCK:
            _KEPT.update(dict.fromkeys(new))


def _is_ordinary(text: str) -> bool:
    if text.lower() in _ORDINARY or re.fullmatch(r"\d{1,5}|[\d.]+\s?[smh]|\$\{\w+\}|\*+", text):
        return True
    try:
        ipaddress.ip_address(text.rpartition(":")[0] or text)
    except ValueError:
        return False
    return True


def hide_known(text: str, mark: str) -> str:
    """Put a mark in the place of every known secret in a text."""
    named = tuple(value for name, value in os.environ.items() if _is_named(name, value))
    forms, pattern = _compiled(len(_KEPT), named)
    low = text.lower()  # to look for each form is faster than the expression, and nearly always enough
    return pattern.sub(mark, text) if any(form in low for form in forms) else text


def _is_named(name: str, value: str) -> bool:
    """Tell that a variable of the environment holds a secret, referred to or not."""
    return len(value) >= 6 and (is_secret_name(name) or ("@" in value and "://" in value))


@lru_cache(maxsize=2)
def _compiled(_known: int, named: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    for value in named:
        register(value)
    forms = sorted({form for value in tuple(_KEPT) for form in _forms(value)}, key=lambda form: -len(form))
    pattern = re.compile("|".join(map(_as_pattern, forms)) or r"(?!)", re.IGNORECASE)
    return tuple({form.lower() for form in forms}), pattern


def _as_pattern(form: str) -> str:
    escaped = re.escape(form)
    if len(form) < _WORD and form.replace("_", "").isalnum():
        return rf"(?<![A-Za-z0-9_]){escaped}(?![A-Za-z0-9_])"
    return escaped


def _forms(value: str) -> Iterator[str]:
    """Yield a value as URLs, JSON, Python, HTML, shells and HTTP headers write it."""
    yield value
    written = {
        unquote(value), unquote_plus(value), quote(value), quote(value, safe=""), quote_plus(value),
        json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1],
        html.escape(value), html.escape(value, quote=False), shlex.quote(value).strip("'"),
        repr(value.encode())[2:-1],
    }  # fmt: skip
    yield from (form for form in written if len(form) >= _SHORTEST)
    if len(value) >= 6:
        data = value.encode()
        yield data.hex()
        for shift in range(3):  # where it begins within what is encoded nobody knows
            first, last = -(-8 * shift // 6), 8 * (shift + len(data)) // 6
            coded = base64.b64encode(bytes(shift) + data)[first:last].decode()
            yield coded
            yield coded.replace("+", "-").replace("/", "_")
