"""Frozen dataclasses to plain JSON documents and back, checked on the way in."""

import dataclasses
import datetime as dt
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["read", "to_plain"]

T = TypeVar("T")


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def to_plain(value: Any) -> Any:
    """Turn a value into what JSON knows: dataclasses and mappings to dicts, tuples to lists, times to text.

    Fields that are None are left out; times are written in UTC with a ``Z``.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: to_plain(item) for name, item in fields if item is not None}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return to_plain(value.tolist())
    return value


def read(kind: type[T], document: Any, where: str) -> T:
    """Build a dataclass from a document, checking every value against its annotation.

    Keys that the class does not know are ignored: a later version may have written them.

    Parameters
    ----------
    kind : type
        A dataclass.
    document : mapping
        What ``json.loads`` gave.
    where : str
        Name of the document, for the messages.

    Raises
    ------
    ValueError
        Says which key is missing or wrong.
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"{where} must be an object, not {_name(document)}")  # noqa: TRY004 (bad data, not a bad call)
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in document:
            values[field.name] = _value(
                _hints(typing.cast("Any", kind))[field.name], document[field.name], f"{where}.{field.name}"
            )
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}.{field.name} is missing")
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _name(value: Any) -> str:
    """Name a value's type in words a reader of JSON knows."""
    if value is None:
        return "null"
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), type(value).__name__)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Check and convert one value."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _value(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} must be a list, not {_name(value)}")
        return tuple(_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be an object, not {_name(value)}")
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return read(typing.cast("type[Any]", hint), value, where)
    return _scalar(hint, value, where)


def _scalar(hint: type, value: Any, where: str) -> Any:
    """Check text, numbers and times."""
    if hint is dt.datetime:
        if not isinstance(value, str):
            raise ValueError(f"{where} must be a time in ISO 8601 text, not {_name(value)}")
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{where} must be a time in ISO 8601 text, not {value!r}") from None
        if moment.tzinfo is None:
            raise ValueError(f"{where} has no time zone: {value!r}")
        return moment.astimezone(dt.UTC)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:  # a bool is no int here
        wanted = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[hint]
        raise ValueError(f"{where} must be {wanted}, not {_name(value)}")
    return value
