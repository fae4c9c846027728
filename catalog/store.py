"""The catalogue behind one narrow Protocol, and how to open one.

The stores themselves (`catalog.sqlite`, `catalog.mongo`) are imported only when one is opened.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, Self

from catalog.errors import CatalogError
from catalog.model import Batch, ProductRecord, Run
from catalog.query import RunQuery
from catalog.redaction import redact, register_url, watch_logs

__all__ = ["Catalog", "open_catalog"]


class Catalog(Protocol):
    """Runs and batches. Both stores keep the same promises, held to by one contract test suite.

    Runs come back ordered by start time, then basename. Every write is atomic per run; what is recorded
    survives a crash of the caller. Times are kept to the millisecond. Every method raises `CatalogError`
    when the store fails; writes may be repeated after one without harm.
    """

    def select(self, query: RunQuery) -> Iterator[Run]:
        """Yield the runs that match, earliest first.

        Their `contents` are left out (a year of them would not fit in memory): `get` has them. A run whose
        document cannot be read comes with its `fault`, unless what is known of it rules it out.
        """

    def count(self, query: RunQuery) -> Mapping[str, int]:
        """Count the runs that `select` would yield by mode word (upper or lower case as stored)."""

    def years(self) -> Mapping[int, int]:
        """Count all runs by year, in order."""

    def elsewhere(self) -> Sequence[str]:
        """Name other places on the same server that hold runs: an empty catalogue may be the wrong one."""

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

    def open_lease(self, batch: str) -> None:
        """Begin a batch's lease: a counter that its driver raises; one that is open stays as it is.

        While it is open nobody else gets the runs that the batch has claimed.
        """

    def beat(self, batch: str) -> bool:
        """Raise the counter of a lease, which says that its driver lives.

        Returns
        -------
        bool
            False when the lease is not open any more: another batch has taken it over.
        """

    def leases(self) -> Mapping[str, int]:
        """Return the counters of all open leases by batch."""

    def take_over(self, batch: str, beat: int) -> bool:
        """End the lease of a batch whose driver is dead, if its counter is still `beat`.

        Its claims are free from then on. Says whether it was this call that ended it.
        """

    def close_lease(self, batch: str) -> None:
        """End a batch's own lease, and let go of whatever it still holds."""

    def claim(
        self, basenames: Sequence[str], batch: str, floors: Mapping[str, int] | None = None
    ) -> Mapping[str, int]:
        """Take runs for a batch, so that two batches never compute the same run.

        A run is free when nobody holds it, or the batch that does has no open lease. Each new holder gets a
        fencing token that is higher than all before it; one's own claim keeps its token. Runs that the
        catalogue does not hold cannot be claimed. See `catalog.claims`.

        Parameters
        ----------
        basenames : sequence of str
        batch : str
            Who claims; its lease is open.
        floors : mapping of str to int, optional
            Tokens, by basename, that the new one must exceed, also for one's own: such as were found in the
            product store, which may have seen another catalogue.

        Returns
        -------
        mapping of str to int
            The tokens of those that are ours now.
        """

    def holders(self, basenames: Sequence[str]) -> Mapping[str, str]:
        """Return which batch holds each of the runs that one holds, whether it lives or not."""

    def doubted(self) -> frozenset[str]:
        """Return the runs that are recorded, but have been claimed since and not recorded again.

        What that batch has made of them, the product store alone knows.
        """

    def record(self, outcomes: Mapping[str, ProductRecord]) -> frozenset[str]:
        """Store what became of runs, by basename, and end the claims on them.

        Outcomes of runs that the catalogue does not hold are dropped. A run takes on the token of its record.

        Returns
        -------
        frozenset of str
            Those that are refused, because another batch has claimed the run since: the run's token is higher
            than the record's.
        """

    def forget(self, basenames: Sequence[str], batch: str) -> int:
        """Forget what became of runs that a batch holds, and end its claims on them; the tokens stay.

        Returns
        -------
        int
            How many the batch held.
        """

    def release(self, batch: str) -> int:
        """End every claim of a batch; says how many there were. The tokens stay."""

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
    watch_logs()
    register_url(url)
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest != "/":
        from catalog.sqlite import SqliteCatalog

        return SqliteCatalog(rest.removeprefix("/"))
    if scheme in ("mongodb", "mongodb+srv"):
        from catalog.mongo import MongoCatalog

        return MongoCatalog(url, database=database, collection=collection)
    raise CatalogError(
        f"no catalogue can be opened at {redact(url)!r}: "
        "use sqlite:///FILE (relative), sqlite:////FILE (absolute) or mongodb://HOST:PORT"
    )
