"""``covis batch``, ``python -m covis_dask.batch``: process the runs that the selection words choose.

Here are the words; what they make happen is imported when they have been read, so that help comes at once.
"""

import argparse
import sys
from collections.abc import Sequence

from catalog.query import RunQuery
from catalog.tools.arguments import add_selection_arguments, selection_texts
from covis_dask._version import __version__
from covis_dask.batches.request import CLUSTER_KINDS, LOCAL, ONLY, BatchRequest, ClusterSpec
from covis_dask.cli._answer import unparsable
from covis_dask.cli.exits import EPILOG, Exit
from covis_dask.cli.options import add_product_arguments, chosen_formats, chosen_overrides
from covis_dask.errors import CovisError

__all__ = ["add_cluster_arguments", "main", "parser", "request_from_arguments"]


def parser(prog: str = "python -m covis_dask.batch") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Process the selected COVIS runs on a Dask cluster, each exactly once. "
        "Runs that already have an up-to-date product are skipped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_selection_arguments(parser)
    add_product_arguments(parser)
    parser.add_argument(
        "--prefix", help="folder below the product store (ENGINE-PROFILE, such as native-matlab)"
    )
    which = parser.add_argument_group("which of the selected runs")
    which.add_argument("--force", action="store_true", help="reprocess them even if their products exist")
    which.add_argument(
        "--verify", action="store_true", help="check the manifests in the store, do not trust the catalogue"
    )
    which.add_argument("--only", choices=ONLY, help="narrow the selection to runs in this state")
    add_cluster_arguments(parser.add_argument_group("how to run"))
    parser.add_argument("--version", action="version", version=f"covis-dask {__version__}")
    return parser


def add_cluster_arguments(how: argparse._ArgumentGroup) -> None:
    """Add where to run, and how, to a group of a parser's words."""
    how.add_argument(
        "--dry-run", action="store_true", help="show the plan, with a reason for each run, and do nothing"
    )
    how.add_argument("--retries", type=int, metavar="N", help="retries after a transient fault (2)")
    how.add_argument(
        "--scheduler",
        default=LOCAL,
        metavar="ADDRESS",
        help="tcp://host:8786, tls://host:8786, or local for this machine (local)",
    )
    how.add_argument(
        "--cluster",
        choices=CLUSTER_KINDS,
        help="start workers there for this batch, as covis.cluster says (docs/clusters.md)",
    )
    how.add_argument(
        "--workers", type=int, metavar="N", help="workers to start, locally or with --cluster (one per core)"
    )
    how.add_argument(
        "--adapt", metavar="MIN:MAX", help="with --cluster: scale the number of workers with the load"
    )
    how.add_argument("--json", action="store_true", help="print plan or report as JSON on standard output")


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.batch") -> int:
    """Run the command; the exit codes are in `covis_dask.cli.exits`."""
    arguments = parser(prog).parse_args(argv)
    try:
        request = request_from_arguments(arguments)
        from covis_dask.cli._batch import run  # Dask and xarray come with it

        return run(request, dry_run=arguments.dry_run, as_json=arguments.json)
    except (CovisError, ValueError) as error:
        sentence = error if isinstance(error, CovisError) else unparsable(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return Exit.CONFIGURATION
    except KeyboardInterrupt:
        print(
            "stopped at once; committed products are safe, and the same command resumes from there",
            file=sys.stderr,
        )
        return Exit.INTERRUPTED


def request_from_arguments(arguments: argparse.Namespace) -> BatchRequest:
    """Turn the words into the request they make.

    Raises
    ------
    ConfigurationError, SelectionError
        For words that make no sense, alone or together.
    """
    return BatchRequest(
        query=RunQuery.from_text(selection_texts(arguments), sys.stdin),
        engine=arguments.engine,
        profile=arguments.profile,
        fixes=tuple(arguments.fixes),
        preset=arguments.preset,
        overrides=chosen_overrides(arguments),
        formats=chosen_formats(arguments),
        prefix=arguments.prefix,
        ancillary=arguments.ancillary,
        force=arguments.force,
        verify=arguments.verify,
        only=arguments.only,
        retries=arguments.retries,
        cluster=ClusterSpec.from_options(
            arguments.scheduler, arguments.cluster, arguments.workers, arguments.adapt
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
