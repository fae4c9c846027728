"""What the command for single archives does (see `covis_dask.process`)."""

import argparse
import datetime as dt
import sys
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

import fsspec

from catalog.model import RawFile, Run
from catalog.names import BadName, basename_of, parse_basename
from covis_dask.ancillary import open_ancillary
from covis_dask.batches.plan import Plan, PlanOptions, make_plan
from covis_dask.cli.exits import exit_for
from covis_dask.cli.options import chosen_formats, chosen_overrides
from covis_dask.config import Location, Settings, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import ConfigurationError
from covis_dask.monitor.terminal import duration
from covis_dask.runs.task import RunOutcome
from covis_dask.runs.worker import process_run
from covis_dask.storage import open_location

__all__ = ["run"]

_HOST = "LOCAL"


def run(arguments: argparse.Namespace) -> int:
    """Process the archives; returns the exit code.

    Raises
    ------
    CovisError
        When nothing can be done at all.
    """
    settings = replace(load_settings(), products=Location(arguments.output))
    outcomes = [_process(archive, arguments, settings) for archive in arguments.archives]
    return exit_for(Counter(outcome.state for outcome in outcomes))


def _run_of(archive: str) -> Run:
    """Make the run of an archive from its name; an unpacked folder has the run's own name."""
    path = PurePosixPath(archive.rstrip("/"))
    for text in (path.name, basename_of(path.name)):
        try:
            name = parse_basename(text)
        except BadName as error:
            fault = error
        else:
            raw = (RawFile(_HOST, path.name),)
            return Run(name.basename, name.datetime, name.mode, name.site, raw)
    raise ConfigurationError(f"{archive}: {fault}; an archive must keep its run's name")


def _process(archive: str, arguments: argparse.Namespace, settings: Settings) -> RunOutcome:
    run = _run_of(archive)
    parent = fsspec.core.url_to_fs(archive)[0]._parent(archive.rstrip("/")) or "."
    settings = replace(settings, hosts={_HOST: Location(parent)})
    plan = _plan(run, arguments, settings)
    for note in plan.notes:
        print(f"note: {note}", file=sys.stderr)  # noqa: T201
    (item,) = plan.items
    outcome = (
        RunOutcome(run.basename, item.action, "", kind=item.kind, reason=item.reason)
        if item.task is None
        else process_run(item.task, settings)
    )
    if outcome.state == "not-run":
        raise ConfigurationError(outcome.reason)
    why = f"  {outcome.kind}: {outcome.reason}" if outcome.kind else ""
    print(f"{outcome.state:<11} {run.basename}  {duration(outcome.seconds)}{why}")  # noqa: T201
    return outcome


def _plan(run: Run, arguments: argparse.Namespace, settings: Settings) -> Plan:
    ancillary = settings.ancillary if arguments.ancillary is None else Location(arguments.ancillary)
    options = PlanOptions(
        profile=arguments.profile,
        preset=arguments.preset,
        overrides=chosen_overrides(arguments),
        formats=chosen_formats(arguments),
        prefix="",
        store=arguments.output,
        hosts=frozenset(settings.hosts),
        host_order=(_HOST,),
        force=arguments.force,
        ancillary=arguments.ancillary,
    )
    return make_plan(
        [run],
        options,
        engine_named(arguments.engine),
        batch="single",
        created=dt.datetime.now(dt.UTC).replace(microsecond=0),
        bathymetry=open_ancillary(*open_location(ancillary)).identities(),
    )
