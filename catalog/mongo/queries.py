"""A query as MongoDB's filter, for the collection of runs in `catalog.mongo`."""

import re
from collections.abc import Iterator
from typing import Any

from catalog.names import leading_letters
from catalog.query import RunQuery, spans
from catalog.vocabulary import Family

__all__ = ["compiled"]

Document = dict[str, Any]


def compiled(query: RunQuery) -> Document:
    """Compile what the server can check; `matches` checks the rest of a query on what it finds."""
    terms: list[Document] = []
    within = spans(query)
    if within is not None:
        ranges = [{"datetime": {"$gte": start, "$lt": stop}} for start, stop in within]
        terms.append({"$or": ranges} if ranges else {"_id": {"$in": []}})
    if query.months:
        terms.append({"$expr": {"$in": [{"$month": "$datetime"}, sorted(query.months)]}})
    if query.sites:
        terms.append({"site": {"$in": sorted(query.sites)}})
    if query.basenames:
        terms.append({"basename": {"$in": sorted(query.basenames)}})
    if (query.families or query.modes) and Family.UNKNOWN not in query.families:
        terms.append({"mode": {"$regex": f"^({'|'.join(_mode_patterns(query))})", "$options": "i"}})
    return {"$and": terms} if terms else {}


def _mode_patterns(query: RunQuery) -> Iterator[str]:
    for family in sorted(query.families):
        yield f"(dock)?{leading_letters(family)}"
    if Family.DIFFUSE in query.families:
        yield "sonartest"
    for mode in sorted(query.modes):
        yield f"{re.escape(mode)}$"
