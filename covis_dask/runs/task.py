"""What a worker is told of one run: a small value that travels through Dask."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.model import ProductRecord, Run
from catalog.vocabulary import COMPLETE, RunState
from covis_dask.modes.parameters import Parameters
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.versions import versions_here

__all__ = ["RunTask"]


@dataclass(frozen=True, slots=True)
class RunTask:
    """Everything a worker needs to know of one run; small, picklable, and free of secrets and addresses.

    Parameters
    ----------
    run : Run
        Name, time, mode and raw files.
    engine, version : str
        Name and version of the engine.
    parameters : Parameters
        Preset, profile and every number.
    inputs : mapping
        Identity of the input, part of the fingerprint.
    fingerprint : str
        Of the product to be made (docs/method.md#fingerprints).
    store : str
        URL of the product store the batch means; a worker configured for another refuses.
    store_id : str, optional
        Identity of that store, which its mark has; a worker that finds no mark, or another, waits.
    path : str
        Product folder below the store.
    formats : tuple of str
        ``nc``, ``zarr``, ``mat``.
    batch : str
        Identifier of the batch.
    created : datetime
        When the task was made; the only clock that reaches the product.
    force : bool
        Make the product even if an equal one is there.
    ancillary : str, optional
        Folder or URL of ancillary data, instead of the configured one.
    timeout : float, optional
        Longest time, s; the configured one when not given.
    attempt : int
        1 for the first try.
    token : int
        Fencing token of the batch's claim on the run; 0 where there is no catalogue.
    suspect : bool
        The product that is committed was found damaged: its bytes are compared before it counts as done.
    versions : mapping
        Of Python, Dask and this package where the batch was started; a worker with others refuses.
    """

    run: Run
    engine: str
    version: str
    parameters: Parameters
    inputs: Mapping[str, Any]
    fingerprint: str
    store: str
    path: str
    formats: tuple[str, ...]
    batch: str
    created: dt.datetime
    force: bool = False
    ancillary: str | None = None
    timeout: float | None = None
    attempt: int = 1
    token: int = 0
    store_id: str | None = None
    suspect: bool = False
    versions: Mapping[str, str] = field(default_factory=versions_here)

    @property
    def basename(self) -> str:
        """Name of the run."""
        return self.run.basename

    @property
    def label(self) -> str:
        """Family of modes: Dask keeps statistics by it."""
        return self.parameters.family

    @property
    def bytes_in(self) -> int:
        """Size of the archive, 0 where the catalogue does not know it."""
        sizes = (raw.filesize for raw in self.run.raw if raw.filesize)
        return int(self.inputs.get("size") or next(sizes, 0))

    def again(self) -> "RunTask":
        """Return the task of the next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def under(self, token: int) -> "RunTask":
        """Return the task as it is under a claim."""
        return replace(self, token=token)

    def record(self, outcome: RunOutcome, at: dt.datetime) -> ProductRecord:
        """Return what the catalogue keeps of an outcome of this task."""
        return ProductRecord(
            state=RunState.DONE if outcome.state == RunState.ALREADY else outcome.state,
            engine=self.engine,
            version=self.version,
            fingerprint=self.fingerprint,
            path=self.path,
            attempts=self.attempt,
            batch=self.batch,
            at=at,
            kind=outcome.kind,
            reason=outcome.reason,
            inputs=json.dumps(dict(self.inputs), sort_keys=True),
            formats=self.formats if outcome.state in COMPLETE else (),
            token=self.token,
        )
