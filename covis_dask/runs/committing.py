"""What surrounds a commit: a look at the files that are named, and what its verdict means for the run."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from catalog.vocabulary import RunState
from covis_dask.config import Settings
from covis_dask.errors import Cancelled, CovisError, StorageUnavailable
from covis_dask.products.checking import lost_bytes
from covis_dask.products.commit import NewLevel1, Standing, Verdict, commit, look, standing
from covis_dask.products.manifest import Manifest
from covis_dask.products.paths import ProductPaths
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.storage import ProductStore
from covis_dask.storage.retry import retry_while_unavailable

__all__ = ["commit_for_worker", "concluded", "whole"]


class _Placed(Protocol):
    @property
    def path(self) -> str: ...


def whole(store: ProductStore, run: str) -> Callable[[Manifest], None]:
    """Return a check that every file of a manifest is in the store, as long as it should be.

    The check raises `StorageUnavailable`: what was uploaded a moment ago can only have gone with its disk.
    """

    def check(manifest: Manifest) -> None:
        folders = {"/".join(entry.name.split("/")[:2]) for entry in manifest.all_files if "/" in entry.name}
        held: dict[str, int] = {}
        for folder in sorted(folders):
            held |= store.sizes(ProductPaths.file(run, folder))
        for entry in manifest.all_files:
            path = ProductPaths.file(run, entry.name)
            size = held.get(path)
            if size != entry.size and entry.is_in(manifest.folder):
                found = "is not there" if size is None else f"has {size} of {entry.size} bytes"
                raise StorageUnavailable(f"{store.url}/{path} {found} although it was uploaded")

    return check


def concluded(
    verdict: Verdict, task: _Placed, manifest: Manifest, store: ProductStore, done: RunOutcome
) -> RunOutcome:
    """Say what a verdict means for the run; files that no manifest will ever name are removed.

    Parameters
    ----------
    verdict : Verdict
    task : RunTask
    manifest : Manifest
        Ours.
    store : ProductStore
    done : RunOutcome
        The outcome if it is committed.
    """
    if verdict is Verdict.COMMITTED:
        return done
    with suppress(CovisError):  # what stays is swept later
        store.remove_folder(ProductPaths.file(task.path, manifest.folder))
    if verdict is Verdict.ALREADY:
        return replace(done, state=RunState.ALREADY, bytes_out=0)
    newer = Cancelled("another process has committed a product that stands before this one meanwhile")
    return replace(done, state=newer.state, kind=newer.kind, reason=str(newer), bytes_out=0)


def commit_for_worker(
    task: RunTask, outcome: RunOutcome, settings: Settings, log: Callable[[str], None]
) -> RunOutcome:
    """Commit what a worker has uploaded to a store that keeps no conditions on writes.

    Whoever calls this holds the claim of the run, so that nobody else commits it.

    Parameters
    ----------
    task : RunTask
    outcome : RunOutcome
        With the manifest in `uncommitted`.
    settings : Settings
    log : callable
        Takes a line while the store does not answer.
    """
    manifest = Manifest.from_document(outcome.uncommitted)
    done = replace(outcome, uncommitted=None)

    def work() -> RunOutcome:
        store = ProductStore.open(settings.products).expecting(task.store_id)
        store = replace(store, conditional=False)
        seen = look(store, task.path)
        # Where files of the committed product are lost, the worker has made it anew for that.
        held = seen.manifest
        lost = held is not None and bool(lost_bytes(store, task.path, held, deep=task.suspect))
        stands = standing(
            seen,
            fingerprint=task.fingerprint,
            formats=frozenset(task.formats),
            token=task.token,
            forced_by="a loss" if lost else task.batch if task.force else None,
        )
        if seen.manifest is not None and seen.manifest.folder == manifest.folder:
            verdict = Verdict.COMMITTED  # by the call before this one, whose answer was lost
        elif stands is Standing.MAKE:
            change = NewLevel1(manifest, renew=task.force or lost)
            verdict = commit(store, task.path, seen, change, whole(store, task.path))
        else:
            verdict = Verdict.ALREADY if stands is Standing.ALREADY else Verdict.SUPERSEDED
        return concluded(verdict, task, manifest, store, done)

    try:
        return retry_while_unavailable(work, settings.max_outage, settings.backoff, log)
    except CovisError as error:
        return RunOutcome.of_error(task, error)
