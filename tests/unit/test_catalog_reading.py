"""Run documents in any state: read as far as they go, else a run that says what is wrong with which."""

import datetime as dt
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.copying import copy_catalog
from catalog.errors import SelectionError
from catalog.model import Run
from catalog.patterns import Searcher
from catalog.query import RunQuery, matches
from catalog.reading import NEVER, read_run
from catalog.sqlite import SqliteCatalog
from catalog.vocabulary import Kind, RunState
from covis_dask.batches.job import Decision
from covis_dask.batches.plan import make_plan

NAME = "APLUWCOVISMBSONAR001_20111005T210757.973Z-IMAGING"
START = dt.datetime(2011, 10, 5, 21, 7, 57, 973000, dt.UTC)
SOUND: dict[str, Any] = {
    "basename": NAME,
    "datetime": START,
    "mode": "IMAGING",
    "site": "Endeavour",
    "raw": [{"host": "DMAS", "filename": f"{NAME}.tar", "filesize": 5}],
}


def _read(**changes: Any) -> Run:
    document = {name: value for name, value in (SOUND | changes).items() if value is not ...}
    return read_run(document, "4f2a")


@pytest.mark.parametrize(
    "changes",
    [
        {"site": ...},
        {"site": "endeavour"},
        {"site": " ENDEAVOUR "},
        {"site": None},
        {"site": 5},
        {"mode": ...},
        {"mode": ""},
        {"mode": 7},
        {"datetime": ...},
        {"datetime": "2011-10-05T21:07:57.973Z"},
        {"datetime": "2011-10-05 21:07:57.973"},
        {"datetime": "1317848877.973"},
        {"datetime": 1317848877973},
        {"datetime": {"$date": "2011-10-05T21:07:57.973Z"}},
        {"datetime": {"$date": {"$numberLong": "1317848877973"}}},
        {"datetime": "some day"},
        {"product": "done"},
        {"product": {"path": "2011/x.mat"}},
        {"product": [1]},
        {"contents": "many"},
        {"anything": {"else": [1]}, "_id": 5},
        {
            "raw": [
                *SOUND["raw"],
                {"host": "A"},
                {"filename": "x.7z"},
                None,
                "x.tar",
                5,
                {"host": 3, "filename": 4},
            ]
        },
        {"raw": SOUND["raw"][0]},
        {"raw": [SOUND["raw"][0] | {"filesize": "5"}]},
        {"raw": [SOUND["raw"][0] | {"filesize": 5.0}]},
        {"raw": [SOUND["raw"][0] | {"filesize": {"$numberLong": "5"}}]},
    ],
    ids=str,
)
def test_read_as_far_as_it_goes(changes: dict[str, Any]) -> None:
    """Whatever is said in another way, or by another field, gives the run of the sound document."""
    assert _read(**changes) == read_run(SOUND, "4f2a")


@pytest.mark.parametrize("raw", [None, ..., [], "x.tar", [None], 7, {}])
def test_no_raw_files(raw: Any) -> None:
    """A document without raw files is a run without them."""
    assert _read(raw=raw).raw == ()
    assert _read(raw=raw).fault is None


@pytest.mark.parametrize("size", ["many", -1, "", [], {}, "1e999", None])
def test_sizes_that_are_none(size: Any) -> None:
    """A size that is none is not known; the file is there all the same."""
    (file,) = _read(raw=[SOUND["raw"][0] | {"filesize": size}]).raw
    assert file.filesize is None


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "no basename"),
        ({"basename": 7, "datetime": START}, "no basename"),
        ({"basename": "lost", "datetime": "some day"}, "no datetime"),
        (
            {"raw": [{"host": "A", "filename": f"x/{NAME}.tar"}]},
            f"no basename; its raw files are those of {NAME}",
        ),
        ({**SOUND, "basename": f"{NAME} "}, "no basename"),
        ([], "not an object"),
        ("text", "not an object"),
        (None, "not an object"),
    ],
)
def test_unreadable(document: Any, why: str) -> None:
    """What is no run has a fault that names the document and what to do."""
    run = read_run(document, "4f2a")
    assert run.fault is not None
    assert why in run.fault
    assert "_id 4f2a" in run.fault
    assert "mend or remove" in run.fault


def test_selection_of_unreadable_runs() -> None:
    """They are selected unless what is known of them rules them out."""
    nothing, dated = read_run({}, 1), read_run({"datetime": START, "mode": "DOPPLER"}, 2)
    assert nothing.datetime == NEVER
    every = RunQuery.from_text({"year": "2014", "mode": "imaging", "site": "ashes"})
    assert matches(every, nothing)
    assert not matches(every, dated)
    assert matches(RunQuery.from_text({"year": "2011", "mode": "doppler"}), dated)
    assert not matches(RunQuery(basenames=frozenset({NAME})), nothing)


class _Job:
    """A job that takes whatever it is asked about."""

    def decide(self, run: Run) -> Decision:
        return Decision(run, "run", "asked")

    def notes(self) -> tuple[str, ...]:
        return ()


def test_expected_counts_them() -> None:
    """A plan holds them, as failures with their document's name; no job is asked about them."""
    plan = make_plan([read_run(SOUND, 1), read_run({}, "4f2a")], _Job())  # type: ignore[arg-type]
    sound, odd = plan.items
    assert (sound.action, odd.action, odd.kind) == ("run", RunState.FAILED, Kind.UNREADABLE)
    assert "4f2a" in odd.reason


def test_a_file_that_was_edited(tmp_path: Path) -> None:
    """In a SQLite file the columns speak where the document is silent, or broken."""
    other = "COVIS-20191024T003346-diffuse3"
    path = tmp_path / "c.sqlite"
    with SqliteCatalog(path) as catalog:
        catalog.add_raw([read_run(SOUND, 1), read_run({"basename": other}, 2)])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE runs SET document = '{\"raw\": null}' WHERE basename = ?", (NAME,))
        db.execute("UPDATE runs SET document = '{', contents = '[' WHERE basename = ?", (other,))
    with SqliteCatalog(path) as catalog:
        read, broken = catalog.select(RunQuery())
        assert (read.basename, read.datetime, read.raw, read.fault) == (NAME, START, (), None)
        assert (broken.basename, broken.mode, broken.site) == (other, "diffuse3", "Ashes")
        assert broken.fault is not None
        assert catalog.get(other) == broken
        assert catalog.count(RunQuery(regex="COVIS")) == {"IMAGING": 1, "diffuse3": 1}
        assert not catalog.remove_raw(NAME, "DMAS")
        assert catalog.elsewhere() == ()
        with SqliteCatalog(tmp_path / "copy.sqlite") as target:
            done = copy_catalog(catalog, target)
        assert (done.runs, done.unreadable) == (1, (broken.fault,))


_KEYS = ["host", "filename", "filesize", "$date", "$numberLong", "x"]
_json: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(NAME),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["host", "filename", "filesize", "$date", "$numberLong", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*SOUND, "product", "contents", "_id", "fault"]), _json))
def test_any_document(document: dict[str, Any]) -> None:
    """No document ends in another way than as a run, readable or not, that every view can take."""
    run = read_run(document, "4f2a")
    assert isinstance(run.basename, str)
    assert run.basename
    json.dumps(run.to_document(), default=str)
    matches(
        RunQuery.from_text({"year": "2011-2014", "mode": "imaging", "site": "ashes", "regex": "IMA"}), run
    )


def test_regex_has_a_time_limit() -> None:
    """A pattern with too many ways to match ends with a sentence, not with the day."""
    searcher = Searcher(r"^(\w{0,9}){0,12}(.)\2\2\2", patience=0.3)
    with pytest.raises(SelectionError, match="takes too long"):
        [searcher(NAME) for _ in range(1000)]


@pytest.mark.parametrize("pattern", ["(", "*", "[z-a]", "(?P<n>x)(?P=m)", "a{2,1}"])
def test_what_is_no_pattern(pattern: str) -> None:
    """What is no regular expression is refused when it is said."""
    with pytest.raises(SelectionError, match="not a regular expression"):
        RunQuery(regex=pattern)
    with pytest.raises(SelectionError, match="not a regular expression"):
        RunQuery.from_text({"regex": pattern})
