"""One run, from raw archive to committed product, on whatever worker has room.

Nothing here talks to the catalogue, and no error leaves `process_run`: what went wrong is in the outcome.
"""

import datetime as dt
import json
import os
import shutil
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from catalog.hosts import preferred
from catalog.model import RawFile, Run
from covis_dask import __version__
from covis_dask.ancillary import open_ancillary
from covis_dask.config import Location, Settings, load_settings
from covis_dask.engines import Engine, engine_named
from covis_dask.errors import (
    Bug,
    ConfigurationError,
    CovisError,
    InputError,
    LegacyProduct,
    OutOfMemory,
    RawMissing,
    RunTimeout,
    StorageUnavailable,
    TransientError,
)
from covis_dask.modes.context import Ancillary, Context
from covis_dask.products.formats import formats_in
from covis_dask.products.manifest import (
    Bursts,
    Failure,
    FileEntry,
    InputFile,
    Manifest,
    Pings,
    SkippedBurst,
    is_ours,
)
from covis_dask.products.metadata import ProductFacts, finish
from covis_dask.products.paths import FAILURE, LOG, MANIFEST
from covis_dask.products.writers import write_product
from covis_dask.raw.source import ArchiveSource
from covis_dask.runs.events import Reporter
from covis_dask.runs.memory import reused_memory
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.versions import require
from covis_dask.storage import ProductStore, open_location, storage_errors
from covis_dask.storage.retry import retry_while_unavailable

__all__ = ["process_run"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


class _RunLog:
    """The log of one run and no other: a file of lines with the seconds since the start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = time.monotonic()
        path.touch()

    def __call__(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"[{time.monotonic() - self._start:9.3f} s] {line}\n")


class _Stages:
    """Seconds by stage, and who is told of them."""

    def __init__(self, reporter: Reporter) -> None:
        self.seconds: dict[str, float] = {}
        self.reporter = reporter

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        self.reporter.stage(name)
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class _Computed:
    """A dataset and the copy of the archive it came from."""

    dataset: xr.Dataset
    input: InputFile


def process_run(task: RunTask, settings: Settings | None = None) -> RunOutcome:
    """Make the product of one run and commit it.

    Parameters
    ----------
    task : RunTask
        What to do.
    settings : Settings, optional
        Where things lie; the worker's own configuration when not given.

    Returns
    -------
    RunOutcome
        Also when anything fails: no exception leaves this function.
    """
    reporter = Reporter(task)
    with _turn, _one_thread(), reused_memory():
        outcome = _process(task, settings, _Stages(reporter))
    reporter.ended(outcome)
    return outcome


_turn = threading.Lock()
"""Held by the run that a process is at. HDF5 ends a process in which two threads use it, so workers that were
started with several threads do one run after the other."""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let numerical libraries use one thread, whatever the environment says: a worker has one core.

    Those that are loaded are told; those that a run loads will find it in the environment.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _process(task: RunTask, settings: Settings | None, stages: _Stages) -> RunOutcome:
    start, worker = time.perf_counter(), socket.gethostname()
    started = dt.datetime.now(dt.UTC)

    def known() -> dict[str, Any]:
        return {"seconds": time.perf_counter() - start, "timings": dict(stages.seconds), "worker": worker}

    try:
        require(task.versions, worker)
        settings = settings or load_settings()
        store = _open_store(task, settings.products)
        with tempfile.TemporaryDirectory(prefix="covis-", dir=settings.scratch) as scratch:
            log = _RunLog(Path(scratch) / LOG)
            try:
                return _make(task, settings, store, Path(scratch), log, stages, started, known)
            except Exception as error:
                fault = _named(error)
                log(f"{fault.state}: {fault}")
                if isinstance(fault, Bug):
                    log("".join(traceback.format_exception(error)))
                if not isinstance(fault, ConfigurationError):
                    _leave_failure(task, store, log, fault, started)
                return RunOutcome.of_error(task, fault, **known())
    except Exception as error:
        return RunOutcome.of_error(task, _named(error), **known())


def _named(error: Exception) -> CovisError:
    """Give every exception a place in the tree of errors."""
    if isinstance(error, CovisError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory("the worker ran out of memory; give workers more, or run fewer on a machine")
    return Bug(f"{type(error).__name__}: {error}; this is a fault of the program, the traceback is in {LOG}")


_stores: dict[tuple[str, str | None], ProductStore] = {}
"""Stores this process has found to take writes."""


def _open_store(task: RunTask, location: Location) -> ProductStore:
    """Open the product store and make sure, once per worker, that it is the right one and takes writes."""
    if location.url != task.store:
        raise ConfigurationError(
            f"this worker ({socket.gethostname()}) writes products to {location.url}, but the batch means "
            f"{task.store}: give the worker the same covis.products.url"
        )
    key = (location.url, location.endpoint)
    if key not in _stores:
        _stores[key] = ProductStore.open(location).probed()
    return _stores[key]


def _make(
    task: RunTask,
    settings: Settings,
    store: ProductStore,
    scratch: Path,
    log: _RunLog,
    stages: _Stages,
    started: dt.datetime,
    known: Callable[[], dict[str, Any]],
) -> RunOutcome:
    run = task.run
    with stages("look"):
        committed = store.read_json(f"{task.path}/{MANIFEST}")
    if committed is not None and not task.force:
        if not is_ours(committed):
            raise LegacyProduct(
                f"a product that this program did not make lies at {task.path}: --force replaces it, "
                "--prefix puts ours elsewhere"
            )
        formats = formats_in(run.basename, _names(committed))
        if committed.get("fingerprint") == task.fingerprint and formats >= set(task.formats):
            return RunOutcome(run.basename, "already", task.path, **known())
    engine = engine_named(task.engine)
    log(f"{run.basename}: covis-dask {__version__}, engine {engine.name} {engine.version}")
    log(f"preset {task.parameters.preset}, profile {task.parameters.profile}, attempt {task.attempt}")
    with stages("compute"):
        computed = _compute(task, settings, engine, scratch, log, stages.reporter)
    folder = scratch / "product"
    extra = sorted((scratch / "extra").iterdir())
    kept = formats_in(run.basename, [path.name for path in extra])
    with stages("write"):
        dataset = finish(computed.dataset, _facts(task, engine, computed.input))
        floor = _ancillary(task, settings).bathymetry(run.datetime) if run.site == "Ashes" else None
        wanted = tuple(name for name in task.formats if name not in kept)
        write_product(dataset, folder, run.basename, wanted, floor=floor)
        for path in extra:
            path.rename(folder / path.name)
    if not store.conditional:
        log("the product store ignores If-None-Match: only the catalogue's claims keep two batches apart")
    shutil.copyfile(log.path, folder / LOG)
    files = tuple(
        FileEntry.of(path, path.relative_to(folder).as_posix())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )

    def upload() -> None:
        # From here to the commit the run has no product; a reader sees none rather than a mixture.
        store.remove(f"{task.path}/{MANIFEST}")
        for name in [*set(_names(committed)).difference(entry.name for entry in files), FAILURE]:
            store.remove(f"{task.path}/{name}")
        for entry in sorted(folder.iterdir()):
            store.put_file(entry, f"{task.path}/{entry.name}")

    # Hours of computing are worth some waiting, if the store goes away just now.
    patience = min(settings.patience, task.timeout or settings.timeout)
    with stages("upload"):
        retry_while_unavailable(upload, patience, settings.backoff, log)
    manifest = Manifest(
        **_provenance(task, engine, started),
        input=computed.input,
        timings=dict(stages.seconds),
        notes=_notes(dataset),
        files=files,
        pings=_pings(dataset),
        bursts=_bursts(dataset),
    )
    with stages("commit"):
        document = manifest.to_document()
        ours = retry_while_unavailable(
            lambda: store.put_new_json(f"{task.path}/{MANIFEST}", document), patience, settings.backoff, log
        )
    if not ours:
        return RunOutcome(run.basename, "already", task.path, **known())
    return RunOutcome(
        run.basename,
        "done",
        task.path,
        host=computed.input.host,
        bytes_in=computed.input.size or 0,
        bytes_out=sum(entry.size for entry in files),
        **known(),
    )


def _names(manifest: Any) -> list[str]:
    """List the files of an earlier product; what is no manifest of ours lists none."""
    return [entry["name"] for entry in manifest["files"]] if is_ours(manifest) else []


def _provenance(task: RunTask, engine: Engine, started: dt.datetime) -> dict[str, Any]:
    """Gather what manifest and failure both say."""
    return {
        "basename": task.run.basename,
        "engine": engine.name,
        "version": engine.version,
        "fingerprint": task.fingerprint,
        "preset": task.parameters.preset,
        "profile": task.parameters.profile,
        "parameters": task.parameters.to_dict(),
        "batch": task.batch,
        "attempt": task.attempt,
        "started": started,
        "finished": dt.datetime.now(dt.UTC),
        "worker": socket.gethostname(),
    }


def _facts(task: RunTask, engine: Engine, source: InputFile) -> ProductFacts:
    return ProductFacts(
        basename=task.run.basename,
        mode=task.run.mode,
        site=task.run.site,
        start=task.run.datetime,
        engine=engine.name,
        version=engine.version,
        preset=task.parameters.preset,
        profile=task.parameters.profile,
        parameters=task.parameters.to_dict(),
        input=source,
        fingerprint=task.fingerprint,
        created=task.created,
    )


def _pings(ds: xr.Dataset) -> Pings:
    return Pings(
        total=int(ds.attrs["pings_total"]),
        used=int(ds.attrs["pings_used"]),
        bad=np.size(ds.attrs["bad_ping"]),
        missing=np.size(ds.attrs["missing_ping"]),
    )


def _bursts(ds: xr.Dataset) -> Bursts:
    skipped = json.loads(ds.attrs["bursts_skipped_reasons"])
    return Bursts(
        used=int(ds.attrs["bursts_used"]),
        skipped=tuple(SkippedBurst(number, str(burst["reason"])) for number, burst in enumerate(skipped)),
    )


def _notes(ds: xr.Dataset) -> tuple[str, ...]:
    """Repeat in the manifest what a user must not overlook."""
    found = {"seafloor": ds.attrs.get("seafloor"), "engines differ in": ds.attrs.get("engines_differ_in")}
    return tuple(f"{name}: {value}" for name, value in found.items() if value)


def _compute(
    task: RunTask, settings: Settings, engine: Engine, scratch: Path, log: _RunLog, reporter: Reporter
) -> _Computed:
    """Process the first copy that can be; the others are what to fall back on."""
    deadline = time.monotonic() + (task.timeout or settings.timeout)

    def progress(done: int, total: int) -> None:
        reporter.pings(done, total)
        if time.monotonic() > deadline:
            where = f", at ping {done} of {total}" if total else ""
            raise RunTimeout(
                f"stopped after {task.timeout or settings.timeout:.0f} s{where}; "
                "raise covis.timeout if such runs need longer"
            )

    extra = scratch / "extra"
    extra.mkdir()
    context = Context(
        log=log,
        progress=progress,
        ancillary=_ancillary(task, settings),
        limits=settings.limits,
        scratch=scratch,
        extra=extra,
    )
    faults: list[CovisError] = []
    for raw in preferred(task.run.raw, settings.host_order):
        location = settings.hosts.get(raw.host)
        if location is None:
            faults.append(RawMissing(f"host {raw.host} is not configured (covis.hosts.{raw.host}.url)"))
            log(str(faults[-1]))
            continue
        try:
            source, entry = _find(raw, location)
            log(f"reading {raw.host}:{raw.filename} ({entry.size} bytes)")
            return _Computed(engine.process(source, task.run, task.parameters, context), entry)
        except (InputError, RawMissing, StorageUnavailable) as error:
            if isinstance(error, StorageUnavailable):
                error.place = raw.host
            log(f"{raw.host}: {error.kind}: {error}")
            faults.append(error)
    raise _worst(task.run, faults)


def _ancillary(task: RunTask, settings: Settings) -> Ancillary:
    return open_ancillary(
        *open_location(settings.ancillary if task.ancillary is None else Location(task.ancillary))
    )


def _worst(run: Run, faults: list[CovisError]) -> CovisError:
    """Of several copies that cannot be used, report the fault that decides what happens next.

    A host that may answer later beats a damaged copy, and that beats one that is not there.
    """
    for group in (TransientError, InputError):
        for fault in faults:
            if isinstance(fault, group):
                return fault
    reasons = (
        "; ".join(dict.fromkeys(str(fault) for fault in faults)) or "the catalogue knows no raw file of it"
    )
    return RawMissing(f"no raw archive of {run.basename} could be found: {reasons}")


def _find(raw: RawFile, location: Location) -> tuple[ArchiveSource, InputFile]:
    fs, root = open_location(location)
    path = f"{root}/{raw.filename}" if root else raw.filename
    with storage_errors(f"looking for {raw.host}:{raw.filename}", missing=RawMissing):
        info = fs.info(path)
    size = info.get("size") if info.get("type") != "directory" else None
    etag = info.get("ETag")
    return ArchiveSource(fs, path), InputFile(
        host=raw.host, filename=raw.filename, size=size, etag=str(etag).strip('"') if etag else None
    )


def _leave_failure(
    task: RunTask, store: ProductStore, log: _RunLog, fault: CovisError, started: dt.datetime
) -> None:
    """Leave log and failure beside where the product would be, unless a committed product is there."""
    try:
        if store.read_json(f"{task.path}/{MANIFEST}") is not None:
            return
        failure = Failure(
            **_provenance(task, engine_named(task.engine), started),
            state=fault.state,
            kind=fault.kind,
            reason=str(fault),
        )
        store.put_file(log.path, f"{task.path}/{LOG}")
        store.put_bytes(f"{task.path}/{FAILURE}", failure.to_json().encode())
    except CovisError as error:
        log(f"the failure itself could not be stored: {error}")
