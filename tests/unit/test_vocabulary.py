"""Words that stay: sites, families, states, kinds of error, and the tree of errors."""

import ast
import dataclasses
import datetime as dt
import inspect
import json
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import covis_dask.errors as errors
from catalog import names
from catalog.errors import CovisError
from catalog.names import families, mode_family, register_family, site_of
from catalog.query import RunQuery
from catalog.vocabulary import SITES, Family, Kind, RunState, Site, describe_site

KINDS_OF_PAST_YEARS = frozenset(
    """
error configuration storage-refused transient storage-unavailable worker-lost raw-missing engine-error timeout
out-of-memory cancelled bad-input archive-truncated archive-unreadable archive-unsafe sweep-incomplete
no-valid-pings mode-unsupported bug legacy-product
    """.split()  # noqa: SIM905
)
"""Kinds that catalogues, manifests and reports of released versions hold: this list only grows."""


def test_words_travel_as_the_words_they_are() -> None:
    """A member is its word in JSON, in a sentence and as a key, and comes back from a pickle as itself."""
    assert json.dumps({"state": RunState.NOT_RUN}) == '{"state": "not-run"}'
    assert f"{Site.ASHES}: {RunState.DONE:>5}" == "Ashes:  done"
    assert {"done": 1}[RunState.DONE] == 1
    assert pickle.loads(pickle.dumps(Kind.TIMEOUT)) is Kind.TIMEOUT


def test_kinds_of_past_years_stay() -> None:
    """No kind that a stored document may hold has been renamed or removed."""
    assert set(Kind) >= KINDS_OF_PAST_YEARS


def _drawn() -> Iterator[tuple[str, str, int]]:
    """Yield name, kind and depth of every error in the drawing."""
    for line in (inspect.getdoc(errors) or "").splitlines():
        if found := re.match(r" {4}([│├└─ ]*)([A-Z]\w+) +([a-z-]+)", line):
            yield found[2], found[3], len(found[1]) // 4


def _tree(root: type[CovisError], depth: int = 0) -> Iterator[tuple[str, str, int]]:
    yield root.__name__, root.kind, depth
    for child in root.__subclasses__():
        if child.__name__ in errors.__all__ and child is getattr(errors, child.__name__):
            yield from _tree(child, depth + 1)


def test_the_drawing_of_the_errors_is_the_tree() -> None:
    """The drawing names every error with its kind, each below the error it is a case of."""
    assert sorted(_drawn()) == sorted(_tree(CovisError))


def test_every_kind_is_some_errors() -> None:
    """No kind stands in the vocabulary that no error has."""
    assert {kind for _, kind, _ in _drawn()} == set(Kind)


_ROOT = Path(__file__).resolve().parents[2]
_OTHER_MEANING = {  # pings done of total, no state
    ("covis_dask/monitor/scheduler/state.py", "done"),
    ("covis_dask/runs/_watch.py", "done"),
}


def _literals(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the strings of a module that are a state or a site, but for docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    sentences = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in sentences and node.value in {*RunState, *Site}:
            yield str(node.value), node.lineno


@pytest.mark.parametrize("room", ["catalog", "cluster", "covis_dask"])
def test_states_and_sites_are_named_in_the_vocabulary_alone(room: str) -> None:
    """No module spells a state or a site itself: a slip of the pen would be a silent last branch."""
    found = [
        f"{name}:{line}: {word!r}"
        for path in sorted((_ROOT / room).rglob("*.py"))
        if (name := path.relative_to(_ROOT).as_posix()) != "catalog/vocabulary.py"
        for word, line in _literals(path)
        if (name, word) not in _OTHER_MEANING
    ]
    assert found == []


def test_sites_follow_each_other() -> None:
    """A run belongs to the site where COVIS stood that day; the sites take turns, each described."""
    assert set(SITES) == set(Site)
    last = dt.datetime(2015, 12, 31, 23, 59, 59, 999_000, dt.UTC)
    assert site_of(last) is Site.ENDEAVOUR
    assert site_of(last + dt.timedelta(milliseconds=1)) is Site.ASHES
    assert site_of(dt.datetime(1990, 1, 1, tzinfo=dt.UTC)) is Site.ENDEAVOUR


def test_facts_of_the_sites() -> None:
    """The facts are those of the original's parameter files; a site nobody knows has none."""
    endeavour, ashes = describe_site("Endeavour"), describe_site("Ashes")
    assert (endeavour.depth, endeavour.head_height, endeavour.declination) == (2205.0, 4.2, 18.0)
    assert (ashes.depth, ashes.head_height, ashes.declination) == (1500.0, 4.2, 16.0)
    assert [ashes.heading(year) for year in (2018, 2019, 2030)] == [289.0, 279.0, 279.0]
    assert endeavour.position == (47.949374, -129.098181)
    assert ashes.position is not None
    assert "not published" in ashes.position_comment
    assert describe_site("Atlantis").title == "Atlantis"
    assert describe_site("Atlantis").depth == 0.0


_COMMON = {0.0, 2.0, 7.0, 16.0, 18.0, 35.0, 46.0, 48.0, 130.0, 1500.0, 2500.0}
"""Numbers of a site that mean other things elsewhere."""


def _numbers(fact: object) -> Iterator[float]:
    """Yield the numbers that a fact of a site is made of, without their signs."""
    if isinstance(fact, float):
        yield abs(fact)
    elif isinstance(fact, tuple | Mapping):
        for each in fact.values() if isinstance(fact, Mapping) else fact:
            yield from _numbers(each)


@pytest.mark.parametrize("room", ["catalog", "covis_dask"])
def test_numbers_of_a_site_stand_in_the_vocabulary_alone(room: str) -> None:
    """No module writes a number of a site itself: it would stay behind when the table is mended."""
    facts = [getattr(site, each.name) for site in SITES.values() for each in dataclasses.fields(site)]
    distinctive = {number for fact in facts for number in _numbers(fact)} - _COMMON
    assert {4.2, 47.95, 230.4, 279.0, 289.0, 1544.0, 2205.0, 492669.0, 5310678.0} <= distinctive
    found = [
        f"{name}:{node.lineno}: {node.value}"
        for path in sorted((_ROOT / room).rglob("*.py"))
        if (name := path.relative_to(_ROOT).as_posix()) != "catalog/vocabulary.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and node.value in distinctive
    ]
    assert found == []


@pytest.fixture
def _families_as_they_were() -> Iterator[None]:
    known = dict(names._leading_letters)
    yield
    names._leading_letters.clear()
    names._leading_letters.update(known)
    mode_family.cache_clear()


@pytest.mark.usefixtures("_families_as_they_were")
def test_a_family_from_outside() -> None:
    """A family that was registered is known to names and queries, once and again; the others stay."""
    assert mode_family("toy1", "Ashes") == Family.UNKNOWN
    for _ in range(2):
        register_family("toymode", "toy")
    assert mode_family("toy1", "Ashes") == "toymode"
    assert RunQuery(families=frozenset({"toymode"})).families == {"toymode"}
    assert families() == (*(family for family in Family if family != Family.UNKNOWN), "toymode", "unknown")


@pytest.mark.usefixtures("_families_as_they_were")
@pytest.mark.parametrize(
    ("family", "letters", "sentence"),
    [
        ("imaging", "toy", "there is a family 'imaging' already"),
        ("unknown", "unk", "there is a family 'unknown' already"),
        ("images", "ima", "modes that begin with 'ima' are of family 'imaging'"),
        ("Toy", "toy", "a word in lower case"),
        ("toy", "to", "three letters of their own"),
    ],
)
def test_a_family_that_will_not_do(family: str, letters: str, sentence: str) -> None:
    """A family cannot take another's word or letters, nor ones that no mode word can have."""
    with pytest.raises(ValueError, match=sentence):
        register_family(family, letters)
