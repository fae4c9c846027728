"""Helpers for the tests on MongoDB-protocol servers."""

import os
from typing import Any

import pymongo

LENT = "COVIS_TEST_MONGODB_URL"
"""Environment variable that names a server for the tests to use."""


def drop(client: "pymongo.MongoClient[dict[str, Any]]", database: str) -> None:
    """Leave a server that was lent to us as it was; our own goes away with all its data, and drops slowly."""
    if os.environ.get(LENT):
        client.drop_database(database)
