"""Whoever follows a pointer into the documentation arrives."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = {".py", ".md", ".ipynb", ".toml", ".yaml", ".yml"}
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
POINTER = re.compile(r"\bdocs/[\w./-]+\.md(?:#[\w-]+)?(?:[\w .]*(?:,|\band|\bto)\s+#[\w-]+)*")
LINK = re.compile(r"\]\((?!\w+:)([^()\s]*)\)")


@cache
def _files() -> list[Path]:
    """Return the files of this repository that can point anywhere."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git checkout: it tells which files are ours")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXTS and path.is_file()]


@cache
def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def _pointers(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield page and anchor of every pointer of a file; the anchor is empty where a page is meant."""
    text = path.read_text("utf-8")
    # A pointer may be broken over two lines of a docstring or comment.
    for found in POINTER.findall(re.sub(r"\n[ #]*(?=#[a-z])", " ", text)):
        page, *anchors = re.split(r"#", found)
        for anchor in anchors or [""]:
            yield ROOT / page, re.match(r"[\w-]*", anchor)[0]  # type: ignore[index]  # it always matches
    if path.suffix == ".md":
        for target in LINK.findall(FENCE.sub("", text)):
            page, _, anchor = target.partition("#")
            yield (path.parent / page if page else path), anchor


def test_no_pointer_dangles() -> None:
    """Every page, file and section that code, tests, notebooks and pages point at exists."""
    dangling, seen = [], 0
    for path in _files():
        for page, anchor in _pointers(path):
            seen += 1
            if not page.exists() or (anchor and page.suffix == ".md" and anchor not in _anchors(page)):
                dangling.append(f"{path.relative_to(ROOT)}: {page}#{anchor}")
    assert not dangling, "\n".join(dangling)
    assert seen > 200


def test_nothing_points_at_documents_that_strangers_lack() -> None:
    """The specification that this was built from is not in the repository: nothing may refer to it."""
    lost = re.compile("|".join(name + r"\.md" for name in ("design", "science-level2")))
    found = [str(path.relative_to(ROOT)) for path in _files() if lost.search(path.read_text("utf-8"))]
    assert not found
