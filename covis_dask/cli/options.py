"""Command-line words that say what product to make; shared by the batch and the single-archive command."""

import argparse
from typing import Any

from covis_dask.engines import ENGINES
from covis_dask.modes import PRESETS
from covis_dask.modes.parameters import load_overrides, parse_set
from covis_dask.products.formats import FORMATS

__all__ = ["add_product_arguments", "chosen_formats", "chosen_overrides"]


def add_product_arguments(parser: argparse.ArgumentParser) -> None:
    """Add engine, profile, preset, parameters, ancillary data and formats to a parser."""
    group = parser.add_argument_group("what to make")
    group.add_argument("--engine", choices=sorted(ENGINES), default="native", help="engine to use (native)")
    group.add_argument(
        "--profile",
        choices=("matlab", "corrected"),
        default="matlab",
        help="reproduce the original programs, or correct their documented faults (matlab)",
    )
    group.add_argument(
        "--fix",
        dest="fixes",
        action="append",
        default=[],
        metavar="QUIRK",
        help="mend one quirk of the original programs, such as Q11 (docs/quirks.md); repeatable",
    )
    group.add_argument(
        "--preset",
        metavar=f"{{{','.join(PRESETS)}}}",  # modes from outside have words of their own
        help="version of the originals to follow (chosen by era and mode)",
    )
    group.add_argument(
        "--parameters", metavar="FILE", help="YAML or JSON file of parameters, ours or the original's"
    )
    group.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one parameter, such as filter.bw=4; repeatable, overrides --parameters",
    )
    group.add_argument("--ancillary", metavar="FOLDER", help="folder or URL of bathymetry grids")
    group.add_argument(
        "--format", dest="formats", action="append", choices=FORMATS, help="file format, repeatable (nc)"
    )


def chosen_overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """Gather the parameters that were changed, by dotted key.

    Raises
    ------
    ConfigurationError
        For a file that cannot be read, or words that are no key=value.
    """
    overrides = load_overrides(arguments.parameters) if arguments.parameters else {}
    return overrides | dict(parse_set(text) for text in arguments.settings)


def chosen_formats(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the formats asked for, each once; NetCDF when none was."""
    return tuple(dict.fromkeys(arguments.formats or ["nc"]))
