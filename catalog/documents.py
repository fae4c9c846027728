"""Documents to typed values and back: what JSON, BSON and YAML hold, checked against frozen dataclasses.

Reading is msgspec's: the types are the schema, and a fault is named with its path. Writing keeps the form
that documents have always had: fields in their order, those that are None left out.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from catalog.errors import DocumentError

__all__ = ["decode", "decode_json", "encode", "to_plain"]

T = TypeVar("T")

_PATH = re.compile(r"(?P<fault>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)


def decode(kind: type[T], document: object, name: str, *, strict: bool = True) -> T:
    """Read a document of plain values.

    Fields that the type does not know are passed over: a later version, or another program, may have written
    them.

    Parameters
    ----------
    kind : type
        A dataclass, or any type that msgspec knows.
    document : object
        Dicts, lists and plain values; times may be `datetime` objects or ISO texts.
    name : str
        What the document is, for the message: ``manifest``, ``run COVIS-...``.
    strict : bool
        Whether numbers must be numbers; otherwise texts and whole floats that mean one are taken.

    Raises
    ------
    DocumentError
        Names the document, the path of the fault in it, and the fault.
    """
    try:
        return msgspec.convert(document, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise DocumentError(_sentence(name, str(error))) from None
    except (OverflowError, RecursionError, UnicodeError) as error:  # numbers, depths and texts without end
        raise DocumentError(_sentence(name, str(error))) from None


def decode_json(kind: type[T], text: str | bytes, name: str, *, strict: bool = True) -> T:
    """Read a document from JSON text; see `decode`."""
    try:
        return msgspec.json.decode(text, type=kind, strict=strict)
    except msgspec.ValidationError as error:
        raise DocumentError(_sentence(name, str(error))) from None
    except msgspec.DecodeError as error:
        raise DocumentError(f"{name} is no JSON document: {error}") from None


def _sentence(name: str, message: str) -> str:
    match = _PATH.fullmatch(message)
    fault, path = (match["fault"], match["path"]) if match else (message, None)
    return f"{name} cannot be read: {f'{path}: ' if path else ''}{fault[0].lower()}{fault[1:]}"


def encode(value: Any, leaf: Callable[[Any], Any] | None = None) -> Any:
    """Return a value as a document: dataclasses and mappings as dicts, tuples as lists.

    Fields of dataclasses that are None are left out; times stay `datetime` objects, enums become their words.

    Parameters
    ----------
    value : any
    leaf : callable, optional
        Makes of anything else what the document shall hold.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: encode(item, leaf) for name, item in items if item is not None}
    if isinstance(value, Mapping):
        return {str(key): encode(item, leaf) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, leaf) for item in value]
    if isinstance(value, str):
        return str(value)
    return value if leaf is None else leaf(value)


def to_plain(value: Any) -> Any:
    """Return a value as JSON knows it: as `encode` does, times as text in UTC (``Z``), arrays as lists."""
    return encode(value, _plain)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return to_plain(value.tolist())
    return value
