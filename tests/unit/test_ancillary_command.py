"""From a bathymetry run to a seafloor grid to diffuse-flow maps on it, by commands.

See docs/method.md#diffuse-flow-2018, #bathymetry-2018.
"""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from covis_dask.cli import main as covis
from covis_dask.cli import process
from covis_dask.cli.ancillary import main
from covis_dask.products._canvas import Sheet
from covis_dask.simulate import Scene, Seafloor, instrument, simulate, write_archive
from covis_dask.simulate.specs import run_spec
from covis_dask.simulate.truth import flow_patch
from tests._place import version_of

HEIGHT = 0.8
BEFORE = dt.datetime(2019, 8, 20, 11, tzinfo=dt.UTC)
AFTER = dt.datetime(2019, 8, 20, 14, tzinfo=dt.UTC)


def _make(archive: Path, output: Path, ancillary: Path) -> Path:
    """Process an archive by the command; return the product's folder."""
    words = [str(archive), "--output", str(output), "--ancillary", str(ancillary)]
    assert process.main(words) == 0
    (manifest,) = output.rglob("metadata.json")
    return manifest.parent


@pytest.fixture(scope="module")
def bathymetry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Process a bathymetry run over a floor of known height; the folder of its product."""
    here = tmp_path_factory.mktemp("bathymetry")
    sonar = instrument("ASHES", "bathy", noise=0.0, vertical_width=0.2)
    spec = run_spec("ASHES", "bathy", settings=sonar, pitches=[-40.0 + 4 * step for step in range(5)])
    floor = Seafloor(strength=-5.0, height=HEIGHT, radius=14.0, count=300_000)
    archive = write_archive(simulate(spec, Scene((floor,))), here / f"{spec.basename}.tar")
    return _make(archive, here / "products", here / "nothing")


@pytest.fixture(scope="module")
def ancillary(bathymetry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Register that product from noon of the day on."""
    folder = tmp_path_factory.mktemp("grids") / "ancillary"
    words = ["register", str(bathymetry), "--valid-from", "2019-08-20T12:00:00", "--ancillary", str(folder)]
    assert main(words) == 0
    return folder


def _diffuse(start: dt.datetime, folder: Path, ancillary: Path) -> Path:
    case = flow_patch("ASHES", start=start, samples=500, pings=10)
    members = simulate(case.spec, case.scene)
    archive = write_archive(members, folder / f"{case.spec.basename}.tar")
    return _make(archive, folder / "products", ancillary)


def _said(product: Path) -> tuple[str, list[str], xr.Dataset, str]:
    """Return what log, manifest, product and picture say."""
    manifest = json.loads((product / "metadata.json").read_text())
    version = version_of(product / "metadata.json")
    ds = xr.load_dataset(next(version.glob("*.nc")))
    picture = " ".join(text.get_text() for text in Sheet(ds).figure.texts)
    assert next(version.glob("*.png")).stat().st_size > 10_000
    return (version / "output.txt").read_text(), manifest["notes"], ds, picture


def test_a_registered_product_is_the_seafloor_from_its_date_on(ancillary: Path, tmp_path: Path) -> None:
    """A run after the date lies on the registered floor, and log, manifest, product and picture name it."""
    log, notes, ds, picture = _said(_diffuse(AFTER, tmp_path, ancillary))
    name = "bathymetry_20190820T120000.nc"
    assert f"seafloor: {name}" in log
    assert notes == [f"seafloor: {name}"]
    assert ds.attrs["seafloor"] == name
    assert name in ds.attrs["notes"]
    assert name in picture
    on_floor = ds["bathymetry"].values[np.isfinite(ds["intensity"].values)]
    assert np.nanmedian(on_floor) == pytest.approx(HEIGHT, abs=0.1)


def test_a_flat_seafloor_is_said_in_four_places(ancillary: Path, tmp_path: Path) -> None:
    """A run before every grid assumes a flat floor, and says so in log, manifest, product and picture."""
    log, notes, ds, picture = _said(_diffuse(BEFORE, tmp_path, ancillary))
    assert "no seafloor grid is valid at 2019-08-20: flat seafloor assumed" in log
    assert notes == ["seafloor: flat seafloor assumed"]
    assert ds.attrs["seafloor"] == "flat seafloor assumed"
    assert "flat seafloor assumed" in ds.attrs["notes"]
    assert "flat seafloor assumed" in picture
    assert np.ptp(ds["bathymetry"].values[np.isfinite(ds["bathymetry"].values)]) == 0


def test_list_shows_grids_and_dates(
    ancillary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Grids come oldest first, with the date from which each is valid; an empty folder says what follows."""
    for name in ("covis_bathy_2018.mat", "covis_bathy_2019b.mat"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "mine.nc").write_bytes(next(ancillary.glob("*.nc")).read_bytes())
    assert main(["list", "--ancillary", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ever", "covis_bathy_2018.mat"],
        ["2019-08-20T12:00:00Z", "mine.nc"],
        ["2019-11-23T00:00:00Z", "covis_bathy_2019b.mat"],
    ]
    assert main(["list", "--ancillary", str(tmp_path / "none")]) == 0
    assert "flat seafloor" in capsys.readouterr().out


def test_several_sectors_make_one_grid(
    bathymetry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sectors are given together, as files or folders; the same sector twice is the sector itself."""
    (file,) = bathymetry.rglob("*.nc")
    words = [
        "register",
        str(file),
        str(bathymetry),
        "--valid-from",
        "2020-01-01",
        "--ancillary",
        str(tmp_path),
    ]
    assert main(words) == 0
    path = Path(capsys.readouterr().out.strip())
    with xr.open_dataset(path) as grid, xr.open_dataset(file) as product:
        np.testing.assert_allclose(grid["seafloor_height"], product["seafloor_height"].squeeze("time"))
        assert grid.attrs["source"].split(", ") == [product.attrs["basename"]] * 2


@pytest.mark.parametrize("product", ["absent.nc", "empty", "words.nc"])
def test_what_is_no_product_is_refused(
    product: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file, a folder without a product, a file that is no NetCDF: a sentence, and exit code 2."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.nc").write_text("no product")
    words = [
        "register",
        str(tmp_path / product),
        "--valid-from",
        "2020-01-01",
        "--ancillary",
        str(tmp_path / "a"),
    ]
    assert main(words) == 2
    assert product in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_date_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong words end with usage and exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        covis(["ancillary", "register", "x.nc", "--valid-from", "soon"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "usage: covis ancillary register" in said
    assert "--valid-from" in said
