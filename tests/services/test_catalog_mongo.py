"""What only a server can do: hold the users' own documents, go away, come back after a kill."""

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymongo
import pytest

from catalog.errors import CatalogUnavailable
from catalog.model import ProductRecord, RawFile, Run
from catalog.mongo import MongoCatalog
from catalog.query import RunQuery
from cluster.servers import mongo_server
from tests.services._mongo import drop

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
    """A run on the server has the documented fields and `product`; a claim leaves no trace.

    See docs/method.md#catalogue.
    """
    with MongoCatalog(mongo_url, database.name) as catalog:
        catalog.add_raw([RUN])
        catalog.claim([RUN.basename], "b", dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
        catalog.record({RUN.basename: PRODUCT})
    document = database.runs.find_one()
    del document["_id"]
    assert document == {**RUN.to_document(), "product": PRODUCT.to_document()}


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
