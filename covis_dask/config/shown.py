"""Which settings may be shown: those that are known to hold nothing secret, and references to the rest."""

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from catalog.redaction import HIDDEN, is_harmless_option, redact
from covis_dask.config.sections import CovisSection, LocationSection, Section

__all__ = ["shown"]

_REFERENCES: Final = re.compile(r"(?:\$\{\w+\})+")
_TOKEN: Final = re.compile(r"(?<=/)(?=[^/?#]*\d)(?=[^/?#]*[A-Za-z])[\w%.~+=-]{20,}")
_ADDRESSES: Final = ("url", "endpoint")
_SECRETS: Final = ("key", "secret", "token")


def shown(name: str, value: Any) -> str:
    """Return a setting's value as it may be printed.

    Parameters
    ----------
    name : str
        Dotted, ``covis`` included. Of names that are not known, and of arguments of file systems and clusters
        that are not known to be harmless, no value is shown but references and words for yes and no.
    value : any
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value)
    parts = [part.replace("_", "-") for part in name.split(".")[1:]]
    if isinstance(value, list | tuple):
        return ", ".join(_text(parts, item) for item in value)
    if isinstance(value, Mapping):  # one without entries: others are shown entry by entry
        return str(dict(value)) if not value else HIDDEN
    return _text(parts, value)


def _text(parts: list[str], value: Any) -> str:
    text = str(value)
    if isinstance(value, bool) or _REFERENCES.fullmatch(text):
        return text
    if _is_address(parts):
        return _address(text)
    return redact(text) if _is_harmless(parts) else HIDDEN


def _is_address(parts: list[str]) -> bool:
    """Tell a URL: of the catalogue, or of a place, be it written alone or beside further keys."""
    match parts:
        case ["catalog", "url"] | ["hosts", _] | ["products"] | ["ancillary"]:
            return True
        case ["hosts", _, word] | ["products", word] | ["ancillary", word]:
            return word in _ADDRESSES
    return False


def _address(text: str) -> str:
    """Hide account, password, what a query says, and keys in the path of a web address."""
    text = redact(text)
    return _TOKEN.sub(HIDDEN, text) if text.startswith("http") else text


def _is_harmless(parts: list[str]) -> bool:
    match parts:
        case ["hosts", _, "options", *names] | ["products" | "ancillary", "options", *names]:
            return all(map(is_harmless_option, names))
        case ["cluster", _, *names]:
            return all(map(is_harmless_option, names))
        case ["cluster" | "hosts" | "products" | "ancillary", *_]:
            return False
    return _is_known(CovisSection, parts)


def _is_known(kind: type[Section], parts: list[str]) -> bool:
    """Tell a key that the typed sections have, unless it is for a secret."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    if not parts or parts[0] not in fields or parts[0] in _SECRETS:
        return False
    inner = fields[parts[0]]
    if isinstance(inner, type) and issubclass(inner, Section):
        return inner is not LocationSection and _is_known(inner, parts[1:])
    return len(parts) == 1 or dict in {getattr(one, "__origin__", one) for one in (inner, *get_args(inner))}
