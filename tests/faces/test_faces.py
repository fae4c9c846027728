"""What users and their programs see is as it was; ``python -m tests.faces`` renews the snapshots."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faces._documents import batch_documents
from tests.faces._helps import COMMANDS, MODULES, helps
from tests.faces._products import CASES, made, numbers_differ, product, with_numbers_of
from tests.faces._snapshot import FOLDER, difference, shape
from tests.faces._tables import tables
from tests.unit._small_runs import Mode

_WORDS = [*(f"covis {words}".strip() for words in COMMANDS), *(f"python -m {name}" for name in MODULES)]
_TABLES = sorted(path.name for path in FOLDER.glob("*.json"))
_DOCUMENTS = sorted(path.name for path in (FOLDER / "documents").glob("*.json"))


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """Give the help of every command."""
    return helps()


@pytest.fixture(scope="module")
def tabled() -> dict[str, Any]:
    """Give the small tables."""
    return tables()


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give the documents of a batch."""
    return batch_documents(tmp_path_factory.mktemp("batch"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for archives and products."""
    return tmp_path_factory.mktemp("products")


@pytest.mark.parametrize("words", _WORDS)
def test_help(words: str, said: dict[str, str]) -> None:
    """Every command takes and explains the same words."""
    assert not (changed := difference(f"help/{words}.txt", said[words])), f"\n{changed}"


@pytest.mark.parametrize("name", _TABLES)
def test_table(name: str, tabled: dict[str, Any]) -> None:
    """Configuration keys, parameters, fingerprints, exit codes, kinds of error and versions are the same."""
    assert not (changed := difference(name, tabled[name])), f"\n{changed}"


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_document(name: str, documents: dict[str, Any]) -> None:
    """Documents, answers in JSON, metrics, routes and the store's layout have the same keys and types."""
    assert not (changed := difference(f"documents/{name}", documents[name])), f"\n{changed}"


def test_no_face_without_a_snapshot(tabled: dict[str, Any], documents: dict[str, Any]) -> None:
    """Whatever the program shows is kept, and nothing is kept that it does not show."""
    assert sorted(tabled) == _TABLES
    assert sorted(documents) == _DOCUMENTS
    assert {path.stem for path in (FOLDER / "help").iterdir()} == set(_WORDS)
    products = {f"{mode}-{profile}" for mode, profile in CASES}
    assert {path.stem for path in (FOLDER / "products").iterdir()} == products


@pytest.mark.parametrize(("mode", "profile"), CASES, ids=str)
def test_product(mode: Mode, profile: str, place: Path) -> None:
    """A product has the same variables, attributes, fingerprint and numbers, bit by bit on a like machine."""
    name = f"products/{mode}-{profile}.json"
    kept = json.loads((FOLDER / name).read_text("utf-8"))
    now = product(made(mode, profile, place))
    assert not (changed := difference(name, with_numbers_of(kept, now))), f"\n{changed}"
    assert not (differ := numbers_differ(kept, now)), differ


def test_shapes() -> None:
    """A document's form tells lists of unlike entries, keys that some lack, and numbers from texts."""
    document = {"a": [{"b": 1, "c": "x"}, {"b": None}], "modes": {"one": 1.0, "two": 2.0}, "d": []}
    assert shape(document, named=("modes",)) == {
        "a": [{"b": "int | null", "c?": "str"}],
        "modes": {"*": "float"},
        "d": ["nothing"],
    }
