"""One tree of errors, grouped by what a handler does with them.

::

    CovisError
    ├── ConfigurationError      the batch stops at once, with advice
    │   └── StorageRefused      the product store will not take writes
    ├── TransientError          tried again, with back-off; then "failed"
    │   ├── StorageUnavailable
    │   └── WorkerLost
    ├── RunError                this run ends "failed": the next batch tries it again
    │   ├── RawMissing
    │   ├── EngineError
    │   ├── RunTimeout
    │   ├── OutOfMemory
    │   └── Cancelled
    ├── InputError              the data are at fault: "quarantined" until the file changes
    │   ├── ArchiveTruncated
    │   ├── ArchiveUnreadable
    │   ├── ArchiveUnsafe
    │   ├── SweepIncomplete
    │   └── NoValidPings
    └── ModeUnsupported         this run ends "unsupported"

Each class has a `kind`, a word that stays the same for ever: catalogue, manifest, report and exit code use
it. The message is one sentence that says what happened and what to do.
"""

from typing import ClassVar

__all__ = [
    "ArchiveTruncated",
    "ArchiveUnreadable",
    "ArchiveUnsafe",
    "Cancelled",
    "ConfigurationError",
    "CovisError",
    "EngineError",
    "InputError",
    "ModeUnsupported",
    "NoValidPings",
    "OutOfMemory",
    "RawMissing",
    "RunError",
    "RunTimeout",
    "StorageRefused",
    "StorageUnavailable",
    "SweepIncomplete",
    "TransientError",
    "WorkerLost",
]


class CovisError(Exception):
    """Anything that goes wrong in a way this program knows.

    Attributes
    ----------
    kind : str
        Stable word for catalogue, manifest and report.
    state : str
        The state a run ends in when this error ends it.
    """

    kind: ClassVar[str] = "error"
    state: ClassVar[str] = "failed"


class ConfigurationError(CovisError):
    """The settings cannot work; going on would only repeat the error for every run."""

    kind = "configuration"
    state = "not-run"


class StorageRefused(ConfigurationError):
    """The store answered, and the answer was no (permissions, missing bucket, read-only disk)."""

    kind = "storage-refused"


class TransientError(CovisError):
    """Worth trying again after a pause."""

    kind = "transient"


class StorageUnavailable(TransientError):
    """The store did not answer, or broke off.

    Attributes
    ----------
    place : str
        Which store: a raw host's name, or ``products``. The batch is patient with each place as a whole.
    """

    kind = "storage-unavailable"
    place: str = "products"


class WorkerLost(TransientError):
    """The worker process went away while it had the run."""

    kind = "worker-lost"


class RunError(CovisError):
    """One run failed; others may do well, and the next batch tries it again."""

    kind = "error"


class RawMissing(RunError):
    """No host has the raw archive of the run."""

    kind = "raw-missing"


class EngineError(RunError):
    """The engine could not process data that look sound."""

    kind = "engine-error"


class RunTimeout(RunError):
    """The run took longer than it may."""

    kind = "timeout"


class OutOfMemory(RunError):
    """The worker was killed, or refused, for want of memory."""

    kind = "out-of-memory"


class Cancelled(RunError):
    """The batch was stopped before the run was done."""

    kind = "cancelled"
    state = "not-run"


class InputError(CovisError):
    """The raw data are at fault; trying again cannot help until the file changes."""

    kind = "bad-input"
    state = "quarantined"


class ArchiveTruncated(InputError):
    """The archive ends before its contents do."""

    kind = "archive-truncated"


class ArchiveUnreadable(InputError):
    """The file is no archive of a kind we know, or its contents are damaged."""

    kind = "archive-unreadable"


class ArchiveUnsafe(InputError):
    """The archive holds something no raw run needs: an outside path, a link, a device, too many bytes."""

    kind = "archive-unsafe"


class SweepIncomplete(InputError):
    """A file without which the run means nothing (sweep.json, index.csv, a usable header) is missing."""

    kind = "sweep-incomplete"


class NoValidPings(InputError):
    """Nothing is left to grid: every ping is missing or bad, or no burst lies within the bounds."""

    kind = "no-valid-pings"


class ModeUnsupported(CovisError):
    """The engine has no program for this kind of run."""

    kind = "mode-unsupported"
    state = "unsupported"
