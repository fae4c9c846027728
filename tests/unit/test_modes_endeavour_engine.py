"""The native engine on archives of 2010-15: dispatch, errors, order of the archive, broken pings."""

import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from catalog.model import Run
from catalog.names import parse_basename
from covis_dask.engines.native import VERSION, NativeEngine
from covis_dask.errors import (
    EngineError,
    ModeUnsupported,
    NoValidPings,
    OutOfMemory,
    RunTimeout,
    SweepIncomplete,
)
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.record import pack_record
from covis_dask.raw.source import ArchiveSource
from tests.unit._endeavour_runs import MemorySweep, Row, make, noise, run, settings, steps

N = 160
IMAGING = "APLUWCOVISMBSONAR001_20111001T210757.973Z-IMAGING"
DIFFUSE = "APLUWCOVISMBSONAR001_20111001T215909.172Z-DIFFUSE"
BOX = {"xmin": -6, "xmax": 0, "ymin": -5, "ymax": 0, "zmin": 4, "zmax": 8}
SMALL = {f"grids__*__{name}": value for name, value in BOX.items()}
DIFFUSE_ROWS = [Row(n, -18.0, -1.0) for n in range(1, 9)]

Files = dict[str, bytes]


def _files(sweep: MemorySweep, mode: str | None) -> Files:
    """Return the files of a run as the instrument writes them (docs/method.md#archives)."""
    columns = "ping,seconds,usecs,pitch,roll,yaw,kPAngle,kRAngle,kHeading"
    lines = [f"{r.ping},1317503278,0,0,0,0,{r.pitch},{r.roll},{r.heading}" for r in sweep.rows]
    found = {"index.csv": "\n".join([columns, *lines, ""]).encode()}
    document = {"timestamp": [1317503277, 0]} | ({} if mode is None else {"mode": mode})
    for number, ping in sweep.files.items():
        assert ping.data is not None
        assert ping.header is not None
        assert ping.record is not None
        counts = np.stack([ping.data.real, ping.data.imag], axis=2) * 16
        found[f"rec_7000_{number:06d}.json"] = json.dumps({"hdr": dict(ping.header.fields)}).encode()
        found[f"rec_7038_{number:06d}.bin"] = pack_record(ping.record, np.round(counts).astype(np.int16))
    found["sweep.json"] = json.dumps(document).encode()
    return found


def _folder(here: Path, files: Mapping[str, bytes], basename: str = IMAGING) -> ArchiveSource:
    """Write files as an unpacked run."""
    inner = here / basename
    inner.mkdir()
    for name, content in files.items():
        (inner / name).write_bytes(content)
    return ArchiveSource(fsspec.filesystem("file"), str(inner))


def _tar(here: Path, files: Mapping[str, bytes], order: Iterable[str]) -> ArchiveSource:
    """Write files as a .tar.gz in a certain order."""
    source = here / IMAGING
    source.mkdir()
    archive = here / f"{IMAGING}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in order:
            (source / name).write_bytes(files[name])
            tar.add(source / name, f"{IMAGING}/{name}")
    return ArchiveSource(fsspec.filesystem("file"), str(archive))


def _run(basename: str) -> Run:
    parsed = parse_basename(basename)
    return Run(parsed.basename, parsed.datetime, parsed.mode, parsed.site)


def _process(
    source: ArchiveSource,
    parameters: Parameters,
    basename: str = IMAGING,
    log: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> xr.Dataset:
    return NativeEngine().process(source, _run(basename), parameters, Context(log=log, progress=progress))


def _equal(got: xr.Dataset, want: xr.Dataset) -> None:
    """Compare what is gridded, to the last bit."""
    for name in want.data_vars:
        if want[name].dims[:2] == ("y", "x"):
            np.testing.assert_array_equal(got[name], want[name])


@pytest.mark.parametrize("profile", ["matlab", "corrected"])
def test_order_of_the_archive_does_not_matter(tmp_path: Path, profile: str) -> None:
    """A folder and archives in any order give the same product, to the last bit."""
    files = _files(run(steps([30.0, 40.0, 50.0]), noise(N)), "imaging")
    parameters = settings("imaging", profile, **SMALL)
    shuffled = sorted(files, key=lambda name: name[::-1])
    places = [tmp_path / name for name in ("folder", "sorted", "shuffled")]
    for place in places:
        place.mkdir()
    want = _process(_folder(places[0], files), parameters)
    _equal(_process(_tar(places[1], files, sorted(files)), parameters), want)
    _equal(_process(_tar(places[2], files, shuffled), parameters), want)
    assert want.attrs["pings_total"] == 6
    assert json.loads(want.attrs["sweep"])["mode"] == "imaging"


def test_rounded_data_give_nearly_the_product_of_the_signal(tmp_path: Path) -> None:
    """A written run gives the product of its signal, but for the rounding to 1/16 count."""
    sweep, parameters = run(steps([30.0, 40.0, 50.0]), noise(N)), settings("imaging", "matlab", **SMALL)
    got = _process(_folder(tmp_path, _files(sweep, "imaging")), parameters)
    np.testing.assert_allclose(got["backscatter"], make(sweep, parameters)["backscatter"], rtol=0.1)


@pytest.mark.parametrize(
    ("mode", "family"),
    [("imaging", "imaging"), ("DockDoppler", "doppler"), ("doppler", "doppler"), (None, "imaging")],
)
def test_mode_in_sweep_json_decides(tmp_path: Path, mode: str | None, family: str) -> None:
    """Endeavour's runs are dispatched by sweep.json, else by name; changed parameters stay (4.0)."""
    log: list[str] = []
    source = _folder(tmp_path, _files(run(steps([30.0, 40.0, 50.0]), noise(N)), mode))
    changed = {"ping_combination__mode": "intensity", "grids__0__dx": 1}
    ds = _process(source, settings("imaging", "matlab", **changed), log=log.append)
    assert ds.attrs["mode"] == family
    assert any(f"processing as {family}" in line for line in log) == (family != "imaging")
    assert ds.attrs["pings_used"] == 4


@pytest.mark.parametrize("mode", ["sonartest", "dockdiffuse", "diffuse"])
def test_diffuse_run_under_another_name(tmp_path: Path, mode: str) -> None:
    """A diffuse run named IMAGING, on which the imaging program fails, is processed as diffuse."""
    files = _files(run(DIFFUSE_ROWS, noise(700, 128)), mode)
    ds = _process(_tar(tmp_path, files, sorted(files)), settings("imaging", "matlab"))
    assert ds.attrs["mode"] == "diffuse"
    assert ds.attrs["pairs"] == 4


def test_mode_without_program(tmp_path: Path) -> None:
    """A mode in sweep.json that has no program ends as unsupported."""
    source = _folder(tmp_path, _files(run(steps([30.0, 40.0, 50.0]), noise(N)), "bathy"))
    with pytest.raises(ModeUnsupported, match="'bathy'"):
        _process(source, settings("imaging", "matlab", **SMALL))


def test_what_the_engine_supports() -> None:
    """The engine knows which kinds of run have a program."""
    engine = NativeEngine()
    assert engine.supports(_run(IMAGING))
    assert engine.supports(_run("COVIS-20191024T003346-diffuse3"))
    assert not engine.supports(_run("COVIS-20180729T000000-survey3"))
    assert not engine.supports(_run("APLUWCOVISMBSONAR001_20111001T210757.973Z-BATHY"))
    assert (engine.name, engine.version) == ("native", VERSION)


def test_errors_of_the_engine(tmp_path: Path) -> None:
    """What is unexpected becomes an engine error with its traceback in the log; what is known passes."""
    source = _folder(tmp_path, _files(run(steps([30.0, 40.0, 50.0]), noise(N)), "imaging"))
    parameters = settings("imaging", "matlab", **SMALL)
    log: list[str] = []

    def failing(error: Exception) -> Callable[[int, int], None]:
        def progress(_done: int, _total: int) -> None:
            raise error

        return progress

    with pytest.raises(EngineError, match="KeyError: 'surprise'"):
        _process(source, parameters, log=log.append, progress=failing(KeyError("surprise")))
    assert any("Traceback" in line for line in log)
    with pytest.raises(RunTimeout, match="late"):
        _process(source, parameters, progress=failing(RunTimeout("late")))
    with pytest.raises(OutOfMemory):
        _process(source, parameters, progress=failing(MemoryError()))


def test_progress_counts_pings(tmp_path: Path) -> None:
    """Progress is reported ping by ping, of the pings in the table."""
    source = _folder(tmp_path, _files(run(steps([30.0, 40.0, 50.0]), noise(N)), "imaging"))
    seen: list[tuple[int, int]] = []
    parameters = settings("imaging", "matlab", **SMALL)
    _process(source, parameters, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]


@pytest.mark.parametrize("name", ["index.csv", "sweep.json"])
def test_run_without_its_index(tmp_path: Path, name: str) -> None:
    """A run without index.csv or sweep.json is incomplete."""
    files = _files(run(steps([30.0, 40.0, 50.0]), noise(N)), "imaging")
    del files[name]
    with pytest.raises(SweepIncomplete):
        _process(_folder(tmp_path, files), settings("imaging", "matlab", **SMALL))


def test_diffuse_run_with_a_file_that_is_not_listed(tmp_path: Path) -> None:
    """A .bin without a row in index.csv rejects a diffuse run in the profile matlab only.

    See docs/method.md#diffuse-flow-2010-15.
    """
    sweep = run(DIFFUSE_ROWS, noise(700, 128))
    files = _files(sweep, "diffuse")
    files["index.csv"] = b"\n".join(files["index.csv"].split(b"\n")[:-2]) + b"\n"
    source = _folder(tmp_path, files, DIFFUSE)
    with pytest.raises(SweepIncomplete, match="7 of them, and 1 others"):
        _process(source, settings("diffuse", "matlab"), DIFFUSE)
    assert _process(source, settings("diffuse", "corrected"), DIFFUSE).attrs["pairs"] == 3


def _break(files: Files, number: int, fault: str) -> bool:
    """Break a ping; say whether its file still counts as bad rather than missing."""
    data, head = f"rec_7038_{number:06d}.bin", f"rec_7000_{number:06d}.json"
    header = json.loads(files[head])["hdr"]
    content = files[data]
    changes: dict[str, bytes | None] = {
        "missing": None,
        "empty": b"",
        "short header": content[:40],
        "header only": content[: 60 + 2 * 256],
        "cut off": content[:-1000],
        "other length": _shorter(content),
    }
    if fault in changes:
        changed = changes[fault]
        if changed is None:
            del files[data]
            return False
        files[data] = changed
        return True
    if fault == "no json":
        del files[head]
        return True
    odd: dict[str, Any] = {
        "odd rate": {"sample_rate": 1.0},
        "odd frequency": {"xmit_freq": 123.0},
        "odd sound speed": {"sound_speed": 0},
        "odd pulse": {"pulse_width": -1},
        "odd words": {"gain_sel": "loud"},
    }
    files[head] = json.dumps({"hdr": {**header, **odd[fault]}}).encode()
    return True


def _shorter(content: bytes) -> bytes:
    """Return a sound record of half as many samples."""
    half = N // 2
    return (
        content[:16]
        + half.to_bytes(4, "little")
        + content[20:26]
        + (half - 1).to_bytes(4, "little")
        + content[30 : 60 + 2 * 256 + 4 * 256 * half]
    )


FAULTS = (
    "missing",
    "empty",
    "short header",
    "header only",
    "cut off",
    "other length",
    "no json",
    "odd rate",
    "odd frequency",
    "odd sound speed",
    "odd pulse",
    "odd words",
)


@pytest.fixture(scope="module")
def sound_files() -> Files:
    rows = [Row(n + 1, 30.0 + 10 * (n // 4), 1 + n / 10, 210.0 + n) for n in range(12)]
    return _files(run(rows, noise(N)), "imaging")


@st.composite
def _broken_pings(draw: st.DrawFn) -> dict[int, str]:
    """Draw which pings are broken, and how."""
    found = draw(st.dictionaries(st.integers(1, 12), st.sampled_from(FAULTS), max_size=6))
    # The first sound ping of a run sets its length (Q21): with another length it is the others that are bad.
    if 1 in found:
        found = {number: "cut off" if fault == "other length" else fault for number, fault in found.items()}
    return found


@pytest.mark.parametrize("family", ["imaging", "doppler"])
@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=_broken_pings(), profile=st.sampled_from(["matlab", "corrected"]))
def test_broken_pings_never_matter(
    sound_files: Files,
    tmp_path_factory: pytest.TempPathFactory,
    family: str,
    faults: dict[int, str],
    profile: str,
) -> None:
    """Whatever is wrong with some pings, the product is that of the run without them, or none at all."""
    parameters = settings(family, profile, **SMALL)
    broken, without = dict(sound_files), dict(sound_files)
    bad = []
    for number, fault in faults.items():
        if _break(broken, number, fault):
            bad.append(number)
        del without[f"rec_7038_{number:06d}.bin"]
    here = tmp_path_factory.mktemp("run")
    for name in ("broken", "without"):
        (here / name).mkdir()
    with_mode = json.dumps({"mode": family, "timestamp": [0, 0]}).encode()
    broken["sweep.json"] = without["sweep.json"] = with_mode
    sources = [_folder(here / "broken", broken), _folder(here / "without", without)]
    try:
        want = _process(sources[1], parameters)
    except NoValidPings:
        with pytest.raises(NoValidPings):
            _process(sources[0], parameters)
        return
    got = _process(sources[0], parameters)
    _equal(got, want)
    # Pings of the last burst, which the original never stores, are not processed, so not found bad.
    last = 8 if profile == "matlab" else 12
    assert got.attrs["bad_ping"] == [number for number in sorted(bad) if number <= last]
