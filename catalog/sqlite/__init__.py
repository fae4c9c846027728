"""The catalogue in one SQLite file: no server, several processes."""

from catalog.sqlite.catalog import SqliteCatalog

__all__ = ["SqliteCatalog"]
