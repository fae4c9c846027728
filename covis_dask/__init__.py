"""Raw archives of the COVIS multibeam sonar, processed one by one or by the thousand on a Dask cluster.

>>> import covis_dask as covis
>>> covis.process_archive("COVIS-20190820T120001-diffuse1.tar.gz")    # one archive, one xarray.Dataset
>>> covis.open_raw("COVIS-20190820T120001-diffuse1.tar.gz").samples   # its pings, lazily
>>> covis.select_runs(year=2014, mode="diffuse")                      # what the catalogue has
>>> batch = covis.submit(year=2014, mode="diffuse")                   # all of them, in the background

Each name is imported when it is first used. docs/python.md introduces them; ``covis --help`` has commands.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.model import Batch, Run
    from catalog.query import RunQuery
    from covis_dask._version import __version__
    from covis_dask.api.archives import open_product, open_raw, process_archive
    from covis_dask.api.batches import attach, list_batches, plan, select_runs, submit
    from covis_dask.api.files import copy_products, product_files
    from covis_dask.api.handle import BatchHandle
    from covis_dask.batches.plan import Plan
    from covis_dask.batches.request import BatchRequest, ClusterSpec
    from covis_dask.batches.service import NothingSelected
    from covis_dask.errors import (
        ArchiveTruncated,
        ArchiveUnreadable,
        ArchiveUnsafe,
        BadName,
        Bug,
        Cancelled,
        CatalogError,
        CatalogUnavailable,
        ConfigurationError,
        CovisError,
        DocumentError,
        EngineCrashed,
        EngineError,
        InputError,
        LegacyProduct,
        ListingError,
        ModeUnsupported,
        NoValidPings,
        OutOfMemory,
        ProductDamaged,
        RawMissing,
        RunError,
        RunTimeout,
        SelectionError,
        StorageRefused,
        StorageUnavailable,
        SweepIncomplete,
        TransientError,
        UnreadableDocument,
        WorkerLost,
    )
    from covis_dask.products.copying import InTheWay
    from covis_dask.products.stored import ProductMissing
    from covis_dask.runs.outcome import RunOutcome

_HOMES = {
    "Batch": "catalog.model",
    "Run": "catalog.model",
    "RunQuery": "catalog.query",
    "__version__": "covis_dask._version",
    "open_product": "covis_dask.api.archives",
    "open_raw": "covis_dask.api.archives",
    "process_archive": "covis_dask.api.archives",
    "attach": "covis_dask.api.batches",
    "list_batches": "covis_dask.api.batches",
    "plan": "covis_dask.api.batches",
    "select_runs": "covis_dask.api.batches",
    "submit": "covis_dask.api.batches",
    "copy_products": "covis_dask.api.files",
    "product_files": "covis_dask.api.files",
    "BatchHandle": "covis_dask.api.handle",
    "InTheWay": "covis_dask.products.copying",
    "ProductMissing": "covis_dask.products.stored",
    "Plan": "covis_dask.batches.plan",
    "BatchRequest": "covis_dask.batches.request",
    "ClusterSpec": "covis_dask.batches.request",
    "NothingSelected": "covis_dask.batches.service",
    "RunOutcome": "covis_dask.runs.outcome",
}
"""Where the names live; those that are not here are errors."""

__all__ = [
    "ArchiveTruncated",
    "ArchiveUnreadable",
    "ArchiveUnsafe",
    "BadName",
    "Batch",
    "BatchHandle",
    "BatchRequest",
    "Bug",
    "Cancelled",
    "CatalogError",
    "CatalogUnavailable",
    "ClusterSpec",
    "ConfigurationError",
    "CovisError",
    "DocumentError",
    "EngineCrashed",
    "EngineError",
    "InTheWay",
    "InputError",
    "LegacyProduct",
    "ListingError",
    "ModeUnsupported",
    "NoValidPings",
    "NothingSelected",
    "OutOfMemory",
    "Plan",
    "ProductDamaged",
    "ProductMissing",
    "RawMissing",
    "Run",
    "RunError",
    "RunOutcome",
    "RunQuery",
    "RunTimeout",
    "SelectionError",
    "StorageRefused",
    "StorageUnavailable",
    "SweepIncomplete",
    "TransientError",
    "UnreadableDocument",
    "WorkerLost",
    "__version__",
    "attach",
    "copy_products",
    "list_batches",
    "open_product",
    "open_raw",
    "plan",
    "process_archive",
    "product_files",
    "select_runs",
    "submit",
]


def __getattr__(name: str) -> Any:
    """Import a name from its home, when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES.get(name, "covis_dask.errors")), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
