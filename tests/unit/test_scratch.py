"""What is kept of an archive whose members are out of order: where, and how much, is for the user to say."""

import tempfile
from pathlib import Path
from typing import Any

import dask.config
import pytest

from covis_dask.cli import _process
from covis_dask.cli.process import parser
from covis_dask.simulate.pack import write_archive
from tests._place import diffuse, members


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
