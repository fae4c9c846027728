"""Every selected run gets one decision and one reason."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import xarray as xr

from catalog.model import ProductRecord, RawFile, Run
from catalog.vocabulary import Site
from covis_dask.batches.plan import Plan, make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.engines import Engine, engine_named
from covis_dask.errors import ConfigurationError
from covis_dask.modes.parameters import Parameters, valid_keys
from covis_dask.products.checking import Disagreement, Word
from covis_dask.products.commit import Seen, look
from covis_dask.products.manifest import FileEntry, InputFile, Manifest, Pings
from covis_dask.runs.task import RunTask
from tests.unit._manifests import RUN, MemoryStore

_NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
_SPEC = ProductSpec(
    profile="matlab",
    prefix="native-matlab",
    store="products",
    hosts=frozenset({"COVIS-NAS"}),
    host_order=("COVIS-NAS",),
)


class _Engine:
    """An engine for Endeavour's three modes that computes nothing."""

    name = "native"
    version = "1"
    resources: Mapping[str, float] = {}

    def check(self, parameters: Parameters) -> None:
        pass

    def supports(self, run: Run) -> bool:
        return run.mode in {"IMAGING", "DIFFUSE", "DOPPLER"}

    def process(self, *_: Any) -> xr.Dataset:
        raise NotImplementedError


def _run(mode: str = "IMAGING", host: str = "COVIS-NAS", size: int | None = 1000) -> Run:
    name = f"APLUWCOVISMBSONAR001_20140307T030039.456Z-{mode}"
    moment = dt.datetime(2014, 3, 7, 3, 0, 39, 456000, tzinfo=dt.UTC)
    return Run(name, moment, mode, "Endeavour", (RawFile(host, f"2014/03/07/{name}.tar.gz", size),))


def _plan(
    run: Run, spec: ProductSpec = _SPEC, engine: Engine | None = None, only: str | None = None, **more: Any
) -> Plan:
    return make_plan([run], PostProcessing(spec, engine or _Engine(), "b", _NOW, **more), only)


def _task(run: Run, spec: ProductSpec = _SPEC, engine: Engine | None = None) -> RunTask:
    (task,) = _plan(run, spec, engine).tasks
    assert isinstance(task, RunTask)
    return task


def _recorded(run: Run, state: str, **more: Any) -> Run:
    """Return the run as the catalogue would have it after a batch ended it in `state`."""
    task = _task(run)
    record = ProductRecord(
        state=state,
        engine="native",
        version="1",
        fingerprint=task.fingerprint,
        path=task.path,
        attempts=1,
        batch="a",
        at=_NOW,
        inputs=json.dumps(dict(task.inputs), sort_keys=True),
        formats=("nc",),
    )
    return replace(run, product=replace(record, **more))


def test_new_run_is_to_be_processed() -> None:
    """A run without product becomes a task with its folder, and its size is counted."""
    plan = _plan(_run())
    (item,) = plan.items
    assert (item.action, item.reason) == ("run", "no product yet")
    assert item.task is not None
    assert item.task.path == f"native-matlab/2014/03/07/{_run().basename}"
    assert plan.bytes_in == 1000


def test_done_run_is_left_alone() -> None:
    """Equal fingerprint: done before."""
    (item,) = _plan(_recorded(_run(), "done")).items
    assert item.action == "already"


def test_a_record_that_may_be_behind_the_store_is_not_believed() -> None:
    """A done or quarantined run that another batch has claimed since goes to a worker, which looks."""
    for state in ("done", "quarantined"):
        run = _recorded(_run(), state)
        (item,) = _plan(run, doubted=frozenset({run.basename})).items
        assert item.task is not None
        assert "another batch has been at it since" in item.reason


def test_known_damage_is_told_to_the_worker() -> None:
    """It then compares the bytes, where a size alone would say that all is well."""
    run = _recorded(_run(), "failed", kind="product-damaged")
    (task,) = _plan(run).tasks
    assert isinstance(task, RunTask)
    assert task.suspect
    assert not _task(_run()).suspect


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "0", "fingerprint": "x"}, "stale: engine version 0 -> 1"),
        ({"fingerprint": "x"}, "stale: profile or parameters changed"),
        ({"inputs": '{"file": "f", "size": 1}', "fingerprint": "x"}, "stale: input"),
        ({"formats": ()}, "stale: the product has no nc file"),
    ],
)
def test_stale_run_says_what_changed(change: dict[str, Any], reason: str) -> None:
    """A product made otherwise is made anew, and the plan says why."""
    (item,) = _plan(_recorded(_run(), "done", **change)).items
    assert item.action == "run"
    assert item.reason.startswith(reason)


def test_quarantined_run_waits_for_its_file_to_change() -> None:
    """A damaged archive is left alone until its size changes, or somebody says so."""
    bad = _recorded(_run(), "quarantined", kind="archive-truncated", reason="cut short")
    (item,) = _plan(bad).items
    assert (item.action, item.kind) == ("quarantined", "archive-truncated")
    mended = replace(bad, raw=(replace(bad.raw[0], filesize=2000),))
    for run, options in (
        (mended, _SPEC),
        (bad, replace(_SPEC, force=True)),
        (bad, replace(_SPEC, retry_quarantined=True)),
    ):
        assert [item.action for item in _plan(run, options).items] == ["run"]


def test_failed_run_is_tried_again() -> None:
    """What failed before is taken by the next batch."""
    (item,) = _plan(_recorded(_run(), "failed", kind="timeout")).items
    assert (item.action, item.reason) == ("run", "failed before (timeout)")


def test_runs_nobody_can_process_are_accounted_for() -> None:
    """No host that is configured: failed, raw-missing. No program for the mode: unsupported."""
    (far,) = _plan(_run(host="DMAS")).items
    assert (far.action, far.kind) == ("failed", "raw-missing")
    assert "DMAS" in far.reason
    (odd,) = _plan(_run(mode="SONARCHECK")).items
    assert (odd.action, odd.kind) == ("unsupported", "mode-unsupported")


@pytest.mark.parametrize(
    ("only", "kept"),
    [("missing", "new"), ("failed", "failed"), ("stale", "stale"), ("quarantined", "quarantined")],
)
def test_only_narrows_the_selection(only: str, kept: str) -> None:
    """--only keeps the runs in that state and no other."""
    runs = {
        "new": _run(),
        "done": _recorded(_run(), "done"),
        "failed": _recorded(_run(), "failed", kind="timeout"),
        "stale": _recorded(_run(), "done", fingerprint="x"),
        "quarantined": _recorded(_run(), "quarantined", kind="archive-truncated", reason="r"),
    }
    spec = replace(_SPEC, retry_quarantined=only == "quarantined")
    assert [name for name, run in runs.items() if _plan(run, spec, only=only).items] == [kept]


def test_product_under_another_prefix_is_not_this_one() -> None:
    """A product of another engine or profile does not count."""
    done = _recorded(_run(), "done")
    (item,) = _plan(done, replace(_SPEC, prefix="elsewhere")).items
    assert (item.action, item.reason) == ("run", "no product yet")


def test_verify_believes_the_store() -> None:
    """With --verify a product that the store lacks is made, whatever the catalogue says."""
    done = _recorded(_run(), "done")
    (item,) = _plan(done, look=lambda _: Seen()).items
    assert item.reason == "recorded as done, but its manifest is not in the store"


def _manifest(task: RunTask, **changes: Any) -> dict[str, Any]:
    """Return the manifest of the product that a task would make."""
    values: dict[str, Any] = {
        "basename": task.basename,
        "engine": task.engine,
        "version": task.version,
        "fingerprint": task.fingerprint,
        "preset": task.parameters.preset,
        "profile": task.parameters.profile,
        "parameters": task.parameters.to_dict(),
        "input": InputFile("COVIS-NAS", "f.tar.gz", 1000, None),
        "software": {},
        "batch": "a",
        "attempt": 1,
        "started": _NOW,
        "finished": _NOW,
        "worker": "worker-1",
        "timings": {},
        "notes": (),
        "files": (FileEntry(f"{task.basename}.nc", 10, "a" * 64),),
        "pings": Pings(total=2, used=2),
    }
    return Manifest(**values | changes).to_document()


def _seen(document: object) -> Seen:
    """Return what a look at a store with this document says."""
    return look(MemoryStore.holding(document), RUN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fingerprint": "x"}, "stale: the raw file changed"),
        ({"fingerprint": "x", "version": "0"}, "stale: engine version 0 -> 1"),
        ({"files": ()}, "stale: the product has no nc file"),
    ],
)
@pytest.mark.parametrize("recorded", [False, True])
def test_verify_finds_the_stale(recorded: bool, change: dict[str, Any], reason: str) -> None:
    """With --verify a product whose manifest says that it was made otherwise is made anew."""
    run, manifest = _run(), _manifest(_task(_run()), **change)
    (item,) = _plan(_recorded(run, "done") if recorded else run, look=lambda _: _seen(manifest)).items
    assert (item.action, item.reason) == ("run", reason)


def test_verify_believes_a_sound_manifest() -> None:
    """With --verify what the catalogue records wrongly is not made anew; what it lacks is adopted."""
    manifest = _manifest(_task(_run()))
    (item,) = _plan(_recorded(_run(), "done", fingerprint="x"), look=lambda _: _seen(manifest)).items
    assert (item.action, item.reason) == ("already", "committed before, manifest verified")
    (item,) = _plan(_run(), look=lambda _: _seen(manifest)).items
    assert item.task is not None
    assert item.reason == "committed, but not recorded: will be adopted"


def test_verify_makes_a_damaged_product_anew() -> None:
    """With --verify a product whose files are not all there is made, over what is committed, and says why."""
    manifest = _manifest(_task(_run()))
    lost = (Disagreement(Word.FILE_MISSING, "x.nc is not in the store"),)
    looks: dict[str, Any] = {"look": lambda _: _seen(manifest), "lost": lambda _path, _manifest: lost}
    (item,) = _plan(_recorded(_run(), "done"), **looks).items
    assert (item.action, item.reason) == ("run", "its product is damaged: x.nc is not in the store")
    assert isinstance(item.task, RunTask)
    assert item.task.force


def test_verify_leaves_other_programs_products() -> None:
    """What another program has put in the folder is no product of ours."""
    (item,) = _plan(_run(), look=lambda _: _seen({"python_version": "3.5"})).items
    assert item.reason == "there is a product of another program"


def test_seafloor_counts_where_it_is_used() -> None:
    """A new seafloor grid makes diffuse runs of Ashes stale, and no other run."""

    def mark(run: Run, floor: str) -> str:
        plan = _plan(run, engine=native, bathymetry=lambda _: floor)
        (task,) = plan.tasks
        assert isinstance(task, RunTask)
        return task.fingerprint

    native = engine_named("native")
    moment = dt.datetime(2019, 8, 20, 12, tzinfo=dt.UTC)
    changed = {}
    for site, mode in (("Ashes", "diffuse1"), ("Ashes", "imaging1"), ("Endeavour", "DIFFUSE")):
        name = f"COVIS-20190820T120000-{mode}" if site == "Ashes" else _run(mode).basename
        run = Run(name, moment, mode, Site(site), (RawFile("COVIS-NAS", f"{name}.tar.gz", 1),))
        changed[site, mode] = mark(run, "one") != mark(run, "another")
    assert changed == {
        ("Ashes", "diffuse1"): True,
        ("Ashes", "imaging1"): False,
        ("Endeavour", "DIFFUSE"): False,
    }


def test_fingerprint_follows_what_matters() -> None:
    """Parameters, engine version, input size and seafloor change it; the host does not."""

    def mark(run: Run = _run(), spec: ProductSpec = _SPEC, engine: Engine | None = None) -> str:  # noqa: B008
        return _task(run, spec, engine).fingerprint

    newer = _Engine()
    newer.version = "2"
    near = replace(_SPEC, hosts=frozenset({"COVIS-NAS", "MINE"}))
    assert mark(_run(host="MINE"), near) == mark()
    others = [
        mark(_run(size=1)),
        mark(spec=replace(_SPEC, overrides={"filter.bw": 4})),
        mark(spec=replace(_SPEC, profile="corrected")),
        mark(engine=newer),
    ]
    assert len({mark(), *others}) == 5


def test_wrong_parameter_stops_the_plan() -> None:
    """A parameter that does not exist is refused before anything runs."""
    with pytest.raises(ConfigurationError, match=r"filter\.bw"):
        _plan(_run(), replace(_SPEC, overrides={"filter.bv": 4}))


def test_changed_parameter_without_effect_is_noted() -> None:
    """A key that the mode does not use is accepted, and the plan says that it changes nothing."""
    unused = next(key for key in valid_keys(_task(_run()).parameters) if key.startswith("averaging."))
    plan = _plan(_run(), replace(_SPEC, overrides={unused: 3.0, "filter.bw": 4}))
    assert plan.notes == (f"{unused} has no effect on imaging runs of Endeavour (preset END)",)


@pytest.mark.parametrize("version", [1, 2, 7])
def test_manifest_that_cannot_be_used_is_one_runs_failure(version: int) -> None:
    """With --verify, a manifest of a later version or without its values fails its run, and no other."""
    manifest = {"schema": f"covis-dask/manifest/{version}"}
    (item,) = _plan(_recorded(_run(), "done"), look=lambda _: _seen(manifest)).items
    assert (item.action, item.kind, item.task) == ("failed", "product-damaged", None)
    assert "--force" in item.reason
