"""Post-processing, the first job: raw archives become products.

Here it is decided which runs need it (`PostProcessing.decide`); `covis_dask.runs.worker` does the work.
"""

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.hosts import preferred
from catalog.model import ProductRecord, RawFile, Run
from catalog.names import mode_family
from catalog.store import Catalog
from catalog.vocabulary import Kind, RunState
from covis_dask.ancillary import open_ancillary
from covis_dask.batches.job import Decision, Finished, JobContext
from covis_dask.batches.verification import StoreCheck
from covis_dask.config import Location
from covis_dask.engines import Engine, engine_named
from covis_dask.errors import LegacyProduct, ProductDamaged
from covis_dask.modes import parameters_for, spec_for
from covis_dask.modes.fixes import profile_name
from covis_dask.modes.parameters import Parameters
from covis_dask.products.checking import Disagreement
from covis_dask.products.commit import Seen
from covis_dask.products.fingerprint import Fingerprints, explain, identity
from covis_dask.products.manifest import Manifest
from covis_dask.products.paths import ProductPaths
from covis_dask.runs.committing import commit_for_worker
from covis_dask.runs.isolation import Isolated
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import keep_remains, process_run
from covis_dask.storage import ProductStore, open_location

__all__ = ["PostProcessing", "ProductSpec", "post_processing"]

_log = logging.getLogger("covis_dask")


_IN_A_CHILD = Isolated(process_run, keep_remains)


@dataclass(frozen=True, slots=True)
class ProductSpec:
    """What products are to be made, from what, and where to.

    Parameters
    ----------
    profile : str
        ``matlab`` or ``corrected``.
    prefix : str
        Folder below the product store.
    store : str
        URL of the product store.
    hosts : frozenset of str
        Hosts that are configured.
    host_order : tuple of str
        Order of preference.
    fixes : tuple of str
        Quirks mended in profile ``matlab``.
    preset : str, optional
        ``END``, ``PP2``, ``PP3``, ``PPX``; the default of era and mode when not given.
    overrides : mapping
        Parameters by dotted key.
    formats : tuple of str
        ``nc``, ``zarr``, ``mat``.
    force : bool
        Process whatever is selected.
    retry_quarantined : bool
        Take up quarantined runs although their raw files have not changed.
    ancillary : str, optional
        Folder or URL of ancillary data.
    """

    profile: str
    prefix: str
    store: str
    hosts: frozenset[str]
    host_order: tuple[str, ...]
    fixes: tuple[str, ...] = ()
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ("nc",)
    force: bool = False
    retry_quarantined: bool = False
    ancillary: str | None = None


@dataclass(frozen=True, slots=True)
class _Mode:
    """What the runs of one family and site share."""

    parameters: Parameters
    fingerprints: Fingerprints


@dataclass(frozen=True, slots=True)
class PostProcessing:
    """Decides which runs need a product, and makes their tasks.

    Parameters
    ----------
    spec : ProductSpec
    engine : Engine
    batch : str
        Identifier of the batch.
    created : datetime
        When the tasks are made, UTC.
    bathymetry : callable, optional
        Identity of the seafloor grid valid at a time; part of the fingerprint of the modes that use one.
    look : callable, optional
        Looks at the manifest in a run's folder; given when the store is to be believed, not the catalogue.
    lost : callable
        Compares the files that a manifest names with those in the store; with `look`.
    work : callable
        What a worker does with a task.
    doubted : frozenset of str
        Runs whose records may be behind the store; see `catalog.store.Catalog.doubted`.
    commit : callable
        Commits what a worker has uploaded to a store that keeps no conditions on writes.
    """

    spec: ProductSpec
    engine: Engine
    batch: str
    created: dt.datetime
    bathymetry: Callable[[dt.datetime], str | None] = lambda _: None
    look: Callable[[str], Seen] | None = None
    doubted: frozenset[str] = frozenset()
    lost: Callable[[str, Manifest], Sequence[Disagreement]] = lambda _path, _manifest: ()
    work: Callable[[RunTask], RunOutcome] = _IN_A_CHILD
    commit: Callable[[RunTask, RunOutcome], RunOutcome] = lambda _, outcome: outcome
    _modes: dict[tuple[str, str], _Mode] = field(default_factory=dict)

    name = "process"

    @property
    def resources(self) -> Mapping[str, float]:
        """What the engine needs of a worker."""
        return self.engine.resources

    @property
    def prefix(self) -> str:
        """Folder of the products below the store."""
        return self.spec.prefix

    def settings(self) -> dict[str, Any]:
        """Return what the batch document says of the products asked for."""
        spec = self.spec
        return {
            "engine": self.engine.name,
            "profile": profile_name(spec.profile, spec.fixes),
            "preset": spec.preset,
            "set": dict(spec.overrides),
            "formats": list(spec.formats),
            "force": spec.force,
        }

    def versions(self) -> dict[str, str]:
        """Return the version of the engine."""
        return {f"engine {self.engine.name}": self.engine.version}

    def record(self, catalog: Catalog, finished: Iterable[Finished]) -> frozenset[str]:
        """Store outcomes as the catalogue's product records; return those that are refused."""
        return catalog.record({
            one.outcome.basename: one.task.record(one.outcome, one.at)
            for one in finished
            if isinstance(one.task, RunTask)
        })  # fmt: skip

    def complete(self, task: RunTask, outcome: RunOutcome) -> RunOutcome:
        """Commit what a worker has uploaded to a store that keeps no conditions on writes."""
        return self.commit(task, outcome)

    def notes(self) -> tuple[str, ...]:
        """Name changed parameters and fixes that have no effect on a mode of the selection."""
        return tuple(
            f"{word} has no effect on {family} runs of {site} (preset {mode.parameters.preset})"
            for (family, site), mode in self._modes.items()
            for word in self._idle(mode.parameters)
        )

    def _idle(self, parameters: Parameters) -> list[str]:
        fixes = [f"--fix {one}" for one in self.spec.fixes if one not in parameters.fixed]
        return fixes + [key for key in self.spec.overrides if parameters.is_unused(key)]

    def decide(self, run: Run) -> Decision:
        """Decide about one run; see `covis_dask.batches.job.Job`."""
        if not self.engine.supports(run):
            reason = f"the {self.engine.name} engine has no program for {run.site} runs of mode {run.mode}"
            return Decision(run, RunState.UNSUPPORTED, reason, Kind.MODE_UNSUPPORTED)
        mode = self._mode(run)
        copy = self._preferred_copy(run)
        if copy is None:
            return Decision(run, RunState.FAILED, _why_no_copy(run), Kind.RAW_MISSING)
        task = self._task(run, copy, mode)
        record = run.product if run.product is not None and run.product.path == task.path else None
        if self.spec.force:
            return Decision(run, "run", "forced", task=task)
        if self.look is not None and (record is None or record.state == RunState.DONE):
            return self._by_manifest(run, task, record, self.look)
        if record is None:
            return Decision(run, "run", "no product yet", task=task)
        decision = self._by_record(run, task, record)
        if decision.task is None and run.basename in self.doubted:
            reason = f"recorded as {record.state}, but another batch has been at it since: the store is asked"
            return Decision(run, "run", reason, task=task)
        return decision

    def _mode(self, run: Run) -> _Mode:
        """Return what all runs of this family and site share; made, and checked, once."""
        key = (mode_family(run.mode, run.site), run.site)
        if key not in self._modes:
            spec = self.spec
            parameters = parameters_for(
                *key, preset=spec.preset, profile=spec.profile, fixes=spec.fixes, overrides=spec.overrides
            )
            self.engine.check(parameters)
            engine = self.engine
            prints = Fingerprints(engine.name, engine.version, spec.profile, parameters.to_dict())
            self._modes[key] = _Mode(parameters, prints)
        return self._modes[key]

    def _preferred_copy(self, run: Run) -> RawFile | None:
        order = preferred(run.raw, self.spec.host_order)
        return next((raw for raw in order if raw.host in self.spec.hosts), None)

    def _inputs(self, run: Run, copy: RawFile) -> dict[str, Any]:
        """Name what the numbers depend on; not the host, since every host has the same file."""
        spec = spec_for(run.site, mode_family(run.mode, run.site))
        seafloor = self.bathymetry(run.datetime) if spec.needs_seafloor else None
        inputs: dict[str, Any] = {"file": copy.filename.rsplit("/", 1)[-1], "size": copy.filesize}
        return inputs | ({"bathymetry": seafloor} if seafloor else {})

    def _task(self, run: Run, copy: RawFile, mode: _Mode) -> RunTask:
        inputs = self._inputs(run, copy)
        return RunTask(
            run=Run(run.basename, run.datetime, run.mode, run.site, run.raw),
            engine=self.engine.name,
            version=self.engine.version,
            parameters=mode.parameters,
            inputs=inputs,
            fingerprint=mode.fingerprints.of(inputs),
            store=self.spec.store,
            path=ProductPaths(self.spec.prefix).run(run.basename),
            formats=self.spec.formats,
            batch=self.batch,
            created=self.created,
            force=self.spec.force,
            ancillary=self.spec.ancillary,
        )

    def _by_record(self, run: Run, task: RunTask, record: ProductRecord) -> Decision:
        """Compare the catalogue's record with what is wanted."""
        if record.state == RunState.QUARANTINED and not self.spec.retry_quarantined:
            return _if_unchanged(run, task, record)
        if record.state != RunState.DONE:
            task = replace(task, suspect=record.kind == Kind.PRODUCT_DAMAGED)
            return Decision(run, "run", f"{record.state} before ({record.kind})", task=task)
        if record.fingerprint != task.fingerprint:
            old = identity(record.engine, record.version, "", {}, json.loads(record.inputs or "{}"))
            new = identity(self.engine.name, self.engine.version, "", {}, task.inputs)
            changes = "profile or parameters changed" if old == new else explain(old, new)
            return Decision(run, "run", f"stale: {changes}", task=task)
        return _if_complete(run, task, frozenset(record.formats), "committed before, same fingerprint")

    def _by_manifest(
        self, run: Run, task: RunTask, record: ProductRecord | None, look: Callable[[str], Seen]
    ) -> Decision:
        """Believe the manifest rather than the catalogue."""
        try:
            seen = look(task.path)
        except ProductDamaged as error:  # its folder is a link that leads out of the store
            return Decision(run, RunState.FAILED, str(error), error.kind)
        manifest = seen.manifest
        if isinstance(seen.fault, LegacyProduct):
            return Decision(run, "run", "there is a product of another program", task=task)
        if seen.fault is not None:
            return Decision(run, RunState.FAILED, str(seen.fault), seen.fault.kind)
        if manifest is None:
            lost = "recorded as done, but its manifest is not in the store"
            return Decision(run, "run", "no product yet" if record is None else lost, task=task)
        if manifest.fingerprint != task.fingerprint:
            return Decision(run, "run", f"stale: {self._changes(task, manifest)}", task=task)
        if damage := self.lost(task.path, manifest):
            anew = replace(task, force=True)
            return Decision(run, "run", f"its product is damaged: {damage[0].text}", task=anew)
        decision = _if_complete(run, task, manifest.formats, "committed before, manifest verified")
        if decision.task is None and record is None:
            return Decision(run, "run", "committed, but not recorded: will be adopted", task=task)
        return decision

    def _changes(self, task: RunTask, manifest: Manifest) -> str:
        # The file's name and size are compared by the fingerprint; the manifest says them in its own words.
        old = identity(manifest.engine, manifest.version, manifest.profile, manifest.parameters, {})
        parameters = task.parameters
        new = identity(self.engine.name, self.engine.version, parameters.profile, parameters.to_dict(), {})
        return "the raw file changed" if old == new else explain(old, new)


def _why_no_copy(run: Run) -> str:
    hosts = ", ".join(raw.host for raw in run.raw)
    if not hosts:
        return "the catalogue lists no raw file for it"
    return f"none of its hosts is configured (covis.hosts): {hosts}"


def _if_complete(run: Run, task: RunTask, held: frozenset[str], done: str) -> Decision:
    """Call a product of the right fingerprint done when it has every format that is wanted."""
    lacking = sorted(set(task.formats) - held)
    if lacking:
        return Decision(run, "run", f"stale: the product has no {', '.join(lacking)} file", task=task)
    return Decision(run, RunState.ALREADY, done)


def _if_unchanged(run: Run, task: RunTask, record: ProductRecord) -> Decision:
    """Leave a quarantined run alone until its raw file changes."""
    if record.inputs == json.dumps(dict(task.inputs), sort_keys=True):
        reason = f"{record.reason} (until the file changes, --only quarantined or --force)"
        return Decision(run, RunState.QUARANTINED, reason, record.kind)
    return Decision(run, "run", "quarantined, but the raw file has changed since", task=task)


def post_processing(context: JobContext) -> PostProcessing:
    """Make the job for a batch.

    Raises
    ------
    ConfigurationError
        When the product store or the ancillary data cannot be opened as configured.
    """
    request, settings = context.request, context.settings
    engine = engine_named(request.engine)
    prefix = (
        request.prefix or settings.prefix or f"{engine.name}-{profile_name(request.profile, request.fixes)}"
    )
    spec = ProductSpec(
        profile=request.profile,
        fixes=request.fixes,
        prefix=prefix.strip("/"),
        store=settings.products.url,
        hosts=frozenset(settings.hosts),
        host_order=settings.host_order,
        preset=request.preset,
        overrides=request.overrides,
        formats=request.formats,
        force=request.force,
        retry_quarantined=request.only == RunState.QUARANTINED,
        ancillary=request.ancillary,
    )
    ancillary = settings.ancillary if request.ancillary is None else Location(request.ancillary)
    return PostProcessing(
        spec,
        engine,
        context.batch,
        context.created,
        bathymetry=open_ancillary(*open_location(ancillary)).identities(),
        doubted=context.doubted,
        **(_checks(settings.products, context.store_id) if request.verify else {}),
        commit=lambda task, outcome: commit_for_worker(task, outcome, settings, _log.warning),
    )


def _checks(products: Location, store_id: str | None) -> dict[str, Any]:
    check = StoreCheck(ProductStore.open(products).expecting(store_id))
    return {"look": check.look, "lost": check.lost}
