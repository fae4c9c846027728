"""``covis get QUERY DIR``: the files of the selected runs' products, copied under plain names."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dask.utils import format_bytes

from covis_dask.batches.found import find_products
from covis_dask.batches.history import History
from covis_dask.cli._answer import answered, put
from covis_dask.cli._selected import Gaps, add_formats, add_product_selection, query_from, say
from covis_dask.cli.exits import Exit
from covis_dask.errors import ProductDamaged
from covis_dask.products.copying import Copied, InTheWay, copy_file
from covis_dask.products.files import ProductFile, files_of
from covis_dask.products.stored import StoredProduct

__all__ = ["main", "parser"]

_EPILOG = """\
exit codes:
    0  every product that there is has been copied
    1  some could not be, or no selected run has a product
    2  wrong words, or catalogue, store or folder cannot be used
    3  nothing selected
  130  interrupted; the same command goes on from there
"""


def parser(prog: str = "python -m covis_dask.cli.get") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Copy the files of the selected runs' products into a folder, as BASENAME.nc and so on. "
        "Sizes and checksums are compared; what is there already is not copied again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to; made if it is not there")
    add_product_selection(parser)
    add_formats(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of the same name that are others, such as those of an older version",
    )
    parser.add_argument("--json", action="store_true", help="what became of each file, as JSON")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.get") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)
    try:
        return answered(lambda: _copy(arguments))
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from there")
        return Exit.INTERRUPTED


def _copy(arguments: argparse.Namespace) -> int:
    gaps, given = Gaps(), 0
    kinds = frozenset(arguments.formats or ["nc"])
    results: list[dict[str, object]] = []
    found = find_products(History.here(), query_from(arguments), arguments.prefix)
    for one, product in gaps.watched(found):
        files = files_of(product.manifest, kinds)
        given += bool(files)
        for file in files:
            state, reason = _one(product, file, arguments)
            entry = {"basename": one.run.basename, "name": file.name, "size": file.entry.size, "state": state}
            results.append(entry | ({"reason": reason} if reason else {}))
            if reason:
                say(f"{file.name}: {reason}")
    gaps.told()
    _tell(results, arguments, gaps)
    failed = any("reason" in entry for entry in results)
    code = gaps.exit(given)
    return Exit.SOME_FAILED if failed and code == Exit.DONE else code


def _one(product: StoredProduct, file: ProductFile, arguments: argparse.Namespace) -> tuple[str, str]:
    """Copy a file; return what it came to, and why not."""
    try:
        return copy_file(product, file, arguments.folder, overwrite=arguments.overwrite), ""
    except InTheWay as error:
        return "in-the-way", str(error)
    except ProductDamaged as error:
        return str(error.kind), str(error)


def _tell(results: Sequence[dict[str, object]], arguments: argparse.Namespace, gaps: Gaps) -> None:
    if arguments.json:
        put(json.dumps({"folder": str(arguments.folder), "files": results, **gaps.to_document()}, indent=1))
        return
    counts = Counter(str(entry["state"]) for entry in results)
    size = sum(int(str(entry["size"])) for entry in results if entry["state"] == Copied.COPIED)
    words = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    put(f"{arguments.folder}: {words or 'nothing'}; {format_bytes(size)} copied")


if __name__ == "__main__":
    sys.exit(main())
