"""`covis files` and `covis get`: the files of selected runs' products, without knowing the layout."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import xarray as xr

import covis_dask as covis
from covis_dask.cli import main
from covis_dask.products.files import KINDS, files_of
from covis_dask.products.manifest import Manifest
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.netcdf import write_netcdf
from tests.unit._datasets import diffuse_endeavour, facts
from tests.unit._layout1 import BASENAME, unpack
from tests.unit._shelf import NAMES, PREFIX, Shelf

Captured = pytest.CaptureFixture[str]
FIRST, SECOND, THIRD = NAMES


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give a catalogue and a store in a folder."""
    with Shelf.at(tmp_path) as shelf:
        yield shelf


def _lines(captured: Captured) -> list[str]:
    return captured.readouterr().out.splitlines()


def _netcdf(tmp_path: Path, basename: str) -> bytes:
    path = tmp_path / "made.nc"
    write_netcdf(finish_dataset(diffuse_endeavour(8), facts(basename)), path)
    return path.read_bytes()


def test_a_season_opens(shelf: Shelf, tmp_path: Path, capsys: Captured) -> None:
    """Plain xarray takes the list as it is; a product that was replaced is the newer one."""
    for name in (FIRST, SECOND):
        shelf.commit(name, {f"{name}.nc": b"older"})
        shelf.commit(name, {f"{name}.nc": _netcdf(tmp_path, name)}, fingerprint="e" * 16)
    assert main(["files", "--year", "2014"]) == 0
    listed = _lines(capsys)
    assert listed == covis.product_files(year=2014)
    assert all(Path(line).is_absolute() for line in listed)
    with xr.open_mfdataset(listed) as season:
        assert season.sizes["time"] == 2


def test_layout_1_is_listed_too(shelf: Shelf, capsys: Captured) -> None:
    """Old products lie in the run's folder itself; nobody needs to know."""
    shelf.add(BASENAME)
    folder = unpack(shelf.folder / "products" / shelf.path(BASENAME).rsplit("/", 1)[0])
    assert main(["files", "--basename", BASENAME, "--prefix", PREFIX, "--format", "all"]) == 0
    assert {Path(line).name for line in _lines(capsys)} == {
        path.name for path in folder.iterdir() if path.name != "metadata.json"
    }


@pytest.mark.parametrize("kind", KINDS)
def test_formats(shelf: Shelf, kind: str) -> None:
    """Each word gives its own files, `all` every one; a Zarr store in a folder is one line."""
    files = {
        f"{FIRST}.nc": b"1", f"{FIRST}.zarr/zarr.json": b"2", f"{FIRST}.zarr/a/c/0": b"3",
        f"{FIRST}.mat": b"4",
        f"{FIRST}.png": b"5", "output.txt": b"6", "comparison.json": b"7",
    }  # fmt: skip
    made = shelf.commit(FIRST, files)
    heads = {"nc": {f"{FIRST}.nc"}, "zarr": {f"{FIRST}.zarr"}, "mat": {f"{FIRST}.mat"},
             "png": {f"{FIRST}.png"}, "log": {"output.txt"}}  # fmt: skip
    heads["all"] = {"comparison.json", *(name for some in heads.values() for name in some)}
    assert {Path(path).name for path in covis.product_files(basename=FIRST, format=kind)} == heads[kind]
    names = [file.name for file in files_of(made, {kind})]
    assert all(name.startswith(f"{FIRST}.") for name in names)
    assert (kind != "all") or len(names) == len(files)


def test_what_is_left_out_is_said(shelf: Shelf, capsys: Captured) -> None:
    """A run without product is counted, one that cannot be used is named, and the rest is listed."""
    shelf.commit(FIRST)
    shelf.add(SECOND)
    made = shelf.commit(THIRD)
    assert main(["files", "--year", "2014", "--limit", "2"]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert "1 of 2 selected runs have no product" in said.err
    bad = made.to_json().replace(f"{made.folder}/output.txt", "../../outside")
    shelf.store.put_bytes(f"{shelf.path(THIRD)}/metadata.json", bad.encode())
    assert main(["files", "--year", "2014", "--json"]) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert [entry["name"] for entry in document["files"]] == [f"{FIRST}.nc"]
    assert document["without-product"] == [SECOND]
    assert [entry["kind"] for entry in document["unusable"]] == ["product-damaged"]
    assert f"{THIRD}: product-damaged" in said.err
    assert main(["files", "--year", "2013"]) == 3
    assert main(["files", "--basename", SECOND]) == 1


def test_copies_have_plain_names_and_are_made_once(shelf: Shelf, tmp_path: Path, capsys: Captured) -> None:
    """The second call copies nothing; names tell runs apart, and nothing else is left in the folder."""
    for name in (FIRST, SECOND):
        shelf.commit(name)
    target = tmp_path / "to" / "here"
    words = ["get", str(target), "--year", "2014", "--format", "nc", "--format", "log"]
    assert main(words) == 0
    assert "4 copied" in capsys.readouterr().out
    expected = sorted(f"{name}.{ending}" for name in (FIRST, SECOND) for ending in ("nc", "log"))
    assert sorted(path.name for path in target.iterdir()) == expected
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    assert main(words) == 0
    assert "4 there" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before


def _part(target: Path, made: Manifest) -> Path:
    entry = made.files[0]
    return target / f".{entry.plain}.{entry.sha256[:12]}.part"


@pytest.mark.parametrize("held", [b"", b"0123", b"wrong", b"0123456789", b"longer than the file is"])
def test_a_copy_goes_on_from_where_it_was(
    shelf: Shelf, tmp_path: Path, held: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a part lacks is read; a part that holds something else is begun again."""
    made = shelf.commit(FIRST, {f"{FIRST}.nc": b"0123456789"})
    target = tmp_path / "to"
    target.mkdir()
    _part(target, made).write_bytes(held)
    asked: list[int] = []
    pieces = type(shelf.store).pieces

    def counted(store: object, path: str, start: int = 0) -> Iterator[bytes]:
        asked.append(start)
        return pieces(store, path, start)  # type: ignore[arg-type]

    monkeypatch.setattr(type(shelf.store), "pieces", counted)
    assert covis.copy_products(target, year=2014) == [target / f"{FIRST}.nc"]
    assert (target / f"{FIRST}.nc").read_bytes() == b"0123456789"
    assert [path.name for path in target.iterdir()] == [f"{FIRST}.nc"]
    whole = {b"": [0], b"0123": [4], b"wrong": [5, 0], b"0123456789": [], b"longer than the file is": [0]}
    assert asked == whole[held]


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_nothing_else_is_overwritten_unasked(
    shelf: Shelf, tmp_path: Path, there: str, capsys: Captured
) -> None:
    """Another file of that name stays, and is named; --overwrite replaces a file or a link, no folder."""
    shelf.commit(FIRST)
    shelf.commit(SECOND)
    target, other = tmp_path / "to" / f"{FIRST}.nc", tmp_path / "other"
    target.parent.mkdir()
    other.write_bytes(b"mine")
    if there == "folder":
        target.mkdir()
    elif there == "link":
        target.symlink_to(other)
    else:
        target.write_bytes(b"mine")
    assert main(["get", str(target.parent), "--year", "2014"]) == 1
    assert "is something else" in capsys.readouterr().err
    assert (target.parent / f"{SECOND}.nc").is_file()
    assert there == "folder" or target.read_bytes() == b"mine"
    with pytest.raises(covis.InTheWay):
        covis.copy_products(target.parent, year=2014)
    assert main(["get", str(target.parent), "--year", "2014", "--overwrite"]) == (there == "folder")
    assert other.read_bytes() == b"mine"
    assert there == "folder" or (target.read_bytes() == b"n" * 30 and not target.is_symlink())


@pytest.mark.parametrize("damage", ["other", "short", "gone"])
def test_a_file_that_is_not_the_product_s_is_not_handed_out(
    shelf: Shelf, tmp_path: Path, damage: str, capsys: Captured
) -> None:
    """What the store holds is compared with size and SHA-256 of the manifest."""
    shelf.commit(FIRST)
    file = Path(covis.product_files(basename=FIRST)[0])
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"other": b"m" * 30, "short": b"n" * 29}[damage])
    assert main(["get", str(tmp_path / "to"), "--year", "2014", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["files"][0]["state"] == "product-damaged"
    assert not (tmp_path / "to" / f"{FIRST}.nc").exists()


def test_a_store_that_is_away(shelf: Shelf, capsys: Captured) -> None:
    """A store without its mark is an outage, not a season without products."""
    shelf.commit(FIRST)
    (shelf.folder / "products" / ".covis-store.json").unlink()
    assert main(["files", "--year", "2014"]) == 2
    assert "lost its mark" in capsys.readouterr().err
