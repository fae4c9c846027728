"""``covis log RUN``: the log that a run has left beside its product."""

import argparse
import sys
from collections.abc import Sequence

from catalog.names import basename_of
from covis_dask.batches.history import History
from covis_dask.cli._answer import answered, put
from covis_dask.products.paths import ProductPaths

__all__ = ["main", "parser"]


def parser(prog: str = "python -m covis_dask.cli.log") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog=prog, description="Show the log of a run's latest attempt.")
    parser.add_argument("run", help="name of the run or of its archive")
    parser.add_argument(
        "--prefix", help="folder below the product store, for a product other than the newest"
    )
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.log") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)

    def work() -> int:
        history, run = History.here(), basename_of(arguments.run)
        path = ProductPaths(arguments.prefix).run(run) if arguments.prefix else history.newest_path(run)
        put(history.log(run, path).rstrip("\n"))
        return 0

    return answered(work)


if __name__ == "__main__":
    sys.exit(main())
