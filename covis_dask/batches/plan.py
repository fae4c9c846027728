"""Which runs to process, and why each of them or why not: pure, from catalogue records to tasks.

The plan trusts the catalogue, which makes it fast; with a store to verify against it reads the manifests too.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.hosts import preferred
from catalog.model import ProductRecord, RawFile, Run
from catalog.names import archive_path, mode_family
from covis_dask.engines import Engine
from covis_dask.modes.parameters import Parameters, parameters_for
from covis_dask.products.fingerprint import Fingerprints, explain, identity
from covis_dask.products.formats import formats_in
from covis_dask.products.manifest import Manifest, is_ours
from covis_dask.runs.task import RunTask

__all__ = ["ONLY", "Plan", "PlanItem", "PlanOptions", "make_plan"]

ONLY = ("missing", "failed", "stale", "quarantined")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the batch command was told, as far as it decides about runs.

    Parameters
    ----------
    profile : str
        ``matlab`` or ``corrected``.
    preset : str, optional
        ``END``, ``PP2``, ``PP3``, ``PPX``; the default of era and mode when not given.
    overrides : mapping
        Parameters by dotted key.
    formats : tuple of str
        ``nc``, ``zarr``, ``mat``.
    prefix : str
        Folder below the product store.
    store : str
        URL of the product store.
    hosts : frozenset of str
        Hosts that are configured.
    host_order : tuple of str
        Order of preference.
    force : bool
        Process whatever is selected.
    only : str, optional
        Narrow the selection to runs in one of the states of `ONLY`.
    ancillary : str, optional
        Folder or URL of ancillary data.
    """

    profile: str
    prefix: str
    store: str
    hosts: frozenset[str]
    host_order: tuple[str, ...]
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ("nc",)
    force: bool = False
    only: str | None = None
    ancillary: str | None = None


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One run, what is to be done with it, and one sentence that says why.

    Parameters
    ----------
    run : Run
    action : str
        ``run``, ``already``, ``quarantined``, ``unsupported`` or ``failed`` (no raw file).
    reason : str
    kind : str, optional
        The stable word, for what cannot be run.
    task : RunTask, optional
        For ``run``.
    """

    run: Run
    action: str
    reason: str
    kind: str | None = None
    task: RunTask | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every selected run, in order.

    Parameters
    ----------
    items : tuple of PlanItem
    notes : tuple of str
        What the user may not have meant, such as a changed parameter without effect.
    """

    items: tuple[PlanItem, ...]
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[RunTask, ...]:
        """What is to be computed."""
        return tuple(item.task for item in self.items if item.task is not None)

    @property
    def counts(self) -> Mapping[str, int]:
        """Runs by action."""
        return Counter(item.action for item in self.items)

    @property
    def bytes_in(self) -> int:
        """Bytes to be read, as far as the catalogue knows the sizes."""
        return sum(_size(task.run, task.inputs) for task in self.tasks)

    @property
    def unsized(self) -> int:
        """Number of tasks whose archive has no known size."""
        return sum(1 for task in self.tasks if not _size(task.run, task.inputs))


def _size(run: Run, inputs: Mapping[str, Any]) -> int:
    return int(inputs.get("size") or next((raw.filesize for raw in run.raw if raw.filesize), 0))


def make_plan(
    runs: Iterable[Run],
    options: PlanOptions,
    engine: Engine,
    *,
    batch: str,
    created: dt.datetime,
    bathymetry: Callable[[dt.datetime], str | None] = lambda _: None,
    manifest: Callable[[str], Mapping[str, Any] | None] | None = None,
) -> Plan:
    """Decide about every run.

    Parameters
    ----------
    runs : iterable of Run
        The selection, in order.
    options : PlanOptions
    engine : Engine
    batch : str
        Identifier of the batch.
    created : datetime
        Now, UTC.
    bathymetry : callable, optional
        Identity of the seafloor grid valid at a time; part of the fingerprint of the modes that use one.
    manifest : callable, optional
        Reads the manifest in a product folder; given when the store is to be trusted, not the catalogue.

    Raises
    ------
    ConfigurationError
        For parameters that cannot be.
    """
    known: dict[tuple[str, str], Parameters] = {}
    prints: dict[tuple[str, str], Fingerprints] = {}
    items = []
    for run in runs:
        family = mode_family(run.mode, run.site)
        if not engine.supports(run):
            item = PlanItem(
                run,
                "unsupported",
                f"the {engine.name} engine has no program for {run.site} runs of mode {run.mode}",
                "mode-unsupported",
            )
        else:
            key = (family, run.site)
            if key not in known:
                known[key] = parameters_for(
                    family,
                    run.site,
                    preset=options.preset,
                    profile=options.profile,
                    overrides=options.overrides,
                )
                engine.check(known[key])
                prints[key] = Fingerprints(engine.name, engine.version, options.profile, known[key].to_dict())
            seafloor = bathymetry(run.datetime) if family == "diffuse" and run.site == "Ashes" else None
            item = _decide(run, known[key], prints[key], seafloor, options, engine, batch, created, manifest)
        if options.only is None or _is_in(item, options.only):
            items.append(item)
    notes = [
        f"{key} has no effect on {family} runs of {site} (preset {parameters.preset})"
        for (family, site), parameters in known.items()
        for key in options.overrides
        if parameters.is_unused(key)
    ]
    return Plan(tuple(items), tuple(notes))


def _is_in(item: PlanItem, only: str) -> bool:
    """Tell whether a run is of the kind that `--only` names."""
    record = item.run.product
    state = "missing" if record is None else record.state
    if only == "stale":
        return item.action == "run" and state == "done"
    return state == only and item.action != "already"


def product_path(prefix: str, basename: str) -> str:
    """Return the product folder of a run below the store (design.md 3).

    Without a prefix, as for single archives, that is just a folder of the run's name.
    """
    return f"{prefix}/{archive_path(basename, '')}" if prefix else basename


def _inputs(raw: RawFile, seafloor: str | None) -> dict[str, Any]:
    """Name what the numbers depend on; not the host, since every host has the same file."""
    inputs: dict[str, Any] = {"file": raw.filename.rsplit("/", 1)[-1], "size": raw.filesize}
    return inputs | ({"bathymetry": seafloor} if seafloor else {})


def _decide(
    run: Run,
    parameters: Parameters,
    prints: Fingerprints,
    seafloor: str | None,
    options: PlanOptions,
    engine: Engine,
    batch: str,
    created: dt.datetime,
    manifest: Callable[[str], Mapping[str, Any] | None] | None,
) -> PlanItem:
    copies = [raw for raw in preferred(run.raw, options.host_order) if raw.host in options.hosts]
    if not copies:
        hosts = ", ".join(raw.host for raw in run.raw)
        reason = (
            f"none of its hosts is configured here (covis.hosts): {hosts}"
            if hosts
            else "the catalogue knows no raw file of it"
        )
        return PlanItem(run, "failed", reason, "raw-missing")
    inputs = _inputs(copies[0], seafloor)
    task = RunTask(
        run=Run(run.basename, run.datetime, run.mode, run.site, run.raw),
        engine=engine.name,
        version=engine.version,
        parameters=parameters,
        inputs=inputs,
        fingerprint=prints.of(inputs),
        store=options.store,
        path=product_path(options.prefix, run.basename),
        formats=options.formats,
        batch=batch,
        created=created,
        force=options.force,
        ancillary=options.ancillary,
    )
    record = run.product if run.product is not None and run.product.path == task.path else None
    if options.force:
        return PlanItem(run, "run", "forced", task=task)
    if manifest is not None and (record is None or record.state == "done"):
        return _verified(run, task, record, engine, manifest(task.path))
    if record is None:
        return PlanItem(run, "run", "no product yet", task=task)
    if record.state == "done":
        return _stale_or_done(run, task, record, engine)
    if record.state == "quarantined" and options.only != "quarantined":
        if record.inputs == json.dumps(inputs, sort_keys=True):
            return PlanItem(
                run,
                "quarantined",
                f"{record.reason} (until the file changes, --only quarantined or --force)",
                record.kind,
            )
        return PlanItem(run, "run", "quarantined, but the raw file has changed since", task=task)
    return PlanItem(run, "run", f"{record.state} before ({record.kind})", task=task)


def _stale_or_done(run: Run, task: RunTask, record: ProductRecord, engine: Engine) -> PlanItem:
    """Compare the catalogue's record with what is wanted."""
    if record.fingerprint != task.fingerprint:
        old = identity(record.engine, record.version, "", {}, json.loads(record.inputs or "{}"))
        new = identity(engine.name, engine.version, "", {}, task.inputs)
        changes = "profile or parameters changed" if old == new else explain(old, new)
        return PlanItem(run, "run", f"stale: {changes}", task=task)
    lacking = sorted(set(task.formats) - set(record.formats))
    if lacking:
        return PlanItem(run, "run", f"stale: the product has no {', '.join(lacking)} file", task=task)
    return PlanItem(run, "already", "committed before, same fingerprint")


def _verified(
    run: Run,
    task: RunTask,
    record: ProductRecord | None,
    engine: Engine,
    document: Mapping[str, Any] | None,
) -> PlanItem:
    """Believe the manifest rather than the catalogue."""
    if document is None:
        reason = (
            "no product yet" if record is None else "recorded as done, but its manifest is not in the store"
        )
        return PlanItem(run, "run", reason, task=task)
    if not is_ours(document):
        return PlanItem(run, "run", "a product of another program lies there", task=task)
    manifest = Manifest.from_document(document)
    if manifest.fingerprint != task.fingerprint:
        # The file's name and size are compared by the fingerprint; the manifest says them in its own words.
        old = identity(manifest.engine, manifest.version, manifest.profile, manifest.parameters, {})
        new = identity(engine.name, engine.version, task.parameters.profile, task.parameters.to_dict(), {})
        changes = "the raw file changed" if old == new else explain(old, new)
        return PlanItem(run, "run", f"stale: {changes}", task=task)
    lacking = set(task.formats) - formats_in(run.basename, [entry.name for entry in manifest.files])
    if lacking:
        return PlanItem(run, "run", f"stale: the product has no {', '.join(sorted(lacking))} file", task=task)
    if record is None:
        return PlanItem(run, "run", "committed, but not recorded: will be adopted", task=task)
    return PlanItem(run, "already", "committed before, manifest verified")
