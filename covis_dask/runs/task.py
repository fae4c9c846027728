"""What a worker is told of one run, and what it answers: small values that travel through Dask."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.model import ProductRecord, Run
from covis_dask.errors import CovisError, StorageUnavailable, TransientError
from covis_dask.modes.parameters import Parameters
from covis_dask.runs.versions import versions_here

__all__ = ["FAILURE", "LOG", "MANIFEST", "RunOutcome", "RunTask"]

MANIFEST = "metadata.json"
"""The file whose presence means that a product is whole."""
FAILURE = "failure.json"
LOG = "output.txt"


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
        Of the product to be made (design.md 3).
    store : str
        URL of the product store the batch means; a worker configured for another refuses.
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
    versions: Mapping[str, str] = field(default_factory=versions_here)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended.

    Parameters
    ----------
    basename : str
        The run.
    state : str
        ``done``, ``already``, ``failed``, ``quarantined``, ``unsupported`` or ``not-run``.
    kind, reason : str, optional
        The stable word and the sentence, unless all is well.
    path : str
        Product folder below the store.
    host : str, optional
        Host whose copy was used.
    bytes_in, bytes_out : int
        Size of the archive and of the product.
    seconds : float
        Time on the worker.
    timings : mapping
        Seconds by stage.
    worker : str
        Name of the worker's machine.
    retry : bool
        Whether the fault may pass.
    place : str, optional
        The store that did not answer: a raw host's name, or ``products``.
    """

    basename: str
    state: str
    path: str
    kind: str | None = None
    reason: str | None = None
    host: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)
    worker: str = ""
    retry: bool = False
    place: str | None = None

    @classmethod
    def of_error(cls, task: RunTask, error: CovisError, **known: Any) -> "RunOutcome":
        """Make the outcome of a run that an error ended."""
        return cls(
            basename=task.run.basename,
            state=error.state,
            path=task.path,
            kind=error.kind,
            reason=str(error),
            retry=isinstance(error, TransientError),
            place=error.place if isinstance(error, StorageUnavailable) else None,
            **known,
        )

    def record(self, task: RunTask, at: dt.datetime) -> ProductRecord:
        """Return what the catalogue keeps."""
        return ProductRecord(
            state="done" if self.state == "already" else self.state,
            engine=task.engine,
            version=task.version,
            fingerprint=task.fingerprint,
            path=task.path,
            attempts=task.attempt,
            batch=task.batch,
            at=at,
            kind=self.kind,
            reason=self.reason,
            inputs=json.dumps(dict(task.inputs), sort_keys=True),
            formats=task.formats if self.state in {"done", "already"} else (),
        )
