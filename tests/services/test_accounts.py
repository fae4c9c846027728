"""The page's accounts on real servers: they may read, and nothing else."""

from pathlib import Path

import pytest
from pymongo import MongoClient

from cluster import programs
from cluster.processes import free_ports
from cluster.servers import Account, mongo_server, s3_server

accounts = pytest.importorskip(
    "cluster.accounts", reason="the package minio (extra `stack`) is not installed"
)
pytestmark = pytest.mark.service


@pytest.mark.skipif(programs.minio() is None, reason="no MinIO is here; `make services` obtains one")
def test_the_page_may_read_one_bucket(tmp_path: Path) -> None:
    """The page lists and reads the products; it writes nothing, removes nothing, and sees no other bucket."""
    from minio.credentials.providers import StaticProvider
    from minio.minioadmin import MinioAdmin

    owner, page = Account("covis", "owner-of-all-0815"), Account("covis-page", "reader-of-one-4711")
    server = s3_server("minio", tmp_path, owner, port=free_ports()[0], kind="MinIO")
    server.process.start()
    try:
        server.make_buckets("products", "raw")
        server.filesystem().pipe_file("products/p/x.png", b"a picture")
        server.filesystem().pipe_file("raw/x.tar", b"an archive")
        provider = StaticProvider(owner.key, owner.secret)
        admin = MinioAdmin(endpoint=server.endpoint.partition("://")[2], credentials=provider, secure=False)
        for _ in range(2):  # it may be run again
            accounts.make_store_reader(admin, "products", page.key, page.secret)
        reader = type(server)(
            server.process, server.endpoint, server.kind, page.key, page.secret
        ).filesystem()
        assert reader.ls("products/p") == ["products/p/x.png"]
        assert reader.cat_file("products/p/x.png") == b"a picture"
        for verb, *words in (
            ("pipe_file", "products/p/y.png", b""),
            ("rm_file", "products/p/x.png"),
            ("cat_file", "raw/x.tar"),
            ("mkdir", "other"),
        ):
            with pytest.raises(PermissionError):
                getattr(reader, verb)(*words)
        assert server.filesystem().cat_file("products/p/x.png") == b"a picture"
    finally:
        server.process.stop()


@pytest.mark.skipif(programs.mongo() is None, reason="no server that speaks the MongoDB protocol is here")
def test_the_page_may_read_one_database(tmp_path: Path) -> None:
    """The account has one role, to read the catalogue's database; made again it has the new password."""
    server = mongo_server("mongo", tmp_path)
    server.process.start()
    try:
        for password in ("first-4711", "second-4712"):
            accounts.make_mongo_reader(server.url, "covis", "covis-page", password)
        with MongoClient[dict[str, object]](server.url) as client:
            (found,) = client.admin.command("usersInfo", "covis-page")["users"]
        assert [(role["role"], role["db"]) for role in found["roles"]] == [("read", "covis")]
    finally:
        server.process.stop()
