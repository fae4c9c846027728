"""The fingerprint of a product: equal means the same numbers would come out again.

See docs/method.md#fingerprints.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from catalog.documents import to_plain

__all__ = ["Fingerprints", "explain", "fingerprint", "identity"]

_DIGITS = 16
_WORDS = {"engine": "engine", "version": "engine version", "profile": "profile"}
_SHOWN = 3
_INPUTS = '"inputs":{}'
"""Where the input stands in the text that is hashed: quotes within names are escaped, so there is but one."""


def identity(
    engine: str, version: str, profile: str, parameters: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Gather what decides the numbers, in the plain form that is hashed, compared and stored.

    Whole floats become integers, so that ``2`` on a command line equals ``2.0`` in a file.
    """
    parts = {
        "engine": engine,
        "version": version,
        "profile": profile,
        "parameters": parameters,
        "inputs": inputs,
    }
    plain = _canonical(to_plain(parts))
    assert isinstance(plain, dict)  # noqa: S101 (for the type checker)
    return plain


def fingerprint(
    engine: str, version: str, profile: str, parameters: Mapping[str, Any], inputs: Mapping[str, Any]
) -> str:
    """Hash engine, profile, parameters and input of a product.

    Parameters
    ----------
    engine, version : str
        Name and version of the engine.
    profile : str
        ``matlab`` or ``corrected``.
    parameters : mapping
        Nested, JSON-like; order does not matter.
    inputs : mapping
        Identity of the raw archive, such as name, size and etag.

    Returns
    -------
    str
        16 hexadecimal digits, the same on every machine and Python.
    """
    return Fingerprints(engine, version, profile, parameters).of(inputs)


class Fingerprints:
    """The fingerprints of products that differ in their input only; thousands of them are quick to make.

    Parameters
    ----------
    engine, version, profile, parameters
        As for `fingerprint`.
    """

    def __init__(self, engine: str, version: str, profile: str, parameters: Mapping[str, Any]) -> None:
        text = _text(identity(engine, version, profile, parameters, {}))
        self._before, _, self._after = text.partition(_INPUTS)

    def of(self, inputs: Mapping[str, Any]) -> str:
        """Return the `fingerprint` for this input."""
        text = f"{self._before}{_INPUTS[:-2]}{_text(_canonical(to_plain(inputs)))}{self._after}"
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def explain(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say what changed between two identities (see `identity`), most telling first.

    Returns
    -------
    str
        Such as ``engine version 1 -> 2, parameter filter.bw 2 -> 4``; ``nothing changed`` when they agree.
    """
    changes = list(_changes(_canonical(to_plain(old)), _canonical(to_plain(new))))
    if not changes:
        return "nothing changed"
    more = len(changes) - _SHOWN
    shown = ", ".join(changes[:_SHOWN] if more > 1 else changes)
    return f"{shown} and {more} more" if more > 1 else shown


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key, word in _WORDS.items():
        if old.get(key) != new.get(key):
            yield f"{word} {_show(old.get(key))} -> {_show(new.get(key))}"
    for key, word in (("inputs", "input"), ("parameters", "parameter")):
        before, after = (dict(_leaves(side[key])) if side.get(key) else {} for side in (old, new))
        for name in sorted(before.keys() | after.keys()):
            if name not in before:
                yield f"{word} {name} {_show(after[name])} (new)"
            elif name not in after:
                yield f"{word} {name} {_show(before[name])} (gone)"
            elif before[name] != after[name]:
                yield f"{word} {name} {_show(before[name])} -> {_show(after[name])}"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested mappings and lists of mappings to dotted names."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}[{index}]")
    else:
        yield name, value


def _show(value: Any) -> str:
    """Write a value as a person would."""
    if value is None:
        return "unknown"
    return value if isinstance(value, str) and value else json.dumps(value)


def _canonical(value: Any) -> Any:
    """Make equal values look equal; what JSON cannot hold becomes text."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        return value if value - value == 0 else str(value)  # nan, inf
    return value
