"""How a run ended: what a worker answers, and every report, page and catalogue is told."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Protocol, Self

from catalog.documents import decode
from catalog.redaction import redact
from covis_dask.errors import CovisError, StorageRefused, StorageUnavailable, TransientError

__all__ = ["RunOutcome"]


class _Named(Protocol):
    @property
    def basename(self) -> str: ...
    @property
    def path(self) -> str: ...


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
        The store that did not answer, or refuses: a raw host's name, or ``products``.
    notes : tuple of str
        What was odd about the data of a run that became a product all the same.
    log : str, optional
        Where the log of a try that failed lies below the store.
    behind : int, optional
        A fencing token in the store that is higher than the task's: the catalogue that gave the task its
        token has not seen that claim. The driver claims anew above it.
    uncommitted : mapping, optional
        The manifest of a product that lies in the store and waits for the driver to commit it; see
        `covis_dask.batches.job.Job.complete`.
    memory : int
        What the run could have, bytes, where that was not enough.
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
    notes: tuple[str, ...] = ()
    log: str | None = None
    behind: int | None = None
    uncommitted: Mapping[str, Any] | None = None
    memory: int = 0

    def __post_init__(self) -> None:
        # Messages between machines take plain words, no enums.
        object.__setattr__(self, "state", str(self.state))
        object.__setattr__(self, "kind", None if self.kind is None else str(self.kind))
        object.__setattr__(self, "reason", None if self.reason is None else redact(self.reason))

    @classmethod
    def of_error(cls, task: _Named, error: CovisError, **known: Any) -> "RunOutcome":
        """Make the outcome of a run that an error ended.

        Parameters
        ----------
        task : Task
            Whose `basename` and `path` the outcome has.
        error : CovisError
        **known
            Further fields, such as `seconds`.
        """
        return cls(
            basename=task.basename,
            state=error.state,
            path=task.path,
            kind=error.kind,
            reason=str(error),
            retry=isinstance(error, TransientError),
            place=(error.place or None) if isinstance(error, (StorageUnavailable, StorageRefused)) else None,
            **known,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the outcome as plain values, without what is as usual or for the driver alone."""
        values = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in _FOR_THE_DRIVER
        }
        values["timings"] = dict(self.timings)
        return {name: value for name, value in values.items() if value and value != _DEFAULTS.get(name)}

    def to_document(self) -> dict[str, Any]:
        """Return every field as reports have it, whether it is known or not."""
        document = asdict(self)
        for name in _FOR_THE_DRIVER:
            del document[name]
        return document

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` wrote; fields of a later version are passed over.

        Raises
        ------
        DocumentError
            Says which run, and what is wrong.
        """
        return decode(cls, {"path": "", **plain}, f"the outcome of run {plain.get('basename')}")


_FOR_THE_DRIVER = ("behind", "memory", "uncommitted")
_DEFAULTS = {one.name: one.default for one in fields(RunOutcome) if one.default is not MISSING}
