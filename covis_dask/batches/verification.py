"""Catalogue, manifests and bytes compared for many runs; the catalogue brought to the store's truth.

What is changed is written to an undo log first, a line for each run, and changed under a claim: a run that a
batch is processing is left to that batch.
"""

import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TextIO

from catalog.documents import decode
from catalog.errors import DocumentError
from catalog.model import ProductRecord, Run, to_json
from catalog.store import Catalog
from catalog.vocabulary import RunState
from covis_dask.batches.found import Found, look_up, looked_up
from covis_dask.batches.keeper import kept
from covis_dask.batches.leases import Lease
from covis_dask.errors import LegacyProduct, ProductDamaged, RunError
from covis_dask.products.checking import Disagreement, Word, disagreements, lost_bytes, truth
from covis_dask.products.commit import Seen, look
from covis_dask.products.manifest import Manifest
from covis_dask.storage import ProductStore

__all__ = ["Mended", "StoreCheck", "Verified", "fix", "undo", "verify"]

_AT_ONCE = 512
_HEARTBEAT = 2.0
"""Short: who waits for these runs goes by a heartbeat of its own."""


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """What a plan asks the store, where it does not trust the catalogue.

    Parameters
    ----------
    store : ProductStore
    """

    store: ProductStore

    def look(self, path: str) -> Seen:
        """Look at the manifest in a run's folder."""
        return look(self.store, path)

    def lost(self, path: str, manifest: Manifest) -> tuple[Disagreement, ...]:
        """Compare the files that it names with those in the store."""
        return lost_bytes(self.store, path, manifest)


@dataclass(frozen=True, slots=True)
class Verified:
    """One run that was looked at.

    Parameters
    ----------
    run : Run
    path : str, optional
        Its folder below the store.
    found : tuple of Disagreement
        Nothing, if all agree.
    after : ProductRecord, optional
        What the catalogue should have; None where the store cannot say, or nothing is wrong.
    """

    run: Run
    path: str | None
    found: tuple[Disagreement, ...] = ()
    after: ProductRecord | None = None


@dataclass(frozen=True, slots=True)
class Mended:
    """A run whose record was to be changed; `reason` says why it was not."""

    basename: str
    reason: str = ""


def verify(
    store: ProductStore, runs: Sequence[Run], prefixes: Sequence[str], *, deep: bool
) -> Iterator[Verified]:
    """Compare catalogue, manifests and bytes; in the order of the runs.

    Parameters
    ----------
    store : ProductStore
    runs : sequence of Run
    prefixes : sequence of str
        Where a run that has no record may have a product; the newest counts.
    deep : bool
        Read every file, and compare its SHA-256.

    Raises
    ------
    StorageUnavailable, StorageRefused
        When the store does not answer.
    """

    def compared(found: Found) -> Verified:
        one = _elsewhere(store, found, prefixes) if found.path is None and found.fault is None else found
        return _compared(store, one, deep=deep)

    found = looked_up(store, runs)
    while chunk := list(islice(found, _AT_ONCE)):
        yield from store.at_once(compared, chunk)


def _elsewhere(store: ProductStore, found: Found, prefixes: Sequence[str]) -> Found:
    """Look for the product of a run that the catalogue knows nothing of."""
    others = [look_up(store, found.run, prefix) for prefix in prefixes]
    known = [one for one in others if one.product is not None]
    if known:
        return max(known, key=lambda one: one.product.manifest.finished if one.product else 0)
    return found


def _compared(store: ProductStore, found: Found, *, deep: bool) -> Verified:
    run, path = found.run, found.path
    if run.fault is not None:
        return Verified(run, None, (Disagreement(Word.UNREADABLE, run.fault),))
    if path is None:
        return Verified(run, None)
    fault = found.fault if isinstance(found.fault, RunError) else None
    manifest = found.product.manifest if found.product is not None else None
    record = run.product if run.product is not None and run.product.path == path else None
    wrong = disagreements(record, manifest, fault)
    if manifest is not None:
        try:
            wrong += lost_bytes(store, path, manifest, deep=deep)
        except (LegacyProduct, ProductDamaged) as error:
            wrong += (Disagreement(Word.PRODUCT_DAMAGED, str(error)),)
    after = truth(record, path, manifest, wrong) if wrong else None
    # A run without product, or with a damaged one, that is recorded as failed is what it is recorded as.
    if record is not None and after is not None and record.state == after.state != RunState.DONE:
        after = None
    return Verified(run, path, wrong, after)


def fix(catalog: Catalog, verified: Iterable[Verified], log: TextIO) -> Iterator[Mended]:
    """Bring the catalogue to the store's truth, where `after` says what that is.

    Parameters
    ----------
    catalog : Catalog
    verified : iterable of Verified
    log : text file
        Takes a line of JSON for each run, before it is changed: ``basename``, ``before``, ``after``.
    """
    wanted = {one.run.basename: one for one in verified if one.after is not None}
    floors = {name: one.after.token for name, one in wanted.items() if one.after is not None}
    with _claimed(catalog, list(wanted), floors) as (batch, tokens):
        for name, one in wanted.items():
            token = tokens.get(name)
            if token is None or one.after is None:
                yield Mended(name, f"another batch is processing it ({batch} could not claim it)")
                continue
            before = _product(catalog, name)
            if _text(before) != _text(one.run.product):
                yield Mended(name, "the catalogue's record has changed meanwhile")
                continue
            after = replace(one.after, token=token)
            _log(log, {"basename": name, "before": _plain(before), "after": _plain(after)})
            yield Mended(name, "" if not catalog.record({name: after}) else "another batch has claimed it")


def undo(catalog: Catalog, lines: Iterable[str]) -> Iterator[Mended]:
    """Take back what `fix` did, unless the record has changed since.

    Parameters
    ----------
    catalog : Catalog
    lines : iterable of str
        Of the undo log.

    Raises
    ------
    DocumentError
        When a line is none of such a log; then nothing has been changed.
    """
    entries = {name: (before, after) for name, before, after in map(_entry, filter(str.strip, lines))}
    with _claimed(catalog, list(entries), {}) as (batch, tokens):
        for name, (before, after) in entries.items():
            now = _text(_product(catalog, name))
            token = tokens.get(name)
            if token is None:
                yield Mended(name, "another batch is processing it, or the catalogue does not know it")
            elif now != _text(after):
                yield Mended(name, "the catalogue's record is not the one that was written: it stays")
            elif before is None:
                yield Mended(name, "" if catalog.forget([name], batch) else "another batch has claimed it")
            else:
                refused = catalog.record({name: replace(before, token=token)})
                yield Mended(name, "another batch has claimed it" if refused else "")


@contextmanager
def _claimed(
    catalog: Catalog, names: Sequence[str], floors: dict[str, int]
) -> Iterator[tuple[str, dict[str, int]]]:
    """Hold the runs that nobody else does."""
    batch = f"verify-{secrets.token_hex(6)}"
    lease = Lease(catalog, batch, _HEARTBEAT, time.monotonic)
    lease.open()
    try:
        with kept(lease):
            yield batch, dict(catalog.claim(names, batch, floors)) if names else {}
    finally:
        lease.close()


def _product(catalog: Catalog, basename: str) -> ProductRecord | None:
    run = catalog.get(basename)
    return None if run is None else run.product


def _plain(record: ProductRecord | None) -> Any:
    return None if record is None else json.loads(_text(record))


def _text(record: ProductRecord | None) -> str:
    """Return a record as stores keep it, for comparison."""
    return "" if record is None else to_json(record.to_document())


def _log(log: TextIO, entry: dict[str, Any]) -> None:
    log.write(json.dumps(entry, ensure_ascii=False) + "\n")
    log.flush()
    os.fsync(log.fileno())


def _entry(line: str) -> tuple[str, ProductRecord | None, ProductRecord | None]:
    try:
        entry = json.loads(line)
        name, *records = entry["basename"], entry["before"], entry["after"]
    except (ValueError, KeyError, TypeError):
        raise DocumentError(f"this is no line of an undo log: {line.strip()[:80]}") from None
    before, after = (
        None if one is None else decode(ProductRecord, one, f"the record of {name}", strict=False)
        for one in records
    )
    return str(name), before, after
