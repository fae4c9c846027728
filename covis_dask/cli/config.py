"""``covis config``: the settings in force and where each comes from; a file to change them in."""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import dask.config

from covis_dask.cli.exits import Exit
from covis_dask.config import (
    flat,
    legacy_variables,
    merged_hosts,
    origin_of,
    origins,
    settings_faults,
    shown,
)
from covis_dask.errors import ConfigurationError

__all__ = ["Setting", "main", "masked", "settings_in_force", "write_default_file"]

_REFERENCE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted name, its value with secrets masked, where it was set."""

    name: str
    value: str
    origin: str


def parser(prog: str = "covis config") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog=prog, description="The settings of covis-dask.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    commands.add_parser("show", help="print every setting, its value (secrets masked) and where it was set")
    init = commands.add_parser("init", help="write a file of all settings, commented out, ready to edit")
    init.add_argument("file", nargs="?", type=Path, help="file to write (covis.yaml in Dask's folder)")
    init.add_argument("--force", action="store_true", help="overwrite an existing file")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "covis config") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)
    try:
        if arguments.command == "init":
            print(f"wrote {write_default_file(arguments.file, force=arguments.force)}")
            return Exit.DONE
        for line in _table(list(settings_in_force())):
            print(line)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.CONFIGURATION
    faults = settings_faults()
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return Exit.CONFIGURATION if faults else Exit.DONE


def _table(settings: Sequence[Setting]) -> Iterator[str]:
    names = max(len(setting.name) for setting in settings)
    values = min(60, max(len(setting.value) for setting in settings))
    for setting in settings:
        yield f"{setting.name:<{names}}  {setting.value:<{values}}  {setting.origin}"


def settings_in_force(environ: Mapping[str, str] = os.environ) -> Iterator[Setting]:
    """Yield every setting with its origin: a variable, a file, or the defaults.

    Parameters
    ----------
    environ : mapping
        Environment variables.
    """
    section = {**dask.config.get("covis"), "hosts": merged_hosts(environ)}
    set_by = origins(environ)
    legacy = legacy_variables(environ)
    for name, value in flat(section, "covis"):
        if value is None and name in legacy:
            variable = legacy[name]
            yield Setting(name, masked(name, environ[variable], environ), f"variable {variable}")
            continue
        host = ".".join(name.split(".")[:3])
        origin = origin_of(name, set_by) or ("default" if host not in legacy else None)
        shown = masked(name, value, environ)
        yield Setting(name, shown, origin or f"variable {legacy[host]}")


def masked(name: str, value: Any, environ: Mapping[str, str] = os.environ) -> str:
    """Show a value without what is secret in it.

    Parameters
    ----------
    name : str
        Dotted name of the setting; it says whether the value may be shown.
    value : any
        References to the environment are shown as such, with a note when the variable is not set.
    environ : mapping
        Environment variables.
    """
    text = shown(name, value)
    unset = [name for name in _REFERENCE.findall(text) if not {name, f"{name}_FILE"} & set(environ)]
    return f"{text} (not set)" if unset else text


def write_default_file(path: Path | None = None, *, force: bool = False) -> Path:
    """Write all settings with their defaults, commented out, so that later defaults still count.

    Parameters
    ----------
    path : Path, optional
        ``covis.yaml`` in the folder that Dask reads (``DASK_CONFIG``, else ``~/.config/dask``).
    force : bool
        Overwrite.

    Raises
    ------
    ConfigurationError
        When the file is there, or cannot be written.
    """
    if path is None:
        path = Path(os.environ.get("DASK_CONFIG") or dask.config.PATH)
    if path.is_dir() or not path.suffix:
        path = path / "covis.yaml"
    if path.exists() and not force:
        raise ConfigurationError(f"{path} already exists: --force overwrites it")
    text = (files("covis_dask") / "covis.yaml").read_text("utf-8")
    lines = [line if line.startswith("#") or not line.strip() else f"#{line}" for line in text.splitlines()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    return path


_HEAD = "# Take away the '#' before what you change, and before the lines above it that are further left.\n"


if __name__ == "__main__":
    sys.exit(main())
