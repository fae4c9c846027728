"""Real servers, one of each kind per test session."""

import os
from collections.abc import Iterator

import pymongo
import pytest

from tests.services._mongo import LENT, MongoServer


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a server: the one that COVIS_TEST_MONGODB_URL names, or the test server. Never MONGODB_URL's."""
    if given := os.environ.get(LENT):
        yield given
        return
    server = MongoServer(tmp_path_factory.mktemp("mongo"))
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mongo_client(mongo_url: str) -> Iterator["pymongo.MongoClient[dict[str, object]]"]:
    """Give a client of that server, for looking behind the catalogue's back."""
    with pymongo.MongoClient[dict[str, object]](mongo_url, tz_aware=True) as client:
        yield client
