"""The catalogue behind one narrow Protocol, and how to open one.

The stores themselves (`catalog.sqlite`, `catalog.mongo`) are imported only when one is opened.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, Self

from catalog.errors import CatalogError
from catalog.model import Batch, ProductRecord, Run
from catalog.query import RunQuery

__all__ = ["Catalog", "open_catalog"]


class Catalog(Protocol):
    """Runs and batches. Both stores keep the same promises, held to by one contract test suite.

    Runs come back ordered by start time, then basename. Every write is atomic per run; what is recorded
    survives a crash of the caller. Times are kept to the millisecond. Every method raises `CatalogError`
    when the store fails; writes may be repeated after one without harm.
    """

    def select(self, query: RunQuery) -> Iterator[Run]:
        """Yield the runs that match, earliest first.

        Their `contents` are left out (a year of them would not fit in memory): `get` has them.
        """

    def count(self, query: RunQuery) -> Mapping[str, int]:
        """Count the runs that `select` would yield by mode word (upper or lower case as stored)."""

    def years(self) -> Mapping[int, int]:
        """Count all runs by year, in order."""

    def get(self, basename: str) -> Run | None:
        """Return one run, whole."""

    def add_raw(self, runs: Iterable[Run]) -> tuple[int, int]:
        """Add runs and their raw files.

        A run that is known gains the hosts it lacks; an entry for a host it has is replaced when it differs
        (an entry that only lacks the size does not differ). Contents are replaced when given, a lost mode
        is filled in. Products are never touched.

        Returns
        -------
        tuple of int
            Runs new, runs changed.
        """

    def remove_raw(self, basename: str, host: str) -> bool:
        """Forget one host's copy; the run stays. Says whether there was one."""

    def record(self, outcomes: Mapping[str, ProductRecord]) -> None:
        """Store what became of runs, by basename, and end the claims on them of the batch that says so.

        Outcomes of runs that the catalogue does not hold are dropped.
        """

    def claim(self, basenames: Sequence[str], batch: str, until: dt.datetime) -> frozenset[str]:
        """Take runs for a batch, so that two batches never compute the same run.

        A claim of another batch that has run out (by this machine's clock) may be taken over; one's own
        may be extended. Runs that the catalogue does not hold cannot be claimed.

        Returns
        -------
        frozenset of str
            Those that are ours now.
        """

    def release(self, batch: str) -> int:
        """End every claim of a batch; says how many there were."""

    def put_batch(self, batch: Batch) -> None:
        """Store or replace a batch document."""

    def batches(self, limit: int = 20) -> Sequence[Batch]:
        """Return the newest batches, newest first."""

    def get_batch(self, batch_id: str) -> Batch | None:
        """Return one batch."""

    def close(self) -> None:
        """Let go of the connection; safe to call twice."""

    def __enter__(self) -> Self:
        """Use as a context manager."""

    def __exit__(self, *_: object) -> None:
        """Close."""


def open_catalog(url: str, *, database: str = "covis", collection: str = "runs") -> Catalog:
    """Open the catalogue at a URL.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.sqlite``, ``sqlite:////absolute.sqlite`` or ``mongodb://...``.
    database, collection : str
        Where the runs lie on a MongoDB server; SQLite has no use for them.

    Raises
    ------
    CatalogError
        When the URL is of no known kind, or the store cannot be opened; `CatalogUnavailable` when it
        cannot be reached.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest != "/":
        from catalog.sqlite import SqliteCatalog

        return SqliteCatalog(rest.removeprefix("/"))
    if scheme in ("mongodb", "mongodb+srv"):
        from catalog.mongo import MongoCatalog

        return MongoCatalog(url, database=database, collection=collection)
    raise CatalogError(
        f"no catalogue can be opened at {url.rpartition('@')[2]!r}: "
        "use sqlite:///FILE (relative), sqlite:////FILE (absolute) or mongodb://HOST:PORT"
    )
