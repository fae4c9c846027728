"""Snapshots: text and JSON files beside the tests, and how a difference from them is shown."""

import datetime as dt
import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "difference", "shape", "text_of", "write"]

FOLDER = Path(__file__).with_name("snapshots")


def text_of(value: Any) -> str:
    """Write a snapshot as it lies in its file: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(name: str, value: Any) -> None:
    """Keep a snapshot; `name` is its path below `FOLDER`."""
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_of(value), encoding="utf-8")


def difference(name: str, value: Any) -> str:
    """Return how `value` differs from the snapshot, as a unified diff; empty when it does not."""
    path = FOLDER / name
    kept = path.read_text("utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        kept.splitlines(), text_of(value).splitlines(), f"snapshots/{name}", "now", lineterm="", n=2
    )
    return "\n".join(lines)


def shape(value: Any, *, named: Iterable[str] = ()) -> Any:
    """Reduce a document to its keys and types.

    Parameters
    ----------
    value : any
        Values as JSON or a catalogue has them.
    named : iterable of str
        Keys whose mappings have names of things as keys (a run's parameters, modes): these become ``*``.
    """
    names = frozenset(named)
    if isinstance(value, Mapping):
        return {key: _entry(key, entry, names) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_merged(shape(entry, named=names) for entry in value)]
    return {bool: "bool", int: "int", float: "float", str: "str", type(None): "null", dt.datetime: "time"}[
        type(value)
    ]


def _entry(key: str, value: Any, names: frozenset[str]) -> Any:
    if key == "parameters":  # a tree of its own, with a snapshot of its own
        return "parameters"
    if key in names and isinstance(value, Mapping):
        return {"*": _merged(shape(entry, named=names) for entry in value.values())}
    return shape(value, named=names)


def _merged(shapes: Iterable[Any]) -> Any:
    """Bring the shapes of like things together: keys that only some have end in ``?``."""
    found = list(shapes)
    if not found:
        return "nothing"
    if all(isinstance(entry, dict) for entry in found):
        keys = dict.fromkeys(key for entry in found for key in entry)
        return {
            key if all(key in entry for entry in found) else f"{key}?": _merged(
                entry[key] for entry in found if key in entry
            )
            for key in keys
        }
    if all(isinstance(entry, list) for entry in found):
        inner = [entry[0] for entry in found if entry[0] != "nothing"]
        return [_merged(inner)]
    return " | ".join(sorted({entry if isinstance(entry, str) else json.dumps(entry) for entry in found}))
