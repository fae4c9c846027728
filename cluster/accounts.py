"""``python -m cluster.accounts``: make the accounts of the page, which may only read, on MongoDB and MinIO.

The scheduler is what browsers reach, so it gets accounts that can change nothing. This runs under the
accounts that may do everything, and may be run again: passwords are set anew, rights are not widened.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from minio.credentials.providers import StaticProvider
from minio.error import MinioException
from minio.minioadmin import MinioAdmin
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from catalog.settings import expand_references
from covis_dask.config import Settings, expand, load_settings
from covis_dask.errors import ConfigurationError, CovisError

__all__ = ["main", "make_mongo_reader", "make_store_reader", "reading_policy"]

_THERE = 51003
_NAMES = ("PAGE_MONGODB_USER", "PAGE_MONGODB_PASSWORD", "PAGE_MINIO_ACCESS_KEY", "PAGE_MINIO_SECRET_KEY")
_POLICY = "covis-page"


def make_mongo_reader(url: str, database: str, user: str, password: str) -> None:
    """Make an account that may read one database, or give the one that is there this password.

    Parameters
    ----------
    url : str
        Of the server, with an account that may make others.
    database : str
        Where the catalogue lies.
    user, password : str

    Raises
    ------
    PyMongoError
        When the server does not answer, or refuses.
    """
    roles = [{"role": "read", "db": database}]
    with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=10_000) as client:
        try:
            client.admin.command("createUser", user, pwd=password, roles=roles)
        except OperationFailure as error:
            if error.code != _THERE:
                raise
            client.admin.command("updateUser", user, pwd=password, roles=roles)


def reading_policy(bucket: str) -> dict[str, Any]:
    """Return the rights to list one bucket and to read what is in it."""
    here = f"arn:aws:s3:::{bucket}"
    listing = {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": [here]}
    reading = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{here}/*"]}
    return {"Version": "2012-10-17", "Statement": [listing, reading]}


def make_store_reader(admin: MinioAdmin, bucket: str, key: str, secret: str) -> None:
    """Make an account that may read one bucket of a MinIO server.

    Parameters
    ----------
    admin : MinioAdmin
    bucket : str
    key, secret : str

    Raises
    ------
    MinioException
        When the server does not answer, or refuses.
    """
    admin.policy_add(_POLICY, policy=reading_policy(bucket))
    admin.user_add(key, secret)
    admin.policy_set(_POLICY, user=key)


def _admin(settings: Settings) -> tuple[MinioAdmin, str]:
    """Open the server of the product store; returns its bucket too."""
    place = settings.products
    if not (place.endpoint and place.key and place.secret):
        raise ConfigurationError("covis.products needs an endpoint, a key and a secret")
    address = urlsplit(expand(place.endpoint))
    admin = MinioAdmin(
        endpoint=address.netloc,
        credentials=StaticProvider(expand(place.key), expand(place.secret)),
        secure=address.scheme == "https",
    )
    return admin, expand(place.url).partition("://")[2].partition("/")[0]


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Make both, under the names and passwords of the environment."""
    try:
        user, password, key, secret = (expand(f"${{{name}}}", environ) for name in _NAMES)
        settings = load_settings(environ)
        make_mongo_reader(
            expand_references(settings.catalog.url, environ), settings.catalog.database, user, password
        )
        make_store_reader(*_admin(settings), key, secret)
    except (CovisError, PyMongoError, MinioException) as error:
        print(f"error: {ConfigurationError(str(error))}", file=sys.stderr)  # noqa: T201
        return 1
    print("the page's accounts are there; they may only read")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
