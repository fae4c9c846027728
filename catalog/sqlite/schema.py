"""Tables of the catalogue in SQLite, whose file it is, and the steps that carry an older file forward."""

import sqlite3

from catalog.documents import decode_json
from catalog.errors import CatalogError
from catalog.migrations import Steps, newest, pending
from catalog.model import Batch, Content, Run
from catalog.sqlite.connection import Connection

__all__ = ["STEPS", "prepare"]

_APPLICATION = 0x434F5653  # "COVS": whose file it is, in the header of the file itself; from version 2 on
_TABLES = """
CREATE TABLE runs (
    basename TEXT PRIMARY KEY,
    datetime TEXT NOT NULL,
    mode     TEXT NOT NULL,
    site     TEXT NOT NULL,
    document TEXT NOT NULL,
    contents TEXT
);
CREATE INDEX runs_by_time ON runs (datetime, basename);
CREATE INDEX runs_by_mode ON runs (mode, site, datetime);
CREATE TABLE claims (
    basename TEXT PRIMARY KEY REFERENCES runs (basename),
    batch    TEXT NOT NULL,
    until    TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX claims_by_batch ON claims (batch);
CREATE TABLE batches (
    id       TEXT PRIMARY KEY,
    start    TEXT NOT NULL,
    document TEXT NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS = {
    "runs": ["basename", "datetime", "mode", "site", "document", "contents"],
    "claims": ["basename", "batch", "until"],
    "batches": ["id", "start", "document"],
}
"""Tables of version 1, whose files are not signed yet: by these they are known."""


def _make_tables(db: sqlite3.Connection) -> None:
    _execute(db, _TABLES)


def _execute(db: sqlite3.Connection, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        db.execute(statement)


def _sign(db: sqlite3.Connection) -> None:
    """Sign the file as ours, when all of it can be read."""
    for basename, document, contents in db.execute("SELECT basename, document, contents FROM runs"):
        decode_json(Run, document, f"the document of run {basename}", strict=False)
        if contents is not None:
            decode_json(tuple[Content, ...], contents, f"the contents of run {basename}", strict=False)
    for batch, document in db.execute("SELECT id, document FROM batches"):
        decode_json(Batch, document, f"the document of batch {batch}", strict=False)
    db.execute(f"PRAGMA application_id = {_APPLICATION}")


_LEASES = """
CREATE TABLE leases (
    batch TEXT PRIMARY KEY,
    beat  INTEGER NOT NULL
) WITHOUT ROWID;
DROP TABLE claims;
CREATE TABLE claims (
    basename TEXT PRIMARY KEY REFERENCES runs (basename),
    batch    TEXT,
    token    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX claims_by_batch ON claims (batch);
"""


def _lease_claims(db: sqlite3.Connection) -> None:
    """Let claims go by leases: those that ran out by the clock have none behind them, so they end."""
    _execute(db, _LEASES)


STEPS: Steps[sqlite3.Connection] = ((1, _make_tables), (2, _sign), (3, _lease_claims))


def prepare(connection: Connection, steps: Steps[sqlite3.Connection] = STEPS) -> None:
    """Make the tables in an empty file, or carry the catalogue in it forward; all of it or nothing.

    Raises
    ------
    CatalogError
        When the file is another program's or a newer release's, or holds what cannot be read; it is left as
        it was.
    """
    with connection.snapshot():
        version = _version(connection)
    if pending(steps, version, str(connection.path)):
        if not version:
            connection.write_ahead()
        with connection.transaction() as db:
            _carry_forward(connection, db, steps)
    with connection.errors():
        connection.db.execute("PRAGMA synchronous = NORMAL")


def _carry_forward(connection: Connection, db: sqlite3.Connection, steps: Steps[sqlite3.Connection]) -> None:
    # Asked again, now that nobody else can write: another process may have opened the same file.
    version = _version(connection)
    try:
        for _, step in pending(steps, version, str(connection.path)):
            step(db)
    except ValueError as error:
        raise CatalogError(
            f"catalogue {connection.path} cannot be carried from schema {version} to {newest(steps)}: "
            f"{error}; the file is as it was, and the release that made it still reads it"
        ) from error
    db.execute(f"PRAGMA user_version = {newest(steps)}")


def _version(connection: Connection) -> int:
    """Return the schema version of a file, 0 for an empty one; refuse a file that is not ours."""
    db = connection.db
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if application == _APPLICATION and version >= 2:
        return version
    if not tables and not version and not application:
        return 0
    if version == 1 and not application and _has_our_tables(db):
        return 1
    raise CatalogError(f"{connection.path} is the database of another program, not a catalogue")


def _has_our_tables(db: sqlite3.Connection) -> bool:
    return all(
        [column for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))] == columns
        for table, columns in _COLUMNS.items()
    )
