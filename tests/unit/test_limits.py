"""No function is too long; ruff holds the number of parameters (PLR0913)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = 60


def _functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
    return (function.end_lineno or first) - first + 1


def too_long(text: str) -> list[str]:
    """Name the functions of a module that are too long, decorators and docstring counted."""
    return [one.name for one in _functions(text) if _lines(one) > LINES]


def _files() -> list[Path]:
    return [
        file for package in ("covis_dask", "catalog", "cluster") for file in (ROOT / package).rglob("*.py")
    ]


def test_no_function_is_longer_than_a_page() -> None:
    """No function of the packages has more than 60 lines."""
    found = [
        f"{file.relative_to(ROOT)}: {name}" for file in _files() for name in too_long(file.read_text("utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(("lines", "found"), [(60, []), (61, ["f"])])
def test_the_lines_are_counted(lines: int, found: list[str]) -> None:
    """Sixty lines pass, sixty-one do not; a decorator counts."""
    assert too_long("@one\ndef f():\n" + "    1\n" * (lines - 2)) == found
