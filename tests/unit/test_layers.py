"""The house stands: imports go down, never in a circle; the graph is read from the code itself."""

from functools import cache
from pathlib import Path

import grimp
import pytest
from importlinter import cli

import catalog
import covis_dask

_ROOT = Path(__file__).resolve().parents[2]
_MOST_MODULES = 8


@cache
def _graph() -> grimp.ImportGraph:
    """Read all imports, those for the type checker alone included."""
    return grimp.build_graph("catalog", "cluster", "covis_dask", cache_dir=None)


def test_imports_go_down(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """No room imports one that stands above it (`tool.importlinter` in pyproject.toml has the ladder)."""
    monkeypatch.chdir(_ROOT)
    code = cli.lint_imports(no_cache=True)
    assert code == cli.EXIT_STATUS_SUCCESS, capfd.readouterr().out


def _circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the groups of modules that import each other, found as Tarjan does."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported not in order:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], order[imported])
        if lowest[module] == order[module]:
            position = stack.index(module)
            group = stack[position:]
            del stack[position:]
            if len(group) > 1:
                circles.append(sorted(group))

    for module in sorted(graph.modules):
        if module not in order:
            visit(module)
    return circles


def test_no_import_circle() -> None:
    """No module imports itself by way of others, be it for the type checker alone."""
    assert _circles(_graph()) == []


def test_a_circle_is_found() -> None:
    """The search sees a circle of three where there is one."""
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert _circles(graph) == [["a", "b", "c"]]


def test_top_floor_is_small() -> None:
    """A newcomer sees rooms, not modules: at most eight lie loose in covis_dask/."""
    (folder,) = covis_dask.__path__
    loose = sorted(path.name for path in Path(folder).glob("*.py"))
    assert len(loose) <= _MOST_MODULES, loose


def test_only_command_lines_read_words() -> None:
    """Argparse is known to covis_dask/cli and catalog/tools alone."""
    readers = {
        ".".join((folder.name, path.relative_to(folder).parts[0]))
        for folder in (Path(package.__path__[0]) for package in (catalog, covis_dask))
        for path in folder.rglob("*.py")
        if "import argparse" in path.read_text("utf-8")
    }
    assert readers == {"covis_dask.cli", "catalog.tools"}


def test_catalogue_knows_nothing_of_processing() -> None:
    """catalog/ can be used without covis_dask."""
    graph = _graph()
    inner = {name for name in graph.modules if name.split(".")[0] == catalog.__name__}
    assert not {
        (name, imported)
        for name in inner
        for imported in graph.find_modules_directly_imported_by(name)
        if imported.split(".")[0] != catalog.__name__ and not name.startswith("catalog.tools")
    }
