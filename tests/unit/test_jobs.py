"""A batch carries out any job over runs; post-processing is but the first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.query import RunQuery
from covis_dask.batches.request import BatchRequest
from covis_dask.batches.service import prepare
from covis_dask.config import load_settings
from covis_dask.errors import ConfigurationError
from tests._place import Place, diffuse

_MODULE = '''
"""A job from outside: notes the size of each raw archive beside the products."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catalog.model import Run
from catalog.store import Catalog
from covis_dask.batches.job import Decision, Finished, JobContext
from covis_dask.runs.outcome import RunOutcome


@dataclass(frozen=True)
class SizeTask:
    basename: str
    archive: str
    path: str = ""
    attempt: int = 1
    label: str = "size"
    bytes_in: int = 0
    token: int = 0

    def again(self) -> "SizeTask":
        return replace(self, attempt=self.attempt + 1)

    def under(self, token: int) -> "SizeTask":
        return replace(self, token=token)


def measure(task: SizeTask) -> RunOutcome:
    size = Path(task.archive).stat().st_size
    return RunOutcome(task.basename, "done", task.path, bytes_in=size, seconds=0.1)


@dataclass(frozen=True)
class Sizes:
    folder: Path
    name: str = "sizes"
    prefix: str = "sizes"
    resources: Mapping[str, float] = None
    work: Callable[[SizeTask], RunOutcome] = measure

    def decide(self, run: Run) -> Decision:
        if run.mode != "DIFFUSE":
            return Decision(run, "unsupported", "no diffuse run", "mode-unsupported")
        if (self.folder / f"{run.basename}.size").exists():
            return Decision(run, "already", "measured before")
        archive = f"covis-data/raw/{run.raw[0].filename}"
        return Decision(run, "run", "not measured yet", task=SizeTask(run.basename, archive))

    def notes(self) -> tuple[str, ...]:
        return ()

    def settings(self) -> dict[str, Any]:
        return {}

    def versions(self) -> dict[str, str]:
        return {"sizes": "1"}

    def complete(self, task: SizeTask, outcome: RunOutcome) -> RunOutcome:
        return outcome

    def record(self, catalog: Catalog, finished: Iterable[Finished]) -> frozenset[str]:
        for one in finished:
            (self.folder / f"{one.outcome.basename}.size").write_text(str(one.outcome.bytes_in))
        return frozenset()


def job(context: JobContext) -> Sizes:
    return Sizes(Path.cwd(), resources={})
'''
_BATCH = """
import json
from covis_dask import notebook as covis
from covis_dask.batches.history import History

if __name__ == "__main__":
    for _ in range(2):
        batch = covis.submit(year=2014, job="sizes", workers=1)
        assert batch.wait(120)
        status = History.here().status(History.here().batch(batch.id))
        html = batch._repr_html_()
        print(json.dumps({
            "plan": list(covis.plan(year=2014, job="sizes").action),
            "states": list(batch.table().state),
            "status": dict(status.counts),
            "shown": "EXPECTED" in html,
            "id": batch.id,
        }))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a folder with two runs, and a distribution that registers a job."""
    place = Place(tmp_path)
    place.store(diffuse(1))
    place.store(diffuse(2))
    place.catalogue()
    (tmp_path / "sizes_job.py").write_text(_MODULE)
    info = tmp_path / "sizes_job-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sizes-job\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[covis_dask.jobs]\nsizes = sizes_job:job\n")
    (tmp_path / "batch_of_sizes.py").write_text(_BATCH)
    return place


def test_a_job_from_outside_runs_like_any_other(place: Place) -> None:
    """Plan, cluster, record, status, notebook and report do for a registered job what they do for ours."""
    done = subprocess.run(
        [sys.executable, "batch_of_sizes.py"],
        cwd=place.path,
        env={**os.environ, "DASK_CONFIG": str(place.path / "config"), "PYTHONPATH": str(place.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["plan"], first["states"]) == (["already"] * 2, ["done"] * 2)
    assert (second["states"], second["status"]) == (["already"] * 2, {"already": 2})
    assert first["shown"]
    sizes = {path.stem: int(path.read_text()) for path in place.path.glob("*.size")}
    assert set(sizes) == {diffuse(1).basename, diffuse(2).basename}
    reports = place.path / "covis-data/products/sizes/batches"
    report = json.loads((reports / first["id"] / "report.json").read_text())
    assert report["settings"]["job"] == "sizes"
    assert report["bytes_in"] == sum(sizes.values()) > 0
    assert (reports / first["id"] / "report.html").exists()


def test_unknown_job_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that names no job gives a sentence with those there are."""
    monkeypatch.chdir(place.path)
    settings = load_settings()
    request = BatchRequest(query=RunQuery(years=frozenset({2014})), job="polish")
    with settings.catalog.open() as catalog, pytest.raises(ConfigurationError, match="there are: process"):
        prepare(request, settings, catalog)
