"""The run catalogue: which runs there are, where their raw archives lie, and what became of them.

An index of what lies in the stores, rebuildable at any time (docs/architecture.md). ``python -m catalog
--help``.
"""

from catalog.errors import CatalogError, CatalogUnavailable
from catalog.model import Batch, Content, ProductRecord, RawFile, Run
from catalog.names import RunName, mode_family, parse_basename
from catalog.query import RunQuery
from catalog.store import Catalog, open_catalog

__all__ = [
    "Batch",
    "Catalog",
    "CatalogError",
    "CatalogUnavailable",
    "Content",
    "ProductRecord",
    "RawFile",
    "Run",
    "RunName",
    "RunQuery",
    "mode_family",
    "open_catalog",
    "parse_basename",
]
