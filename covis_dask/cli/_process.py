"""What the command for single archives does (see `covis_dask.cli.process`)."""

import argparse
import sys
from collections import Counter

from catalog.vocabulary import RunState
from covis_dask.batches.durations import duration
from covis_dask.batches.single import ArchiveRequest, process_one
from covis_dask.cli._answer import put
from covis_dask.cli.exits import exit_for
from covis_dask.cli.options import chosen_formats, chosen_overrides
from covis_dask.errors import ConfigurationError
from covis_dask.runs.outcome import RunOutcome

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Process the archives; returns the exit code.

    Raises
    ------
    CovisError
        When nothing can be done at all.
    """
    request = ArchiveRequest(
        output=arguments.output,
        engine=arguments.engine,
        profile=arguments.profile,
        fixes=tuple(arguments.fixes),
        preset=arguments.preset,
        overrides=chosen_overrides(arguments),
        formats=chosen_formats(arguments),
        force=arguments.force,
        ancillary=arguments.ancillary,
    )
    states = [_process(archive, request).state for archive in arguments.archives]
    return exit_for(Counter(states))


def _process(archive: str, request: ArchiveRequest) -> RunOutcome:
    outcome, notes = process_one(archive, request)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if outcome.state == RunState.NOT_RUN:
        raise ConfigurationError(outcome.reason)
    why = f"  {outcome.kind}: {outcome.reason}" if outcome.kind else ""
    put(f"{outcome.state:<11} {outcome.basename}  {duration(outcome.seconds)}{why}")
    return outcome
