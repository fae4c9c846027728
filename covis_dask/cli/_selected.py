"""What the commands that work on products of selected runs share: their words, and what they say of gaps."""

import argparse
import sys
from collections.abc import Iterable, Iterator

from catalog.query import RunQuery
from catalog.redaction import redact
from catalog.tools.arguments import add_selection_arguments, selection_texts
from covis_dask.batches.found import Found
from covis_dask.cli.exits import Exit
from covis_dask.products.files import KINDS
from covis_dask.products.stored import StoredProduct

__all__ = ["Gaps", "add_formats", "add_product_selection", "query_from", "say"]


def add_product_selection(parser: argparse.ArgumentParser) -> None:
    """Add the selection words, and which product of each run."""
    add_selection_arguments(parser)
    parser.add_argument(
        "--prefix",
        help="folder below the product store, such as native-corrected (that of each run's newest outcome)",
    )


def add_formats(parser: argparse.ArgumentParser) -> None:
    """Add which files of each product are meant; none said means ``nc``."""
    parser.add_argument(
        "--format",
        dest="formats",
        action="append",
        choices=KINDS,
        help="which files, repeatable: a format, the quick look, the log, or all (nc)",
    )


def query_from(arguments: argparse.Namespace) -> RunQuery:
    """Turn the selection words into a query; SelectionError when they make no sense."""
    return RunQuery.from_text(selection_texts(arguments), sys.stdin)


def say(line: str) -> None:
    """Tell the user something on standard error."""
    print(redact(line), file=sys.stderr, flush=True)


class Gaps:
    """Selected runs that gave nothing, and why."""

    def __init__(self) -> None:
        self.selected = 0
        self.without: list[str] = []
        self.unusable: list[tuple[str, str, str]] = []

    def watched(self, found: Iterable[Found]) -> Iterator[tuple[Found, StoredProduct]]:
        """Yield what has a product, and remember what has none."""
        for one in found:
            self.selected += 1
            if one.product is not None:
                yield one, one.product
            elif one.fault is not None:
                self.unusable.append((one.run.basename, str(one.fault.kind), str(one.fault)))
            else:
                self.without.append(one.run.basename)

    def told(self) -> None:
        """Say which runs gave nothing."""
        for basename, kind, reason in self.unusable:
            say(f"{basename}: {kind}: {reason}")
        if self.without:
            say(f"{len(self.without)} of {self.selected} selected runs have no product")

    def exit(self, given: int) -> Exit:
        """Choose the exit code, when so many runs gave something."""
        if not self.selected:
            say("no run of the catalogue matches")
            return Exit.NOTHING_SELECTED
        return Exit.SOME_FAILED if self.unusable or not given else Exit.DONE

    def to_document(self) -> dict[str, object]:
        """Return what the JSON form says."""
        unusable = [
            {"basename": basename, "kind": kind, "reason": redact(reason)}
            for basename, kind, reason in self.unusable
        ]
        return {"without-product": self.without, "unusable": unusable}
