"""The package describes itself truly."""

import re
import tomllib
from pathlib import Path

import yaml

_ROOT = Path(__file__).resolve().parents[2]
_CONDA_NAMES = {
    "isal": "python-isal",
    "matplotlib": "matplotlib-base",
    "prometheus-client": "prometheus_client",
}


def _split(requirement: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", requirement.strip()).groups()  # type: ignore[union-attr]
    return name, bounds


def test_environment_yml_agrees_with_pyproject() -> None:
    """Conda users get every dependency of pyproject.toml, with the same bounds."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    wanted = {_CONDA_NAMES.get(name, name): bounds for name, bounds in map(_split, project["dependencies"])}
    wanted["python"] = project["requires-python"]
    environment = yaml.safe_load((_ROOT / "environment.yml").read_text())
    listed = dict(_split(entry) for entry in environment["dependencies"] if isinstance(entry, str))
    extra = listed.keys() - wanted.keys()
    assert extra == {"pip", "pytest"}
    assert {name: listed.get(name) for name in wanted} == wanted
