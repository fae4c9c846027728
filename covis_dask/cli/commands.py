"""``covis``: every command under one name. A sub-command is imported only when it is asked for."""

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from covis_dask.cli._answer import unparsable
from covis_dask.errors import ConfigurationError

__all__ = ["main"]

_COMMANDS = {
    "batch": ("covis_dask.cli.batch", "process the selected runs on a cluster"),
    "process": ("covis_dask.cli.process", "process single archives, without catalogue or cluster"),
    "status": ("covis_dask.cli.status", "list batches, and what each worker is doing"),
    "log": ("covis_dask.cli.log", "show the log of a run"),
    "open": ("covis_dask.cli.open", "show what a run's product contains, and where it is"),
    "files": ("covis_dask.cli.files", "print where the files of the selected runs' products are"),
    "get": ("covis_dask.cli.get", "copy the files of the selected runs' products to a folder"),
    "upgrade": ("covis_dask.cli.upgrade", "carry products of earlier releases to the newest form"),
    "verify": ("covis_dask.cli.verify", "compare catalogue, manifests and bytes of the selected runs"),
    "gc": ("covis_dask.cli.gc", "sweep the product store of what nobody needs"),
    "report": ("covis_dask.cli.report", "regenerate the report of a batch"),
    "catalog": ("catalog.tools.command", "import, select, count and copy the catalogue of runs"),
    "ancillary": ("covis_dask.cli.ancillary", "list seafloor grids, or make them from bathymetry"),
    "config": ("covis_dask.cli.config", "show the current settings, or write a file to edit"),
    "doctor": ("covis_dask.cli.doctor", "check database, hosts, scheduler, workers, scratch space and clock"),
}
_SHELLS = ("bash", "zsh", "tcsh")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command; its exit codes are those of ``python -m`` with the same module."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name == "completion":
        return _complete(arguments[1:])
    if name not in _COMMANDS:
        return _without_command(name)
    try:
        module = importlib.import_module(_COMMANDS[name][0])
        further = {"open_host": _open_host} if name == "catalog" else {}
        if name == "catalog" and not {"-h", "--help"} & set(arguments):
            _check_settings()
        code: int = module.main(arguments[1:], prog=f"covis {name}", **further)
    except (ConfigurationError, ValueError) as error:
        sentence = error if isinstance(error, ConfigurationError) else unparsable(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return 2
    return code


def _check_settings() -> None:
    """Check all settings for a command that reads few: a misspelt key would change what it does.

    Raises
    ------
    ConfigurationError
    """
    from covis_dask.config import settings_faults

    if faults := settings_faults():
        raise ConfigurationError("; ".join(faults))


def _without_command(word: str) -> int:
    """Answer what is no sub-command: help, version, or a slip of the pen."""
    if word in ("-h", "--help"):
        print(_outline().format_help(), end="")
        return 0
    if word == "--version":
        from covis_dask._version import __version__

        print(f"covis-dask {__version__}")
        return 0
    near = difflib.get_close_matches(word, [*_COMMANDS, "completion"], 1)
    hint = f"did you mean {near[0]}?" if near else "covis --help lists the commands"
    print(f"covis: there is no command {word!r}; {hint}", file=sys.stderr)
    return 2


def _outline() -> argparse.ArgumentParser:
    """Describe the command line without what each sub-command takes."""
    commands = [*((name, text) for name, (_, text) in _COMMANDS.items())]
    commands.append(("completion", f"print completions for a shell: {', '.join(_SHELLS)}"))
    return argparse.ArgumentParser(
        prog="covis",
        usage="covis COMMAND [...]",
        description="Batch processing of COVIS sonar runs.",
        epilog="commands:\n"
        + "\n".join(f"  {name:<11} {text}" for name, text in commands)
        + "\n\ncovis COMMAND --help lists its options. python -m covis_dask.batch and so on are equivalent.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _open_host(name: str) -> tuple[Any, str]:
    """Open a raw host by its name in the catalogue, as it is configured.

    Raises
    ------
    ValueError
        When it is not configured, or cannot be opened.
    """
    from covis_dask.config import load_settings
    from covis_dask.errors import CovisError
    from covis_dask.storage import open_location

    try:
        hosts = load_settings().hosts
        if name.upper() not in hosts:
            raise ValueError(
                f"host {name.upper()} is not configured (covis.hosts); there are {', '.join(sorted(hosts))}"
            )
        return open_location(hosts[name.upper()])
    except CovisError as error:
        raise ValueError(str(error)) from error


def _complete(arguments: Sequence[str]) -> int:
    """Print a completion script: ``eval "$(covis completion bash)"``."""
    parser = argparse.ArgumentParser(
        prog="covis completion",
        description='Print shell completions. In ~/.bashrc: eval "$(covis completion bash)"',
    )
    parser.add_argument("shell", choices=_SHELLS)
    shell = parser.parse_args(arguments).shell
    import shtab

    whole = argparse.ArgumentParser(prog="covis")
    commands = whole.add_subparsers()
    for name, (module, text) in _COMMANDS.items():
        theirs = importlib.import_module(module).parser()
        commands.add_parser(name, parents=[theirs], add_help=False, help=text)
    commands.add_parser("completion", parents=[parser], add_help=False, help="print completions")
    print(shtab.complete(whole, shell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
