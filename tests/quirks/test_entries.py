"""The entries of the quirks, and the page that is written from them."""

import ast
from dataclasses import fields
from pathlib import Path

from covis_dask.modes import spec_for
from covis_dask.modes.quirks import CLASSES, page, quirks
from covis_dask.science.fixes import ScienceFixes

TESTS = Path(__file__).resolve().parents[1]


def _functions() -> set[str]:
    """Return the names of all tests."""
    return {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_all_quirks_are_there_in_order() -> None:
    """Q1 to Q68, each with its own words."""
    entries = list(quirks().values())
    assert [one.id for one in entries] == [f"Q{number}" for number in range(1, 69)]
    for words in ("where", "original", "fix"):
        assert all(getattr(one, words) for one in entries)
    assert len({one.original for one in entries}) == len(entries)


def test_classes_are_those_agreed_upon() -> None:
    """What is mended in every profile, and what is but a note; all else is reproduced in profile matlab."""
    of_class = {kind: [one.id for one in quirks().values() if one.kind == kind] for kind in CLASSES}
    assert of_class["F"] == [f"Q{n}" for n in (12, 20, 21, 22, 32, 35, 37, 44, 45, 46, 47, 49, 51, 54, 57)]
    assert of_class["N"] == [f"Q{n}" for n in (38, 39, 40, 41, 52, 53, 55, 63, 66, 67, 68)]
    assert len(of_class["R"]) == 68 - 15 - 11


def test_what_can_be_mended_has_a_switch() -> None:
    """Class R has a switch, but for Q9, which nobody can mend yet; F and N have none."""
    first = [one for one in quirks().values() if one.level == 1]
    assert [one.id for one in first if one.kind == "R" and not one.switch] == ["Q9"]
    assert not [one.id for one in quirks().values() if (one.switch or one.science) and one.kind != "R"]
    second = [one for one in quirks().values() if one.level > 1]
    assert [one.id for one in second] == [f"Q{n}" for n in (34, 35, 36, 49, 50, 51, *range(58, 69))]
    assert [one.id for one in second if one.switch or bool(one.science) != (one.kind == "R")] == []


def test_switches_of_the_second_level_are_those_of_its_fixes() -> None:
    """Each switch of a second-level quirk is a field of ScienceFixes that names the quirk."""
    known = {one.name: one.metadata["quirk"] for one in fields(ScienceFixes)}
    assert known == {one.science: one.id for one in quirks().values() if one.science}


def test_what_has_no_switch_has_a_test() -> None:
    """Each quirk of the first level without a switch names tests that there are."""
    known = _functions()
    for one in quirks().values():
        if one.level == 1 and not one.switch:
            assert one.tests, one.id
            assert set(one.tests) <= known, one.id


def test_a_switch_touches_runs_that_there_are() -> None:
    """Each switch says which runs it touches: by sites, families and presets with a program."""
    for one in quirks().values():
        assert bool(one.touches) == bool(one.switch), one.id
        for site, family, *presets in (words.split() for words in one.touches):
            assert set(presets) < set(spec_for(site, family).presets), one.id


def test_the_page_is_written_from_the_entries() -> None:
    """docs/quirks.md is what `python -m tests.quirks` prints."""
    assert (TESTS.parent / "docs" / "quirks.md").read_text(encoding="utf-8") == page()
