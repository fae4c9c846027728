"""``python -m covis_dask.batch``: process the runs that the selection words choose.

Here are the words; what they make happen is imported when they have been read, so that help comes at once.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from catalog.errors import CatalogError
from catalog.query import RunQuery
from catalog.words import SelectionError, add_selection_arguments, query_from_arguments
from covis_dask import __version__
from covis_dask.batches.plan import ONLY
from covis_dask.cli.exits import EPILOG, Exit
from covis_dask.cli.options import add_product_arguments
from covis_dask.errors import ConfigurationError, CovisError

__all__ = ["CLUSTERS", "adapt_of", "main", "parser", "refuse_contradictions", "say"]

CLUSTERS: Final = ("gateway", "kubernetes", "slurm", "ssh")
"""What ``--cluster`` may name; `covis_dask.batches.clusters.KINDS` starts them."""


def parser(prog: str = "python -m covis_dask.batch") -> argparse.ArgumentParser:
    """Describe the command line."""
    it = argparse.ArgumentParser(
        prog=prog,
        description="Process COVIS runs on a Dask cluster: those that the selection words choose, "
        "each of them once. Runs whose product exists are left alone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_selection_arguments(it)
    add_product_arguments(it)
    it.add_argument("--prefix", help="folder below the product store (ENGINE-PROFILE, such as native-matlab)")
    which = it.add_argument_group("which of the selected runs")
    which.add_argument("--force", action="store_true", help="process them even if their products exist")
    which.add_argument(
        "--verify", action="store_true", help="believe the manifests in the store rather than the catalogue"
    )
    which.add_argument("--only", choices=ONLY, help="narrow the selection to runs in this state")
    how = it.add_argument_group("how to run")
    how.add_argument(
        "--dry-run", action="store_true", help="show the plan, one reason per run, and do nothing"
    )
    how.add_argument("--retries", type=int, metavar="N", help="further tries after a passing fault (2)")
    how.add_argument(
        "--scheduler",
        default="local",
        metavar="ADDRESS",
        help="tcp://host:8786, tls://host:8786, or local for this machine (local)",
    )
    how.add_argument(
        "--cluster",
        choices=CLUSTERS,
        help="start workers there for this batch, with the arguments in covis.cluster (docs/clusters.md)",
    )
    how.add_argument(
        "--workers", type=int, metavar="N", help="workers to start, here or by --cluster (one per core)"
    )
    how.add_argument(
        "--adapt", metavar="MIN:MAX", help="with --cluster: start and end workers as the work demands"
    )
    how.add_argument("--json", action="store_true", help="print plan or report as JSON on standard output")
    it.add_argument("--version", action="version", version=f"covis-dask {__version__}")
    return it


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.batch") -> int:
    """Run the command; the exit codes are in `covis_dask.cli.exits`."""
    arguments = parser(prog).parse_args(argv)
    try:
        refuse_contradictions(arguments)
        query = query_from_arguments(arguments, sys.stdin)
        if query == RunQuery():
            raise ConfigurationError(
                "say which runs: --year 2014, --mode diffuse, --basename NAME ... (--regex . takes them all)"
            )
        from covis_dask.batches.service import run

        return run(arguments, query)
    except (CovisError, SelectionError, CatalogError) as error:
        say(f"error: {error}")
        return Exit.CONFIGURATION
    except KeyboardInterrupt:
        say("left at once; products already committed are safe, the same command goes on from there")
        return Exit.INTERRUPTED


def say(line: str) -> None:
    """Tell the user something on standard error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 (a command line talks)


def refuse_contradictions(arguments: argparse.Namespace) -> None:
    """Refuse words that make no sense together.

    Raises
    ------
    ConfigurationError
        With what to do about them.
    """
    if arguments.force and arguments.verify:
        raise ConfigurationError(
            "--verify looks whether products are there, --force makes them anyway: choose one of the two"
        )
    if arguments.cluster is not None and arguments.scheduler != "local":
        raise ConfigurationError("--cluster starts a scheduler of its own: leave --scheduler away")
    if arguments.workers is not None and arguments.scheduler != "local":
        raise ConfigurationError("--workers starts workers; a scheduler that is there has the workers it has")
    if arguments.adapt is not None and (arguments.cluster is None or arguments.workers is not None):
        raise ConfigurationError("--adapt goes with --cluster, and without --workers")
    adapt_of(arguments)
    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigurationError("--workers must be at least 1")
    if arguments.retries is not None and arguments.retries < 0:
        raise ConfigurationError("--retries cannot be negative")
    if arguments.scheduler != "local" and "://" not in arguments.scheduler:
        raise ConfigurationError(
            f"--scheduler {arguments.scheduler}: write local, or an address such as tcp://host:8786"
        )


def adapt_of(arguments: argparse.Namespace) -> tuple[int, int] | None:
    """Read ``MIN:MAX``."""
    if arguments.adapt is None:
        return None
    fewest, _, most = arguments.adapt.partition(":")
    if not (fewest.isdecimal() and most.isdecimal()) or not 0 <= int(fewest) <= int(most) or int(most) < 1:
        raise ConfigurationError(f"--adapt {arguments.adapt}: write fewest and most workers, such as 0:40")
    return int(fewest), int(most)


if __name__ == "__main__":
    sys.exit(main())
