"""What is kept of an archive whose members are out of order: where, and how much, is for the user to say."""

import errno
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.config
import pytest

from covis_dask.cli import _process
from covis_dask.cli.process import parser
from covis_dask.raw.scratch import scratch_fault
from covis_dask.simulate.pack import write_archive
from tests._place import Place, diffuse, members, version_of


def _process_shuffled(folder: Path) -> int:
    spec = diffuse(1)
    archive = write_archive(
        members(), folder / f"{spec.basename}.tar.gz", folder=spec.folder, order="shuffled"
    )
    return _process.run(parser().parse_args([str(archive), "--output", str(folder / "out")]))


def test_spool_lies_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``covis.scratch`` is the folder of the spool, and nothing stays in it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    spools: list[Path] = []
    make = tempfile.TemporaryFile

    def noting(*arguments: Any, **words: Any) -> Any:
        spools.append(Path(words["dir"]))
        return make(*arguments, **words)

    monkeypatch.setattr("covis_dask.raw._indexed.tempfile.TemporaryFile", noting)
    with dask.config.set({"covis.scratch": str(scratch)}):
        assert _process_shuffled(tmp_path) == 0
    assert [scratch in spool.parents for spool in spools] == [True]
    assert not list(scratch.iterdir())


def test_spool_is_as_large_as_the_user_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An archive that needs more than ``covis.limits.spool-bytes`` is refused, with the setting's name."""
    with dask.config.set({"covis.limits.spool-bytes": "1 kiB"}):
        assert _process_shuffled(tmp_path) == 1
    said = capsys.readouterr().out
    assert "archive-unsafe" in said
    assert "max_spool_bytes" in said


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """Give a scratch folder of one megabyte with next to nothing left, or skip."""
    folder = tmp_path / "small"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        (folder / "fill").write_bytes(bytes(990 * 1024))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


_NO_ROOM = (
    "storage-unavailable: no room in scratch {}: free some space, or point covis.scratch at a larger disk"
)


def _process_one(archive: Path, scratch: Path, out: Path) -> int:
    with dask.config.set({"covis.scratch": str(scratch)}):
        return _process.run(parser().parse_args([str(archive), "--output", str(out)]))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small sound run."""
    return Place(tmp_path_factory.mktemp("archive")).store(diffuse(1))


def test_scratch_without_room(
    sound: Path, full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk is named, with what to do; it is no fault of the program."""
    assert _process_one(sound, full, tmp_path / "out") == 1
    said = capsys.readouterr().out
    assert _NO_ROOM.format(full) in said
    assert "this is a bug" not in said


def test_field_report_scratch_full(
    shared: Path, full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report's own archive on its own full disk, where HDF5 says no more than "HDF error"."""
    archive = shared / "field-reports" / "base" / "COVIS-20191024T003346-diffuse1.tar.gz"
    if not archive.is_file():
        pytest.skip("the field reports are not beside this checkout")
    assert _process_one(archive, full, tmp_path / "out") == 1
    assert _NO_ROOM.format(full) in capsys.readouterr().out


def test_scratch_that_is_not_there(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is missing is named."""
    assert _process_one(sound, tmp_path / "gone", tmp_path / "out") == 1
    said = capsys.readouterr().out
    assert f"storage-unavailable: the scratch folder {tmp_path}/gone cannot be used" in said


def test_other_errors_are_not_put_on_scratch(tmp_path: Path) -> None:
    """Where there is room, an error of a library stays what it is; where a quota is full, it does not."""
    assert scratch_fault(RuntimeError("NetCDF: HDF error"), tmp_path) is None
    assert scratch_fault(ValueError("x"), tmp_path / "gone") is None
    assert "no room" in str(scratch_fault(OSError(errno.EDQUOT, "Disk quota exceeded"), tmp_path))


def test_a_picture_that_fails_costs_the_picture(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product is committed without it, and manifest and log say so."""

    def broken(_: object, picture: Path, **__: object) -> None:
        picture.write_bytes(b"half")
        raise RuntimeError("no font")

    monkeypatch.setattr("covis_dask.products.writers.quicklook", broken)
    out = tmp_path / "out"
    assert _process_one(sound, tmp_path, out) == 0
    (manifest,) = out.rglob("metadata.json")
    assert "no picture: RuntimeError: no font" in json.loads(manifest.read_text())["notes"]
    version = version_of(manifest)
    assert "no picture" in (version / "output.txt").read_text()
    assert sorted(path.suffix for path in version.iterdir()) == [".nc", ".txt"]
