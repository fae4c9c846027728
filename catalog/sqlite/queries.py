"""A query as SQL, for the table of runs in `catalog.sqlite`."""

import json
import sqlite3
from collections.abc import Iterable

from catalog.model import iso
from catalog.names import mode_family
from catalog.query import RunQuery, spans

__all__ = ["NAMED", "add_functions", "compiled"]

NAMED = "basename IN (SELECT value FROM json_each(?))"
"""Condition with one parameter, a JSON list of names: SQLite limits the number of parameters, not JSON."""


def add_functions(db: sqlite3.Connection) -> None:
    """Give a connection the functions that `compiled` queries call."""
    db.create_function("mode_family", 2, mode_family, deterministic=True)


def compiled(query: RunQuery) -> tuple[str, list[object]]:
    """Compile all of a query but `regex`, `sample` and `limit`, which `choose` heeds.

    Returns
    -------
    str and list
        Condition on columns basename, datetime (an `iso` text), mode and site; and its parameters.
    """
    terms, parameters = ["1"], list[object]()

    def term(sql: str, *values: object) -> None:
        terms.append(sql)
        parameters.extend(values)

    def listed(values: Iterable[object]) -> str:
        return json.dumps(sorted(values, key=str))

    within = spans(query)
    if within is not None:
        # Times are compared as `iso` texts, which sort as the times do.
        bounds = [iso(moment) for span in within for moment in span]
        term(f"({' OR '.join(['datetime >= ? AND datetime < ?'] * len(within)) or '0'})", *bounds)
    if query.months:
        term(
            "CAST(substr(datetime, 6, 2) AS INTEGER) IN (SELECT value FROM json_each(?))",
            listed(query.months),
        )
    if query.families or query.modes:
        term(
            "(mode_family(mode, site) IN (SELECT value FROM json_each(?))"
            " OR lower(mode) IN (SELECT value FROM json_each(?)))",
            listed(query.families),
            listed(query.modes),
        )
    if query.sites:
        term("site IN (SELECT value FROM json_each(?))", listed(query.sites))
    if query.basenames:
        term(NAMED, listed(query.basenames))
    return " AND ".join(terms), parameters
