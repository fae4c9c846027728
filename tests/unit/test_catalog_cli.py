"""The command line of the catalogue, as a user types it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dask.config
import pytest

from catalog.model import Batch, utc
from catalog.store import open_catalog
from catalog.tools.command import main

NAMES = [
    "APLUWCOVISMBSONAR001_20131215T030021.657Z-IMAGING",
    "APLUWCOVISMBSONAR001_20141215T030021.657Z-IMAGING",
    "APLUWCOVISMBSONAR001_20141215T090839.005Z-DOPPLER",
    "COVIS-20191024T003346-diffuse3",
]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def listing(tmp_path: Path) -> Iterator[Path]:
    """Give a listing of four runs, and a catalogue that is not there yet."""
    path = tmp_path / "nas6.txt"
    path.write_text("".join(f"6\t{100 + size}\t./x/{name}.tar.gz\n" for size, name in enumerate(NAMES)))
    with dask.config.set({"covis.catalog.url": f"sqlite:///{tmp_path}/catalog/runs.sqlite"}):
        yield path


@pytest.fixture
def filled(listing: Path, capsys: Captured) -> Path:
    """Give the same, imported."""
    assert main(["import", str(listing)]) == 0
    capsys.readouterr()
    return listing


def test_import(listing: Path, capsys: Captured) -> None:
    """An import says what it did; the same again changes nothing and says so."""
    assert main(["import", str(listing), "--host", "old-covis-nas6"]) == 0
    said = capsys.readouterr().out
    assert "4 entries, 4 runs on OLD-COVIS-NAS6" in said
    assert "4 new, 0 changed, 0 unchanged" in said
    assert main(["import", str(listing)]) == 0
    assert "nothing changed" in capsys.readouterr().out


@pytest.mark.usefixtures("filled")
def test_import_by_a_walk(tmp_path: Path, capsys: Captured) -> None:
    """A walk over a folder adds its host to the runs it holds."""
    archive = tmp_path / "disk" / "2014" / f"{NAMES[1]}.tar"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"12345")
    assert main(["import", "--walk", str(tmp_path / "disk"), "--host", "my-disk"]) == 0
    assert "0 new, 1 changed, 0 unchanged" in capsys.readouterr().out
    assert main(["select", "--basename", NAMES[1], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["raw"] == [
        {"host": "OLD-COVIS-NAS6", "filename": f"x/{NAMES[1]}.tar.gz", "filesize": 101},
        {"host": "MY-DISK", "filename": f"2014/{NAMES[1]}.tar", "filesize": 5},
    ]


@pytest.mark.usefixtures("filled")
def test_select(capsys: Captured) -> None:
    """Basenames come one a line, earliest first."""
    assert main(["select"]) == 0
    assert capsys.readouterr().out.splitlines() == NAMES
    assert main(["select", "--year", "2014", "--mode", "doppler"]) == 0
    assert capsys.readouterr().out.splitlines() == [NAMES[2]]


@pytest.mark.usefixtures("filled")
def test_count(capsys: Captured) -> None:
    """Runs are counted by mode, by year, and as JSON; the totals add up."""
    assert main(["count"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table == [["DOPPLER", "1"], ["IMAGING", "2"], ["diffuse3", "1"], ["total", "4"]]
    assert main(["count", "--by-year", "--site", "endeavour"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["year", "imaging", "doppler", "total"]
    assert table[1:] == [["2013", "1", "0", "1"], ["2014", "1", "1", "2"], ["total", "2", "1", "3"]]
    assert main(["count", "--json", "--year", "2014"]) == 0
    assert json.loads(capsys.readouterr().out) == {"modes": {"DOPPLER": 1, "IMAGING": 1}, "total": 2}
    assert main(["years"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table == [["2013", "1"], ["2014", "2"], ["2019", "1"], ["total", "4"]]


@pytest.mark.usefixtures("filled")
def test_nothing_found(tmp_path: Path, capsys: Captured) -> None:
    """When nothing matches, the command says what there is, and exits with 1."""
    assert main(["select", "--year", "2031"]) == 1
    assert (
        "No run matches year 2031. The catalogue has runs from 2013 (1), 2014 (2)" in capsys.readouterr().err
    )
    assert main(["count", "--catalog", f"sqlite:///{tmp_path}/new.sqlite"]) == 1
    assert "has no runs yet" in capsys.readouterr().err


@pytest.mark.usefixtures("filled")
def test_batches(tmp_path: Path, capsys: Captured) -> None:
    """Batches are listed, newest first; none is said so."""
    assert main(["batches"]) == 1
    assert "no batch" in capsys.readouterr().err
    with open_catalog(f"sqlite:///{tmp_path}/catalog/runs.sqlite") as catalog:
        for day in ("02", "03"):
            start = utc(f"2026-01-{day}T00:00:00Z")
            catalog.put_batch(
                Batch(f"202601{day}T000000-abcdef", {}, {}, {}, {"done": 3, "failed": 0}, start)
            )
    assert main(["batches"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["20260103T000000-abcdef", "20260102T000000-abcdef"]
    assert "not ended  3 done" in lines[0]
    assert main(["batches", "--limit", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "20260103T000000-abcdef"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ("select --mode sonar", 2, "'sonar' is not a mode"),
        ("import", 2, "either listings (FILE) or a store"),
        ("import x.json --walk y --host DMAS", 2, "either listings (FILE) or a store"),
        ("import --walk somewhere", 2, "--walk requires --host"),
        ("import no-such-file --host DMAS", 3, "no-such-file cannot be read"),
        ("import --walk no-such-folder --host DMAS", 3, "to walk"),
        ("import --walk no://such --host DMAS", 3, "cannot be walked"),
        ("select --catalog nonsense", 3, "no catalogue can be opened"),
    ],
)
@pytest.mark.usefixtures("listing")
def test_what_goes_wrong_is_a_sentence(words: str, code: int, sentence: str, capsys: Captured) -> None:
    """Wrong words exit with 2, what cannot be read with 3; each with one sentence and no traceback."""
    assert main(words.split()) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("catalog: ")
    assert said.count("\n") == 1


def test_a_file_that_is_no_catalogue(listing: Path, capsys: Captured) -> None:
    """A file that is no SQLite file is left as it is, with a sentence."""
    before = listing.read_text()
    assert main(["count", "--catalog", f"sqlite:///{listing}"]) == 3
    assert "not a database" in capsys.readouterr().err
    assert listing.read_text() == before


def test_a_database_of_another_program(tmp_path: Path, capsys: Captured) -> None:
    """A SQLite file of another program is left as it is, with a sentence."""
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE runs (x)")
    before = path.read_bytes()
    assert main(["count", "--catalog", f"sqlite:///{path}"]) == 3
    assert "of another program" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_help(capsys: Captured) -> None:
    """The help names the exit codes and where the catalogue is sought."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "exit codes:" in said
    assert "MONGODB_URL" in said
