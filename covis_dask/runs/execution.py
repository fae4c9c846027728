"""One run in five steps: look whether it is committed, compute, write, upload, commit.

Nothing that is committed is touched on the way: the files go into a folder of their own, and the manifest is
swapped at the end (`covis_dask.products.commit`).
"""

import datetime as dt
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import xarray as xr

from catalog.vocabulary import RunState
from covis_dask._version import __version__
from covis_dask.ancillary import open_ancillary
from covis_dask.config import Location, Settings
from covis_dask.engines import Engine, engine_named
from covis_dask.errors import Cancelled, RunTimeout
from covis_dask.modes import spec_for
from covis_dask.modes.context import Ancillary, Context
from covis_dask.modes.fixes import profile_name
from covis_dask.products.checking import lost_bytes
from covis_dask.products.commit import Adoption, NewLevel1, Seen, Standing, Verdict, commit, look, standing
from covis_dask.products.formats import formats_in
from covis_dask.products.manifest import FileEntry, InputFile, Manifest
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.paths import LOG, ProductPaths, draw_version
from covis_dask.products.schema import SCHEMA
from covis_dask.products.writers import write_product
from covis_dask.raw.source import ArchiveSource
from covis_dask.runs.committing import concluded, whole
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
    """A product in a local folder; its files have the names they will have below the run's folder."""

    folder: Path
    version: str
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
        stands = self._stands(before)
        while stands is Standing.ALREADY:
            if not self._is_whole(before):
                return self._made_anew(before)
            if self._adopt(before):
                return self._adopted(before)
            before = self.look()  # it has changed meanwhile
            stands = self._stands(before)
        if stands is Standing.BEHIND:
            return self._behind(before)
        return self._made(before)

    def _made(self, before: Seen) -> RunOutcome:
        computed = self.compute()
        written = self.write(computed)
        self.upload(written)
        return self.commit(written, before)

    def outcome(self, state: str, **known: Any) -> RunOutcome:
        """Return the outcome of a run that went well."""
        return RunOutcome(self.task.basename, state, self.task.path, **self.stages.known(), **known)

    def look(self) -> Seen:
        """Look at what lies where our manifest would go."""
        with self.stages("look"):
            return look(self.store, self.task.path)

    def _stands(self, before: Seen) -> Standing:
        return standing(
            before,
            fingerprint=self.task.fingerprint,
            formats=frozenset(self.task.formats),
            token=self.task.token,
            forced_by=self.task.batch if self.task.force else None,
        )

    def _adopt(self, before: Seen) -> bool:
        """Put what is committed under our claim; False when it is not there any more."""
        if not self.store.conditional:
            return True
        adoption = Adoption(self.task.fingerprint, frozenset(self.task.formats), self.task.token)
        with self.stages("commit"):
            verdict = self._patiently(lambda: commit(self.store, self.task.path, before, adoption))
        return verdict is Verdict.ALREADY

    def _is_whole(self, before: Seen) -> bool:
        """Make sure that what is committed is there, before it is called done."""
        if before.manifest is None:
            return True
        lost = lost_bytes(self.store, self.task.path, before.manifest, deep=self.task.suspect)
        for one in lost:
            self.log(f"the committed product is damaged: {one.text}")
        return not lost

    def _made_anew(self, before: Seen) -> RunOutcome:
        """Make the product whatever is committed, for it is damaged."""
        if before.manifest is not None and before.manifest.token > self.task.token:
            return self._behind(before)
        return replace(self, task=replace(self.task, force=True))._made(before)

    def _adopted(self, before: Seen) -> RunOutcome:
        """Leave what is committed; the run is done when that was under our own claim, by a lost worker."""
        found, task = before.manifest, self.task
        if found is None or not task.token or (found.batch, found.token) != (task.batch, task.token):
            return self.outcome(RunState.ALREADY)
        return self.outcome(
            RunState.DONE,
            host=found.input.host if found.input else None,
            bytes_in=(found.input.size or 0) if found.input else 0,
            bytes_out=sum(entry.size for entry in found.files),
        )

    def _behind(self, before: Seen) -> RunOutcome:
        """Leave the run to whoever has a newer claim than ours, or to a new claim of our own batch."""
        behind = before.manifest.token if before.manifest else 0
        newer = Cancelled(
            f"a product was committed under a newer claim ({behind}) than this run has ({self.task.token})"
        )
        return RunOutcome.of_error(self.task, newer, behind=behind, **self.stages.known())

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
            return _Computed(*first_sound_copy(task.run, self.settings, self.log, process, task.batch))

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
            self.log("the product store keeps no conditions on writes: the batch's own process commits")
        shutil.copyfile(self.log.path, folder / LOG)
        version = draw_version(task.fingerprint)
        files = tuple(
            FileEntry.of(path, f"{version}/{path.relative_to(folder).as_posix()}")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        )
        return _Written(folder, version, files, dataset, computed.input, notes)

    def upload(self, written: _Written) -> None:
        """Bring the files to the store, into a folder that no manifest names yet."""
        folder = ProductPaths.file(self.task.path, written.version)

        def upload() -> None:
            for entry in sorted(written.folder.iterdir()):
                self.store.put_file(entry, f"{folder}/{entry.name}")

        with self.stages("upload"):
            self._patiently(upload)

    def commit(self, written: _Written, before: Seen) -> RunOutcome:
        """Swap the manifest for one that names our files, unless another's stands before it."""
        manifest = Manifest(
            **provenance(self.task, self._engine, self.started),
            input=written.input,
            timings=dict(self.stages.seconds),
            notes=(*notes_of(written.dataset), *written.notes),
            files=written.files,
            pings=pings_of(written.dataset),
            bursts=bursts_of(written.dataset),
            folder=written.version,
            product_schema=SCHEMA,
        )
        done = {
            "host": written.input.host,
            "bytes_in": written.input.size or 0,
            "bytes_out": sum(entry.size for entry in written.files),
            "notes": oddities_of(written.dataset),
        }
        if not self.store.conditional:
            return self.outcome(RunState.DONE, uncommitted=manifest.to_document(), **done)
        change = NewLevel1(manifest, renew=self.task.force)
        with self.stages("commit"):
            verdict = self._patiently(
                lambda: commit(self.store, self.task.path, before, change, whole(self.store, self.task.path))
            )
        return concluded(verdict, self.task, manifest, self.store, self.outcome(RunState.DONE, **done))

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
