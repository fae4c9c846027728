"""``python -m cluster.lock``: write the lists of versions that the images hold, from pyproject.toml.

Versions are those of this environment where it has the package, so that a batch started from here agrees with
the images; the rest is what pip chooses for the first Python 3.11, since an image's base may have an old one.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

__all__ = ["main"]

_ROOT = Path(__file__).resolve().parents[1]
_HEAD = "# Made by `make lock`: one version of each package that the image holds.\n"
_PYTHON = "3.11.0"
_NOTEBOOK = ("jupyterlab>=4", "ipywidgets>=8")


def _resolve(requirements: Sequence[str], fixed: Mapping[str, str]) -> dict[str, str]:
    """Return name and version of all that pip would install."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder) / "constraints", Path(folder) / "report"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in fixed.items()))
        options = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        options += ["--python-version", _PYTHON, "--only-binary", ":all:", "--target", folder]
        subprocess.run(  # noqa: S603 (a fixed command)
            [sys.executable, "-m", "pip", *options, "--constraint", str(constraints), *requirements],
            cwd=_ROOT,
            check=True,
        )
        chosen = json.loads(report.read_text())["install"]
    versions = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in chosen}
    return {name: version for name, version in sorted(versions.items()) if name != "covis-dask"}


def _write(name: str, versions: Mapping[str, str]) -> None:
    lines = "".join(f"{package}=={version}\n" for package, version in versions.items())
    (_ROOT / "cluster" / name).write_text(_HEAD + lines, encoding="utf-8")


def main() -> int:
    """Write both lists."""
    here = {item.name.lower(): item.version for item in distributions() if item.name != "covis-dask"}
    native = _resolve([".[sftp,stack]"], here)
    _write("requirements.lock", native)
    notebook = _resolve([".[sftp,stack]", *_NOTEBOOK], native)
    _write("requirements-notebook.lock", {k: v for k, v in notebook.items() if k not in native})
    return 0


if __name__ == "__main__":
    sys.exit(main())
