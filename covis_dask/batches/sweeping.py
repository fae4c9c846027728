"""A product store swept of what nobody needs (`covis_dask.products.garbage`)."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from catalog.names import BadName, parse_basename
from covis_dask.errors import ProductDamaged
from covis_dask.products.commit import look
from covis_dask.products.garbage import Garbage, garbage_of, is_leftover
from covis_dask.storage import Listed, ProductStore

__all__ = ["Swept", "sweep"]

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Swept:
    """What was found in a folder.

    Parameters
    ----------
    path : str
        Of the run, or of another folder, below the store.
    garbage : tuple of Garbage
        What has been removed; with `dry_run`, what would be.
    reason : str
        Why the run is left alone, if it is.
    """

    path: str
    garbage: tuple[Garbage, ...] = ()
    reason: str = ""


def sweep(store: ProductStore, before: dt.datetime, *, folder: str = "", dry_run: bool) -> Iterator[Swept]:
    """Sweep a store, run by run.

    Nothing that a manifest names is touched: it is read again right before anything is removed, and a run
    whose manifest has changed meanwhile is left for the next time.

    Parameters
    ----------
    store : ProductStore
    before : datetime
        What was written later is not old enough, by the store's own clock (`ProductStore.clock`).
    folder : str
        Sweep below this folder only.
    dry_run : bool
        Remove nothing.

    Raises
    ------
    StorageUnavailable, StorageRefused
        When the store does not answer.
    """
    chunk: list[str] = []
    for path, loose in _walk(store, folder):
        if not _is_run(path):
            garbage = tuple(Garbage("part", (file,)) for file in loose if is_leftover(file, before))
            if garbage and not dry_run:
                _remove(store, garbage)
            if garbage:
                yield Swept(path, garbage)
            continue
        chunk.append(path)
        if len(chunk) == _AT_ONCE:
            yield from _swept(store, chunk, before, dry_run=dry_run)
            chunk = []
    yield from _swept(store, chunk, before, dry_run=dry_run)


def _walk(store: ProductStore, folder: str) -> Iterator[tuple[str, list[Listed]]]:
    """Yield the folders of runs, and every other folder with its own files."""
    if _is_run(folder):
        yield folder, []
        return
    entries = store.listed(folder, deep=False)
    yield folder, [one for one in entries if one.size is not None]
    for one in entries:
        if one.size is None:
            yield from _walk(store, one.path)


def _is_run(path: str) -> bool:
    try:
        parse_basename(path.rsplit("/", 1)[-1])
    except BadName:
        return False
    return True


def _swept(
    store: ProductStore, runs: Iterable[str], before: dt.datetime, *, dry_run: bool
) -> Iterator[Swept]:
    found = store.at_once(lambda run: _sweep_run(store, run, before, dry_run=dry_run), runs)
    yield from (one for one in found if one.garbage or one.reason)


def _sweep_run(store: ProductStore, run: str, before: dt.datetime, *, dry_run: bool) -> Swept:
    # The files first: what is uploaded after they were listed cannot be swept.
    files = store.listed(run)
    try:
        seen = look(store, run)
    except ProductDamaged as damaged:  # a link where the manifest should be
        return Swept(run, (), f"{damaged.kind}: {damaged}")
    reason = "" if seen.fault is None else f"{seen.fault.kind}: {seen.fault}"
    swept = []
    for garbage in garbage_of(run, seen, files, before):
        if not dry_run:
            if look(store, run).tag != seen.tag:
                reason = "its manifest has changed just now"
                break
            _remove(store, [garbage])
        swept.append(garbage)
    return Swept(run, tuple(swept), reason)


def _remove(store: ProductStore, garbage: Iterable[Garbage]) -> None:
    for one in garbage:
        for file in one.files:
            store.remove(file.path)
