"""The batch command as a user meets it: good runs, bad runs, interruption, a store that refuses."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # comes with Dask
import pytest
import xarray as xr

from tests._place import Place, diffuse, members


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give an empty folder."""
    return Place(tmp_path)


def test_bad_runs_end_as_designed_and_all_others_are_done(place: Place) -> None:
    """Truncated, no index.csv, missing, unknown mode: each has its state and kind; the good run is done."""
    good, cut, bare, gone, odd = (diffuse(hour) for hour in range(1, 6))
    sound = place.store(good)
    whole = place.store(cut)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    place.store(bare, {name: data for name, data in members().items() if name != "index.csv"})
    lost = place.store(gone)
    strange = place.store(odd)
    strange.rename(strange.with_name(strange.name.replace("-DIFFUSE", "-GARGLE")))
    place.catalogue()
    lost.unlink()
    report = place.report("--year", "2014", code=1)
    ends = {name: (run["state"], run["kind"]) for name, run in report["by_name"].items()}
    assert ends == {
        good.basename: ("done", None),
        cut.basename: ("quarantined", "archive-truncated"),
        bare.basename: ("quarantined", "sweep-incomplete"),
        gone.basename: ("failed", "raw-missing"),
        odd.basename.replace("-DIFFUSE", "-GARGLE"): ("unsupported", "mode-unsupported"),
    }
    assert "index.csv" in report["by_name"][bare.basename]["reason"]
    assert place.products() == {good.basename}
    folder = next((place.path / "covis-data" / "products").rglob(cut.basename))
    assert [path.name for path in folder.iterdir()] == ["tries"]
    (failed,) = (folder / "tries").iterdir()
    assert {path.name for path in failed.iterdir()} == {"failure.json", "output.txt"}
    assert json.loads((failed / "failure.json").read_text())["kind"] == "archive-truncated"

    # Again: the bad ones are left alone, the missing one is looked for, and found.
    lost.write_bytes(sound.read_bytes())
    again = place.report("--year", "2014", code=1)
    assert again["counts"] == {
        "done": 1, "already": 1, "failed": 0, "quarantined": 2, "unsupported": 1, "not-run": 0,
    }  # fmt: skip
    assert again["by_name"][gone.basename]["state"] == "done"
    only = place.run("covis_dask.batch", "--year", "2014", "--only", "failed")
    assert only.returncode == 3
    assert "none of the 5 selected runs is failed" in only.stderr

    # A mended archive is released by its new size.
    place.store(cut)
    place.catalogue()
    mended = place.report("--basename", cut.basename, code=0)
    assert mended["counts"]["done"] == 1


def test_product_is_whole_and_opens_with_plain_xarray(place: Place) -> None:
    """Every format asked for is there, the manifest lists every file truly, and a second run adds nothing."""
    spec = diffuse(1)
    archive = place.store(spec)
    formats = ("--format", "nc", "--format", "mat", "--format", "zarr")
    words = ("covis_dask.process", str(archive), "--output", "out", *formats)
    done = place.run(*words)
    assert done.returncode == 0, done.stderr
    folder = place.path / "out" / spec.basename
    manifest = json.loads((folder / "metadata.json").read_text())
    assert manifest["schema"] == "covis-dask/manifest/2"
    listed = {entry["name"] for entry in manifest["files"]}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert listed == found - {"metadata.json", ".metadata.json.lock"}
    assert all(name.startswith(f"{manifest['folder']}/") for name in listed)
    for entry in manifest["files"]:
        assert hashlib.sha256((folder / entry["name"]).read_bytes()).hexdigest() == entry["sha256"]
    with xr.open_dataset(folder / manifest["folder"] / f"{spec.basename}.nc") as ds:
        assert {"decorrelation_v", "intensity_w"} <= {v.attrs.get("original_name") for v in ds.values()}
        assert ds.attrs["profile"] == "matlab"
    assert place.run(*words).stdout.startswith("already")
    less = place.run(*words[:4], "--force")
    assert less.stdout.startswith("done")
    renewed = json.loads((folder / "metadata.json").read_text())
    assert renewed["folder"] != manifest["folder"]
    assert {entry["name"].removeprefix(f"{renewed['folder']}/") for entry in renewed["files"]} == {
        f"{spec.basename}.nc", f"{spec.basename}.png", "output.txt",
    }  # fmt: skip


def test_store_that_refuses_stops_the_batch_at_once(place: Place) -> None:
    """The store's own reason and advice, exit code 2, and no run is blamed."""
    for hour in (1, 2, 3):
        place.store(diffuse(hour))
    place.catalogue()
    (place.path / "covis-data" / "products").write_text("a file, where a folder should be")
    done = place.run("covis_dask.batch", "--year", "2014", "--workers", "1")
    assert done.returncode == 2
    assert "the store refuses" in done.stderr
    assert "check its permissions" in done.stderr
    assert "not-run           3" in done.stdout


def test_interrupted_batch_goes_on_where_it_stopped(place: Place) -> None:
    """Ctrl-C ends with code 130, every run accounted for and nothing half-written; the next call finishes."""
    for hour in range(1, 9):
        place.store(diffuse(hour))
    place.catalogue()
    process = _begun(place)
    deadline = time.monotonic() + 120
    while not place.products() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody in the foreground
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command resumes where this one stopped" in err
    assert "EXPECTED          8" in out
    committed = place.products()
    assert 1 <= len(committed) < 8
    report = place.report("--year", "2014", code=0)
    assert report["counts"]["done"] + report["counts"]["already"] == 8
    assert len(place.products()) == 8
    assert not list((place.path / "covis-data").rglob("*.part"))


def test_interrupted_while_the_workers_start(place: Place) -> None:
    """Ctrl-C that hits processes which are about to become workers ends the batch as at any other time."""
    place.store(diffuse(1))
    place.catalogue()
    process = _begun(place)
    deadline = time.monotonic() + 60
    while not _becomes_a_worker(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command resumes where this one stopped" in err
    assert "EXPECTED          1" in out
    assert "Traceback" not in err
    assert not place.products()
    place.report("--year", "2014", code=0)


def _begun(place: Place) -> subprocess.Popen[str]:
    """Begin a batch with one worker, in a process group of its own as a terminal's foreground is."""
    return subprocess.Popen(
        [sys.executable, "-m", "covis_dask.batch", "--year", "2014", "--workers", "1"],
        cwd=place.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _becomes_a_worker(pid: int) -> bool:
    """Say whether a process has begun one of its workers."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(pid).children(recursive=True)
        return any("spawn_main" in " ".join(child.cmdline()) for child in children)
    return False


def test_damaged_first_copy_falls_back_to_the_next(place: Place) -> None:
    """A truncated archive on one host is replaced by the sound one on another, and the report says which."""
    spec = diffuse(1)
    sound = place.store(spec)
    other = place.path / "other" / sound.name
    other.parent.mkdir()
    other.write_bytes(sound.read_bytes())
    sound.write_bytes(sound.read_bytes()[: sound.stat().st_size // 2])
    place.catalogue()
    place.catalogue("other", "MINE")
    report = place.report("--year", "2014", code=0, DASK_COVIS__HOSTS__MINE__URL="other")
    assert report["by_name"][spec.basename]["host"] == "MINE"


def test_archive_that_would_write_outside_is_refused(place: Place) -> None:
    """An archive with a path that leads out is quarantined as unsafe, and nothing appears anywhere."""
    archive = place.store(diffuse(1), extension=".tar")
    with tarfile.open(archive, "a") as tar:
        tar.addfile(tarfile.TarInfo("../../evil.txt"))
    done = place.run("covis_dask.process", str(archive), "--output", "out")
    assert done.returncode == 1
    assert "archive-unsafe" in done.stdout
    assert not list(place.path.rglob("evil.txt"))
