"""`covis files`, `get`, `verify`, `gc` and `upgrade` on a bucket."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import covis_dask as covis
from cluster.servers import S3Server
from covis_dask.cli import main
from tests.services._s3 import location
from tests.unit._shelf import NAMES, PREFIX, Shelf

pytestmark = pytest.mark.service
FIRST, SECOND, _ = NAMES


@pytest.fixture
def shelf(nas: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """Give a bucket with two products, one of which has been replaced, below a folder of this test's own."""
    place = location(nas, monkeypatch, f"s3://postprocessed/{tmp_path.name}")
    with Shelf.at(tmp_path, place) as shelf:
        shelf.commit(FIRST)
        shelf.commit(FIRST, {f"{FIRST}.nc": b"newer", "output.txt": b"log"}, fingerprint="e" * 16)
        shelf.commit(SECOND)
        yield shelf


def test_files_and_get(shelf: Shelf, tmp_path: Path, nas: S3Server) -> None:
    """URLs without any account; copies go on from where they were broken off."""
    urls = covis.product_files(year=2014)
    assert [url.startswith(f"s3://postprocessed/{tmp_path.name}/{PREFIX}/2014/03/0") for url in urls] == [
        True
    ] * 2
    assert nas.filesystem().cat_file(urls[0]) == b"newer"
    target = tmp_path / "to"
    target.mkdir()
    entry = json.loads(shelf.store.read_bytes(f"{shelf.path(FIRST)}/metadata.json") or b"")["files"][0]
    (target / f".{FIRST}.nc.{entry['sha256'][:12]}.part").write_bytes(b"new")
    covis.copy_products(target, year=2014)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        f"{FIRST}.nc": b"newer",
        f"{SECOND}.nc": b"n" * 30,
    }


def test_verify_and_gc(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    """What is lost is named; what was replaced is young for a day, and then goes with nothing else."""
    assert main(["verify", "--year", "2014", "--deep"]) == 0
    assert main(["gc", "--json", "--prefix", PREFIX]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["swept"] == {}
    before = set(shelf.store.sizes(""))
    assert main(["gc", "--json", "--grace", "0s", "--prefix", PREFIX, "--dry-run"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["swept"]["version"]["count"] == 1
    assert main(["gc", "--grace", "0s", "--prefix", PREFIX]) == 0
    assert before - set(shelf.store.sizes("")) == set(said["files"])
    assert main(["verify", "--year", "2014", "--deep"]) == 0
    shelf.store.remove(covis.product_files(basename=SECOND)[0].split(f"{shelf.store.root}/")[1])
    capsys.readouterr()
    assert main(["verify", "--year", "2014", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"] == {"file-missing": 1}
