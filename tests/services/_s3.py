"""Helpers for the tests on S3 servers: accounts, locations, many objects at once."""

import io
import json
import tarfile
from collections.abc import Iterable

import botocore.session
import pytest

from cluster.servers import S3Server
from covis_dask.config import Location

READER = ("covis-reader", "covis-reader-secret")
"""Account that SeaweedFS is given beside ours; MinIO makes temporary ones."""

_READ_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::*"}
    ],
}


def location(
    server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    url: str = "s3://postprocessed",
    *,
    endpoint: str | None = None,
    account: tuple[str, str, str | None] | None = None,
) -> Location:
    """Describe a bucket as a user's configuration would, with the secrets in the environment."""
    key, secret, token = account or (server.key, server.secret, None)
    for name, value in (("TEST_KEY", key), ("TEST_SECRET", secret), ("TEST_TOKEN", token)):
        if value is not None:
            monkeypatch.setenv(name, value)
    options = {"token": "${TEST_TOKEN}"} if token else {}
    return Location(
        url,
        endpoint=endpoint or server.endpoint,
        key="${TEST_KEY}",
        secret="${TEST_SECRET}",
        options=options,
    )


def read_only(server: S3Server) -> tuple[str, str, str | None]:
    """Return an account that may read and list, no more."""
    if server.kind != "MinIO":
        return (*READER, None)
    session = botocore.session.Session()
    client = session.create_client(
        "sts",
        region_name="us-east-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
    )
    answer = client.assume_role(
        RoleArn="arn:aws:iam::123456789012:role/any", RoleSessionName="tests", Policy=json.dumps(_READ_ONLY)
    )
    made = answer["Credentials"]
    return made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]


def put_many(server: S3Server, bucket: str, names: Iterable[str]) -> None:
    """Make small objects, fast: MinIO unpacks an archive by itself."""
    if server.kind != "MinIO":
        server.filesystem().pipe({f"{bucket}/{name}": b"x" for name in names})
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
    session = botocore.session.Session()
    client = session.create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
    )
    client.put_object(
        Bucket=bucket, Key="many.tar", Body=packed.getvalue(), Metadata={"snowball-auto-extract": "true"}
    )
