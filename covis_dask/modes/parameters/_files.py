"""Overrides as they are written: ``key=value``, our YAML and JSON files, the original's parameter files."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from covis_dask.errors import ConfigurationError
from covis_dask.modes.parameters._grid import grid_word

__all__ = ["load_overrides", "parse_set"]

_NOT_PARAMETERS = frozenset({"user", "comments"})


def parse_set(text: str) -> tuple[str, Any]:
    """Read ``key=value``; the value is JSON where it can be (numbers, true, null, lists), else a word.

    Raises
    ------
    ConfigurationError
        Without an equals sign or a key.
    """
    key, sign, word = (part.strip() for part in text.partition("="))
    if not (sign and key):
        raise ConfigurationError(f"Cannot set {text!r}: write it as key=value, such as filter.bw=2.")
    try:
        return key, json.loads(word)
    except ValueError:
        return key, word


def load_overrides(path: Path | str) -> dict[str, Any]:
    """Read overrides from a YAML or JSON file.

    Three layouts are taken: dotted keys, nested groups (``filter: {bw: 2}``), and the original's JSON
    parameter files (docs/method.md#default-parameters), whose `type` must then fit the mode.

    Parameters
    ----------
    path : Path or str

    Returns
    -------
    dict
        Dotted keys to values, not yet checked against a mode.

    Raises
    ------
    ConfigurationError
        When the file cannot be read or holds no mapping.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"The parameter file {path} cannot be read: {error}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The parameter file {path} is not valid YAML or JSON: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"The parameter file {path} must contain keys and values.")
    if "processing" in document or "sonar" in document:
        return _from_original(document)
    return dict(_flatten(document))


def _flatten(document: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Turn nested groups, and lists of grids, into dotted keys."""
    for name, value in document.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{key}.")
        elif isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                yield from _flatten(item, f"{key}.{index}.")
        else:
            yield key, value


def _from_original(document: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the original's layout into dotted keys."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if name in _NOT_PARAMETERS:
            continue
        if name == "grid":
            entries = value if isinstance(value, list) else [value]
            for entry in entries:
                flat.update(_original_grid(entry, by_name=isinstance(value, list)))
        elif name in {"processing", "sonar"} and isinstance(value, Mapping):
            flat.update(_flatten(value))
        else:
            flat[name] = value
    return flat


def _original_grid(entry: Mapping[str, Any], *, by_name: bool) -> dict[str, Any]:
    """Turn one grid of the original's layout into dotted keys, without its unit labels (wrong, Q52)."""
    where = grid_word(str(entry.get("type", "0"))) if by_name else "0"
    flat: dict[str, Any] = {}
    for part in ("bounds", "spacing"):
        for name, value in entry.get(part, {}).items():
            if "z" not in name or entry.get("dimensions") != 2:
                flat[f"grids.{where}.{name}"] = value
    if "dimensions" in entry:
        flat[f"grids.{where}.dimensions"] = entry["dimensions"]
    return flat
