"""Products on a real S3 server: one winner per commit, refusals with reasons, a batch end to end."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from covis_dask.config import Location
from covis_dask.errors import StorageRefused, StorageUnavailable
from covis_dask.storage import ProductStore
from tests._place import Place, diffuse
from tests.services._s3 import S3Server, s3_server

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Give a running server with the buckets `raw` and `postprocessed`."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        fs = server.filesystem()
        fs.mkdir("raw")
        fs.mkdir("postprocessed")
        yield server


def _store(server: S3Server, monkeypatch: pytest.MonkeyPatch, who: tuple[str, str], url: str) -> ProductStore:
    monkeypatch.setenv("TEST_KEY", who[0])
    monkeypatch.setenv("TEST_SECRET", who[1])
    return ProductStore.open(
        Location(url, endpoint=server.endpoint, key="${TEST_KEY}", secret="${TEST_SECRET}")
    )


def test_commit_has_one_winner(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight workers that commit the same run at once, one is told that the product is its own."""
    store = _store(server, monkeypatch, server.writer, "s3://postprocessed")
    store.check_writable()
    barrier = threading.Barrier(8)
    won: list[int] = []

    def race(number: int) -> None:
        barrier.wait()
        if store.put_new_json("run/metadata.json", {"by": number}):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read_json("run/metadata.json") == {"by": won[0]}


def test_refusals_stop_with_the_servers_reason(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only credentials, a wrong secret, a missing bucket are refusals; none shows the secret."""
    reader = _store(server, monkeypatch, server.reader, "s3://postprocessed")
    with pytest.raises(StorageRefused, match="Access Denied"):
        reader.check_writable()
    wrong = _store(server, monkeypatch, (server.writer[0], "not-the-secret"), "s3://postprocessed")
    with pytest.raises(StorageRefused) as caught:
        wrong.check_writable()
    assert "not-the-secret" not in str(caught.value)
    missing = _store(server, monkeypatch, server.writer, "s3://nowhere")
    with pytest.raises(StorageRefused, match="bucket"):
        missing.check_writable()


def test_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is a passing fault, to be tried again."""
    monkeypatch.setattr(
        "covis_dask.storage._TIMEOUTS", {"connect_timeout": 1, "retries": {"max_attempts": 1}}
    )
    store = _store(S3Server("http://127.0.0.1:9"), monkeypatch, ("a", "b"), "s3://postprocessed")
    with pytest.raises(StorageUnavailable):
        store.read_json("x")


def test_batch_from_s3_to_s3(server: S3Server, tmp_path: Path) -> None:
    """README's configuration works: raw archives and products in S3, secrets only from the environment."""
    place = Place(tmp_path)
    access = {"endpoint": server.endpoint, "key": "${NAS_KEY}", "secret": "${NAS_SECRET}"}
    settings = {
        "catalog": {"url": f"sqlite:///{tmp_path}/catalog.sqlite"},
        "hosts": {"COVIS-NAS": {"url": "s3://raw", **access}},
        "products": {"url": "s3://postprocessed", **access},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "covis.yaml").write_text(yaml.safe_dump({"covis": settings}))
    key, secret = server.writer
    for hour in (1, 2):
        place.store(diffuse(hour))
    fs = server.filesystem()
    fs.put(f"{tmp_path}/covis-data/raw/", "raw/", recursive=True)
    place.catalogue()
    words = ("covis_dask.batch", "--mode", "diffuse", "--workers", "1")
    said = place.run(*words, NAS_KEY=key, NAS_SECRET=secret)
    assert said.returncode == 0, said.stderr
    assert re.search(r"^done +2$", said.stdout, re.MULTILINE)
    again = place.run(*words, "--verify", NAS_KEY=key, NAS_SECRET=secret)
    assert "nothing to do" in again.stdout
    stored = fs.find("postprocessed/native-matlab")
    assert sum(path.endswith("/metadata.json") for path in stored) == 2
    texts = [
        said.stdout,
        said.stderr,
        again.stdout,
        *(fs.cat_file(path).decode("latin-1") for path in stored),
    ]
    assert not any(secret in text for text in texts)
