"""Products are found in a store by their manifests, whatever the layout; damage is one run's fault."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import covis_dask as covis
from covis_dask.batches.completion import complete_from_manifests
from covis_dask.cli import process
from covis_dask.config import Location
from covis_dask.engines.native import NativeEngine
from covis_dask.errors import LegacyProduct, ProductDamaged
from covis_dask.products.manifest import Failure, Manifest
from covis_dask.products.paths import draw_try
from covis_dask.products.stored import ProductMissing, StoredProduct, newest_log, tries
from covis_dask.runs.outcome import RunOutcome
from covis_dask.simulate.pack import write_archive
from covis_dask.storage import ProductStore
from tests._place import diffuse, members, version_of
from tests.unit._layout1 import BASENAME, WORDS, unpack


@pytest.fixture
def store(tmp_path: Path) -> ProductStore:
    """Give a store with a product of layout 1."""
    unpack(tmp_path / "products")
    return ProductStore.open(Location(str(tmp_path / "products"))).marked()


def _product(store: ProductStore) -> StoredProduct:
    return StoredProduct.of(store, BASENAME)


def _process(tmp_path: Path, *words: str) -> int:
    spec = diffuse(1)
    archive = tmp_path / "raw" / f"{spec.basename}.tar"
    if not archive.exists():
        write_archive(members(), archive, folder=spec.folder)
    return process.main([str(archive), "--output", str(tmp_path / "products"), *WORDS, *words])


def test_layout_1_is_read(store: ProductStore) -> None:
    """Data, picture and log of an old product, by its run's folder or by the store."""
    product = _product(store)
    assert product.dataset().attrs["basename"] == BASENAME
    assert (product.picture() or b"")[1:4] == b"PNG"
    assert "engine native" in (product.log() or "")
    assert newest_log(store, BASENAME) == f"{BASENAME}/output.txt"
    assert (product.manifest.token, product.manifest.folder, product.manifest.level2) == (0, "", None)
    assert product.manifest.formats == {"nc"}
    assert "decorrelation" in covis.open_product(Path(store.root, BASENAME))


def test_layout_1_is_not_stale_and_is_replaced_whole(
    store: ProductStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same command finds it done; --force writes layout 2 beside it; who reads the old one still can."""
    monkeypatch.setattr(NativeEngine, "version", "1")  # whose product it is
    folder = tmp_path / "products" / BASENAME
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    old = _product(store)
    assert _process(tmp_path) == 0
    assert "already" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert _process(tmp_path, "--force") == 0
    manifest = json.loads((folder / "metadata.json").read_text())
    assert manifest["schema"] == "covis-dask/manifest/2"
    assert version_of(folder / "metadata.json").parent == folder / "v"
    assert "decorrelation" in _product(store).dataset()
    assert all(old.read(entry.plain) == before[entry.name] for entry in old.files)


def _drop(folder: Path) -> None:
    (folder / f"{BASENAME}.nc").unlink()


def _cut(folder: Path) -> None:
    file = folder / f"{BASENAME}.nc"
    file.write_bytes(file.read_bytes()[:3000])


def _link(folder: Path) -> None:
    file = folder / f"{BASENAME}.nc"
    outside = folder.parents[1] / "outside.nc"
    file.rename(outside)
    file.symlink_to(outside)


def _write(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "metadata.json").write_text(text)

    return write


def _name(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / "metadata.json"
        document = json.loads(path.read_text())
        document["files"][0]["name"] = name
        path.write_text(json.dumps(document))

    return write


_DAMAGE = {
    "lost": _drop,
    "cut": _cut,
    "link": _link,
    "empty": _write(""),
    "half": _write('{"schema": "covis-dask/manifest/2", "files"'),
    "later": _write('{"schema": "covis-dask/manifest/3"}'),
    "outside": _name(f"../{BASENAME}/{BASENAME}.nc"),
    "absolute": _name("/etc/hostname"),
}


@pytest.mark.parametrize("damage", list(_DAMAGE))
def test_a_damaged_product_is_named(store: ProductStore, damage: str) -> None:
    """Opening it says what is wrong with which run; the report of its batch is made all the same."""
    folder = Path(store.root, BASENAME)
    _DAMAGE[damage](folder)
    with pytest.raises(ProductDamaged, match=BASENAME):
        _product(store).dataset()
    with pytest.raises(ProductDamaged, match=BASENAME):
        covis.open_product(folder)
    outcome = RunOutcome(BASENAME, "done", BASENAME)
    (completed,) = complete_from_manifests([outcome], store, "single")
    assert completed.basename == BASENAME


def test_what_is_no_product(store: ProductStore) -> None:
    """Nothing, and another program's document, are told apart."""
    assert StoredProduct.at(store, "nothing") is None
    with pytest.raises(ProductMissing, match="nothing"):
        StoredProduct.of(store, "nothing")
    Path(store.root, BASENAME, "metadata.json").write_text('{"python_version": "3.5"}')
    with pytest.raises(LegacyProduct):
        _product(store)


def _failed(store: ProductStore, of: Manifest, token: int, hour: int) -> str:
    """Leave a try that failed; returns where its log lies."""
    shared = (
        "basename",
        "engine",
        "version",
        "fingerprint",
        "preset",
        "profile",
        "parameters",
        "batch",
        "attempt",
    )
    values = {name: getattr(of, name) for name in shared}
    moment = of.finished.replace(year=2027, hour=hour)
    failure = Failure(
        **values, token=token, started=moment, finished=moment, state="failed", kind="timeout", reason="late"
    )
    folder = f"{BASENAME}/tries/{draw_try(token, 1)}"
    store.put_bytes(f"{folder}/failure.json", failure.to_json().encode())
    store.put_bytes(f"{folder}/output.txt", f"{token} {hour}".encode())
    return f"{folder}/output.txt"


def test_the_newest_log_is_that_of_the_latest_attempt(store: ProductStore) -> None:
    """Of the product, or of a try that failed since; claims come before clocks, and damage is passed over."""
    made = _product(store).manifest
    late = _failed(store, made, 1, 3)
    assert newest_log(store, BASENAME) == late
    latest = _failed(store, made, 2, 1)
    assert newest_log(store, BASENAME) == latest
    store.put_bytes(f"{BASENAME}/tries/00000009-1-0000/failure.json", b"{")
    assert [one.log for one in tries(store, BASENAME)] == [late, latest]
    path = Path(store.root, BASENAME, "metadata.json")
    newer = replace(made, token=3)
    path.write_text(newer.to_json())
    assert newest_log(store, BASENAME) == f"{BASENAME}/output.txt"


def test_failures_of_layout_1_are_read(store: ProductStore) -> None:
    """The note that lay in the run's own folder counts as a try."""
    made = _product(store).manifest
    log = _failed(store, made, 0, 5)
    store.put_bytes(
        f"{BASENAME}/failure.json", store.read_bytes(log.replace("output.txt", "failure.json")) or b""
    )
    assert tries(store, BASENAME)[0].log == f"{BASENAME}/output.txt"
