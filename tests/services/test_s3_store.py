"""Products and raw archives on real S3 servers: MinIO, or SeaweedFS where there is none."""

import re
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]  # comes with Dask
import pytest

from catalog.ingest import walk_store
from cluster.processes import ServerFailed
from cluster.servers import Account, S3Server, s3_server
from covis_dask.errors import RawMissing, StorageRefused, StorageUnavailable
from covis_dask.raw._store import open_random, open_sequential
from covis_dask.raw.source import ArchiveSource
from covis_dask.storage import ProductStore, Tagged, open_location, storage_errors
from tests.services._proxy import FaultProxy
from tests.services._s3 import location, put_many, read_only

pytestmark = pytest.mark.service


def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client give up in a second rather than in a minute."""
    quick = {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 1}}
    monkeypatch.setattr("covis_dask.storage.locations._TIMEOUTS", quick)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)


def test_commit_has_one_winner(nas: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe finds that the server honours both; of eight who put or swap at once, one is told it won."""
    store = ProductStore.open(location(nas, monkeypatch)).marked().probed()
    assert store.conditional
    held: Tagged | None = None
    for _ in range(5):
        barrier = threading.Barrier(8)
        won: list[int] = []

        def race(number: int, held: Tagged | None, barrier: threading.Barrier, won: list[int]) -> None:
            barrier.wait()
            data = f"{number} after {held}".encode()
            if held is None:
                put = store.put_if_absent("run/metadata.json", data)
            else:
                put = store.put_if_match("run/metadata.json", data, held.tag)
            if put:
                won.append(number)

        threads = [threading.Thread(target=race, args=(number, held, barrier, won)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        before, held = held, store.read_tagged("run/metadata.json")
        assert held is not None
        assert held.data == f"{won[0]} after {before}".encode()
    assert not store.put_if_match("run/nothing", b"x", "of nothing")
    assert not [path for path in nas.filesystem().find("postprocessed") if ".probe-" in path]


def test_store_is_known_by_its_mark(nas: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket is marked once; one that is not there is not made, and one without a mark is an outage."""
    store = ProductStore.open(location(nas, monkeypatch)).marked()
    assert ProductStore.open(location(nas, monkeypatch)).marked().id == store.id
    assert store.expecting(store.id).sizes("nothing") == {}
    nas.make_buckets("unmarked")
    with pytest.raises(StorageUnavailable, match="no mark"):
        ProductStore.open(location(nas, monkeypatch, "s3://unmarked")).expecting(store.id)
    with pytest.raises(StorageRefused, match="bucket"):
        ProductStore.open(location(nas, monkeypatch, "s3://nowhere")).marked()
    assert not nas.filesystem().exists("nowhere")


def test_files_of_a_version_are_listed_with_their_sizes(
    nas: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a commit looks at them; a folder of them is removed whole, and no other."""
    (tmp_path / "a.zarr" / "c").mkdir(parents=True)
    (tmp_path / "a.zarr" / "c" / "0").write_bytes(b"chunk")
    store = ProductStore.open(location(nas, monkeypatch))
    store.put_file(tmp_path / "a.zarr", "listed/v/1/a.zarr")
    store.put_bytes("listed/v/1/b.nc", b"1234")
    store.put_bytes("listed/v/2/b.nc", b"1")
    assert store.sizes("listed/v/1") == {"listed/v/1/a.zarr/c/0": 5, "listed/v/1/b.nc": 4}
    assert store.folders("listed/v") == ["1", "2"]
    store.remove_folder("listed/v/1")
    assert store.sizes("listed") == {"listed/v/2/b.nc": 1}


def test_refusals_stop_with_the_servers_reason(nas: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only credentials, a wrong secret, a missing bucket are refusals; none shows the secret."""
    reader = ProductStore.open(location(nas, monkeypatch, account=read_only(nas)))
    assert reader.read_json("nothing") is None
    with pytest.raises(StorageRefused, match="Access Denied"):
        reader.check_writable()
    wrong = ProductStore.open(location(nas, monkeypatch, account=(nas.key, "not-the-secret", None)))
    with pytest.raises(StorageRefused) as caught:
        wrong.check_writable()
    assert "not-the-secret" not in str(caught.value)
    missing = ProductStore.open(location(nas, monkeypatch, "s3://nowhere"))
    with pytest.raises(StorageRefused, match="bucket"):
        missing.check_writable()


def test_hosts_are_separate(nas: S3Server, wasabi: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers with buckets and accounts of their own are used side by side; no secret opens both."""
    nas.filesystem().pipe_file("raw/a.tar", b"on the nas")
    wasabi.filesystem().pipe_file("covis-raw/a.tar", b"on wasabi")
    first, _ = open_location(location(nas, monkeypatch, "s3://raw"))
    second, _ = open_location(location(wasabi, monkeypatch, "s3://covis-raw"))
    assert first.cat_file("raw/a.tar") == b"on the nas"
    assert second.cat_file("covis-raw/a.tar") == b"on wasabi"
    crossed, _ = open_location(
        location(wasabi, monkeypatch, "s3://covis-raw", account=(nas.key, nas.secret, None))
    )
    with pytest.raises(StorageRefused), storage_errors("looking", missing=RawMissing):
        crossed.info("covis-raw/a.tar")


def test_two_seaweedfs_run_side_by_side(tmp_path: Path) -> None:
    """Where there is no MinIO both hosts of the stack are SeaweedFS: no port of one is fixed."""
    accounts = {name: (f"covis-{name}", f"{name}-secret-0001") for name in ("one", "two")}
    try:
        servers = [
            s3_server(name, tmp_path, Account(key, secret), kind="SeaweedFS")
            for name, (key, secret) in accounts.items()
        ]
    except ServerFailed as error:
        pytest.skip(str(error))
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.process.stop)
            server.process.start(wait=False)
        for server in servers:
            server.process.wait_healthy()
            server.make_buckets("raw")
            server.filesystem().pipe_file("raw/whose", server.key.encode())
        for server in servers:
            assert server.filesystem().cat_file("raw/whose") == server.key.encode()
            assert server.process.pid is not None
            process = psutil.Process(server.process.pid)
            given = {int(port) for port in re.findall(r"\.port=(\d+)", " ".join(process.cmdline()))}
            open_ports = {it.laddr.port for it in process.net_connections("tcp") if it.status == "LISTEN"}
            assert open_ports <= given | {port + 10_000 for port in given}


def test_large_files_go_in_parts_and_come_in_ranges(
    nas: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file above the size of one part is uploaded in several, and read back whole, ahead and by ranges."""
    data = np.random.default_rng(0).bytes(101 * 2**20)
    (tmp_path / "large.bin").write_bytes(data)
    store = ProductStore.open(location(nas, monkeypatch))
    store.put_file(tmp_path / "large.bin", "large/large.bin")
    path = store.full("large/large.bin")
    assert store.fs.info(path)["ETag"].strip('"').endswith("-3")
    source = ArchiveSource(store.fs, path)
    with open_sequential(source) as stream:
        assert stream.read() == data
    with open_random(source) as stream:
        for start in (50 * 2**20 - 5, 17, 101 * 2**20 - 3):
            stream.seek(start)
            assert stream.read(10) == data[start : start + 10]
    store.remove("large/large.bin")


@pytest.mark.timeout(1200)  # SeaweedFS is given one key at a time
def test_listing_of_twenty_thousand_keys(nas: S3Server) -> None:
    """A walk sees all of a large archive, page after page, with sizes."""
    fs = nas.filesystem()
    fs.mkdir("many")
    clock = [f"{n // 3600:02}{n // 60 % 60:02}{n % 60:02}" for n in range(20_000)]
    names = [f"2019/01/01/COVIS-20190101T{time}-diffuse1.tar.gz" for time in clock]
    put_many(nas, "many", names)
    report = walk_store(fs, "many", "COVIS-NAS")
    assert len(report.runs) == 20_000
    assert {file.filesize for run in report.runs for file in run.raw} == {1}


def test_server_that_is_not_there_is_unavailable(nas: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is a passing fault, to be tried again."""
    _quick(monkeypatch)
    store = ProductStore.open(location(nas, monkeypatch, endpoint="http://127.0.0.1:9"))
    with pytest.raises(StorageUnavailable):
        store.read_json("x")


@pytest.fixture
def large(nas: S3Server) -> bytes:
    """Give the contents of the object ``raw/large.tar``."""
    data = np.random.default_rng(1).bytes(3 * 2**20)
    fs = nas.filesystem()
    if not fs.exists("raw/large.tar"):
        fs.pipe_file("raw/large.tar", data)
    return data


def _through(proxy: FaultProxy, nas: S3Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    return open_location(location(nas, monkeypatch, "s3://raw", endpoint=proxy.url))[0]


def test_slow_connection_is_waited_for(nas: S3Server, monkeypatch: pytest.MonkeyPatch, large: bytes) -> None:
    """A slow line delays and no more."""
    with FaultProxy(nas.endpoint) as proxy:
        proxy.rate = 4e6
        with open_sequential(ArchiveSource(_through(proxy, nas, monkeypatch), "raw/large.tar")) as stream:
            assert stream.read() == large


def test_dropped_connection_is_taken_up_again(
    nas: S3Server, monkeypatch: pytest.MonkeyPatch, large: bytes
) -> None:
    """An answer that breaks off in the middle is asked for again, and the bytes are right."""
    with FaultProxy(nas.endpoint) as proxy:
        proxy.cuts = 2
        fs = _through(proxy, nas, monkeypatch)
        with open_sequential(ArchiveSource(fs, "raw/large.tar")) as stream:
            assert stream.read() == large
        assert proxy.cuts == 0


@pytest.mark.parametrize("fault", ["cuts", "hangs", "refuses"])
def test_connection_that_never_works_is_unavailable(
    nas: S3Server, monkeypatch: pytest.MonkeyPatch, large: bytes, fault: str
) -> None:
    """A line that always breaks, hangs or refuses is storage-unavailable; once mended, all is well."""
    _quick(monkeypatch)
    with FaultProxy(nas.endpoint) as proxy:
        fs = _through(proxy, nas, monkeypatch)
        source = ArchiveSource(fs, "raw/large.tar")
        with open_sequential(source) as stream:
            assert stream.read(1) == large[:1]
        setattr(proxy, fault, 10**6 if fault == "cuts" else True)
        with pytest.raises(StorageUnavailable), open_random(source) as stream:
            stream.read(2**21)
        setattr(proxy, fault, 0)
        with open_random(source) as stream:
            assert stream.read() == large
