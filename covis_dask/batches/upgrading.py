"""The job that carries products of earlier releases to the newest form (`covis_dask.runs.upgrading`)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.model import Run
from catalog.store import Catalog
from catalog.vocabulary import COMPLETE, Kind, RunState
from covis_dask.batches.found import folder_of
from covis_dask.batches.job import Decision, Finished, JobContext
from covis_dask.config import Settings
from covis_dask.errors import LegacyProduct, ProductDamaged
from covis_dask.products.commit import Seen, look
from covis_dask.products.schema import SCHEMA
from covis_dask.runs.isolation import Isolated
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.upgrade_task import UpgradeTask
from covis_dask.runs.upgrading import commit_upgrade, is_outdated, upgrade_run
from covis_dask.storage import ProductStore

__all__ = ["Upgrading", "upgrading"]


_IN_A_CHILD = Isolated(upgrade_run)


@dataclass(frozen=True, slots=True)
class Upgrading:
    """Decides which products have an older form, and makes their tasks.

    Parameters
    ----------
    context : JobContext
    look : callable
        Looks at the manifest in a run's folder.
    """

    context: JobContext
    look: Callable[[str], Seen]

    name = "upgrade"
    work: Callable[[UpgradeTask], RunOutcome] = _IN_A_CHILD

    @property
    def resources(self) -> Mapping[str, float]:
        """Any worker will do."""
        return {}

    @property
    def prefix(self) -> str:
        """Folder of the report; products stay where they are."""
        request, settings = self.context.request, self.context.settings
        return (request.prefix or settings.prefix or "upgrades").strip("/")

    def decide(self, run: Run) -> Decision:
        """Decide about one run, by its manifest."""
        path = folder_of(run, self.context.request.prefix)
        if path is None:
            return Decision(run, RunState.ALREADY, "there is no product to carry over")
        try:
            seen = self.look(path)
        except ProductDamaged as error:  # its folder is a link that leads out of the store
            seen = Seen(fault=error)
        if isinstance(seen.fault, LegacyProduct):
            reason = "another program's product: process the run to have one of ours"
            return Decision(run, RunState.UNSUPPORTED, reason, Kind.LEGACY_PRODUCT)
        if seen.fault is not None:
            return Decision(run, RunState.FAILED, str(seen.fault), seen.fault.kind)
        old = seen.manifest
        if old is None:
            return Decision(run, RunState.ALREADY, "there is no product to carry over")
        if not is_outdated(old):
            return Decision(run, RunState.ALREADY, f"has the newest form ({SCHEMA})")
        known = run.product if run.product is not None and run.product.path == path else None
        task = UpgradeTask(
            basename=run.basename,
            store=self.context.settings.products.url,
            path=path,
            batch=self.context.batch,
            known=known,
            bytes_in=sum(entry.size for entry in old.files),
        )
        reason = "an older form of the files" if old.folder else "layout 1"
        return Decision(run, "run", reason, task=task)

    def notes(self) -> tuple[str, ...]:
        """Say nothing more."""
        return ()

    def settings(self) -> dict[str, Any]:
        """Return what the batch document says."""
        return {"form": SCHEMA}

    def versions(self) -> dict[str, str]:
        """Return nothing: the package's version says it."""
        return {}

    def complete(self, task: UpgradeTask, outcome: RunOutcome) -> RunOutcome:
        """Commit what a worker has uploaded to a store that keeps no conditions on writes."""
        return commit_upgrade(task, outcome, self._settings)

    @property
    def _settings(self) -> Settings:
        return self.context.settings

    def record(self, catalog: Catalog, finished: Iterable[Finished]) -> frozenset[str]:
        """Store under which claim products lie now; a product that was not carried over stays as it is."""
        records = {
            one.outcome.basename: one.task.record(one.at)
            for one in finished
            if isinstance(one.task, UpgradeTask) and one.outcome.state in COMPLETE
        }
        return catalog.record({name: record for name, record in records.items() if record is not None})


def upgrading(context: JobContext) -> Upgrading:
    """Make the job for a batch.

    Raises
    ------
    StorageUnavailable
        When the product store is away.
    """
    store = ProductStore.open(context.settings.products).expecting(context.store_id)
    return Upgrading(context, lambda path: look(store, path))
