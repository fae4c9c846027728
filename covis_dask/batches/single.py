"""One archive, without catalogue or cluster: planned and processed in this process."""

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import fsspec

from catalog.model import RawFile, Run
from catalog.names import BadName, basename_of, parse_basename
from covis_dask.ancillary import open_ancillary
from covis_dask.batches.job import Decision
from covis_dask.batches.plan import make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.config import Location, Settings, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import ConfigurationError, CovisError
from covis_dask.modes.fixes import named_fixes
from covis_dask.runs.committing import commit_for_worker
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import process_run
from covis_dask.storage import ProductStore, open_location

__all__ = ["ArchiveRequest", "decide_one", "process_one", "run_of_archive"]

_HOST = "LOCAL"
_log = logging.getLogger("covis_dask")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRequest:
    """What is to be made of single archives.

    Parameters
    ----------
    output : str
        Folder or URL; each run gets a folder in it.
    engine, profile, fixes, preset, overrides, formats, force, ancillary
        As in `covis_dask.batches.request.BatchRequest`.
    """

    output: str
    engine: str = "native"
    profile: str = "matlab"
    fixes: tuple[str, ...] = ()
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ("nc",)
    force: bool = False
    ancillary: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixes", named_fixes(self.fixes, self.profile))


def process_one(archive: str, request: ArchiveRequest) -> tuple[RunOutcome, tuple[str, ...]]:
    """Process one archive.

    Parameters
    ----------
    archive : str
        Path or fsspec URL of an archive, or of an unpacked folder, that has its run's name.
    request : ArchiveRequest

    Returns
    -------
    tuple
        The outcome, and what the user may not have meant.

    Raises
    ------
    ConfigurationError
        When the name is not that of a run, or the request makes no sense.
    """
    parent = fsspec.core.url_to_fs(archive)[0]._parent(archive.rstrip("/")) or "."
    settings = replace(load_settings(), products=Location(request.output), hosts={_HOST: Location(parent)})
    item, notes = decide_one(archive, request, settings)
    if isinstance(item.task, RunTask):
        return _processed(item.task, settings), notes
    return RunOutcome(item.run.basename, item.action, "", kind=item.kind, reason=item.reason), notes


def _processed(task: RunTask, settings: Settings) -> RunOutcome:
    """Process a run as worker and driver at once: here nobody else claims it."""
    try:
        store = ProductStore.open(settings.products).marked()
    except CovisError as error:
        return RunOutcome.of_error(task, error)
    task = replace(task, store_id=store.id)
    outcome = process_run(task, settings)
    if outcome.behind is not None:
        task = replace(task, token=outcome.behind)
        outcome = process_run(task, settings)
    if outcome.uncommitted is not None:
        outcome = commit_for_worker(task, outcome, settings, _log.warning)
    return outcome


def decide_one(archive: str, request: ArchiveRequest, settings: Settings) -> tuple[Decision, tuple[str, ...]]:
    """Decide what is to be done with one archive, by its name; see `process_one` for the errors.

    Returns
    -------
    tuple
        The decision, with its task, and what the user may not have meant.
    """
    plan = make_plan([run_of_archive(archive)], _job(request, settings))
    (item,) = plan.items
    return item, plan.notes


def run_of_archive(archive: str) -> Run:
    """Make the run of an archive from its name; an unpacked folder has the run's own name.

    Raises
    ------
    ConfigurationError
        When it has not.
    """
    path = PurePosixPath(archive.rstrip("/"))
    for text in (path.name, basename_of(path.name)):
        try:
            name = parse_basename(text)
        except BadName as error:
            fault = error
        else:
            raw = (RawFile(_HOST, path.name),)
            return Run(name.basename, name.datetime, name.mode, name.site, raw)
    raise ConfigurationError(f"{archive}: {fault}; an archive must be named after its run")


def _job(request: ArchiveRequest, settings: Settings) -> PostProcessing:
    ancillary = settings.ancillary if request.ancillary is None else Location(request.ancillary)
    spec = ProductSpec(
        profile=request.profile,
        fixes=request.fixes,
        preset=request.preset,
        overrides=request.overrides,
        formats=request.formats,
        prefix="",
        store=request.output,
        hosts=frozenset({_HOST}),
        host_order=(_HOST,),
        force=request.force,
        ancillary=request.ancillary,
    )
    return PostProcessing(
        spec,
        engine_named(request.engine),
        batch="single",
        created=dt.datetime.now(dt.UTC).replace(microsecond=0),
        bathymetry=open_ancillary(*open_location(ancillary)).identities(),
    )
