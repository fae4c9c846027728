"""The benchmark command itself, on small runs; it asserts no time."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main


@pytest.mark.timeout(300)
def test_the_benchmark_runs(tmp_path: Path) -> None:
    """One command makes figures, a table and a picture, with floor, stages, memory and baseline."""
    words = ["--scale", "small", "--case", "imaging", "--precision", "float32"]
    assert main([*words, "--archives", str(tmp_path), "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "figures.json").read_text())["cases"]["imaging"]
    assert found["floor"] > 0
    assert found["baseline"]["cpu"] > 0
    (path,) = found["paths"]
    assert path["peak_mb"] > 0
    assert {"read", "filter", "beams", "grid"} <= path["stages"].keys()
    assert "| imaging | float32 |" in (tmp_path / "figures.md").read_text()
    assert (tmp_path / "figures.png").stat().st_size > 1000
