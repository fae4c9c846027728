"""`covis gc` sweeps what nobody needs, and nothing else."""

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import covis_dask as covis
from covis_dask.batches import sweeping
from covis_dask.cli import main
from covis_dask.products import commit
from covis_dask.products.commit import Seen
from covis_dask.products.garbage import garbage_of
from covis_dask.storage import Listed
from tests.unit._layout1 import BASENAME, unpack
from tests.unit._manifests import RUN, manifest, second
from tests.unit._shelf import NAMES, Shelf

Captured = pytest.CaptureFixture[str]
FIRST, SECOND, _ = NAMES
_NOW = dt.datetime(2026, 1, 10, tzinfo=dt.UTC)
_BEFORE = _NOW - dt.timedelta(days=1)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give a catalogue, a store and a scratch folder."""
    with Shelf.at(tmp_path) as shelf:
        yield shelf


def _age(folder: Path, days: float = 2.0) -> None:
    """Let everything in a folder be so old."""
    then = time.time() - days * 86400
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def _gc(capsys: Captured, *words: str) -> dict[str, object]:
    assert main(["gc", "--json", *words]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_versions_that_no_manifest_names_go(shelf: Shelf, capsys: Captured) -> None:
    """A version that was replaced goes a day later, the current one stays whole; a dry run only says."""
    old = shelf.commit(FIRST)
    new = shelf.commit(FIRST, fingerprint="e" * 16)
    products = shelf.folder / "products"
    assert _gc(capsys)["swept"] == {}
    _age(products)
    before = _files(products)
    said = _gc(capsys, "--dry-run")
    assert said["swept"] == {"version": {"count": 1, "bytes": 35}}
    assert _files(products) == before
    assert _gc(capsys)["swept"] == said["swept"]
    run = products / shelf.path(FIRST)
    assert not (run / old.folder).exists()
    assert _files(run) == {"metadata.json", *(entry.name for entry in new.files)}
    assert _gc(capsys)["swept"] == {}


def _listed(*names: str, days: float = 2.0) -> list[Listed]:
    return [Listed(f"{RUN}/{name}", 1, _NOW - dt.timedelta(days=days)) for name in names]


def _kept_and_swept(files: list[Listed], seen: Seen) -> dict[str, str]:
    return {
        file.path.removeprefix(f"{RUN}/"): garbage.what
        for garbage in garbage_of(RUN, seen, files, _BEFORE)
        for file in garbage.files
    }


def test_what_may_still_be_in_use_is_kept() -> None:
    """A version that is being uploaded, one that was replaced just now, and what has no age."""
    seen, old = Seen("t", manifest("a", "1")), _listed("metadata.json", "v/a-1/x.nc")
    assert _kept_and_swept([*old, *_listed("v/b-1/x.nc")], seen) == {"v/b-1/x.nc": "version"}
    uploading = [*_listed("v/b-1/x.nc"), *_listed("v/b-1/y.nc", days=0.5)]
    assert _kept_and_swept([*old, *uploading], seen) == {}
    swapped = [*_listed("metadata.json", days=0.5), *_listed("v/a-1/x.nc", "v/b-1/x.nc")]
    assert _kept_and_swept(swapped, seen) == {}
    assert _kept_and_swept([*old, Listed(f"{RUN}/v/b-1/x.nc", 1, None)], seen) == {}


def test_second_level_and_formats_of_older_versions_are_named_too() -> None:
    """Every file that a manifest names keeps the folder it is in."""
    made = manifest("a", "1", level2=second())
    made = type(made).from_document(
        {
            **made.to_document(),
            "files": [{"name": f"v/a-0/{made.basename}.mat", "size": 1, "sha256": "0" * 64}],
        }
    )
    files = _listed("metadata.json", "v/a-0/x.mat", "v/a-1/x.nc", "l2/A-1/x.l2.nc", "l2/A-0/x.l2.nc")
    assert _kept_and_swept(files, Seen("t", made)) == {"l2/A-0/x.l2.nc": "version"}


def test_tries_beyond_the_last_five_go() -> None:
    """Whole, the oldest first, whatever their age."""
    files = _listed(
        *(f"tries/{n:08d}-1-aaaa/{one}" for n in range(7) for one in ("failure.json", "output.txt")), days=0
    )
    swept = _kept_and_swept(files, Seen())
    assert {name.split("/")[1] for name in swept} == {"00000000-1-aaaa", "00000001-1-aaaa"}
    assert set(swept.values()) == {"try"}
    assert len(swept) == 4


def test_a_manifest_that_cannot_be_used_keeps_everything(shelf: Shelf, capsys: Captured) -> None:
    """Nobody knows what it would have named; the run is named instead."""
    shelf.commit(FIRST)
    shelf.store.put_bytes(f"{shelf.path(FIRST)}/metadata.json", b"{")
    products = shelf.folder / "products"
    _age(products)
    before = _files(products)
    said = _gc(capsys)
    assert _files(products) == before
    assert said["left-alone"][0]["path"] == shelf.path(FIRST)  # type: ignore[index]


def test_layout_1_stays_until_it_is_replaced(shelf: Shelf, capsys: Captured) -> None:
    """What manifest/1 names stays; beside a newer product its files go, the failure's note with them."""
    shelf.add(BASENAME)
    run = unpack(shelf.folder / "products" / shelf.path(BASENAME).rsplit("/", 1)[0])
    old = _files(run)
    _age(shelf.folder / "products")
    assert _gc(capsys)["swept"] == {}
    assert _files(run) == old
    made = shelf.commit(BASENAME)
    _age(shelf.folder / "products")
    (run / "mine.txt").write_text("a user's own")
    _age(shelf.folder / "products")
    assert set(_gc(capsys)["swept"]) == {"layout-1"}  # type: ignore[call-overload]
    assert _files(run) == {"metadata.json", "mine.txt", *(entry.name for entry in made.files)}


def test_parts_of_dead_writers_go(shelf: Shelf, capsys: Captured) -> None:
    """Wherever they lie, once they are old; what looks a little like one stays."""
    shelf.commit(FIRST)
    products = shelf.folder / "products"
    names = [".x.nc.0123abcd.part", f"{shelf.path(FIRST)}/v/f-1/.x.nc.0123abcd.part", "mine.part", ".hidden"]
    for name in names:
        (products / name).parent.mkdir(parents=True, exist_ok=True)
        (products / name).write_bytes(b"12")
    assert _gc(capsys)["swept"] == {}
    _age(products)
    assert _gc(capsys)["swept"] == {"part": {"count": 2, "bytes": 4}}
    assert [(products / name).exists() for name in names] == [False, False, True, True]


def test_a_manifest_that_changes_meanwhile_stops_the_sweep(
    shelf: Shelf, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again right before anything is removed: what it names now stays."""
    old = shelf.commit(FIRST)
    back = shelf.store.read_bytes(f"{shelf.path(FIRST)}/metadata.json") or b""
    shelf.commit(FIRST, fingerprint="e" * 16)
    _age(shelf.folder / "products")
    looks, real = [0], commit.look

    def look(store: object, run: str) -> Seen:
        looks[0] += 1
        if looks[0] == 2:
            shelf.store.put_bytes(f"{run}/metadata.json", back)
        return real(store, run)  # type: ignore[arg-type]

    monkeypatch.setattr(sweeping, "look", look)
    assert _gc(capsys)["swept"] == {}
    assert (shelf.folder / "products" / shelf.path(FIRST) / old.folder).is_dir()
    assert len(covis.product_files(year=2014)) == 1


def test_a_store_that_is_away_is_not_swept(shelf: Shelf, capsys: Captured) -> None:
    """Without its mark there is nothing to believe."""
    shelf.commit(FIRST)
    (shelf.folder / "products" / ".covis-store.json").unlink()
    assert main(["gc"]) == 2
    assert "mark" in capsys.readouterr().err
    assert main(["gc", "--grace", "soon"]) == 2


_HOLDER = """
import sys, tempfile, time
from pathlib import Path
from covis_dask.raw.leftovers import hold
folder = Path(tempfile.mkdtemp(prefix="covis-raw-", dir=sys.argv[1]))
(folder / "big").write_bytes(b"123")
hold(folder)
print(folder, flush=True)
time.sleep(60)
"""


def test_scratch_of_the_dead_goes(shelf: Shelf, capsys: Captured) -> None:
    """A folder lives as long as its process; one without a lock until it is old; others are not ours."""
    scratch = shelf.folder / "scratch"
    other, unlocked = scratch / "covis-products", scratch / "covis-run-abcdefgh"
    for folder in (other, unlocked):
        folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(scratch)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        _age(scratch, days=0.1)
        assert _gc(capsys, "--grace", "0s")["scratch"] == []
        _age(scratch)
        assert _gc(capsys)["scratch"] == [str(unlocked)]
        holder.kill()
    assert _gc(capsys)["scratch"] == [str(held)]
    assert [path.name for path in scratch.iterdir()] == ["covis-products"]


def test_the_clock_is_the_store_s(shelf: Shelf, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose clock is days ahead takes nothing young for old."""
    shelf.commit(FIRST)
    shelf.commit(FIRST, fingerprint="e" * 16)

    class Ahead(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Ahead":
            return super().now(tz) + dt.timedelta(days=9)

    monkeypatch.setattr("covis_dask.cli.gc.dt.datetime", Ahead)
    assert _gc(capsys)["swept"] == {}
