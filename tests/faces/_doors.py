"""The doors through which the snapshots look at the program; who moves a room mends an import here alone."""

import importlib
import pkgutil
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import yaml

import covis_dask
from covis_dask.cli.exits import Exit
from covis_dask.engines.native import VERSION as ENGINE_VERSION
from covis_dask.errors import CovisError
from covis_dask.modes import parameters_for, specs
from covis_dask.products.fingerprint import fingerprint
from covis_dask.products.manifest import Failure, Manifest

__all__ = [
    "ENGINE_VERSION",
    "PROGRAM_PRESETS",
    "CovisError",
    "Exit",
    "Failure",
    "Manifest",
    "covis",
    "defaults",
    "every_module",
    "fingerprint",
    "parameters_for",
]

PROGRAM_PRESETS = {(spec.site, spec.family): spec.presets for spec in specs()}
"""Site and family to the presets that have a program for it."""


def covis(*words: str) -> int:
    """Run the installed ``covis`` command here; returns its exit code."""
    (command,) = entry_points(group="console_scripts", name="covis")
    code: int = command.load()(list(words))
    return code


def defaults() -> dict[str, Any]:
    """Return the configuration as it is shipped."""
    section: dict[str, Any] = yaml.safe_load((files("covis_dask") / "covis.yaml").read_text("utf-8"))
    return section


def every_module() -> None:
    """Import all of the package, so that every error there is has been defined."""
    for module in pkgutil.walk_packages(covis_dask.__path__, "covis_dask."):
        if module.name.rpartition(".")[2] not in {"__main__", "_runner", "_matlab_runner"}:
            importlib.import_module(module.name)
