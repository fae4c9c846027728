"""``python -m covis_dask.process``: process single raw archives, without catalogue or cluster.

Here are the words; what they make happen is imported when they have been read, so that help comes at once.
"""

import argparse
import sys
from collections.abc import Sequence

from covis_dask._version import __version__
from covis_dask.cli._answer import unparsable
from covis_dask.cli.exits import EPILOG, Exit
from covis_dask.cli.options import add_product_arguments
from covis_dask.errors import CovisError

__all__ = ["main", "parser"]


def parser(prog: str = "python -m covis_dask.process") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Process raw COVIS archives (.tar.gz, .7z, .zip ...) or unpacked folders, one by one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE", help="path or fsspec URL of a raw archive")
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="folder or URL; each run gets a folder in it"
    )
    add_product_arguments(parser)
    parser.add_argument("--force", action="store_true", help="reprocess runs even if their products exist")
    parser.add_argument("--version", action="version", version=f"covis-dask {__version__}")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.process") -> int:
    """Run the command; the exit codes are in `covis_dask.cli.exits`."""
    arguments = parser(prog).parse_args(argv)
    try:
        from covis_dask.cli._process import run

        return run(arguments)
    except (CovisError, ValueError) as error:
        sentence = error if isinstance(error, CovisError) else unparsable(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return Exit.CONFIGURATION
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
