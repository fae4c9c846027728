"""Changing parameters by dotted key, with the type and range of each checked."""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from covis_dask.errors import ConfigurationError
from covis_dask.modes.parameters._grid import GridSpec, grid_word
from covis_dask.modes.parameters._tree import Parameters

__all__ = ["apply", "valid_keys", "values"]

_FIXED = frozenset({"family", "site", "preset", "profile", "mode_version", "unused", "fixed"})


def apply(parameters: Parameters, overrides: Mapping[str, Any]) -> Parameters:
    """Return parameters with some values changed.

    Parameters
    ----------
    parameters : Parameters
    overrides : mapping of str to value
        Dotted keys. A grid is named by type or number, ``*`` means every grid:
        ``grids.intensity.dx``, ``grids.0.dx``, ``grids.*.dx``.

    Raises
    ------
    ConfigurationError
        Unknown key (the nearest valid one is named), wrong type, impossible value.
    """
    tree: dict[str, Any] = {}
    for key, value in overrides.items():
        _insert(tree, key.split("."), key, value, parameters)
    changed: Parameters = _rebuild(parameters, tree, parameters)
    return changed


def _insert(tree: dict[str, Any], path: list[str], key: str, value: Any, parameters: Parameters) -> None:
    """Put one override into the nested tree of changes, every grid it means by number."""
    for position, part in enumerate(path[:-1]):
        if part == "grids" and (position == 0 or path[position - 1] == "imaging"):
            owner = parameters if position == 0 else parameters.imaging
            if owner is None:
                break
            for index in _grid_numbers(owner, path[position + 1], key, parameters):
                branch = tree.setdefault("grids", {}).setdefault(index, {})
                branch[".".join(path[position + 2 :])] = (key, value)
            return
        tree = tree.setdefault(part, {})
    tree[path[-1]] = (key, value)


def _grid_numbers(owner: Parameters, word: str, key: str, parameters: Parameters) -> list[int]:
    """Say which grids a word means."""
    if word == "*":
        return list(range(len(owner.grids)))
    if word.isdigit() and int(word) < len(owner.grids):
        return [int(word)]
    numbers = [index for index, spec in enumerate(owner.grids) if grid_word(spec.name) == grid_word(word)]
    if not numbers:
        raise ConfigurationError(
            f"Unknown parameter {key!r}: the grids of {parameters.family} runs ({parameters.preset}) are "
            + ", ".join(spec.name for spec in owner.grids)
            + f"; the nearest valid key is {_nearest(key, parameters)!r}."
        )
    return numbers


def _rebuild(node: Any, changes: Mapping[Any, Any], parameters: Parameters) -> Any:
    """Make a group again with its changes; each group checks its own values."""
    made: dict[str, Any] = {}
    hints = _hints(type(node))
    for name, change in changes.items():
        if name == "grids" and isinstance(node, Parameters) and isinstance(change, dict):
            made["grids"] = tuple(
                _rebuild(spec, change.get(index, {}), parameters) for index, spec in enumerate(node.grids)
            )
            continue
        known = name in hints and not (isinstance(node, Parameters) and name in _FIXED)
        current = getattr(node, name, None) if known else None
        if isinstance(change, tuple):
            key, value = change
            if isinstance(node, GridSpec) and name == "dimensions":
                _check_dimensions(node, value)
                continue
            if not known or is_dataclass(current) or name == "grids":
                raise ConfigurationError(_unknown(key, parameters))
            made[name] = _convert(key, value, hints[name])
        elif is_dataclass(current):
            made[name] = _rebuild(current, change, parameters)
        else:
            raise ConfigurationError(_unknown(_first_key(change), parameters))
    return replace(node, **made)


def _check_dimensions(spec: GridSpec, value: Any) -> None:
    """Refuse to turn a map into a volume, or the other way round."""
    if value != spec.dimensions:
        raise ConfigurationError(
            f"Grid {spec.type!r} has {spec.dimensions} dimensions in this mode, not {value}."
        )


def _first_key(change: Mapping[Any, Any]) -> str:
    """Return the dotted key of the first override in a branch."""
    value: Any = change
    while isinstance(value, Mapping):
        value = next(iter(value.values()))
    return str(value[0])


def _hints(group: type) -> dict[str, Any]:
    """Return the field types of a group."""
    hints = get_type_hints(group)
    return {item.name: hints[item.name] for item in fields(group)}


def valid_keys(parameters: Parameters) -> list[str]:
    """Return every key that can be set, grids by name."""
    return list(values(parameters))


def values(parameters: Parameters) -> dict[str, Any]:
    """Return every key that can be set, grids by name, with its value."""
    return dict(_leaves(parameters))


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Walk the tree for every key that can be set."""
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(node, Parameters) and (item.name in _FIXED or value is None):
            continue
        if item.name == "grids":
            for spec in value:
                yield from _leaves(spec, f"{prefix}grids.{spec.name}.")
        elif is_dataclass(value):
            yield from _leaves(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value


def _nearest(key: str, parameters: Parameters) -> str:
    """Return the valid key most like one that is not; the last word alone is often all that was typed."""
    keys = valid_keys(parameters)
    last = key.rpartition(".")[2]
    same = [known for known in keys if known.rpartition(".")[2] == last]
    return difflib.get_close_matches(key, same or keys, n=1, cutoff=0.0)[0]


def _unknown(key: str, parameters: Parameters) -> str:
    """Return the sentence about a key that does not exist."""
    return f"Unknown parameter {key!r}: the nearest valid key is {_nearest(key, parameters)!r}."


def _convert(key: str, value: Any, hint: Any) -> Any:
    """Return a value as the type of its field."""
    choices = _choices(hint)
    try:
        made = msgspec.convert(_as_spelled(value, choices), hint, strict=False)
    except msgspec.ValidationError:
        raise ConfigurationError(_refusal(key, value, hint, choices)) from None
    # Numbers are no truth values here, and there is no infinite parameter.
    mixed = not choices and isinstance(value, bool) != isinstance(made, bool)
    if mixed or (isinstance(made, float) and not math.isfinite(made)):
        raise ConfigurationError(_refusal(key, value, hint, choices))
    return made


def _choices(hint: Any) -> tuple[str, ...]:
    """Return the words that a field may hold, where it holds one of several."""
    literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
    return tuple(word for part in literals for word in get_args(part))


def _as_spelled(value: Any, choices: tuple[str, ...]) -> Any:
    """Return a word as it is spelled among the choices; YAML reads on and off as true and false."""
    if value == "none":
        return None
    word = {True: "on", False: "off"}[value] if isinstance(value, bool) and choices else value
    return next((known for known in choices if known.lower() == str(word).lower()), word)


def _refusal(key: str, value: Any, hint: Any, choices: tuple[str, ...]) -> str:
    if choices:
        word = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
        (nearest,) = difflib.get_close_matches(word, choices, n=1, cutoff=0.0)
        return f"{key} must be one of {', '.join(choices)}, not {value!r}; did you mean {nearest!r}?"
    plain = next(part for part in (*get_args(hint), hint) if part is not type(None))
    return f"{key} must be {_KINDS[plain]}, not {value!r}."


_KINDS = {bool: "true or false", str: "a word", int: "a whole number", float: "a number"}
