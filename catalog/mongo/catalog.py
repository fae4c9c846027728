"""The catalogue on MongoDB, or a server that speaks its protocol.

Collection `runs` is the users' own (docs/method.md#catalogue); beside the documented fields, a run that a
batch has worked on has ``claim`` (`catalog.mongo.leases`). What a query language cannot say the same
everywhere is checked here, on what the server finds by the rest (`catalog.mongo.queries`);
docs/architecture.md#catalogue lists what to keep away from.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from heapq import merge
from typing import Any, Self

import pymongo
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure, DuplicateKeyError, PyMongoError

from catalog.errors import CatalogError, CatalogUnavailable, DocumentError
from catalog.merging import changes, chunks, is_on, new_document, raw_of
from catalog.migrations import Steps, newest, pending
from catalog.model import Batch, ProductRecord, Run
from catalog.mongo.leases import Leases
from catalog.mongo.queries import ODD, SOUND, compiled
from catalog.query import RunQuery, choose, matches, matches_mode
from catalog.reading import NEVER, read_run

__all__ = ["MongoCatalog"]

_PATIENCE_MS = {"serverSelectionTimeoutMS": 10_000, "connectTimeoutMS": 10_000, "socketTimeoutMS": 120_000}
"""A server that has hung is like one that is away; by default pymongo would wait for it for ever."""

_CHUNK = 1000
_DUPLICATE_KEY = 11000
_RACES = 100
_BY_TIME = [("datetime", pymongo.ASCENDING), ("basename", pymongo.ASCENDING)]

_A_RUN = {"basename": {"$type": "string"}, "datetime": {"$exists": True}}

Document = dict[str, Any]


class MongoCatalog:
    """A `Catalog` on a MongoDB server. May be shared by threads; each process opens its own.

    Reading needs no rights but to read; a catalogue of an earlier release is carried forward, and indexes are
    made, before the first write. The collection ``catalog`` marks the schema of each collection of runs.

    Parameters
    ----------
    url : str
        ``mongodb://[user:password@]host[:port]/[?options]``. A database named in it serves for logging in
        only, as with any MongoDB program.
    database : str
        Where the collections lie.
    collection : str
        Name of the collection of runs; batches are in ``batches``.

    Raises
    ------
    CatalogError
        When the URL or the account is refused; `CatalogUnavailable` when no server answers. No message
        holds user name, password or options of the URL.
    """

    def __init__(self, url: str, database: str = "covis", collection: str = "runs") -> None:
        scheme, _, rest = url.partition("://")
        self._place = f"{scheme}://{rest.rpartition('@')[2].partition('?')[0].rstrip('/')}"
        self._is_ready = False
        self._steps = STEPS
        options: Document = {"tz_aware": True, "tzinfo": dt.UTC, "appname": "covis-dask"}
        for name, patience in _PATIENCE_MS.items():
            if name.lower() not in url.lower():
                options[name] = patience
        try:
            self._client: pymongo.MongoClient[Document] = pymongo.MongoClient(url, **options)
        except (PyMongoError, ValueError) as error:
            raise CatalogError(f"the address of catalogue {self._place} is refused: {error}") from None
        try:
            with self._errors():
                self._client.admin.command("ping")
                self._runs = self._client[database][collection]
                self._batches = self._client[database]["batches"]
                self._marks = self._client[database]["catalog"]
                self._leases = Leases(self._runs, self._client[database]["leases"])
                pending(self._steps, self._version(), self._place)
        except BaseException:
            self._client.close()
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ConnectionFailure as error:
            reason = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
            raise CatalogUnavailable(f"catalogue {self._place} does not answer: {reason}") from None
        except PyMongoError as error:
            reason = str(error).partition(", full error:")[0]
            raise CatalogError(f"catalogue {self._place}: {reason}") from None
        except DocumentError as error:
            raise CatalogError(f"catalogue {self._place}: {error}") from error

    def _version(self) -> int:
        """Return the schema version of the catalogue; an unmarked one, the users' own, is of version 1."""
        mark = self._marks.find_one({"_id": self._runs.name}) or {}
        return int(mark.get("version", 1))

    def _ready_to_write(self) -> None:
        """Carry the catalogue forward, once, before the first write: reading needs no rights but to read.

        A server alone has no transactions, so each step may be taken again, and leaves documents that the
        version before reads as well; the mark comes last.
        """
        if self._is_ready:
            return
        version = self._version()
        for _, step in pending(self._steps, version, self._place):
            try:
                step(self)
            except DocumentError as error:
                raise CatalogError(
                    f"catalogue {self._place} cannot be carried from schema {version} to "
                    f"{newest(self._steps)}: {error}; mend or remove that document"
                ) from error
        if version < newest(self._steps):
            mark = {"$max": {"version": newest(self._steps)}}
            with suppress(DuplicateKeyError):  # another process marks it at this moment
                self._marks.update_one({"_id": self._runs.name}, mark, upsert=True)
        self._make_indexes()
        self._is_ready = True

    def _nothing(self) -> None:
        """Version 2 is version 1 with a mark: what cannot be read in either is told where it is read."""

    def _lease_claims(self) -> None:
        self._leases.forget_claims_of_version_2()

    def _make_indexes(self) -> None:
        """Make the indexes, unless the users' collection has such of its own."""
        indexes = list(self._runs.index_information().values())
        if not any(index["key"] == [("basename", 1)] and index.get("unique") for index in indexes):
            # Documents without a name are no runs, and several of them are no reason to refuse an index.
            unnamed = self._runs.count_documents({"basename": {"$not": {"$type": "string"}}}, limit=2)
            named: Document = {"partialFilterExpression": {"basename": {"$gt": ""}}} if unnamed > 1 else {}
            self._runs.create_index("basename", unique=True, **named)
        if not any(index["key"] == _BY_TIME for index in indexes):
            self._runs.create_index(_BY_TIME)

    def select(self, query: RunQuery) -> Iterator[Run]:
        """Yield the runs that match, earliest first, without their contents."""
        return choose(self._matching(query), query)

    def _matching(self, query: RunQuery) -> Iterator[Run]:
        with self._errors():
            cursor = self._runs.find(compiled(query), {"contents": 0}).sort(_BY_TIME)
            # A collection nobody has written to has no index yet.
            sound = (read_run(document, document["_id"]) for document in cursor.allow_disk_use(True))
            for run in merge(sound, self._odd(), key=lambda run: (run.datetime, run.basename)):
                if matches(query, run):
                    yield run

    def _odd(self) -> list[Run]:
        """Return the runs whose documents the server cannot be asked about, in order."""
        runs = [read_run(document, document["_id"]) for document in self._runs.find(ODD, {"contents": 0})]
        return sorted(runs, key=lambda run: (run.datetime, run.basename))

    def count(self, query: RunQuery) -> Mapping[str, int]:
        """Count the runs that `select` would yield by mode word."""
        counts: Counter[str] = Counter()
        # Only spans of time are asked of the server; months of any year are not one.
        judged_here = (query.regex, query.sample, query.limit, None if query.years else query.months or None)
        if any(word is not None for word in judged_here):
            counts.update(run.mode for run in self.select(query))
            return dict(sorted(counts.items()))
        by_mode = {"$group": {"_id": {"mode": "$mode", "site": "$site"}, "runs": {"$sum": 1}}}
        with self._errors():
            for group in self._runs.aggregate([{"$match": compiled(query)}, by_mode]):
                if matches_mode(query, group["_id"]["mode"], group["_id"]["site"]):
                    counts[group["_id"]["mode"]] += group["runs"]
            counts.update(run.mode for run in self._odd() if matches(query, run))
        return dict(sorted(counts.items()))

    def years(self) -> Mapping[int, int]:
        """Count all runs by year, in order."""
        by_year = {"$group": {"_id": {"$year": "$datetime"}, "runs": {"$sum": 1}}}
        with self._errors():
            years = Counter[int](run.datetime.year for run in self._odd() if run.datetime != NEVER)
            for group in self._runs.aggregate([{"$match": SOUND}, by_year]):
                years[group["_id"]] += group["runs"]
        return dict(sorted(years.items()))

    def elsewhere(self) -> Sequence[str]:
        """Name other collections on the server that hold runs, as far as one may look."""
        found, own = [], f"{self._runs.database.name}.{self._runs.name}"
        with suppress(PyMongoError):
            for database in self._client.list_database_names():
                for collection in self._client[database].list_collection_names():
                    place = f"{database}.{collection}"
                    if place != own and self._client[database][collection].find_one(_A_RUN, {"_id": 1}):
                        found.append(place)
        return sorted(found)

    def get(self, basename: str) -> Run | None:
        """Return one run, whole."""
        with self._errors():
            document = self._runs.find_one({"basename": basename})
        return None if document is None else read_run(document, document["_id"])

    def add_raw(self, runs: Iterable[Run]) -> tuple[int, int]:
        """Add runs and their raw files; return how many are new, how many changed."""
        new, changed = set[str](), set[str]()
        for chunk in chunks(runs, _CHUNK):
            waiting, races = chunk, 0
            while waiting:
                # A run named twice in a chunk must see its own first entry: it waits for the next round.
                now: dict[str, Run] = {}
                later = [run for run in waiting if now.setdefault(run.basename, run) is not run]
                with self._errors():
                    self._ready_to_write()
                    lost = self._add(now, new, changed)
                waiting, races = [*lost, *later], races + bool(lost)
                if races > _RACES:
                    raise CatalogUnavailable(f"catalogue {self._place}: others keep changing the same runs")
        return len(new), len(changed - new)

    def _add(self, runs: Mapping[str, Run], new: set[str], changed: set[str]) -> list[Run]:
        """Add runs if nobody else changes them meanwhile; return those that must be tried again."""
        with_contents = any(run.contents is not None for run in runs.values())
        projection = {"basename": 1, "mode": 1, "raw": 1, **({"contents": 1} if with_contents else {})}
        known = {
            document["basename"]: document
            for document in self._runs.find({"basename": {"$in": list(runs)}}, projection)
        }
        fresh = [run for basename, run in runs.items() if basename not in known]
        lost = self._insert(fresh)
        new.update({run.basename for run in fresh} - {run.basename for run in lost})
        updates = []
        for basename, document in known.items():
            if difference := changes(document, runs[basename]):
                changed.add(basename)
                # Only if the list is still the one that was read: another process may have added a host.
                unchanged = {"_id": document["_id"], "raw": document.get("raw")}
                updates.append(UpdateOne(unchanged, {"$set": difference}))
        if updates and self._runs.bulk_write(updates, ordered=False).matched_count < len(updates):
            lost.extend(runs[basename] for basename in known)
        return lost

    def _insert(self, runs: Sequence[Run]) -> list[Run]:
        """Insert new runs; return those that somebody else inserted first."""
        if not runs:
            return []
        try:
            self._runs.insert_many([new_document(run) for run in runs], ordered=False)
        except BulkWriteError as error:
            failures = error.details["writeErrors"]
            if any(failure["code"] != _DUPLICATE_KEY for failure in failures):
                raise
            return [runs[failure["index"]] for failure in failures]
        return []

    def remove_raw(self, basename: str, host: str) -> bool:
        """Forget one host's copy; say whether there was one."""
        with self._errors():
            for _ in range(_RACES):
                document = self._runs.find_one({"basename": basename}, {"raw": 1}) or {}
                raw = raw_of(document)
                kept = [entry for entry in raw if not is_on(entry, host)]
                if len(kept) == len(raw):
                    return False
                if self._runs.update_one(
                    {"_id": document["_id"], "raw": raw}, {"$set": {"raw": kept}}
                ).matched_count:
                    return True
        raise CatalogUnavailable(f"catalogue {self._place}: others keep changing {basename}")

    def open_lease(self, batch: str) -> None:
        """Begin a batch's lease; one that is open stays as it is."""
        with self._errors():
            self._ready_to_write()
            self._leases.open(batch)

    def beat(self, batch: str) -> bool:
        """Raise the counter of a lease; False when it is not open any more."""
        with self._errors():
            return self._leases.beat(batch)

    def leases(self) -> Mapping[str, int]:
        """Return the counters of all open leases by batch."""
        with self._errors():
            return self._leases.counters()

    def take_over(self, batch: str, beat: int) -> bool:
        """End a lease if its counter is still `beat`."""
        with self._errors():
            return self._leases.take_over(batch, beat)

    def close_lease(self, batch: str) -> None:
        """End a batch's own lease."""
        with self._errors():
            self._leases.close(batch)

    def claim(
        self, basenames: Sequence[str], batch: str, floors: Mapping[str, int] | None = None
    ) -> Mapping[str, int]:
        """Take runs for a batch; return the tokens of those that are ours now."""
        if not basenames:
            return {}
        with self._errors():
            self._ready_to_write()
            return self._leases.claim(basenames, batch, floors or {})

    def holders(self, basenames: Sequence[str]) -> Mapping[str, str]:
        """Return which batch holds each of the runs that one holds."""
        with self._errors():
            return self._leases.holders(basenames)

    def doubted(self) -> frozenset[str]:
        """Return the runs that have been claimed since they were recorded."""
        with self._errors():
            return self._leases.doubted()

    def record(self, outcomes: Mapping[str, ProductRecord]) -> frozenset[str]:
        """Store what became of runs, and end their claims; return those that are refused."""
        if not outcomes:
            return frozenset()
        with self._errors():
            self._ready_to_write()
            return self._leases.record(outcomes)

    def forget(self, basenames: Sequence[str], batch: str) -> int:
        """Forget what became of runs that a batch holds; say how many it held."""
        with self._errors():
            self._ready_to_write()
            return self._leases.forget(basenames, batch)

    def release(self, batch: str) -> int:
        """End every claim of a batch; say how many there were."""
        with self._errors():
            return self._leases.release(batch)

    def put_batch(self, batch: Batch) -> None:
        """Store or replace a batch document."""
        with self._errors():
            self._batches.replace_one(
                {"_id": batch.id}, {"_id": batch.id, **batch.to_document()}, upsert=True
            )

    def batches(self, limit: int = 20) -> Sequence[Batch]:
        """Return the newest batches, newest first."""
        with self._errors():
            newest = (
                self._batches.find()
                .sort([("start", pymongo.DESCENDING), ("id", pymongo.DESCENDING)])
                .limit(limit)
            )
            return list(_readable(newest))

    def get_batch(self, batch_id: str) -> Batch | None:
        """Return one batch."""
        with self._errors():
            document = self._batches.find_one({"_id": batch_id})
        return None if document is None else next(_readable([document]), None)

    def close(self) -> None:
        """Let go of the connections; safe to call twice."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _readable(documents: Iterable[Document]) -> Iterator[Batch]:
    """Yield the batches among documents; one that another hand has changed is no reason to hide the rest."""
    for document in documents:
        with suppress(DocumentError):
            yield Batch.from_document(document)


STEPS: Steps[MongoCatalog] = ((2, MongoCatalog._nothing), (3, MongoCatalog._lease_claims))
