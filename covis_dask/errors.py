"""One tree of errors, grouped by what a handler does with them; beside each, its kind.

::

    CovisError                      error
    ├── ConfigurationError          configuration         the batch stops at once, with advice
    │   └── StorageRefused          storage-refused
    ├── TransientError              transient             tried again, with back-off; then "failed"
    │   ├── StorageUnavailable      storage-unavailable
    │   └── WorkerLost              worker-lost
    ├── RunError                    error                 "failed": the next batch tries this run again
    │   ├── RawMissing              raw-missing
    │   ├── EngineError             engine-error
    │   │   └── EngineCrashed       engine-crashed
    │   ├── RunTimeout              timeout
    │   ├── OutOfMemory             out-of-memory
    │   ├── Bug                     bug
    │   ├── LegacyProduct           legacy-product
    │   ├── ProductDamaged          product-damaged
    │   └── Cancelled               cancelled             "not-run"
    ├── InputError                  bad-input             "quarantined" until the raw file changes
    │   ├── ArchiveTruncated        archive-truncated
    │   ├── ArchiveUnreadable       archive-unreadable
    │   ├── ArchiveUnsafe           archive-unsafe
    │   ├── SweepIncomplete         sweep-incomplete
    │   └── NoValidPings            no-valid-pings
    ├── ModeUnsupported             mode-unsupported      "unsupported"
    ├── CatalogError                catalog-error         the batch stops; products are safe
    │   └── CatalogUnavailable      catalog-unavailable   waited for, as long as the settings say
    ├── SelectionError              bad-selection         nothing has been begun
    ├── ListingError                bad-listing           nothing has been imported
    ├── DocumentError               bad-document          a catalogue, manifest or file of settings
    │   └── UnreadableDocument      unreadable            a run's document: the run is counted, and left alone
    └── BadName                     bad-name              the text is no basename

Each class has a `kind`, a word that stays the same for ever (`catalog.vocabulary.Kind`): catalogue, manifest
and report use it. The message is one sentence that says what happened and what to do.
"""

from catalog.errors import (
    BadName,
    CatalogError,
    CatalogUnavailable,
    CovisError,
    DocumentError,
    ListingError,
    SelectionError,
    UnreadableDocument,
)
from catalog.vocabulary import Kind, RunState

__all__ = [
    "ArchiveTruncated",
    "ArchiveUnreadable",
    "ArchiveUnsafe",
    "BadName",
    "Bug",
    "Cancelled",
    "CatalogError",
    "CatalogUnavailable",
    "ConfigurationError",
    "CovisError",
    "DocumentError",
    "EngineCrashed",
    "EngineError",
    "InputError",
    "LegacyProduct",
    "ListingError",
    "ModeUnsupported",
    "NoValidPings",
    "OutOfMemory",
    "ProductDamaged",
    "RawMissing",
    "RunError",
    "RunTimeout",
    "SelectionError",
    "StorageRefused",
    "StorageUnavailable",
    "SweepIncomplete",
    "TransientError",
    "UnreadableDocument",
    "WorkerLost",
]


class ConfigurationError(CovisError):
    """The settings cannot work; going on would only repeat the error for every run."""

    kind = Kind.CONFIGURATION
    state = RunState.NOT_RUN


class StorageRefused(ConfigurationError):
    """The store answered, and the answer was no (permissions, missing bucket, read-only disk).

    Attributes
    ----------
    place : str
        The raw host that refuses, which stops only the runs that need it; empty for the product store,
        without which no run can be.
    """

    kind = Kind.STORAGE_REFUSED
    place: str = ""


class TransientError(CovisError):
    """Worth trying again after a pause."""

    kind = Kind.TRANSIENT


class StorageUnavailable(TransientError):
    """The store did not answer, or broke off.

    Attributes
    ----------
    place : str
        Which store: a raw host's name, or ``products``. The batch is patient with each place as a whole.
    """

    kind = Kind.STORAGE_UNAVAILABLE
    place: str = "products"


class WorkerLost(TransientError):
    """The worker process went away while it had the run."""

    kind = Kind.WORKER_LOST


class RunError(CovisError):
    """One run failed; others may do well, and the next batch tries it again."""


class RawMissing(RunError):
    """No host has the raw archive of the run."""

    kind = Kind.RAW_MISSING


class EngineError(RunError):
    """The engine could not process data that look sound."""

    kind = Kind.ENGINE_ERROR


class EngineCrashed(EngineError):
    """The process in which the engine computed ended: by a signal, or because the engine ended it."""

    kind = Kind.ENGINE_CRASHED


class RunTimeout(RunError):
    """The run took longer than it may."""

    kind = Kind.TIMEOUT


class OutOfMemory(RunError):
    """The worker was killed, or refused, for want of memory."""

    kind = Kind.OUT_OF_MEMORY


class Bug(RunError):
    """An error nobody foresaw; the traceback is in the log of the run."""

    kind = Kind.BUG


class LegacyProduct(RunError):
    """A product of the old worker lies where ours would go."""

    kind = Kind.LEGACY_PRODUCT


class ProductDamaged(RunError):
    """What is stored of a run cannot be used: its manifest, or a file that the manifest names."""

    kind = Kind.PRODUCT_DAMAGED


class Cancelled(RunError):
    """The batch was stopped before the run was done."""

    kind = Kind.CANCELLED
    state = RunState.NOT_RUN


class InputError(CovisError):
    """The raw data are at fault; trying again cannot help until the file changes."""

    kind = Kind.BAD_INPUT
    state = RunState.QUARANTINED


class ArchiveTruncated(InputError):
    """The archive ends before its contents do."""

    kind = Kind.ARCHIVE_TRUNCATED


class ArchiveUnreadable(InputError):
    """The file is no archive of a kind we know, or its contents are damaged."""

    kind = Kind.ARCHIVE_UNREADABLE


class ArchiveUnsafe(InputError):
    """The archive holds something no raw run needs: an outside path, a link, a device, too many bytes."""

    kind = Kind.ARCHIVE_UNSAFE


class SweepIncomplete(InputError):
    """A file without which the run means nothing (sweep.json, index.csv, a usable header) is missing."""

    kind = Kind.SWEEP_INCOMPLETE


class NoValidPings(InputError):
    """Nothing is left to grid: every ping is missing or bad, or no burst lies within the bounds."""

    kind = Kind.NO_VALID_PINGS


class ModeUnsupported(CovisError):
    """The engine has no program for this kind of run."""

    kind = Kind.MODE_UNSUPPORTED
    state = RunState.UNSUPPORTED
