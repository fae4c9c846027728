"""The public face: `import covis_dask as covis`, on a small archive in a folder of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import xarray as xr

import covis_dask as covis
from covis_dask.cli import main as covis_command
from covis_dask.simulate.archive import demo_runs
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import simulate
from tests._place import Place, diffuse, imaging

_DOCS = Path(__file__).resolve().parents[2] / "docs" / "python.md"
_EVERY_MODULE = """
import importlib, pkgutil, sys, types
import covis_dask
for module in pkgutil.walk_packages(covis_dask.__path__, "covis_dask."):
    if module.name.rpartition(".")[2] not in {"__main__", "_runner", "_matlab_runner"}:
        importlib.import_module(module.name)
broken = [name for name in covis_dask.__all__ if isinstance(getattr(covis_dask, name), types.ModuleType)]
print("broken:", *broken)
"""

# Another test's cluster may take the port between our look and our start.
pytestmark = pytest.mark.filterwarnings("ignore:.*Port 8787 is already in use")


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a folder, ours while these tests run, with the archive and catalogue of two runs."""
    place, before = Place(tmp_path_factory.mktemp("api")), Path.cwd()
    place.store(diffuse(3))
    place.store(diffuse(4), extension=".tar")
    place.catalogue()
    os.chdir(place.path)
    try:
        yield place
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def batch(here: Place) -> covis.BatchHandle:  # noqa: ARG001
    """Give a batch of both runs that is over."""
    handle = covis.submit(year=2014, workers=1)
    assert handle.wait(120)
    return handle


def _archive(place: Place, hour: int = 3, extension: str = ".tar.gz") -> Path:
    return next(place.path.rglob(f"{diffuse(hour).basename}{extension}"))


def test_no_name_is_shadowed_by_a_module() -> None:
    """Once every module has been imported, each name of the face is still what it was."""
    assert _python(_EVERY_MODULE) == "broken:"


def test_the_face_is_whole_and_listed() -> None:
    """Every name can be had and is listed, all errors too; what is not there is an AttributeError."""
    for name in covis.__all__:
        assert getattr(covis, name) is not None
    assert set(covis.__all__) <= set(dir(covis))
    assert set(covis.errors.__all__) <= set(covis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        covis.nothing  # noqa: B018  # type: ignore[attr-defined]


def test_import_is_quick() -> None:
    """``import covis_dask`` takes less than 0.1 s, and brings nothing along."""
    code = (
        "import sys, time; before = set(sys.modules); start = time.perf_counter(); import covis_dask;"
        "print(time.perf_counter() - start, *{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    seconds, *modules = min((_python(code).split() for _ in range(5)), key=lambda words: float(words[0]))
    assert float(seconds) < 0.1
    assert set(modules) <= {"covis_dask", *sys.stdlib_module_names}


def test_one_call_gives_what_the_command_writes(here: Place) -> None:
    """`process_archive` returns the variables, numbers and attributes of the product of ``covis process``."""
    archive = _archive(here)
    words = ["--profile", "corrected", "--set", "noise.snr_thresh=60", "--output", "out"]
    assert covis_command(["process", str(archive), *words]) == 0
    written = covis.open_product(next(Path("out").rglob("*.nc")))
    made = covis.process_archive(archive, profile="corrected", parameters={"noise.snr_thresh": 60})
    xr.testing.assert_equal(made, written)
    for name in ("fingerprint", "input_name", "input_size", "profile", "title", "time_coverage_end"):
        assert made.attrs[name] == written.attrs[name]
    assert {str(name) for name in made.variables} == {str(name) for name in written.variables}


def test_archives_by_url_and_by_parameter_file(here: Place) -> None:
    """A URL does as a path does; parameters may come from a file."""
    Path("ours.yaml").write_text("noise: {snr_thresh: 60}\n")
    made = covis.process_archive(_archive(here).as_uri(), parameters="ours.yaml")
    assert '"snr_thresh": 60' in made.attrs["parameters"]


def test_archives_that_cannot_be_processed(here: Place) -> None:
    """Missing, misnamed, cut-off, unsupported archives and wrong parameters have an error each."""
    with pytest.raises(covis.RawMissing):
        covis.process_archive(f"nowhere/{diffuse(3).basename}.tar.gz")
    with pytest.raises(covis.ConfigurationError, match="must be named after its run"):
        covis.process_archive("nowhere/some.tar.gz")
    with pytest.raises(covis.ConfigurationError, match="gargle"):
        covis.process_archive(_archive(here), parameters={"gargle": 1})
    cut = here.path / f"{imaging(5).basename}.tar.gz"
    cut.write_bytes(_archive(here).read_bytes()[:5000])
    with pytest.raises(covis.ArchiveTruncated):
        covis.process_archive(cut)
    with pytest.raises(covis.ModeUnsupported):
        covis.process_archive(f"nowhere/{imaging(5).basename.replace('IMAGING', 'CALIBRATION')}.tar.gz")


def test_a_batch_in_the_background(batch: covis.BatchHandle) -> None:
    """A handle tells how each run ended, reads logs and products, and stands in the list of batches."""
    assert [outcome.state for outcome in batch.outcomes] == ["done", "done"]
    assert batch.over
    assert "2 of 2 runs: 2 done" in repr(batch)
    name = diffuse(3).basename
    assert "decorrelation" in batch.open(name)
    assert "engine native" in batch.log(name)
    assert covis.list_batches()[0].id == batch.id
    again = covis.attach(batch.id[:-2])
    assert [outcome.state for outcome in again.outcomes] == ["done", "done"]
    with pytest.raises(covis.ConfigurationError, match="run elsewhere"):
        again.stop()


def test_products_are_found_by_name_and_by_path(batch: covis.BatchHandle) -> None:
    """By the run's name, its archive's name, its folder or its file, it is the same product."""
    name = diffuse(3).basename
    by_name = covis.open_product(name)
    xr.testing.assert_identical(by_name, batch.open(name))
    folder = next(Path("covis-data/products").rglob("metadata.json")).parent
    (file,) = folder.glob(f"v/*/{name}.nc")
    for product in (f"{name}.tar.gz", folder, folder.resolve().as_uri(), file):
        xr.testing.assert_identical(covis.open_product(product), by_name)
    xr.testing.assert_identical(covis.open_product(name, prefix="native-matlab"), by_name)
    with pytest.raises(covis.ProductMissing):
        covis.open_product(name, prefix="native-corrected")
    with pytest.raises(covis.ProductMissing):
        covis.open_product("nowhere/at/all")
    with pytest.raises(covis.CatalogError, match="has no run"):
        covis.open_product(diffuse(9).basename)


def test_zarr_products_open_too(here: Place) -> None:
    """A product without a NetCDF file is read from its Zarr store."""
    assert covis_command(["process", str(_archive(here)), "--format", "zarr", "--output", "zarr"]) == 0
    store = next(Path("zarr").rglob("*.zarr.zip"))
    xr.testing.assert_identical(covis.open_product(store.parents[2]), covis.open_product(store))


def test_choosing_and_planning(batch: covis.BatchHandle) -> None:  # noqa: ARG001
    """Keywords and values choose the same; a plan says what would be done; both at once make no sense."""
    query = covis.RunQuery(years=frozenset({2014}), families=frozenset({"diffuse"}))
    assert covis.select_runs(query) == covis.select_runs(year=2014, mode="diffuse")
    assert [run.basename for run in covis.select_runs()] == [diffuse(3).basename, diffuse(4).basename]
    assert covis.select_runs(year=1999) == ()
    assert [item.action for item in covis.plan(covis.BatchRequest(query=query)).items] == ["already"] * 2
    assert [item.action for item in covis.plan(year=2014, force=True).items] == ["run"] * 2
    with pytest.raises(covis.NothingSelected):
        covis.plan(year=1999)
    with pytest.raises(TypeError, match="not both"):
        covis.plan(covis.BatchRequest(query=query), force=True)
    with pytest.raises(TypeError, match="not both"):
        covis.select_runs(query, year=2014)


def test_a_batch_is_stopped(here: Place) -> None:  # noqa: ARG001
    """What was not begun when a batch is stopped is not run, and the batch says so."""
    handle = covis.submit(year=2014, force=True, workers=1)
    handle.stop()
    assert handle.wait(60)
    assert {outcome.state for outcome in handle.outcomes} <= {"not-run", "done"}
    assert handle.status.ending == "stopped"


def test_the_examples_of_the_documentation_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of docs/python.md runs, one after the other, on runs of the demonstration."""
    place = Place(tmp_path)
    runs = [run for run in demo_runs() if run.spec.mode == "DIFFUSE" and run.spec.start.month == 4]
    for run in runs:
        path = tmp_path / "covis-data" / "raw" / run.path
        write_archive(simulate(run.spec, run.scene), path, folder=run.spec.folder, order=run.order)
    place.catalogue()
    monkeypatch.chdir(tmp_path)
    assert covis_command(["batch", "--year", "2014", "--workers", "1"]) == 0
    blocks = re.findall(r"```python\n(.*?)```", _DOCS.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {"covis": covis}
    for block in blocks:
        exec(compile(block, str(_DOCS), "exec"), names)
    assert names["failed"] == []
    assert isinstance(names["product"], xr.Dataset)
