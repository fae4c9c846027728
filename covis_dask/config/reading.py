"""Sections of the configuration, read from what files and environment say: every fault, with its key."""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec
from dask.utils import parse_bytes, parse_timedelta

from covis_dask.config.sections import LocationSection, Seconds, Section, Size
from covis_dask.errors import ConfigurationError

__all__ = ["Fault", "dotted", "faults_in", "misspelt", "read_section", "shown"]

S = TypeVar("S", bound=Section)

_HIDDEN = re.compile(r"(?:key|pass\w*|secret|token)$", re.IGNORECASE)
_PLAIN = re.compile(r"[\w .,-]{0,40}")


@dataclass(frozen=True, slots=True)
class Fault:
    """A setting that cannot be used.

    Parameters
    ----------
    key : str
        Its dotted name, ``covis`` included.
    text : str
        A sentence: the key, what is wrong, and what it may be.
    """

    key: str
    text: str


def read_section(kind: type[S], section: object, name: str) -> S:
    """Read a section.

    Parameters
    ----------
    kind : type
        One of `covis_dask.config.sections`.
    section : object
        What the configuration has; keys may have dashes or, as the environment spells them, underscores.
    name : str
        Its dotted name below ``covis``; empty for the whole.

    Raises
    ------
    ConfigurationError
        With each key, its value and what it may be; a misspelt key with the nearest there is.
    """
    faults = list(faults_in(kind, section, name))
    if not faults:
        try:
            return msgspec.convert(_with_dashes(kind, section), kind, dec_hook=_read)
        except msgspec.ValidationError as error:  # a key that must be there is not
            faults.append(Fault(dotted(name), f"{dotted(name)}: {_sentence(str(error))}"))
    raise ConfigurationError("; ".join(fault.text for fault in faults))


def faults_in(kind: type[Section], section: object, name: str) -> Iterator[Fault]:
    """Check what is said in a section, key by key; see `read_section`. What is left out is no fault."""
    if not isinstance(section, Mapping):
        yield Fault(dotted(name), f"{dotted(name)} must be keys and values, not {shown(section)}")
        return
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in section.items():
        dashed = str(key).replace("_", "-")
        full = dotted(name, str(key))
        if dashed not in known:
            yield Fault(full, f"{dotted(name)}: unknown key {dashed!r}; {misspelt(dashed, known)}")
            continue
        inner = known[dashed]
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from faults_in(inner, value, full.removeprefix("covis."))
            continue
        # In a location a secret may stand there by mistake.
        yield from _value_faults(full, inner, value, visible=kind is not LocationSection)


def _value_faults(key: str, kind: Any, value: Any, *, visible: bool) -> Iterator[Fault]:
    """Check one value; tables entry by entry, for msgspec does not say which it is."""
    if get_origin(kind) is Annotated and get_origin(get_args(kind)[0]) is dict:
        kind = get_args(kind)[0]
    if get_origin(kind) is dict and isinstance(value, Mapping):
        for entry, held in value.items():
            yield from _value_faults(f"{key}.{entry}", get_args(kind)[1], held, visible=visible)
        return
    try:
        msgspec.convert(value, kind, dec_hook=_read)
    except (UnicodeError, OverflowError, RecursionError) as error:
        yield Fault(key, f"{key}: cannot be read: {error}")
    except msgspec.ValidationError as error:
        fault, _, inside = str(error).partition(" - at `$")
        key += inside.strip("`")
        said = "" if inside or not visible or _HIDDEN.search(key) else _value(value)
        yield Fault(key, f"{key}: {_sentence(fault)}{said}{_advice(fault, value)}")


def shown(value: object) -> str:
    """Say what stands where it should not, unless it might hold a secret, as addresses do."""
    if isinstance(value, list):
        return "a list"
    return repr(value) if _PLAIN.fullmatch(str(value)) else "text"


def misspelt(word: str, known: Mapping[str, Any]) -> str:
    """Say which of the known words is the nearest, or what they are."""
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"


def dotted(*parts: str) -> str:
    """Return a setting's whole name."""
    return ".".join(part for part in ("covis", *parts) if part)


def _with_dashes(kind: type[Section], section: object) -> dict[str, Any]:
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    read: dict[str, Any] = {}
    for key, value in dict(section).items():  # type: ignore[call-overload]  # checked to be a mapping
        dashed = str(key).replace("_", "-")
        inner = known[dashed]
        nested = isinstance(inner, type) and issubclass(inner, Section)
        read[dashed] = _with_dashes(inner, value) if nested else value
    return read


def _value(value: Any) -> str:
    """Say what stands there, if that is short."""
    if value is None:
        return ", not null"
    return f", not {shown(value)}" if isinstance(value, int | float | str) else ""


def _read(kind: type, value: Any) -> Any:
    """Read the types that YAML does not have."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        value = ""
    if kind is Seconds:
        try:
            seconds = parse_timedelta(value, default="s")
        except (LookupError, TypeError, ValueError, OverflowError):
            seconds = None
        if seconds is None or not math.isfinite(seconds) or seconds < 0:
            raise ValueError("No length of time; write 30s, 10m, 4h")
        return Seconds(seconds)
    try:
        size = parse_bytes(value)
    except (TypeError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise ValueError("No size; write 64 MiB, 16 GiB")
    return Size(size)


_WORDS = {"str": "text", "array": "a list", "object": "keys and values", "int": "a whole number",
          "float": "a number", "bool": "true or false", "|": "or"}  # fmt: skip


def _sentence(fault: str) -> str:
    """Say what msgspec found in the words of people who write YAML."""
    if not fault.startswith("Expected "):
        return f"{fault[0].lower()}{fault[1:]}".replace("`", "")
    expected = fault.removeprefix("Expected ").partition(", got ")[0].replace("`", "")
    return "must be " + " ".join(_WORDS.get(word, word) for word in expected.split(" "))


def _advice(fault: str, value: Any) -> str:
    """Say how it is written, where that is all that is wrong."""
    if "`str" in fault and isinstance(value, int | float):
        return " (write it in quotes)"
    if "`array" in fault and isinstance(value, str) and value:
        return f" (write [{value}])"
    return ""
