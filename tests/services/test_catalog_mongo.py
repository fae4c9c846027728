"""What only a server can do: hold the users' own documents, go away, come back after a kill."""

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import json_util

from catalog.errors import CatalogError, CatalogUnavailable
from catalog.migrations import newest
from catalog.model import ProductRecord, RawFile, Run
from catalog.mongo import STEPS, MongoCatalog
from catalog.query import RunQuery, explain_empty
from cluster.servers import mongo_server
from tests.field._runs import report
from tests.services._mongo import drop
from tests.unit._old_catalogs import BATCHES, CLAIMED, MONGODB, RUNS

pytestmark = pytest.mark.service

START = dt.datetime(2014, 1, 1, 0, 0, 43, 76000, dt.UTC)
RUN = Run(
    "APLUWCOVISMBSONAR001_20140101T000043.076Z-IMAGING",
    START,
    "IMAGING",
    "Endeavour",
    (RawFile("DMAS", "x.tar"),),
)
PRODUCT = ProductRecord("done", "native", "1", "f", "p", 1, "b", START)


@pytest.fixture
def database(mongo_client: "pymongo.MongoClient[dict[str, Any]]") -> Iterator[Any]:
    """Give an empty database."""
    name = f"covis_test_{uuid.uuid4().hex[:12]}"
    yield mongo_client[name]
    drop(mongo_client, name)


def test_the_document_on_the_server(mongo_url: str, database: Any) -> None:
    """A run on the server has the documented fields and `product`; of a claim that has ended, the token.

    See docs/method.md#catalogue.
    """
    with MongoCatalog(mongo_url, database.name) as catalog:
        catalog.add_raw([RUN])
        catalog.record({RUN.basename: PRODUCT})
        bare = database.runs.find_one({}, {"_id": 0})
        catalog.open_lease("b")
        assert catalog.claim([RUN.basename], "b") == {RUN.basename: 1}
        catalog.record({RUN.basename: replace(PRODUCT, token=1)})
    assert bare == {**RUN.to_document(), "product": PRODUCT.to_document()}
    document = database.runs.find_one({}, {"_id": 0})
    product = {**PRODUCT.to_document(), "token": 1}
    assert document == {**RUN.to_document(), "product": product, "claim": {"token": 1}}


def test_the_users_own_collection(mongo_url: str, database: Any) -> None:
    """Documents of other programs keep their fields; only the host that is added, or changes, is touched."""
    theirs = {
        **RUN.to_document(),
        "note": "mine",
        "raw": [{"host": "wasabi", "filename": "x.7z", "etag": "e"}, {"host": "Dmas", "filename": "x.tar"}],
    }
    database.sweeps.insert_one(dict(theirs))
    database.sweeps.create_index("basename", unique=True, name="their_own")
    with MongoCatalog(mongo_url, database.name, "sweeps") as catalog:
        assert catalog.add_raw([RUN]) == (0, 0)
        assert catalog.add_raw([replace(RUN, raw=(RawFile("COVIS-NAS", "x.tar.gz", 5),))]) == (0, 1)
        found = catalog.get(RUN.basename)
        assert found is not None
        assert [file.host for file in found.raw] == ["WASABI", "DMAS", "COVIS-NAS"]
        assert catalog.remove_raw(RUN.basename, "DMAS")
    document = database.sweeps.find_one({}, {"_id": 0})
    assert document["note"] == "mine"
    assert document["raw"] == [theirs["raw"][0], {"host": "COVIS-NAS", "filename": "x.tar.gz", "filesize": 5}]


def test_reading_makes_nothing(mongo_url: str, database: Any) -> None:
    """Selecting and counting neither make collections nor indexes: an account that may only read will do."""
    with MongoCatalog(mongo_url, database.name) as catalog:
        assert list(catalog.select(RunQuery())) == []
        assert sum(catalog.count(RunQuery()).values()) == 0
        assert list(catalog.batches()) == []
    assert database.list_collection_names() == []


@pytest.fixture(params=MONGODB)
def old(request: pytest.FixtureRequest, database: Any) -> Any:
    """Give a database that an earlier release has written."""
    for name, documents in json_util.loads(MONGODB[request.param].read_text()).items():
        database[name].insert_many(documents)
    return database


def _everything(database: Any) -> dict[str, list[Any]]:
    return {name: list(database[name].find().sort("_id", 1)) for name in ("runs", "batches")}


def _mark(database: Any) -> int | None:
    mark = database.catalog.find_one({"_id": "runs"})
    return None if mark is None else int(mark["version"])


def test_documents_of_an_older_release(mongo_url: str, old: Any) -> None:
    """Older documents are read as they are; the first write carries them forward, and only claims end."""
    before, mark = _everything(old), _mark(old)
    for _ in range(2):
        with MongoCatalog(mongo_url, old.name) as catalog:
            assert [catalog.get(run.basename) for run in catalog.select(RunQuery())] == list(RUNS)
            assert tuple(catalog.batches()) == BATCHES
    assert (_everything(old), _mark(old)) == (before, mark)
    with MongoCatalog(mongo_url, old.name) as catalog:
        assert catalog.add_raw(RUNS) == (0, 0)
        assert _mark(old) == newest(STEPS)
        for document in before["runs"]:
            document.pop("claim", None)
        assert _everything(old) == before
        catalog.open_lease("another")
        assert catalog.claim([CLAIMED[0]], "another") == {CLAIMED[0]: 1}


@pytest.mark.parametrize("old", [2], indirect=True)
def test_two_programs_carry_forward_at_once(mongo_url: str, old: Any) -> None:
    """A program that is late with the step to version 3 ends no claim that another has made since."""
    with MongoCatalog(mongo_url, old.name) as first, MongoCatalog(mongo_url, old.name) as late:
        first.open_lease("b")
        assert first.claim([CLAIMED[0]], "b") == {CLAIMED[0]: 1}
        for _, step in STEPS:
            step(late)
        assert first.holders([CLAIMED[0]]) == {CLAIMED[0]: "b"}


def test_documents_of_the_old_worker(mongo_url: str, database: Any) -> None:
    """Documents of the old worker's time, with nulls, numbers as doubles and naive hosts, are read."""
    theirs = {
        **RUN.to_document(),
        "raw": [{"host": "wasabi", "filename": "x.7z", "filesize": 11.2e9}],
        "contents": None,
        "product": None,
    }
    database.runs.insert_one(theirs)
    with MongoCatalog(mongo_url, database.name) as catalog:
        assert list(catalog.select(RunQuery())) == [
            replace(RUN, raw=(RawFile("WASABI", "x.7z", 11_200_000_000),))
        ]


def test_a_catalogue_of_a_newer_release(mongo_url: str, old: Any) -> None:
    """A catalogue that a newer release has marked is refused, and left as it is."""
    old.catalog.replace_one({"_id": "runs"}, {"version": 99}, upsert=True)
    before = _everything(old)
    with pytest.raises(CatalogError, match=r"has schema 99, .* made by a newer release"):
        MongoCatalog(mongo_url, old.name)
    with MongoCatalog(mongo_url, old.name, "sweeps") as catalog:  # another collection of runs is no concern
        assert list(catalog.select(RunQuery())) == []
    assert (_everything(old), _mark(old)) == (before, 99)


@pytest.mark.parametrize("old", [1], indirect=True)
def test_a_document_that_cannot_be_read_stops_nobody(mongo_url: str, old: Any) -> None:
    """Documents that cannot be read, several without a name among them, do not refuse the first write."""
    old.runs.update_one({"basename": RUNS[1].basename}, {"$set": {"raw.1.filename": 5}})
    odd = old.runs.insert_many([{"note": "mine"}, {"note": "mine too"}, {"basename": 7}]).inserted_ids
    with MongoCatalog(mongo_url, old.name) as catalog:
        runs = list(catalog.select(RunQuery()))
        assert catalog.add_raw([replace(RUNS[0], raw=(RawFile("B", "x.tar"),))]) == (0, 1)
    assert _mark(old) == newest(STEPS)
    assert sorted(str(run.fault).split()[4] for run in runs if run.fault) == sorted(map(str, odd))
    assert [run.basename for run in runs if not run.fault] == [run.basename for run in RUNS]
    assert len(next(run for run in runs if run.basename == RUNS[1].basename).raw) == len(RUNS[1].raw) - 1
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        old.runs.insert_one({"basename": RUN.basename})


def test_the_wrong_database(mongo_url: str, database: Any) -> None:
    """An empty collection is told from the wrong one: places on the server that hold runs are named."""
    with MongoCatalog(mongo_url, database.name) as catalog:
        catalog.add_raw([RUN])
    with MongoCatalog(mongo_url, database.name, "sweeps") as catalog:
        assert catalog.years() == {}
        assert f"{database.name}.runs" in catalog.elsewhere()
        assert f"{database.name}.sweeps" not in catalog.elsewhere()
        sentence = explain_empty(RunQuery(), {}, catalog.elsewhere())
    assert f"{database.name}.runs" in sentence
    assert "covis.catalog.database" in sentence


def test_odd_documents_of_the_field(mongo_url: str, database: Any) -> None:
    """The documents of the report: the sound one and what can be read of the others, every one counted."""
    lines = (report("01-mongo-odd-documents") / "docs.jsonl").read_text("utf-8").splitlines()
    database.runs.insert_many([json_util.loads(line) for line in lines])
    with MongoCatalog(mongo_url, database.name) as catalog:
        query = RunQuery.from_text({"year": "2011", "mode": "imaging", "site": "endeavour"})
        runs = list(catalog.select(query))
        assert [run.datetime.day for run in runs] == [1, 2, 3, 4, 5, 6, 7]
        assert {(run.mode, run.site, run.fault) for run in runs} == {("IMAGING", "Endeavour", None)}
        assert [len(run.raw) for run in runs] == [1, 0, 0, 0, 0, 0, 0]
        assert catalog.count(query) == {"IMAGING": 7}
        assert catalog.years() == {2011: 7}
        assert [
            run.basename for run in catalog.select(RunQuery.from_text({"month": "10", "limit": "9"}))
        ] == [run.basename for run in runs]


@pytest.mark.parametrize("old", [1], indirect=True)
def test_a_step_that_is_broken_off(mongo_url: str, old: Any) -> None:
    """A step that fails half way leaves no mark; the next program takes it again, to its end."""
    names: list[str] = []

    def step(catalog: MongoCatalog) -> None:
        for run in catalog.select(RunQuery()):
            names.append(run.basename)
            if len(names) == 3:
                raise RuntimeError("power cut")

    for fails in (True, False):
        with MongoCatalog(mongo_url, old.name) as catalog:
            catalog._steps = (*STEPS, (99, step))
            if fails:
                with pytest.raises(RuntimeError, match="power cut"):
                    catalog.add_raw([RUN])
                assert _mark(old) is None
            else:
                catalog.add_raw([RUN])
    assert _mark(old) == 99
    assert names[3:] == [run.basename for run in RUNS]


def test_basenames_are_unique(mongo_url: str, database: Any) -> None:
    """The server itself refuses a second document of a run."""
    with MongoCatalog(mongo_url, database.name) as catalog:
        catalog.add_raw([RUN])
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        database.runs.insert_one({"basename": RUN.basename})


def test_a_server_that_is_killed(tmp_path: Path) -> None:
    """What was recorded is there after kill -9; while the server is away, that is what is said."""
    server = mongo_server("mongo", tmp_path)
    server.process.start()
    try:
        with MongoCatalog(f"{server.url}?serverSelectionTimeoutMS=500") as catalog:
            catalog.add_raw([RUN])
            catalog.record({RUN.basename: PRODUCT})
            server.process.kill()
            with pytest.raises(CatalogUnavailable, match="does not answer"):
                catalog.record({RUN.basename: PRODUCT})
            server.process.start()
            assert catalog.get(RUN.basename) == replace(RUN, product=PRODUCT)
            assert catalog.add_raw([RUN]) == (0, 0)
    finally:
        server.process.stop()


def test_a_server_that_hangs(tmp_path: Path) -> None:
    """A server that accepts and never answers is unavailable too, after a while, not a batch that hangs."""
    server = mongo_server("mongo", tmp_path)
    server.process.start()
    try:
        waits = "?serverSelectionTimeoutMS=500&socketTimeoutMS=500&connectTimeoutMS=500"
        with MongoCatalog(server.url + waits) as catalog:
            catalog.add_raw([RUN])
            server.process.pause()
            with pytest.raises(CatalogUnavailable, match="does not answer"):
                catalog.get(RUN.basename)
            server.process.resume()
            assert catalog.get(RUN.basename) == RUN
    finally:
        server.process.stop()
