"""`covis verify`: catalogue, manifests and bytes compared, the catalogue mended, and that taken back."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.names import basename_of
from catalog.store import open_catalog
from covis_dask.batches.verification import _claimed
from covis_dask.cli import main
from covis_dask.products.checking import Word
from tests.unit._shelf import NAMES, PREFIX, Shelf

Captured = pytest.CaptureFixture[str]
FIRST, SECOND, _ = NAMES


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """Give a catalogue and a store with two sound products; undo logs go to the test's folder."""
    monkeypatch.chdir(tmp_path)
    with Shelf.at(tmp_path) as shelf:
        shelf.commit(FIRST, token=3)
        shelf.commit(SECOND)
        yield shelf


def _run(shelf: Shelf) -> Path:
    return shelf.folder / "products" / shelf.path(FIRST)


def _file(shelf: Shelf) -> Path:
    return next((_run(shelf) / "v").glob("*/*.nc"))


def _lost_manifest(shelf: Shelf) -> None:
    (_run(shelf) / "metadata.json").unlink()


def _cut_manifest(shelf: Shelf) -> None:
    (_run(shelf) / "metadata.json").write_text('{"schema": "covis-dask/manifest/2"')


def _legacy(shelf: Shelf) -> None:
    (_run(shelf) / "metadata.json").write_text('{"python_version": "3.5"}')


def _lost_file(shelf: Shelf) -> None:
    _file(shelf).unlink()


def _short_file(shelf: Shelf) -> None:
    _file(shelf).write_bytes(b"n")


def _other_bytes(shelf: Shelf) -> None:
    _file(shelf).write_bytes(b"m" * 30)


def _not_recorded(shelf: Shelf) -> None:
    with shelf.catalog() as catalog:
        catalog.open_lease("x")
        assert catalog.claim([FIRST], "x")
        assert catalog.forget([FIRST], "x") == 1
        catalog.close_lease("x")


def _recorded(**changes: Any) -> Callable[[Shelf], None]:
    def change(shelf: Shelf) -> None:
        record = shelf.recorded(FIRST)
        assert record is not None
        with shelf.catalog() as catalog:
            assert not catalog.record({FIRST: replace(record, **changes)})

    return change


def _newer(shelf: Shelf) -> None:
    shelf.commit(FIRST, token=9, recorded=False)


_WRONG: dict[str, tuple[Callable[[Shelf], None], str, str]] = {
    "manifest-missing": (_lost_manifest, "manifest-missing", "failed"),
    "cut": (_cut_manifest, "product-damaged", "failed"),
    "legacy": (_legacy, "legacy-product", "failed"),
    "file-missing": (_lost_file, "file-missing", "failed"),
    "file-size": (_short_file, "file-size", "failed"),
    "file-checksum": (_other_bytes, "file-checksum", "failed"),
    "not-recorded": (_not_recorded, "not-recorded", "done"),
    "recorded as failed": (_recorded(state="failed", kind="timeout", reason="x"), "not-recorded", "done"),
    "fingerprint": (_recorded(fingerprint="0" * 16), "fingerprint-differs", "done"),
    "formats": (_recorded(formats=("mat", "nc")), "formats-differ", "done"),
    "token": (_newer, "token-behind", "done"),
}


def _verify(capsys: Captured, *words: str, code: int) -> dict[str, Any]:
    assert main(["verify", "--year", "2014", "--json", *words]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_all_agree(shelf: Shelf, capsys: Captured) -> None:
    """A sound store and its catalogue give nothing to say, also byte by byte, and nothing to fix."""
    shelf.add(NAMES[2])
    assert _verify(capsys, "--deep", code=0)["disagreements"] == []
    assert _verify(capsys, "--fix", code=0)["fixed"] == {"changed": [], "left": {}}
    assert not list(shelf.folder.glob("*.jsonl"))


@pytest.mark.parametrize("wrong", list(_WRONG))
def test_each_disagreement_is_found_mended_and_taken_back(shelf: Shelf, wrong: str, capsys: Captured) -> None:
    """Under its own word; afterwards the catalogue says what is so, and --undo brings the old record back."""
    damage, word, state = _WRONG[wrong]
    damage(shelf)
    before = shelf.recorded(FIRST)
    deep = ["--deep"] if word == Word.FILE_CHECKSUM else []
    if deep:
        assert _verify(capsys, code=0)["counts"] == {}
    found = _verify(capsys, *deep, code=1)
    assert found["counts"] == {word: 1}
    assert [one["basename"] for one in found["disagreements"]] == [FIRST]
    assert shelf.recorded(FIRST) == before
    said = _verify(capsys, *deep, "--fix", code=1)
    assert said["fixed"] == {"changed": [FIRST], "left": {}}
    after = shelf.recorded(FIRST)
    assert after is not None
    assert after.state == state
    lasting = {"product-damaged", "file-missing", "file-size", "file-checksum"}
    assert set(_verify(capsys, *deep, code=int(word in lasting))["counts"]) == {word} & lasting
    again = _verify(capsys, *deep, "--fix", code=int(word in lasting))
    assert again["fixed"]["changed"] == []
    assert main(["verify", "--undo", said["log"]]) == 0
    back = shelf.recorded(FIRST)
    assert (back is None) == (before is None)
    if before is not None and back is not None:
        assert back.token > before.token
        assert replace(back, token=0) == replace(before, token=0)


def test_undo_refuses_what_has_changed_since(shelf: Shelf, capsys: Captured) -> None:
    """A record that somebody has written after the fix stays; other lines are taken back, junk is refused."""
    for name in (FIRST, SECOND):
        (shelf.folder / "products" / shelf.path(name) / "metadata.json").unlink()
    said = _verify(capsys, "--fix", "--log", "mine.jsonl", code=1)
    assert said["log"] == "mine.jsonl"
    shelf.commit(FIRST, token=50)
    assert main(["verify", "--undo", "mine.jsonl"]) == 1
    told = capsys.readouterr()
    assert f"{FIRST}: the catalogue's record is not the one that was written" in told.err
    assert "1 of 2 records taken back" in told.out
    states = [(shelf.recorded(name), 0)[0] for name in (FIRST, SECOND)]
    assert [one.state for one in states if one is not None] == ["done", "done"]
    Path("mine.jsonl").write_text('{"basename": 1}\n')
    assert main(["verify", "--undo", "mine.jsonl"]) == 2


def test_a_run_that_a_batch_holds_is_left_to_it(shelf: Shelf, capsys: Captured) -> None:
    """Nothing is changed under a batch that is processing the run."""
    _lost_manifest(shelf)
    with shelf.catalog() as catalog:
        catalog.open_lease("busy")
        catalog.claim([FIRST], "busy")
        before = shelf.recorded(FIRST)
        assert list(_verify(capsys, "--fix", code=1)["fixed"]["left"]) == [FIRST]
        assert catalog.holders([FIRST]) == {FIRST: "busy"}
    assert shelf.recorded(FIRST) == before


def test_a_failure_beside_an_older_product_is_no_disagreement(shelf: Shelf, capsys: Captured) -> None:
    """What failed was another product; the older one stands, as it should."""
    _recorded(state="failed", kind="timeout", reason="x", fingerprint="e" * 16)(shelf)
    assert _verify(capsys, code=0)["counts"] == {}


def test_a_rebuilt_catalogue_learns_what_there_is(shelf: Shelf, capsys: Captured) -> None:
    """Products of runs without a record are found below any prefix, and recorded."""
    _not_recorded(shelf)
    _verify(capsys, "--fix", code=1)
    record = shelf.recorded(FIRST)
    assert record is not None
    assert (record.path, record.state) == (f"{PREFIX}/2014/03/05/{basename_of(FIRST)}", "done")
    assert _verify(capsys, code=0)["checked"] == 2


@pytest.mark.parametrize("how", ["unmounted", "unmarked"])
def test_a_store_that_is_away_says_nothing_of_products(shelf: Shelf, how: str, capsys: Captured) -> None:
    """Exit code 3, and no record is changed."""
    products = shelf.folder / "products"
    if how == "unmounted":
        products.rename(shelf.folder / "elsewhere")
        products.mkdir()
    else:
        (products / ".covis-store.json").unlink()
    before = shelf.recorded(FIRST)
    assert main(["verify", "--year", "2014", "--fix"]) == 3
    assert "mark" in capsys.readouterr().err
    assert shelf.recorded(FIRST) == before


def test_what_is_being_mended_is_not_abandoned(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease gives signs of life for as long as the mending takes, however many runs there are."""
    monkeypatch.setattr("covis_dask.batches.verification._HEARTBEAT", 0.02)
    with open_catalog(f"sqlite:///{shelf.folder}/leases.sqlite") as catalog, _claimed(catalog, [], {}):
        (first,) = catalog.leases().values()
        deadline = time.monotonic() + 10
        while catalog.leases() and max(catalog.leases().values()) == first:
            assert time.monotonic() < deadline, "it stands still"
            time.sleep(0.01)
    with open_catalog(f"sqlite:///{shelf.folder}/leases.sqlite") as catalog:
        assert not catalog.leases()
