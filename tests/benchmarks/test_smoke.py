"""The benchmark command itself, on small runs; it asserts no time."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main


@pytest.mark.timeout(300)
def test_the_benchmark_runs(tmp_path: Path) -> None:
    """One command makes figures, a table and a picture, with floor, stages, memory and baseline."""
    words = ["--scale", "small", "--part", "runs", "--case", "imaging", "--precision", "float32"]
    assert main([*words, "--archives", str(tmp_path), "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "figures.json").read_text())["cases"]["imaging"]
    assert found["floor"] > 0
    assert found["baseline"]["cpu"] > 0
    (path,) = found["paths"]
    assert path["peak_mb"] > 0
    assert {"read", "filter", "beams", "grid"} <= path["stages"].keys()
    assert "| imaging | float32 |" in (tmp_path / "figures.md").read_text()
    assert (tmp_path / "figures.png").stat().st_size > 1000


@pytest.mark.service
@pytest.mark.timeout(600)
def test_everything_around_the_runs_is_measured(tmp_path: Path) -> None:
    """Workers, .7z, S3, start-up and orchestration: each measures what it says, by the same command."""
    parts = ("workers", "sevenzip", "s3", "startup", "orchestration")
    words = [word for part in parts for word in ("--part", part)]
    places = ["--archives", str(tmp_path), "--output", str(tmp_path)]
    assert main(["--scale", "small", *words, *places]) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    (workers,) = found["workers"]
    assert workers["ratio"] > 0
    assert found["sevenzip"]["bytes"] > found["sevenzip"]["archive_bytes"]
    assert "missing" in found["s3"] or found["s3"]["share"] > 0
    assert found["startup"][0]["first"]["cpu"] > 0
    orchestration = found["orchestration"]
    assert orchestration["already"] == orchestration["plan_done_runs"]
    assert 0 < orchestration["most_flying"] <= orchestration["window"]
    assert [runs for runs, _ in orchestration["memory_mb"]] == [0, 12, 24, 36, 48, 60]
    assert "| two workers, 4 runs diffuse-40 | 1.8 x one |" in (tmp_path / "figures.md").read_text()
    assert (tmp_path / "figures.png").stat().st_size > 1000
