"""``covis open RUN``: what the product of a run holds, and where it lies."""

import argparse
import sys
from collections.abc import Sequence

from catalog.names import basename_of
from covis_dask.batches.history import History
from covis_dask.cli._answer import answered, put
from covis_dask.modes.fixes import profile_name
from covis_dask.products.paths import ProductPaths

__all__ = ["main", "parser"]


def parser(prog: str = "python -m covis_dask.cli.open") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Show what a run's product contains, where it is, and how to open it."
    )
    parser.add_argument("run", help="name of the run or of its archive")
    parser.add_argument(
        "--prefix", help="folder below the product store, for a product other than the newest"
    )
    parser.add_argument("--json", action="store_true", help="the product's manifest")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.open") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)

    def work() -> int:
        history, run = History.here(), basename_of(arguments.run)
        path = ProductPaths(arguments.prefix).run(run) if arguments.prefix else history.newest_path(run)
        product = history.product(run, path)
        manifest = product.manifest
        if arguments.json:
            put(manifest.to_json().rstrip("\n"))
            return 0
        put(repr(product.dataset()))
        where = f"{history.settings.products.url}/{path}"
        profile = profile_name(manifest.profile, manifest.parameters.get("fixes", ()))
        put(f"\nmade by   {manifest.engine} {manifest.version}, profile {profile}")
        put(f"folder    {where}")
        for entry in product.files:
            put(f"          {entry.name}  {entry.size} bytes")
        return 0

    return answered(work)


if __name__ == "__main__":
    sys.exit(main())
