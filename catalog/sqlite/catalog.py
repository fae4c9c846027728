"""The catalogue in one SQLite file: no server, several processes.

Runs are kept as JSON documents, exactly those that MongoDB would hold (docs/method.md#catalogue, times as ISO
texts), beside indexed columns; `contents` has a column of its own, so that a selection need not read it. The
file is in write-ahead mode: readers never wait, writers wait for each other. Keep it on a local disk; network
file systems do not carry write-ahead files.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from catalog.documents import decode_json
from catalog.errors import DocumentError
from catalog.merging import changes, chunks, is_on, new_document, raw_of
from catalog.model import Batch, Content, ProductRecord, Run, iso, to_json, utc
from catalog.query import RunQuery, choose
from catalog.reading import read_run
from catalog.sqlite import leases
from catalog.sqlite.connection import Connection
from catalog.sqlite.queries import NAMED, add_functions, compiled
from catalog.sqlite.schema import prepare

__all__ = ["SqliteCatalog"]

_CHUNK = 5000
_KEYS = "basename, datetime, mode, site"


class SqliteCatalog:
    """A `Catalog` in a SQLite file. May be shared by threads; each process opens its own.

    Parameters
    ----------
    path : str or Path
        The file; it and its folder are made when missing.

    Raises
    ------
    CatalogError
        When the file cannot be opened or made, or is no catalogue.
    """

    def __init__(self, path: str | Path) -> None:
        self._connection = Connection(Path(path))
        self._transaction = self._connection.transaction
        self._rows = self._connection.rows
        try:
            prepare(self._connection)
            add_functions(self._connection.db)
        except BaseException:
            self._connection.close()
            raise

    def select(self, query: RunQuery) -> Iterator[Run]:
        """Yield the runs that match, earliest first, without their contents."""
        where, parameters = compiled(query)
        sql = f"SELECT {_KEYS}, document FROM runs WHERE {where} ORDER BY datetime, basename"  # noqa: S608
        return choose((_run(*row) for row in self._rows(sql, parameters)), query)

    def count(self, query: RunQuery) -> Mapping[str, int]:
        """Count the runs that `select` would yield by mode word."""
        if query.regex is not None or query.sample is not None or query.limit is not None:
            return dict(sorted(Counter(run.mode for run in self.select(query)).items()))
        where, parameters = compiled(query)
        sql = f"SELECT mode, count(*) FROM runs WHERE {where} GROUP BY mode ORDER BY mode"  # noqa: S608
        return dict(self._rows(sql, parameters))

    def years(self) -> Mapping[int, int]:
        """Count all runs by year, in order."""
        sql = "SELECT CAST(substr(datetime, 1, 4) AS INTEGER), count(*) FROM runs GROUP BY 1 ORDER BY 1"
        return dict(self._rows(sql))

    def get(self, basename: str) -> Run | None:
        """Return one run, whole."""
        sql = f"SELECT {_KEYS}, document, contents FROM runs WHERE basename = ?"  # noqa: S608
        rows = self._rows(sql, (basename,))
        return _run(*rows[0]) if rows else None

    def elsewhere(self) -> Sequence[str]:
        """Name nothing: a file stands alone."""
        return ()

    def add_raw(self, runs: Iterable[Run]) -> tuple[int, int]:
        """Add runs and their raw files; return how many are new, how many changed."""
        new, changed = set[str](), set[str]()
        for chunk in chunks(runs, _CHUNK):
            with self._transaction() as db:
                fresh, altered = _merged(db, chunk)
                _write(db, [*fresh.values(), *altered.values()])
            new.update(fresh)
            changed.update(altered)
        return len(new), len(changed - new)

    def remove_raw(self, basename: str, host: str) -> bool:
        """Forget one host's copy; say whether there was one."""
        with self._transaction() as db:
            for (text,) in db.execute("SELECT document FROM runs WHERE basename = ?", (basename,)).fetchall():
                document = json.loads(text)
                kept = [entry for entry in raw_of(document) if not is_on(entry, host)]
                if len(kept) < len(raw_of(document)):
                    document["raw"] = kept
                    db.execute(
                        "UPDATE runs SET document = ? WHERE basename = ?", (to_json(document), basename)
                    )
                    return True
        return False

    def open_lease(self, batch: str) -> None:
        """Begin a batch's lease; one that is open stays as it is."""
        with self._transaction() as db:
            leases.open_lease(db, batch)

    def beat(self, batch: str) -> bool:
        """Raise the counter of a lease; False when it is not open any more."""
        with self._transaction() as db:
            return leases.beat(db, batch)

    def leases(self) -> Mapping[str, int]:
        """Return the counters of all open leases by batch."""
        return dict(self._rows("SELECT batch, beat FROM leases ORDER BY batch"))

    def take_over(self, batch: str, beat: int) -> bool:
        """End a lease if its counter is still `beat`."""
        with self._transaction() as db:
            return leases.take_over(db, batch, beat)

    def close_lease(self, batch: str) -> None:
        """End a batch's own lease."""
        with self._transaction() as db:
            db.execute("DELETE FROM leases WHERE batch = ?", (batch,))

    def claim(
        self, basenames: Sequence[str], batch: str, floors: Mapping[str, int] | None = None
    ) -> Mapping[str, int]:
        """Take runs for a batch; return the tokens of those that are ours now."""
        with self._transaction() as db:
            return leases.claim(db, basenames, batch, floors or {})

    def holders(self, basenames: Sequence[str]) -> Mapping[str, str]:
        """Return which batch holds each of the runs that one holds."""
        sql = f"SELECT basename, batch FROM claims WHERE batch IS NOT NULL AND {NAMED}"  # noqa: S608
        return dict(self._rows(sql, (json.dumps(list(basenames)),)))

    def doubted(self) -> frozenset[str]:
        """Return the runs that have been claimed since they were recorded."""
        return frozenset(name for (name,) in self._rows(leases.DOUBTED))

    def record(self, outcomes: Mapping[str, ProductRecord]) -> frozenset[str]:
        """Store what became of runs, and end their claims; return those that are refused."""
        with self._transaction() as db:
            return leases.record(db, outcomes)

    def forget(self, basenames: Sequence[str], batch: str) -> int:
        """Forget what became of runs that a batch holds; say how many it held."""
        with self._transaction() as db:
            return leases.forget(db, basenames, batch)

    def release(self, batch: str) -> int:
        """End every claim of a batch; say how many there were."""
        with self._transaction() as db:
            return leases.release(db, batch)

    def put_batch(self, batch: Batch) -> None:
        """Store or replace a batch document."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO batches (id, start, document) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET start = excluded.start, document = excluded.document",
                (batch.id, iso(batch.start), to_json(batch.to_document())),
            )

    def batches(self, limit: int = 20) -> Sequence[Batch]:
        """Return the newest batches, newest first."""
        rows = self._rows("SELECT document FROM batches ORDER BY start DESC, id DESC LIMIT ?", (limit,))
        read = (self._batch(document) for (document,) in rows)
        return [batch for batch in read if batch is not None]

    def get_batch(self, batch_id: str) -> Batch | None:
        """Return one batch."""
        for (document,) in self._rows("SELECT document FROM batches WHERE id = ?", (batch_id,)):
            return self._batch(document)
        return None

    @staticmethod
    def _batch(document: str) -> Batch | None:
        """Read a batch; one that another hand has changed is no reason to hide the rest."""
        try:
            return Batch.from_document(json.loads(document))
        except (DocumentError, ValueError):
            return None

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _merged(
    db: sqlite3.Connection, runs: Sequence[Run]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the documents, by basename, that adding runs makes, and those that it changes."""
    names = json.dumps([run.basename for run in runs])
    sql = f"SELECT basename, document, contents FROM runs WHERE {NAMED}"  # noqa: S608
    known = {
        basename: _whole(document, contents) for basename, document, contents in db.execute(sql, (names,))
    }
    fresh: dict[str, dict[str, Any]] = {}
    altered: dict[str, dict[str, Any]] = {}
    for run in runs:
        document = fresh.get(run.basename) or known.get(run.basename)
        if document is None:
            fresh[run.basename] = new_document(run)
        elif difference := changes(document, run):
            document.update(difference)
            if run.basename not in fresh:
                altered[run.basename] = document
    return fresh, altered


def _write(db: sqlite3.Connection, documents: Iterable[dict[str, Any]]) -> None:
    db.executemany(
        "INSERT INTO runs (basename, datetime, mode, site, document, contents) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (basename) DO UPDATE SET "
        "mode = excluded.mode, document = excluded.document, contents = excluded.contents",
        map(_row, documents),
    )


def _row(document: dict[str, Any]) -> tuple[object, ...]:
    contents = document.get("contents")
    rest = {name: value for name, value in document.items() if name != "contents"}
    return (
        document["basename"],
        iso(utc(document["datetime"])),
        document["mode"],
        document["site"],
        to_json(rest),
        None if contents is None else json.dumps(contents, separators=(",", ":")),
    )


def _whole(document: str, contents: str | None) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(document)
    if contents is not None:
        whole["contents"] = json.loads(contents)
    return whole


def _run(
    basename: str, datetime: str, mode: str, site: str, document: str, contents: str | None = None
) -> Run:
    """Read a row; where its document is silent, the columns speak."""
    keys = {"basename": basename, "datetime": datetime, "mode": mode, "site": site}
    try:
        run = decode_json(Run, document, basename, strict=False)
    except DocumentError:
        run = _odd_run(keys, document)
    if (run.basename, run.site) != (basename, site):
        run = _odd_run(keys, document)
    if contents is None or run.fault is not None:
        return run
    try:
        return replace(run, contents=decode_json(tuple[Content, ...], contents, basename, strict=False))
    except DocumentError:
        return run


def _odd_run(keys: dict[str, Any], document: str) -> Run:
    try:
        known = json.loads(document)
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict):
        return replace(read_run(known, keys["basename"]), **keys)
    stated = {name: value for name, value in known.items() if value is not None}
    return read_run(stated | keys, keys["basename"])
