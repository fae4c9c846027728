"""Real servers, one of each kind per test session."""

import os
from collections.abc import Iterator

import pymongo
import pytest

from cluster.processes import ServerFailed
from cluster.servers import Account, S3Server, mongo_server, s3_server
from tests.services._mongo import LENT
from tests.services._s3 import READER


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a server: the one that COVIS_TEST_MONGODB_URL names, or one of our own. Never MONGODB_URL's."""
    if given := os.environ.get(LENT):
        yield given
        return
    try:
        server = mongo_server("mongo", tmp_path_factory.mktemp("mongo"))
    except ServerFailed as error:
        pytest.skip(str(error))
    server.process.start()
    try:
        yield server.url
    finally:
        server.process.stop()


@pytest.fixture(scope="session")
def mongo_client(mongo_url: str) -> Iterator["pymongo.MongoClient[dict[str, object]]"]:
    """Give a client of that server, for looking behind the catalogue's back."""
    with pymongo.MongoClient[dict[str, object]](mongo_url, tz_aware=True) as client:
        yield client


def _s3(name: str, folder: pytest.TempPathFactory, *buckets: str) -> Iterator[S3Server]:
    try:
        server = s3_server(
            name,
            folder.mktemp(name),
            Account(f"covis-{name}", f"{name}-secret-0001"),
            reader=Account(*READER),
        )
    except ServerFailed as error:
        pytest.skip(str(error))
    server.process.start()
    try:
        server.make_buckets(*buckets)
        yield server
    finally:
        server.process.stop()


@pytest.fixture(scope="session")
def nas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Give a NAS: an S3 server with the buckets `raw` and `postprocessed`."""
    yield from _s3("nas", tmp_path_factory, "raw", "postprocessed")


@pytest.fixture(scope="session")
def wasabi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Give a second S3 host, with other accounts and the bucket `covis-raw`."""
    yield from _s3("wasabi", tmp_path_factory, "covis-raw")
