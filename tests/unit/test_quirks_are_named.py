"""Every oddity of the originals that changes numbers has a test that names it (Q1 ...)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

SECOND_LEVEL = {34, 35, 36, 49, 50, 51}
NOTES = {38, 39, 40, 41, 52, 53, 55}
FIXED = {12, 20, 21, 22, 32, 37, 44, 45, 46, 47, 54, 57}
REPRODUCED = set(range(1, 58)) - SECOND_LEVEL - NOTES - FIXED
"""R rows: kept in profile matlab, mended in corrected."""

_NAME = re.compile(r"(?<![A-Za-z0-9])[Qq](\d+)(?![0-9])")
_MATLAB = re.compile(r"\bmatlab\b|corrected=False")
_CORRECTED = re.compile(r"\bcorrected\b(?!=False)|corrected=True")
_BOTH = re.compile(r"\bPROFILES\b|\bcorrected: bool\b|\bprofile: str\b")


def _sources() -> Iterator[str]:
    """Yield the source of every test function, decorators included."""
    for path in sorted(TESTS.rglob("test_*.py")):
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
                yield "\n".join(lines[first - 1 : node.end_lineno])


@pytest.fixture(scope="module")
def named() -> dict[int, list[str]]:
    """Collect the sources of the tests that name each oddity."""
    found: dict[int, list[str]] = {}
    for source in _sources():
        for number in {int(digits) for digits in _NAME.findall(source.replace("_", " "))}:
            found.setdefault(number, []).append(source)
    return found


def test_every_oddity_is_named(named: dict[int, list[str]]) -> None:
    """Each quirk of class R or F is named by a test, except those of the second level (Q34-36, Q49-51)."""
    missing = sorted((REPRODUCED | FIXED) - named.keys())
    assert not missing, "no test names " + ", ".join(f"Q{number}" for number in missing)


def test_reproduced_oddities_are_tested_in_both_profiles(named: dict[int, list[str]]) -> None:
    """What matlab keeps and corrected mends is tested in both, by one test at least."""

    def both(source: str) -> bool:
        return bool(_BOTH.search(source) or (_MATLAB.search(source) and _CORRECTED.search(source)))

    lacking = sorted(number for number in REPRODUCED if not any(map(both, named.get(number, []))))
    assert not lacking, "not tested in both profiles: " + ", ".join(f"Q{number}" for number in lacking)


def test_the_rows_are_those_of_the_specification(shared: Path) -> None:
    """The lists above are those of the specification, where it is at hand."""
    specification = "\n".join(page.read_text("utf-8") for page in sorted(shared.glob("*.md")))
    rows = re.findall(r"^\| Q(\d+) \|.*\| ([RFN])\b[^|]*\|$", specification, re.MULTILINE)
    acts = {int(number): act for number, act in rows}
    assert len(acts) == 57
    assert {n for n, act in acts.items() if act == "N"} == NOTES
    assert {n for n, act in acts.items() if act == "F"} - SECOND_LEVEL == FIXED
    assert {n for n, act in acts.items() if act == "R"} - SECOND_LEVEL == REPRODUCED
