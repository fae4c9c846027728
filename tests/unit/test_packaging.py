"""The package describes itself truly."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_CONDA_NAMES = {
    "isal": "python-isal",
    "matplotlib": "matplotlib-base",
    "prometheus-client": "prometheus_client",
}


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((_ROOT / "pyproject.toml").read_text())


def _split(requirement: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([A-Za-z0-9._-]+)(.*)", requirement.strip()).groups()  # type: ignore[union-attr]
    return name, bounds


def test_environment_yml_agrees_with_pyproject() -> None:
    """Conda users get every dependency of pyproject.toml, with the same bounds."""
    project = _pyproject()["project"]
    wanted = {_CONDA_NAMES.get(name, name): bounds for name, bounds in map(_split, project["dependencies"])}
    wanted["python"] = project["requires-python"]
    environment = yaml.safe_load((_ROOT / "environment.yml").read_text())
    listed = dict(_split(entry) for entry in environment["dependencies"] if isinstance(entry, str))
    extra = listed.keys() - wanted.keys()
    assert extra == {"pip", "pytest"}
    assert {name: listed.get(name) for name in wanted} == wanted


def test_build_tools_are_the_same_everywhere() -> None:
    """Images build with what pyproject.toml builds with, and so does `make` when it renews the version."""
    settings = _pyproject()
    tools = settings["build-system"]["requires"]
    assert set(tools) <= set(settings["project"]["optional-dependencies"]["dev"])
    words = " ".join(f'"{tool}"' for tool in tools)
    for name in ("Dockerfile", "Dockerfile.matlab"):
        assert f"/opt/tools/bin/pip install {words}" in (_ROOT / "cluster" / name).read_text(), name


def _git(folder: Path, *words: str) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    settings = ("user.name=test", "user.email=test@example.org", "commit.gpgsign=false", "tag.gpgsign=false")
    command = ["git", *(word for setting in settings for word in ("-c", setting)), *words]
    subprocess.run(command, cwd=folder, env=_environ(), check=True, timeout=30, capture_output=True)


def _environ() -> dict[str, str]:
    """Return the environment without what a hook of git, or a build, has set."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") and "PRETEND_VERSION" not in name
    }


@pytest.mark.parametrize(
    ("tag", "commits", "expected"),
    [
        (None, 0, r"0\.2\.0\.dev0"),  # a tarball, or the context of an image
        (None, 2, r"0\.2\.0\.dev2\+g[0-9a-f]+"),  # a clone without tags
        ("v0.1.0", 1, r"0\.2\.0\.dev1\+g[0-9a-f]+"),
        ("v0.2.0", 0, r"0\.2\.0"),
        ("v0.2.0", 3, r"0\.3\.0\.dev3\+g[0-9a-f]+"),
    ],
)
def test_version_is_that_of_the_tag(tag: str | None, commits: int, expected: str, tmp_path: Path) -> None:
    """A tag is the version, commits count towards the next, and where there is no tag it can be built too."""
    pytest.importorskip("hatch_vcs", reason="hatch-vcs is not installed (make install)")
    (tmp_path / "pyproject.toml").write_text((_ROOT / "pyproject.toml").read_text())
    if tag or commits:
        _git(tmp_path, "init", "--quiet")
        _git(tmp_path, "add", "pyproject.toml")
    if tag:
        _git(tmp_path, "commit", "--quiet", "--message", "first")
        _git(tmp_path, "tag", tag)
    for number in range(commits):
        _git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", f"commit {number}")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"],
        cwd=tmp_path, env=_environ(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(expected, done.stdout.strip()), done.stdout


def test_the_version_costs_nothing_at_import() -> None:
    """The version is read from the installed package: nothing is run for it, git least of all."""
    code = "import sys, covis_dask; print(covis_dask.__version__, 'subprocess' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PATH": ""}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [version("covis-dask"), "False"]


def test_citation_agrees_with_pyproject() -> None:
    """CITATION.cff is whole, has name and licence of the package, and no version to grow old."""
    citation = yaml.safe_load((_ROOT / "CITATION.cff").read_text())
    project = _pyproject()["project"]
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])
    assert citation["authors"] == [{"name": "covis-dask developers"}]
    assert "version" not in citation


def test_commit_hooks_are_programs_of_the_environment() -> None:
    """The hooks of .pre-commit-config.yaml need no network: each is a program that `make install` brings."""
    (repository,) = yaml.safe_load((_ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    programs = {hook["entry"].split()[0] for hook in repository["hooks"]}
    assert {".venv/bin/ruff", ".venv/bin/mypy"} <= programs
    if shutil.which("pre-commit", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("pre-commit is not installed (make install)")
    for program in programs:
        assert program.startswith(".venv/bin/")
        assert (Path(sys.executable).parent / Path(program).name).exists(), program
