"""Leases and claims in the tables of `catalog.sqlite.schema`; each function is part of one transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from catalog.claims import UNCLAIMED, Claim, claimed
from catalog.model import ProductRecord, to_json
from catalog.sqlite.queries import NAMED

__all__ = ["DOUBTED", "beat", "claim", "claims", "leases", "open_lease", "record", "release", "take_over"]


DOUBTED = """
SELECT basename FROM claims JOIN runs USING (basename)
WHERE json_extract(document, '$.product') IS NOT NULL
AND token > coalesce(json_extract(document, '$.product.token'), 0)
"""
"""Runs that have been claimed since they were recorded."""


def open_lease(db: sqlite3.Connection, batch: str) -> None:
    """Begin to count, unless the lease is open."""
    db.execute("INSERT OR IGNORE INTO leases (batch, beat) VALUES (?, 1)", (batch,))


def beat(db: sqlite3.Connection, batch: str) -> bool:
    """Raise a counter; False when the lease is not open."""
    return db.execute("UPDATE leases SET beat = beat + 1 WHERE batch = ?", (batch,)).rowcount == 1


def leases(db: sqlite3.Connection) -> dict[str, int]:
    """Return the counters of open leases by batch."""
    return dict(db.execute("SELECT batch, beat FROM leases ORDER BY batch"))


def take_over(db: sqlite3.Connection, batch: str, beat: int) -> bool:
    """End a lease if its counter is still the one that was seen."""
    return db.execute("DELETE FROM leases WHERE batch = ? AND beat = ?", (batch, beat)).rowcount == 1


def claims(db: sqlite3.Connection, basenames: Sequence[str]) -> dict[str, Claim]:
    """Return the claims on runs, by those names that the catalogue knows."""
    names = json.dumps(list(basenames))
    known = {name: UNCLAIMED for (name,) in db.execute(f"SELECT basename FROM runs WHERE {NAMED}", (names,))}  # noqa: S608
    sql = f"SELECT basename, batch, token FROM claims WHERE {NAMED}"  # noqa: S608
    return known | {name: Claim(batch, token) for name, batch, token in db.execute(sql, (names,))}


def claim(
    db: sqlite3.Connection, basenames: Sequence[str], batch: str, floors: Mapping[str, int]
) -> dict[str, int]:
    """Take what is free; return the tokens of what is ours now."""
    open_leases = leases(db)
    wanted = {
        name: claimed(there, batch, floors.get(name, 0), open_leases)
        for name, there in claims(db, basenames).items()
    }
    ours = {name: new for name, new in wanted.items() if new is not None}
    _put(db, ours.items())
    return {name: new.token for name, new in ours.items()}


def record(db: sqlite3.Connection, outcomes: Mapping[str, ProductRecord]) -> frozenset[str]:
    """Store what became of runs and end their claims; return those whose token is too low."""
    there = claims(db, list(outcomes))
    good = {name: product for name, product in outcomes.items() if name in there}
    refused = frozenset(name for name, product in good.items() if product.token < there[name].token)
    accepted = [(name, product) for name, product in good.items() if name not in refused]
    db.executemany(
        "UPDATE runs SET document = json_set(document, '$.product', json(?)) WHERE basename = ?",
        [(to_json(product.to_document()), name) for name, product in accepted],
    )
    # A run that nobody has ever held needs no row of its own.
    ended = ((name, Claim(None, product.token)) for name, product in accepted)
    _put(db, ((name, claim) for name, claim in ended if claim != there[name]))
    return refused


def forget(db: sqlite3.Connection, basenames: Sequence[str], batch: str) -> int:
    """Remove what is recorded of runs that a batch holds, and end its claims on them."""
    ours = [(name,) for name, claim in claims(db, list(basenames)).items() if claim.batch == batch]
    db.executemany("UPDATE runs SET document = json_remove(document, '$.product') WHERE basename = ?", ours)
    db.executemany("UPDATE claims SET batch = NULL WHERE basename = ?", ours)
    return len(ours)


def release(db: sqlite3.Connection, batch: str) -> int:
    """End the claims of a batch; the tokens stay."""
    return db.execute("UPDATE claims SET batch = NULL WHERE batch = ?", (batch,)).rowcount


def _put(db: sqlite3.Connection, claims: Iterable[tuple[str, Claim]]) -> None:
    db.executemany(
        "INSERT INTO claims (basename, batch, token) VALUES (?, ?, ?) "
        "ON CONFLICT (basename) DO UPDATE SET batch = excluded.batch, token = excluded.token",
        [(name, claim.batch, claim.token) for name, claim in claims],
    )
