"""Copy a catalogue into another, of the same kind or not: SQLite to MongoDB and back."""

from collections.abc import Iterator
from dataclasses import dataclass

from catalog.merging import chunks
from catalog.model import ProductRecord, Run
from catalog.query import RunQuery
from catalog.store import Catalog

__all__ = ["CopyReport", "copy_catalog"]

_CHUNK = 1000
_ALL = 10**9


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy did.

    Parameters
    ----------
    runs : int
        Runs read.
    new, changed : int
        Runs that the target did not have, and those that gained something.
    products : int
        Outcomes written; an outcome that the target has as new or newer, or under a higher token, is left
        alone.
    batches : int
        Batch documents written.
    unreadable : tuple of str
        Documents of runs that cannot be read, and so were not copied.
    """

    runs: int
    new: int
    changed: int
    products: int
    batches: int
    unreadable: tuple[str, ...] = ()


def copy_catalog(source: Catalog, target: Catalog) -> CopyReport:
    """Add everything that one catalogue knows to another; again is no harm.

    Runs with their raw files and contents, outcomes and batches are copied; claims are not, so let no batch
    run meanwhile, nor fields that other programs keep in the documents.

    Raises
    ------
    CatalogError
        When either fails; what was written stays, and the same copy goes on from there.
    """
    have = {run.basename: run.product for run in target.select(RunQuery())}
    total = new = changed = products = 0
    unreadable: list[str] = []
    for chunk in chunks(_whole(source, unreadable), _CHUNK):
        added, gained = target.add_raw(chunk)
        total, new, changed = total + len(chunk), new + added, changed + gained
        outcomes = {
            run.basename: run.product
            for run in chunk
            if run.product is not None and _is_newer(run.product, have.get(run.basename))
        }
        products += len(outcomes) - len(target.record(outcomes))
    batches = source.batches(_ALL)
    for batch in batches:
        target.put_batch(batch)
    return CopyReport(total, new, changed, products, len(batches), tuple(unreadable))


def _whole(source: Catalog, unreadable: list[str]) -> Iterator[Run]:
    """Yield every run that can be read, with its contents, which a selection leaves out."""
    for run in source.select(RunQuery()):
        if run.fault is not None:
            unreadable.append(run.fault)
            continue
        yield source.get(run.basename) or run


def _is_newer(product: ProductRecord, there: ProductRecord | None) -> bool:
    return there is None or product.at > there.at
