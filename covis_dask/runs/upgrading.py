"""One product of an older form carried to the newest: layout 2, and the newest form of its files.

No raw data are needed: the old files are read, checked against their manifest, and written anew; what has no
newer form (pictures, logs, .mat files) is copied. The fingerprint stays, for nothing is computed.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from catalog.vocabulary import RunState
from covis_dask._version import __version__
from covis_dask.config import Settings, load_settings
from covis_dask.errors import Cancelled, ProductDamaged
from covis_dask.products.commit import NewLevel1, Seen, Verdict, commit, look
from covis_dask.products.formats import file_name
from covis_dask.products.manifest import FileEntry, MadeFrom, Manifest, checksum
from covis_dask.products.netcdf import write_netcdf
from covis_dask.products.paths import ProductPaths, draw_version
from covis_dask.products.reading import is_newest, read_netcdf, read_zarr
from covis_dask.products.schema import SCHEMA
from covis_dask.products.zarr import write_zarr
from covis_dask.raw.leftovers import scratch_folder
from covis_dask.runs.committing import concluded, whole
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.upgrade_task import UpgradeTask
from covis_dask.runs.versions import require
from covis_dask.runs.worker import named_fault, open_store
from covis_dask.storage import ProductStore
from covis_dask.storage.retry import retry_while_unavailable

__all__ = ["commit_upgrade", "is_outdated", "upgrade_run"]


def is_outdated(manifest: Manifest) -> bool:
    """Tell by its manifest whether a product may have an older form."""
    return not manifest.folder or manifest.product_schema != SCHEMA


def upgrade_run(task: UpgradeTask, settings: Settings | None = None) -> RunOutcome:
    """Carry one product over and commit it; no exception leaves this function but Ctrl-C."""
    start, scratch = time.perf_counter(), None
    try:
        require(task.versions, "this worker")
        settings = settings or load_settings()
        scratch = settings.scratch
        store = open_store(task, settings.products)
        with scratch_folder(scratch) as folder:
            outcome = _Upgrade(task, settings, store, folder).run()
    except Exception as error:
        outcome = RunOutcome.of_error(task, named_fault(error, scratch))
    return replace(outcome, seconds=time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class _Upgrade:
    """Carries one product over, in a scratch folder of its own."""

    task: UpgradeTask
    settings: Settings
    store: ProductStore
    scratch: Path

    def run(self) -> RunOutcome:
        task, before = self.task, look(self.store, self.task.path)
        if before.fault is not None:
            raise before.fault
        old = before.manifest
        if old is None or not is_outdated(old):
            return RunOutcome(task.basename, RunState.ALREADY, task.path)
        if old.token > task.token:
            newer = Cancelled(f"the product was committed under a newer claim ({old.token})")
            return RunOutcome.of_error(task, newer, behind=old.token)
        held = self._fetched(old)
        if old.folder and not self._rewritten(old, held):
            return RunOutcome(task.basename, RunState.ALREADY, task.path)  # older than the word alone
        if not old.folder:
            self._rewritten(old, held)
        return self._commit(before, self._uploaded(old))

    @property
    def _made(self) -> Path:
        return self.scratch / "product"

    def _fetched(self, old: Manifest) -> dict[str, Path]:
        """Bring every file here by its plain name, each as its manifest says."""
        for entry in old.files:
            target = self._made / entry.plain
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for piece in self.store.pieces(ProductPaths.file(self.task.path, entry.name)):
                    file.write(piece)
            if checksum(target) != entry.sha256:
                raise ProductDamaged(
                    f"{self.store.url}/{self.task.path}/{entry.name} is not what its manifest says (SHA-256 "
                    "differs): process the run anew with --force"
                )
        heads = {entry.plain.partition("/")[0] for entry in old.files}
        return {head: self._made / head for head in heads}

    def _rewritten(self, old: Manifest, held: Mapping[str, Path]) -> bool:
        """Write the data files in the newest form; says whether they had an older one."""
        basename = self.task.basename
        netcdf, zarr = held.get(f"{basename}.nc"), held.get(f"{basename}.zarr")
        try:
            if netcdf is not None:
                if is_newest(netcdf.read_bytes(), basename):
                    return False
                dataset = read_netcdf(netcdf.read_bytes(), basename, decode=False)
                write_netcdf(dataset, netcdf)
            elif zarr is not None:
                dataset = read_zarr(LocalFileSystem(), str(zarr), decode=False)
            else:
                return False
        except (OSError, ValueError, KeyError) as error:
            raise ProductDamaged(
                f"the product at {self.store.url}/{self.task.path} cannot be read ({error}); "
                "process the run anew with --force"
            ) from error
        if zarr is not None:
            shutil.rmtree(zarr)
        if "zarr" in old.formats:
            write_zarr(dataset, self._made / file_name(basename, "zarr"))
        return True

    def _uploaded(self, old: Manifest) -> Manifest:
        """Upload the files into a folder that no manifest names yet; return the manifest that will."""
        version = draw_version(old.fingerprint)
        target = ProductPaths.file(self.task.path, version)
        files = tuple(
            FileEntry.of(path, f"{version}/{path.relative_to(self._made).as_posix()}")
            for path in sorted(self._made.rglob("*"))
            if path.is_file()
        )
        self._patiently(lambda: self.store.put_file(self._made, target))
        return replace(
            old,
            files=files,
            folder=version,
            token=self.task.token,
            product_schema=SCHEMA,
            made_from=MadeFrom(files=old.files, batch=self.task.batch, version=__version__),
        )

    def _commit(self, before: Seen, new: Manifest) -> RunOutcome:
        task, size = self.task, sum(entry.size for entry in new.files)
        done = RunOutcome(task.basename, RunState.DONE, task.path, bytes_out=size)
        if not self.store.conditional:
            return replace(done, uncommitted=new.to_document())
        check = whole(self.store, task.path)
        verdict: list[Verdict] = []
        self._patiently(lambda: verdict.append(commit(self.store, task.path, before, NewLevel1(new), check)))
        return concluded(verdict[-1], task, new, self.store, done)

    def _patiently(self, call: Callable[[], object]) -> None:
        retry_while_unavailable(call, self.settings.max_outage, self.settings.backoff, lambda _: None)


def commit_upgrade(task: UpgradeTask, outcome: RunOutcome, settings: Settings) -> RunOutcome:
    """Commit, in the driver, what a worker has uploaded to a store that keeps no conditions on writes."""
    new, done = Manifest.from_document(outcome.uncommitted), replace(outcome, uncommitted=None)
    try:
        store = replace(ProductStore.open(settings.products).expecting(task.store_id), conditional=False)
        before = look(store, task.path)
        if before.manifest is None or before.manifest.fingerprint != new.fingerprint:
            verdict = Verdict.SUPERSEDED
        else:
            verdict = commit(store, task.path, before, NewLevel1(new), whole(store, task.path))
        return concluded(verdict, task, new, store, done)
    except Exception as error:
        return RunOutcome.of_error(task, named_fault(error, None))
