"""One run in five steps: look whether it is committed, compute, write, upload, commit."""

import datetime as dt
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import xarray as xr

from catalog.vocabulary import RunState
from covis_dask._version import __version__
from covis_dask.ancillary import open_ancillary
from covis_dask.config import Location, Settings
from covis_dask.engines import Engine, engine_named
from covis_dask.errors import DocumentError, LegacyProduct, RunTimeout
from covis_dask.modes import spec_for
from covis_dask.modes.context import Ancillary, Context
from covis_dask.modes.fixes import profile_name
from covis_dask.products.formats import formats_in
from covis_dask.products.manifest import FileEntry, InputFile, Manifest, is_ours
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.paths import FAILURE, LOG, ProductPaths
from covis_dask.products.writers import write_product
from covis_dask.raw.source import ArchiveSource
from covis_dask.runs.copies import first_sound_copy
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.provenance import bursts_of, notes_of, oddities_of, pings_of, product_facts, provenance
from covis_dask.runs.record import RunLog, Stages
from covis_dask.runs.task import RunTask
from covis_dask.storage import ProductStore, open_location
from covis_dask.storage.retry import retry_while_unavailable

__all__ = ["RunExecution"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Computed:
    """A dataset and the copy of the archive it came from."""

    dataset: xr.Dataset
    input: InputFile


@dataclass(frozen=True, slots=True)
class _Written:
    """A product in a local folder."""

    folder: Path
    files: tuple[FileEntry, ...]
    dataset: xr.Dataset
    input: InputFile
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RunExecution:
    """Makes the product of one run.

    Parameters
    ----------
    task : RunTask
    settings : Settings
    store : ProductStore
    scratch : Path
        A folder of this run's own.
    log : RunLog
    stages : Stages
    started : datetime
        UTC.
    """

    task: RunTask
    settings: Settings
    store: ProductStore
    scratch: Path
    log: RunLog
    stages: Stages
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def run(self) -> RunOutcome:
        """Do all that is still to be done.

        Raises
        ------
        CovisError
            When the product cannot be made.
        """
        before = self.look()
        if self.is_wanted(before):
            return self.outcome(RunState.ALREADY)
        computed = self.compute()
        written = self.write(computed)
        self.upload(written, before)
        ours = self.commit(written)
        if not ours:
            return self.outcome(RunState.ALREADY)
        return self.outcome(
            RunState.DONE,
            host=written.input.host,
            bytes_in=written.input.size or 0,
            bytes_out=sum(entry.size for entry in written.files),
            notes=oddities_of(written.dataset),
        )

    def outcome(self, state: str, **known: Any) -> RunOutcome:
        """Return the outcome of a run that went well."""
        return RunOutcome(self.task.basename, state, self.task.path, **self.stages.known(), **known)

    def look(self) -> Any:
        """Return the manifest that lies where ours would go, if any."""
        with self.stages("look"):
            return self.store.read_json(ProductPaths.manifest(self.task.path))

    def is_wanted(self, manifest: Any) -> bool:
        """Tell whether a manifest commits the very product that is wanted.

        Raises
        ------
        LegacyProduct
            When another program's product lies there.
        DocumentError
            When the manifest cannot be used.
        """
        if manifest is None or self.task.force:
            return False
        if not is_ours(manifest):
            raise LegacyProduct(
                f"a product that this program did not make lies at {self.task.path}: --force replaces it, "
                "--prefix writes elsewhere"
            )
        committed = Manifest.at(self.task.path, manifest)
        formats = formats_in(self.task.basename, [entry.name for entry in committed.files])
        return committed.fingerprint == self.task.fingerprint and formats >= set(self.task.formats)

    def compute(self) -> _Computed:
        """Process the first copy of the archive that can be processed."""
        task, engine = self.task, self._engine
        self.log(f"{task.basename}: covis-dask {__version__}, engine {engine.name} {engine.version}")
        preset, profile = (
            task.parameters.preset,
            profile_name(task.parameters.profile, task.parameters.fixed),
        )
        self.log(f"preset {preset}, profile {profile}, attempt {task.attempt}")
        self._extra.mkdir()
        context = Context(
            log=self.log,
            progress=self._progress(),
            ancillary=self._ancillary,
            limits=self.settings.limits,
            scratch=self.scratch,
            extra=self._extra,
        )

        def process(source: ArchiveSource) -> xr.Dataset:
            return engine.process(source, task.run, task.parameters, context)

        with self.stages("compute"):
            return _Computed(*first_sound_copy(task.run, self.settings, self.log, process))

    def write(self, computed: _Computed) -> _Written:
        """Write every file of the product into a local folder."""
        task, folder = self.task, self.scratch / "product"
        extra = sorted(self._extra.iterdir())
        kept = formats_in(task.basename, [path.name for path in extra])
        with self.stages("write"):
            dataset = finish_dataset(computed.dataset, product_facts(task, self._engine, computed.input))
            shown = spec_for(task.run.site, task.parameters.family).shows_seafloor
            floor = self._ancillary.bathymetry(task.run.datetime) if shown else None
            wanted = tuple(name for name in task.formats if name not in kept)
            notes = write_product(dataset, folder, task.basename, wanted, floor=floor)
            for note in notes:
                self.log(note)
            for path in extra:
                path.rename(folder / path.name)
        if not self.store.conditional:
            self.log(
                "the product store ignores If-None-Match: only the catalogue's claims prevent duplicate work"
            )
        shutil.copyfile(self.log.path, folder / LOG)
        files = tuple(
            FileEntry.of(path, path.relative_to(folder).as_posix())
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        )
        return _Written(folder, files, dataset, computed.input, notes)

    def upload(self, written: _Written, before: Any) -> None:
        """Bring the files to the store; from here to the commit a reader sees no product, never a mixture.

        Parameters
        ----------
        written : _Written
        before : mapping or None
            Manifest of the product that is replaced.
        """
        path, store = self.task.path, self.store
        gone = {*_names(before), FAILURE} - {entry.name for entry in written.files}

        def upload() -> None:
            store.remove(ProductPaths.manifest(path))
            for name in sorted(gone):
                store.remove(f"{path}/{name}")
            for entry in sorted(written.folder.iterdir()):
                store.put_file(entry, f"{path}/{entry.name}")

        with self.stages("upload"):
            self._patiently(upload)

    def commit(self, written: _Written) -> bool:
        """Put the manifest, on condition that there is none; says whether ours is the one."""
        manifest = Manifest(
            **provenance(self.task, self._engine, self.started),
            input=written.input,
            timings=dict(self.stages.seconds),
            notes=(*notes_of(written.dataset), *written.notes),
            files=written.files,
            pings=pings_of(written.dataset),
            bursts=bursts_of(written.dataset),
        )
        document, path = manifest.to_document(), ProductPaths.manifest(self.task.path)
        with self.stages("commit"):
            return self._patiently(lambda: self.store.put_new_json(path, document))

    def _patiently(self, call: Callable[[], T]) -> T:
        """Wait for a store that goes away just now: hours of computing are worth it."""
        outage = min(self.settings.max_outage, self._timeout)
        return retry_while_unavailable(call, outage, self.settings.backoff, self.log)

    def _progress(self) -> Callable[[int, int], None]:
        """Return what is told of pings done; it ends a run that takes too long."""
        deadline = time.monotonic() + self._timeout

        def progress(done: int, total: int) -> None:
            self.stages.reporter.pings(done, total)
            if time.monotonic() > deadline:
                where = f", at ping {done} of {total}" if total else ""
                raise RunTimeout(
                    f"stopped after {self._timeout:.0f} s{where}; "
                    "raise covis.timeout if such runs need longer"
                )

        return progress

    @property
    def _timeout(self) -> float:
        return self.task.timeout or self.settings.timeout

    @property
    def _engine(self) -> Engine:
        return engine_named(self.task.engine)

    @property
    def _extra(self) -> Path:
        """Folder for files that the engine leaves for the product."""
        return self.scratch / "extra"

    @cached_property
    def _ancillary(self) -> Ancillary:
        given = self.task.ancillary
        return open_ancillary(*open_location(self.settings.ancillary if given is None else Location(given)))


def _names(manifest: Any) -> list[str]:
    """List the files of an earlier product, all within its folder; what is no sound manifest lists none."""
    try:
        return [entry.name for entry in Manifest.from_document(manifest).files]
    except DocumentError:
        return []
