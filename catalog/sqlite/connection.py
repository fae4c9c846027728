"""One SQLite file, shared by threads and processes: errors in our words, transactions, waiting for others."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError, CatalogUnavailable

__all__ = ["Connection"]

_BUSY_SECONDS = 60.0


class Connection:
    """A connection to a SQLite file. May be shared by threads.

    Parameters
    ----------
    path : Path
        The file; it and its folder are made when missing.

    Raises
    ------
    CatalogError
        When the file cannot be opened or made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogError(
                f"the folder of catalogue {path} cannot be created: {error.strerror}"
            ) from error
        with self.errors():
            self.db = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Name errors of SQLite in the catalogue's own words."""
        try:
            yield
        except sqlite3.Error as error:
            kind = CatalogUnavailable if _is_busy(error) else CatalogError
            raise kind(f"catalogue {self.path}: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all of what follows, or nothing of it; others who write wait meanwhile."""
        with self._begun("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read the file as it is at one moment, whoever writes meanwhile."""
        with self._begun("BEGIN") as db:
            yield db

    @contextmanager
    def _begun(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self.errors():
            self.db.execute(begin)
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        with self._lock, self.errors():
            return self.db.execute(sql, parameters).fetchall()

    def write_ahead(self) -> None:
        """Turn write-ahead mode on; SQLite does not wait for other openers here, so we do."""
        patience = time.monotonic() + _BUSY_SECONDS
        with self.errors():
            while True:
                try:
                    self.db.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or time.monotonic() > patience:
                        raise
                    time.sleep(0.02)
                else:
                    return

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self.db.close()


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
