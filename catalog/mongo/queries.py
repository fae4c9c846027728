"""A query as MongoDB's filter, for the collection of runs in `catalog.mongo`."""

import re
from collections.abc import Iterator
from typing import Any

from catalog.names import leading_letters
from catalog.query import RunQuery, spans
from catalog.vocabulary import Family, Site

__all__ = ["ODD", "SOUND", "compiled"]

Document = dict[str, Any]

_SITES = [str(site) for site in Site]
SOUND: Document = {
    "basename": {"$type": "string"},
    "datetime": {"$type": "date"},
    "mode": {"$type": "string"},
    "site": {"$in": _SITES},
}
"""Documents about which the server can be asked; of the others it would not find, or refuse, some."""
ODD: Document = {
    "$or": [
        {"basename": {"$not": {"$type": "string"}}},
        {"datetime": {"$not": {"$type": "date"}}},
        {"mode": {"$not": {"$type": "string"}}},
        {"site": {"$nin": _SITES}},
    ]
}
"""The others: few, and judged here."""


def compiled(query: RunQuery) -> Document:
    """Compile what the server can check of `SOUND` documents; `matches` checks the rest on what it finds."""
    terms: list[Document] = [SOUND]
    within = spans(query)
    if within is not None:
        ranges = [{"datetime": {"$gte": start, "$lt": stop}} for start, stop in within]
        terms.append({"$or": ranges} if ranges else {"_id": {"$in": []}})
    if query.sites:
        terms.append({"site": {"$in": sorted(query.sites)}})
    if query.basenames:
        terms.append({"basename": {"$in": sorted(query.basenames)}})
    if (query.families or query.modes) and Family.UNKNOWN not in query.families:
        terms.append({"mode": {"$regex": f"^({'|'.join(_mode_patterns(query))})", "$options": "i"}})
    return {"$and": terms}


def _mode_patterns(query: RunQuery) -> Iterator[str]:
    for family in sorted(query.families):
        yield f"(dock)?{leading_letters(family)}"
    if Family.DIFFUSE in query.families:
        yield "sonartest"
    for mode in sorted(query.modes):
        yield f"{re.escape(mode)}$"
