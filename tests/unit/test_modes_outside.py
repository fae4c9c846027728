"""Modes that other distributions bring: an entry point is all that it takes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread
from scipy.io import loadmat

from tests._place import Place, version_of

_SIMULATE = """
from pathlib import Path
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import simulate
from covis_dask.simulate.scene import PointScatterers, Scene
from covis_dask.simulate.specs import run_spec

spec = run_spec("ASHES", "toy")
scene = Scene((PointScatterers(((-9.0, 8.0, 2.0),), (-20.0,)),))
archive = Path("covis-data/raw") / f"{spec.start:%Y/%m/%d}" / f"{spec.basename}.tar.gz"
write_archive(simulate(spec, scene), archive, folder=spec.folder)
print(spec.basename)
"""

_PAGE = """
import json, sys
from covis_dask.batches.calendar import Calendar
from covis_dask.monitor.page._calendar import CalendarView

report = json.load(sys.stdin)
calendar = Calendar()
calendar.put((run["basename"], run["state"]) for run in report["runs"])
view = CalendarView(lambda day, family: None, lambda year: None)
view.update(calendar, calendar.years[0], [])
print(json.dumps([panel.title.text for panel in view.root.children]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a place where a distribution that brings a mode is installed."""
    packages = tmp_path / "packages"
    _install(packages, "toy = covis_toy:SPEC")
    shutil.copyfile(Path(__file__).with_name("_toy_mode.py"), packages / "covis_toy.py")
    return Place(tmp_path)


def _install(packages: Path, *entries: str) -> None:
    """Install a distribution with these entry points, as pip would."""
    info = packages / "covis_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: covis-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[covis_dask.modes]", *entries, ""]))


def _installed(place: Place) -> dict[str, str]:
    """Return the environment in which the distribution is found."""
    paths = [str(place.path / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


def _python(place: Place, code: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a program where the distribution is installed."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=place.path,
        env={**os.environ, **_installed(place)},
        input=text,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_a_mode_from_outside_is_a_mode_like_any_other(place: Place) -> None:
    """Ordinary commands select, plan, compute, draw and show it, with presets and keys of its own."""
    packages = _installed(place)
    made = _python(place, _SIMULATE)
    assert made.returncode == 0, made.stderr
    basename = made.stdout.strip()
    assert basename == "COVIS-20190820T120001-toy1"
    listed = place.run("catalog", "import", "--walk", "covis-data/raw", "--host", "COVIS-NAS", **packages)
    assert listed.returncode == 0, listed.stderr

    words = (
        "--mode",
        "toy",
        "--preset",
        "FINE",
        "--set",
        "own.exponent=1",
        "--format",
        "nc",
        "--format",
        "mat",
    )
    report = place.report(*words, code=0, **packages)
    assert report["counts"]["done"] == 1
    (manifest,) = (place.path / "covis-data" / "products").rglob("metadata.json")
    folder = version_of(manifest)
    with xr.open_dataset(folder / f"{basename}.nc") as ds:
        assert ds["level"].attrs["long_name"] == "mean level of the channels"
        assert ds["level"].attrs["ancillary_variables"] == "level_weight"
        assert ds["pings_averaged"].values.tolist() == [4]
        assert ds.attrs["summary"].startswith("Mean level of what all channels recorded.")
        assert (ds.attrs["mode_family"], ds.attrs["preset"], ds.attrs["exponent"]) == ("toy", "FINE", 1.0)
        assert ds.attrs["keywords"] == "TOYS"
    assert loadmat(folder / f"{basename}.mat")["covis"]["grid"][0, 0]["type"][0, 0][0] == "toy level"
    pixels = imread(folder / f"{basename}.png")
    assert (np.abs(pixels[..., :3] - (1, 0, 1)).max(axis=2) < 0.01).mean() > 0.02
    parameters = json.loads(manifest.read_text())["parameters"]
    assert (parameters["own"], parameters["mode_version"]) == ({"exponent": 1.0}, "1.0")

    again = place.report(*words, code=0, **packages)
    assert again["counts"]["already"] == 1
    page = _python(place, _PAGE, json.dumps(report))
    assert page.returncode == 0, page.stderr
    assert json.loads(page.stdout) == ["toy"]
    without = place.run("covis_dask.batch", "--mode", "toy")
    assert without.returncode == 2
    assert "'toy' is not a mode" in without.stderr


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("toy = covis_toy:NOTHING", "cannot be loaded: AttributeError"),
        ("toy = covis_toy:COLOUR", "is no ModeSpec"),
        ("tow = covis_toy:SPEC", "must be the entry's name"),
    ],
)
def test_a_mode_that_cannot_be_used_is_named(place: Place, entry: str, told: str) -> None:
    """A faulty distribution is told by name, and disturbs no other mode."""
    shutil.rmtree(place.path / "packages" / "covis_toy-1.0.dist-info")
    _install(place.path / "packages", entry)
    code = (
        "from covis_dask.modes import find_spec, spec_for\n"
        "assert spec_for('Ashes', 'imaging').title == 'Plume imaging'\n"
        f"find_spec('Ashes', {entry[:3]!r})"
    )
    done = _python(place, code)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("covis_dask.errors.ConfigurationError")
    assert "distribution covis-toy" in last
    assert told in last


def test_letters_of_another_family_are_refused(place: Place) -> None:
    """Mode words tell families apart, so no two families begin with the same letters."""
    shutil.rmtree(place.path / "packages" / "covis_toy-1.0.dist-info")
    _install(place.path / "packages", "imagery = covis_toy:SPEC")
    done = _python(place, "from catalog.names import families; families()")
    assert "the distribution covis-toy brings a mode that cannot be" in done.stderr
    assert "modes that begin with 'ima' are of family 'imaging'" in done.stderr
