"""Catalogue files of other releases and programs: carried forward whole, or refused and left as they are."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from catalog.errors import CatalogError
from catalog.migrations import newest, pending
from catalog.query import RunQuery
from catalog.sqlite import SqliteCatalog
from catalog.sqlite.connection import Connection
from catalog.sqlite.schema import STEPS, prepare
from tests.unit._old_catalogs import BATCHES, CLAIMED, RUNS, SQLITE


@pytest.fixture(params=SQLITE)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a catalogue of an earlier version."""
    return Path(shutil.copy(SQLITE[request.param], tmp_path / "old.sqlite"))


def _header(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as db:
        version, application = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
        )
    return version, application


def _dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def _change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


def test_an_older_catalogue(old: Path) -> None:
    """Runs, contents, outcomes and batches are all there, once carried forward, and every run is free."""
    before = _inserted(old)
    for _ in range(2):
        with SqliteCatalog(old) as catalog:
            assert [catalog.get(run.basename) for run in catalog.select(RunQuery())] == list(RUNS)
            assert tuple(catalog.batches()) == BATCHES
            assert not catalog.leases()
            assert not catalog.holders([CLAIMED[0]])
        assert _header(old)[0] == newest(STEPS) > 2
    assert _inserted(old) == before
    with SqliteCatalog(old) as catalog:
        catalog.open_lease("another")
        assert catalog.claim([CLAIMED[0]], "another") == {CLAIMED[0]: 1}


def _inserted(path: Path) -> list[str]:
    """Return all rows but those of claims, which went by the clock and end with the old program."""
    return [line for line in _dump(path) if line.startswith("INSERT") and '"claims"' not in line]


def test_a_new_file_is_like_one_carried_forward(old: Path, tmp_path: Path) -> None:
    """A file made new has the tables, the version and the signature of one that was carried forward."""
    SqliteCatalog(old).close()
    SqliteCatalog(tmp_path / "new.sqlite").close()
    assert _header(tmp_path / "new.sqlite") == _header(old)
    made = [line for line in _dump(tmp_path / "new.sqlite") if not line.startswith("INSERT")]
    assert made == [line for line in _dump(old) if not line.startswith("INSERT")]


def _changes_and_fails(db: sqlite3.Connection) -> None:
    db.execute("UPDATE runs SET mode = 'lost'")
    db.execute("DROP TABLE batches")
    raise RuntimeError("power cut")


def test_a_step_that_fails(old: Path) -> None:
    """A step that fails half way leaves the catalogue as it was, in its old version."""
    before = _dump(old), _header(old)
    connection = Connection(old)
    with pytest.raises(RuntimeError, match="power cut"):
        prepare(connection, (*STEPS, (newest(STEPS) + 1, _changes_and_fails)))
    connection.close()
    assert (_dump(old), _header(old)) == before
    with SqliteCatalog(old) as catalog:
        assert len(list(catalog.select(RunQuery()))) == len(RUNS)


_KILLED = """
import os, sys
from pathlib import Path
from catalog.sqlite.connection import Connection
from catalog.sqlite.schema import STEPS, prepare

def step(db):
    db.execute("UPDATE runs SET mode = 'lost'")
    os.kill(os.getpid(), 9)

prepare(Connection(Path(sys.argv[1])), (*STEPS, (99, step)))
"""


def test_a_process_that_is_killed_in_a_step(old: Path) -> None:
    """A process killed while it carries a catalogue forward leaves it in its old version, and usable."""
    before = _dump(old), _header(old)
    root = Path(__file__).resolve().parents[2]
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(old)], cwd=root, check=False, env=os.environ)
    assert killed.returncode == -9
    assert (_dump(old), _header(old)) == before
    with SqliteCatalog(old) as catalog:
        assert len(list(catalog.select(RunQuery()))) == len(RUNS)


@pytest.mark.parametrize("old", [1], indirect=True)
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "UPDATE runs SET document = json_set(document, '$.raw[0].filesize', 'big') WHERE raw_ok",
            r"run APLU\S+IMAGING cannot be read: raw\[0\].filesize: expected `int | null`, got `str`",
        ),
        (
            "UPDATE runs SET document = json_remove(document, '$.product.state') WHERE raw_ok",
            r"run APLU\S+IMAGING cannot be read: product: object missing required field `state`",
        ),
        ("UPDATE runs SET contents = '{}' WHERE raw_ok", r"the contents of run APLU\S+IMAGING"),
        (
            "UPDATE batches SET document = '' WHERE id LIKE '%abcdef'",
            "batch 20260102T030000-abcdef is no JSON",
        ),
    ],
)
def test_what_cannot_be_read_is_never_stamped(old: Path, change: str, sentence: str) -> None:
    """A document that cannot be read stops the way forward: it is named, and the file left as it is."""
    _change(old, change.replace("raw_ok", "basename LIKE '%IMAGING'"))
    before = _dump(old), _header(old)
    with pytest.raises(CatalogError, match=sentence) as refusal:
        SqliteCatalog(old)
    assert "cannot be carried from schema 1 to 3" in str(refusal.value)
    assert (_dump(old), _header(old)) == before


@pytest.mark.parametrize(
    ("prepared", "sentence"),
    [
        (lambda path: SqliteCatalog(path).close(), "made by a newer release"),
        (lambda path: _change(path, "CREATE TABLE runs (basename)"), "database of another program"),
        (lambda path: _change(path, "PRAGMA application_id = 7"), "database of another program"),
    ],
)
def test_files_that_are_not_for_us(tmp_path: Path, prepared: Callable[[Path], None], sentence: str) -> None:
    """A newer catalogue, and another program's file even if it has our version, are refused untouched."""
    path = tmp_path / "other.sqlite"
    prepared(path)
    _change(path, f"PRAGMA user_version = {99 if 'newer' in sentence else 1}")
    before = path.read_bytes()
    with pytest.raises(CatalogError, match=sentence):
        SqliteCatalog(path)
    assert path.read_bytes() == before


def test_several_open_an_old_file_at_once(old: Path) -> None:
    """Programs that open an old file at the same time all see it whole; it is carried forward once."""

    def runs(_: int) -> int:
        with SqliteCatalog(old) as catalog:
            return len(list(catalog.select(RunQuery())))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(runs, range(8))) == [len(RUNS)] * 8


def test_steps_that_are_pending() -> None:
    """Only steps beyond the version of a catalogue are taken, in order."""
    steps = tuple((version, list[str].clear) for version in (1, 2, 4))
    assert [version for version, _ in pending(steps, 0, "x")] == [1, 2, 4]
    assert [version for version, _ in pending(steps, 2, "x")] == [4]
    assert pending(steps, 4, "x") == []
    with pytest.raises(CatalogError, match=r"catalogue x has schema 5, .* up to 4"):
        pending(steps, 5, "x")
