"""Small tables: configuration keys, parameters, fingerprints, exit codes, kinds of error, versions."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.faces._doors import (
    ENGINE_VERSION,
    PROGRAM_PRESETS,
    CovisError,
    Exit,
    Failure,
    Manifest,
    defaults,
    every_module,
    fingerprint,
    parameters_for,
)
from tests.faces._products import PROFILES

__all__ = ["tables"]

_INPUTS = {"filename": "2014/01/01/a-run.tar.gz", "size": 123456789}


def tables() -> dict[str, Any]:
    """Return the tables, by the name of their snapshot."""
    return {
        "configuration.json": dict(_settings(defaults(), "")),
        "parameters.json": _parameters(),
        "fingerprints.json": _fingerprints(),
        "exits.json": {exit_code.name: int(exit_code) for exit_code in Exit},
        "errors.json": _errors(),
        "versions.json": {
            "engine": ENGINE_VERSION,
            "manifest": Manifest.schema_name,
            "failure": Failure.schema_name,
        },
    }


def _settings(section: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, dict) and value:
            yield from _settings(value, name)
        else:
            yield name, {"default": value, "type": type(value).__name__}


def _cases() -> Iterator[tuple[str, str, str, str]]:
    for (site, family), presets in sorted(PROGRAM_PRESETS.items()):
        for preset in presets:
            for profile in PROFILES:
                yield site, family, preset, profile


def _parameters() -> dict[str, Any]:
    """Return the default parameters of every program."""
    return {
        f"{site} {family} {preset} {profile}": parameters_for(
            family, site, preset=preset, profile=profile
        ).to_dict()
        for site, family, preset, profile in _cases()
    }


def _fingerprints() -> dict[str, str]:
    """Return the fingerprint of the same input under every program."""
    return {
        name: fingerprint("native", ENGINE_VERSION, name.rpartition(" ")[2], parameters, _INPUTS)
        for name, parameters in _parameters().items()
    }


def _errors() -> dict[str, Any]:
    """Return every kind of error: its state, and the public classes above it."""
    every_module()
    found: dict[str, Any] = {}

    def walk(error: type[CovisError], above: tuple[str, ...]) -> None:
        entry = found.setdefault(error.kind, {"state": error.state, "raised as": []})
        entry["raised as"] = sorted({*entry["raised as"], error.__name__.lstrip("_")})
        entry.setdefault("under", list(above))
        for further in error.__subclasses__():
            if further.__module__.startswith("covis_dask"):
                walk(further, (*above, error.__name__))

    walk(CovisError, ())
    return found
