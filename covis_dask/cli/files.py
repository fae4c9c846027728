"""``covis files QUERY``: where the current files of the selected runs' products lie."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from covis_dask.batches.found import find_products
from covis_dask.batches.history import History
from covis_dask.cli._answer import answered, put
from covis_dask.cli._selected import Gaps, add_formats, add_product_selection, query_from
from covis_dask.cli.exits import Exit
from covis_dask.products.files import files_of

__all__ = ["main", "parser"]

_EPILOG = """\
exit codes:
    0  every product that there is can be used
    1  some cannot be used (they are named), or no selected run has a product
    2  wrong words, or catalogue or store cannot be used
    3  nothing selected

A season in Python: xarray.open_mfdataset(covis_dask.product_files(year=2014, mode="imaging"))
"""


def parser(prog: str = "python -m covis_dask.cli.files") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Print where the current files of the selected runs' products are, one per line: "
        "paths where the product store is a folder, else URLs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_product_selection(parser)
    add_formats(parser)
    parser.add_argument("--json", action="store_true", help="with names, sizes and checksums, as JSON")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.files") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)
    try:
        return answered(lambda: _list(arguments))
    except BrokenPipeError:  # who reads our lines has enough of them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE


def _list(arguments: argparse.Namespace) -> int:
    gaps, given, entries = Gaps(), 0, []
    kinds = frozenset(arguments.formats or ["nc"])
    found = find_products(History.here(), query_from(arguments), arguments.prefix)
    for one, product in gaps.watched(found):
        files = files_of(product.manifest, kinds)
        given += bool(files)
        if arguments.json:
            entries += [
                {
                    "basename": one.run.basename,
                    "format": file.kind,
                    "name": file.name,
                    "path": product.url(file.entry),
                    "size": file.entry.size,
                    "sha256": file.entry.sha256,
                }
                for file in files
            ]
            continue
        for head in dict.fromkeys(file.head for file in files):
            put(product.store.address(f"{product.run}/{head}"))
    if arguments.json:
        put(json.dumps({"files": entries, **gaps.to_document()}, indent=1))
    sys.stdout.flush()
    gaps.told()
    return gaps.exit(given)


if __name__ == "__main__":
    sys.exit(main())
