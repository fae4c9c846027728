"""The Matlab engine, with a stand-in for the compiled package; the real runtime is not to be had here."""

import ast
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.config
import numpy as np
import pytest
import xarray as xr
from distributed import LocalCluster

from covis_dask.engines import _matlab_runner
from covis_dask.engines._conversion import RunFacts, convert
from covis_dask.engines._mat_reader import read_structures
from covis_dask.engines.both import BothEngines
from covis_dask.engines.comparison import compare
from covis_dask.engines.matlab import MatlabEngine
from covis_dask.engines.summary import Summary, summarise, summary_table
from covis_dask.errors import (
    ArchiveTruncated,
    ArchiveUnsafe,
    ConfigurationError,
    EngineError,
    ModeUnsupported,
    OutOfMemory,
    RunTimeout,
    SweepIncomplete,
)
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.raw.sweep import RawSweep, with_sweep
from tests._place import Place, version_of
from tests.standin.runs import KINDS, archive_of, matlab_files, native, run_of, source_of, spec_of

_STANDIN = Path(__file__).resolve().parents[1] / "standin"
_DIFFUSE = "Endeavour/diffuse"
_KNOWS = {"Ashes": ["imaging", "diffuse", "bathy"], "Endeavour": ["diffuse"]}


class Bench:
    """An engine over the stand-in, one archive, and what was logged."""

    def __init__(self, folder: Path, archive: Path, dataset: xr.Dataset) -> None:
        self.folder = folder
        self.archive = archive
        self.dataset = dataset
        self.lines: list[str] = []
        self.engine = MatlabEngine()
        self.extra = folder / "extra"
        self.extra.mkdir()
        self.basename = spec_of(_DIFFUSE).basename

    def script(self, what: str) -> None:
        (self.folder / "script.json").write_text(json.dumps({self.basename: what}))

    def process(self, engine: Any = None, archive: Path | None = None, **context: Any) -> xr.Dataset:
        known: dict[str, Any] = {"log": self.lines.append, "scratch": self.folder, "extra": self.extra}
        archive = archive or self.archive
        result = (engine or self.engine).process(
            source_of(archive),
            run_of(_DIFFUSE, archive),
            parameters_for("diffuse", "Endeavour"),
            Context(**(known | context)),
        )
        assert isinstance(result, xr.Dataset)
        return result

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def left(self) -> list[str]:
        """Return what is left in scratch."""
        return sorted(path.name for path in self.folder.glob("covis-*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, xr.Dataset, Path]:
    """Give the archive of a small run, its native product, and the .mat the original would make."""
    folder = tmp_path_factory.mktemp("matlab")
    archive = archive_of(_DIFFUSE, folder)
    dataset = native(_DIFFUSE, archive)
    return archive, dataset, matlab_files(_DIFFUSE, dataset, folder)[0]


@pytest.fixture
def bench(
    made: tuple[Path, xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """Give an engine whose runner finds the stand-in."""
    archive, dataset, mat = made
    (tmp_path / mat.name).write_bytes(mat.read_bytes())
    monkeypatch.setenv("COVIS_MATLAB_ENV_PYTHONPATH", str(_STANDIN))
    monkeypatch.setenv("COVIS_MATLAB_ENV_STANDIN", str(tmp_path))
    monkeypatch.setenv("COVIS_MATLAB_ENV_STANDIN_START", "0.1")
    monkeypatch.setenv("NAS_SECRET_KEY", "not-for-matlab")
    settings = {"python": sys.executable, "knows": _KNOWS, "recycle": 2, "start-timeout": "20s"}
    with dask.config.set({"covis.matlab": {"release": None, **settings}, "covis.scratch": str(tmp_path)}):
        it = Bench(tmp_path, archive, dataset)
        try:
            yield it
        finally:
            it.engine.close()


def _facts(sweep: RawSweep) -> RunFacts:
    pings = sweep.table.ping.tolist()
    return RunFacts(sweep.table, sweep.sweep, sweep.header(pings[0]), frozenset(pings))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_product_equals_the_native_one(kind: str, tmp_path: Path) -> None:
    """In every mode of both eras the original's structure becomes the native product, word for word."""
    site, family = kind.split("/")
    archive = archive_of(kind, tmp_path)
    wanted = native(kind, archive)
    content: dict[str, Any] = {}
    for path in matlab_files(kind, wanted, tmp_path):
        content |= read_structures(path)
    parameters = parameters_for(family, site)
    facts = with_sweep(source_of(archive), spec_of(kind).basename, _facts)
    got = convert(content, facts, parameters, site, lambda _: None)
    lacking = {"offset_velocity", "point_x", "point_y", "point_z"}  # the original stores none of these
    assert set(wanted.data_vars) - set(got.data_vars) <= lacking
    assert set(got.data_vars) <= set(wanted.data_vars)
    assert set(got.coords) == set(wanted.coords)
    for name, variable in got.variables.items():
        assert variable.dims == wanted[name].dims, name
        assert variable.attrs == wanted[name].attrs, name
        np.testing.assert_allclose(
            variable.values, wanted[name].values, rtol=1e-12, atol=1e-12, err_msg=str(name)
        )
    facts_of_both = ("mode", "preset", "pings_total", "bad_ping", "bursts_used", "bursts_skipped", "sweep")
    assert {key: got.attrs.get(key) for key in facts_of_both} == {
        key: wanted.attrs.get(key) for key in facts_of_both
    }
    assert got.attrs["sound_speed"] == pytest.approx(wanted.attrs["sound_speed"])


def test_a_real_product_of_the_original_is_read(shared: Path, tmp_path: Path) -> None:
    """A bathymetry file that the original made in 2019 becomes a dataset: heights, bursts, settings."""
    content = read_structures(shared / "inputs" / "covis_bathy_2019b.mat")
    archive = archive_of("Ashes/bathy", tmp_path)
    facts = with_sweep(
        source_of(archive), "any", lambda sweep: RunFacts(sweep.table, sweep.sweep, None, frozenset())
    )
    got = convert(content, facts, parameters_for("bathy", "Ashes"), "Ashes", lambda _: None)
    height = content["covis"]["grid"]["v"]
    np.testing.assert_array_equal(got["seafloor_height"].values, np.where(height == 0, np.nan, height))
    assert got["seafloor_height"].attrs["units"] == "m"
    assert got.sizes["burst"] == 72
    assert got["burst_first_ping"].values[:2].tolist() == [1, 7]
    assert got.attrs["transmit_frequency"] == 396_000
    assert got.attrs["sound_speed"] == pytest.approx(1484.477, abs=1e-3)
    assert got.attrs["sound_speed_header"] == 1468
    assert got.x.values[[0, -1]].tolist() == [-30, 20]


def test_a_run_is_unpacked_processed_and_read(bench: Bench) -> None:
    """The runner's output goes to the log, the .mat beside the product, and nothing stays in scratch."""
    got = bench.process()
    assert all(found.agrees for found in compare(bench.dataset, got))
    assert got.attrs["matlab_code"]["verstr"] == "2.1.2"
    for line in (f"Processing {bench.basename}", "ANS = 42 (from below Python)", "Warning: étrange"):
        assert f"matlab| {line}" in bench.lines
    assert [path.name for path in bench.extra.iterdir()] == [f"{bench.basename}.mat"]
    assert [name for name in bench.left() if name.startswith("covis-run")] == []


def test_the_runner_stays_is_recycled_and_sees_no_secrets(bench: Bench) -> None:
    """One process serves several runs, a new one comes after `recycle`, and our credentials reach neither."""
    for _ in range(3):
        bench.process()
    pids = [line.split()[2] for line in bench.lines if line.startswith("matlab| pid")]
    assert pids[0] == pids[1] != pids[2]
    assert "not-for-matlab" not in bench.log
    assert len(bench.left()) == 1
    bench.engine.close()
    assert bench.left() == []


@pytest.mark.parametrize(
    ("what", "words", "error"),
    [
        ("raise", "MatlabRuntimeError: Index exceeds the number of array elements (0)", EngineError),
        ("exit", "ended by itself, with code 3; its last words", EngineError),
        ("segfault", "ended by SIGSEGV", EngineError),
        ("oom", "was killed, most likely for lack of memory", OutOfMemory),
        ("nothing", "ended without an error, but made no", EngineError),
        ("garbage", "that the Matlab code made cannot be read", EngineError),
    ],
)
def test_what_goes_wrong_is_told(bench: Bench, what: str, words: str, error: type[Exception]) -> None:
    """However the Matlab code fails, it is an error with its text, and the next run is not troubled."""
    bench.script(what)
    with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
        bench.process()
    assert not list(bench.extra.iterdir())
    bench.script("")
    bench.process()


def test_the_time_limit_kills_the_whole_group(bench: Bench) -> None:
    """A run that hangs is ended with every process it started, and a new runner takes the next run."""
    bench.script("hang")
    start = time.monotonic()
    pids: list[int] = []

    def progress(done: int, total: int) -> None:
        assert (done, total) == (0, 0)
        pids[:] = [int(line.split()[2]) for line in bench.lines if line.startswith("matlab| pid")]
        if pids and time.monotonic() > start + 1.5:
            raise RunTimeout("stopped")

    with pytest.raises(RunTimeout):
        bench.process(progress=progress)
    assert _group(pids[0]) == []
    bench.script("")
    bench.process()


def _group(leader: int) -> list[int]:
    """Return the processes of a group that are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def test_the_runner_goes_when_its_worker_is_killed(bench: Bench) -> None:
    """A worker that dies without a word leaves no Matlab behind."""
    bench.script("hang")
    child = os.fork()
    if child == 0:
        bench.process()
        os._exit(1)
    pid = 0
    for _ in range(100):
        time.sleep(0.1)
        found = [entry for entry in Path("/proc").glob("[0-9]*/stat") if f" {child} " in _safe(entry)]
        for entry in found:
            if "_matlab_runner" in (entry.parent / "cmdline").read_text():
                pid = int(entry.parent.name)
        if pid and len(_group(pid)) > 1:
            break
    os.kill(child, 9)
    os.waitpid(child, 0)
    for _ in range(50):
        if not _group(pid):
            break
        time.sleep(0.1)
    assert pid
    assert _group(pid) == []


def _safe(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _cut(archive: Path, folder: Path) -> Path:
    target = folder / archive.name
    target.write_bytes(archive.read_bytes()[:-3000])
    return target


def test_faults_of_the_archive_are_the_data_s(bench: Bench, tmp_path: Path) -> None:
    """A truncated archive, one with outside paths, and one without sweep.json never reach Matlab."""
    cases: list[tuple[type[Exception], Callable[[dict[str, bytes]], dict[str, bytes]]]] = [
        (ArchiveUnsafe, lambda members: members | {"../outside.txt": b"x"}),
        (SweepIncomplete, lambda members: {k: v for k, v in members.items() if k != "sweep.json"}),
        (SweepIncomplete, lambda members: {k: v for k, v in members.items() if k != "index.csv"}),
    ]
    with pytest.raises(ArchiveTruncated):
        bench.process(archive=_cut(bench.archive, tmp_path))
    for number, (error, change) in enumerate(cases):
        folder = tmp_path / f"case{number}"
        folder.mkdir()
        with pytest.raises(error):
            bench.process(archive=archive_of(_DIFFUSE, folder, change))
    assert not (tmp_path / "outside.txt").exists()
    assert "matlab|" not in bench.log


def test_what_the_image_does_not_know_is_unsupported(bench: Bench) -> None:
    """An era or mode that the image has no program for ends unsupported, also when only Matlab knows that."""
    (bench.folder / f"{bench.basename}.mat").unlink()
    with pytest.raises(ModeUnsupported, match="unrecognised data type"):
        bench.process()
    with dask.config.set({"covis.matlab.knows": {"Ashes": ["imaging"]}}):
        engine = MatlabEngine()
        assert not engine.supports(run_of(_DIFFUSE, bench.archive))
        with pytest.raises(ModeUnsupported, match=r"covis\.matlab\.knows"):
            bench.process(engine)


def test_settings_that_cannot_work_stop_the_batch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such Python, no pycovis, another release, a runtime that does not open: each with its advice."""
    for setting, words in (
        ({"covis.matlab.python": "/no/such/python"}, "cannot be started"),
        ({"covis.matlab.release": "9.9"}, "release 2.1.2, but covis.matlab.release says 9.9"),
    ):
        with dask.config.set(setting), pytest.raises(ConfigurationError, match=words):
            bench.process(MatlabEngine())
    monkeypatch.setenv("COVIS_MATLAB_ENV_STANDIN_BROKEN", "1")
    with pytest.raises(EngineError, match="opened: RuntimeError: Could not open the runtime library"):
        bench.process()
    monkeypatch.setenv("COVIS_MATLAB_ENV_PYTHONPATH", str(bench.folder))
    with pytest.raises(ConfigurationError, match="has no compiled COVIS package"):
        bench.process()
    assert bench.left() == []


def test_changed_parameters_are_refused(bench: Bench) -> None:
    """The compiled code has its parameters inside: it takes no other profile and no changed number."""
    with pytest.raises(ConfigurationError, match="profile corrected"):
        bench.engine.check(parameters_for("diffuse", "Ashes", profile="corrected"))
    with pytest.raises(ConfigurationError, match="no changed parameters"):
        bench.engine.check(parameters_for("imaging", "Ashes", overrides={"filter.bw": 3.0}))
    bench.engine.check(parameters_for("imaging", "Ashes", preset="PP3"))


def test_both_engines_are_compared(bench: Bench) -> None:
    """`both` gives the native product, the .mat, and the differences per variable in log and JSON."""
    engine = BothEngines()
    got = bench.process(engine)
    assert got.attrs["engines_agree"] == 1
    assert "the engines agree on everything they share" in bench.log
    shifted = bench.dataset.copy(deep=True)
    shifted["decorrelation"] = shifted["decorrelation"] * 1.01
    matlab_files(_DIFFUSE, shifted, bench.folder)
    got = bench.process(engine)
    assert got.attrs["engines_differ_in"] == "decorrelation"
    document = json.loads((bench.extra / "comparison.json").read_text())
    rows = {row["variable"]: row for row in document["variables"]}
    assert rows["decorrelation"]["largest_relative"] == pytest.approx(0.0099, abs=2e-4)
    assert rows["decorrelation"]["different"] == rows["decorrelation"]["cells"] > 0
    assert rows["intensity"]["agrees"]
    engine._matlab.close()


def test_a_batch_of_both_engines_sums_up_their_differences(
    made: tuple[Path, xr.Dataset, Path], tmp_path: Path
) -> None:
    """The report of `--engine both` says by variable in how many runs the engines agree, and where least."""
    archive, dataset, _ = made
    shifted = dataset.copy(deep=True)
    shifted["decorrelation"] = shifted["decorrelation"] * 1.01
    (tmp_path / "mat").mkdir()
    (mat,) = matlab_files(_DIFFUSE, shifted, tmp_path / "mat")
    place = _place_of(archive, tmp_path)
    environ = _environ(mat.parent)
    report = place.report("--year", "2014", "--engine", "both", code=0, **environ)
    rows = {row["variable"]: row for row in report["comparison"]}
    name = spec_of(_DIFFUSE).basename
    assert (rows["decorrelation"]["runs"], rows["decorrelation"]["agreeing"]) == (1, 0)
    assert rows["decorrelation"]["worst"] == name
    assert rows["decorrelation"]["different"] == rows["decorrelation"]["cells"] > 0
    assert (rows["intensity"]["runs"], rows["intensity"]["agreeing"]) == (1, 1)
    again = place.report("--year", "2014", "--engine", "both", code=0, **environ)
    assert again["counts"]["already"] == 1
    assert again["comparison"] == report["comparison"]
    made_again = place.run("covis_dask.cli.report", report["batch"], "--json")
    assert json.loads(made_again.stdout)["comparison"] == report["comparison"]
    (folder,) = (tmp_path / "covis-data" / "products").rglob(report["batch"])
    assert f"of the largest value, in {name}" in (folder / "report.txt").read_text()
    assert "<h2>Native and Matlab</h2>" in (folder / "report.html").read_text()


def test_summaries_of_runs() -> None:
    """Counts of runs add up, the worst run is named, and what could not be compared says why."""
    row = {"variable": "v", "cells": 10, "different": 0, "largest_relative": 0.0, "agrees": True, "note": ""}
    bad = row | {"different": 4, "largest_relative": 0.5, "agrees": False}
    none = row | {"cells": 0, "agrees": False, "note": "it does not store it"}
    one, two = summarise(
        {
            "a": {"variables": [row, none | {"variable": "w"}]},
            "b": {"variables": [bad]},
            "c": {"variables": [none]},
        }
    )
    assert one == Summary("v", 2, 1, 20, 4, 0.5, "b", 1, "it does not store it")
    assert (two.runs, two.not_compared) == (0, 1)
    first, second = summary_table([one, two])[1:]
    assert first.split()[:5] == ["v", "2", "1", "20", "4"]
    assert second.endswith("not compared: it does not store it")


def _place_of(archive: Path, folder: Path) -> Place:
    """Return a place whose archive is this one run."""
    raw = folder / "covis-data" / "raw" / "2014" / "03" / "05"
    raw.mkdir(parents=True)
    (raw / archive.name).write_bytes(archive.read_bytes())
    place = Place(folder)
    place.catalogue()
    return place


def _environ(products: Path) -> dict[str, str]:
    """Return what a batch needs to run the stand-in, which hands out these products."""
    return {
        "COVIS_MATLAB_ENV_PYTHONPATH": str(_STANDIN),
        "COVIS_MATLAB_ENV_STANDIN": str(products),
        "DASK_COVIS__MATLAB__KNOWS": '{"Endeavour": ["diffuse"]}',
        "DASK_COVIS__MATLAB__PYTHON": sys.executable,
    }


def test_the_runner_is_python_of_its_day() -> None:
    """The runner script is valid for Python 3.5, and needs the standard library only."""
    source = Path(_matlab_runner.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 5))
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imported - {"pycovis"} <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.AnnAssign)]


def test_a_batch_sends_matlab_runs_to_matlab_workers_only(
    made: tuple[Path, xr.Dataset, Path], tmp_path: Path
) -> None:
    """`--engine matlab` uses MATLAB=1, commits .mat and .nc, and says so where no worker offers it."""
    archive, _, mat = made
    place = _place_of(archive, tmp_path)
    environ = _environ(mat.parent)
    words = ("--year", "2014", "--engine", "matlab")
    report = place.report(*words, code=0, **environ)
    assert report["counts"]["done"] == 1
    (manifest,) = (tmp_path / "covis-data" / "products" / "matlab-matlab").rglob("metadata.json")
    document = json.loads(manifest.read_text())
    version = version_of(manifest)
    names = {Path(entry["name"]).name for entry in document["files"]}
    name = spec_of(_DIFFUSE).basename
    assert {f"{name}.nc", f"{name}.mat", f"{name}.png", "output.txt"} <= names
    assert (version / f"{name}.mat").read_bytes() == mat.read_bytes()
    with xr.open_dataset(version / f"{name}.nc") as product:
        assert product.attrs["engine"] == "matlab"
        assert json.loads(product.attrs["matlab_code"])["verstr"] == "2.1.2"
    assert place.report(*words, code=0, **environ)["counts"]["already"] == 1
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        done = place.run(
            "covis_dask.batch", *words, "--force", "--scheduler", cluster.scheduler_address, **environ
        )
    assert done.returncode == 2, done.stderr
    assert "none of the 1 workers offers MATLAB=1" in done.stderr
