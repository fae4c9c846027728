"""``covis upgrade QUERY``: products of earlier releases carried to the newest form, without raw data."""

import argparse
import sys
from collections.abc import Sequence

from covis_dask.batches.request import BatchRequest, ClusterSpec
from covis_dask.cli._answer import answered
from covis_dask.cli._selected import add_product_selection, query_from, say
from covis_dask.cli.batch import add_cluster_arguments
from covis_dask.cli.exits import EPILOG, Exit

__all__ = ["main", "parser"]


def parser(prog: str = "python -m covis_dask.cli.upgrade") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Carry the products of the selected runs to the newest layout and form of files. No raw "
        "data are read and nothing is computed anew: fingerprints and numbers stay. Products in the newest "
        "form are left as they are; the files of older ones stay until `covis gc` sweeps them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_product_selection(parser)
    add_cluster_arguments(parser.add_argument_group("how to run"))
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.upgrade") -> int:
    """Run the command; the exit codes are in `covis_dask.cli.exits`."""
    arguments = parser(prog).parse_args(argv)

    def work() -> int:
        request = BatchRequest(
            query=query_from(arguments),
            job="upgrade",
            prefix=arguments.prefix,
            retries=arguments.retries,
            cluster=ClusterSpec.from_options(
                arguments.scheduler, arguments.cluster, arguments.workers, arguments.adapt
            ),
        )
        from covis_dask.cli._batch import run

        return run(request, dry_run=arguments.dry_run, as_json=arguments.json)

    try:
        return answered(work)
    except KeyboardInterrupt:
        say("stopped at once; the same command resumes from there")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
