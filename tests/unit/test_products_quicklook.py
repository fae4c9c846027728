"""Quick looks: a picture for every mode, for empty grids too, the same bytes each time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread

from covis_dask.modes.context import Bathymetry
from covis_dask.products._canvas import limits, signed, symmetric_limit
from covis_dask.products._layout import SHEET, arrange
from covis_dask.products._slices import Volume, strongest
from covis_dask.products._surfaces import ASHES as LOOK
from covis_dask.products._surfaces import levels_for
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.quicklook import quicklook
from tests.unit._datasets import ASHES, MODES, emptied, facts, imaging_ashes


def _picture(ds: xr.Dataset, path: Path) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Draw, check that it is a PNG of slide size, and return its pixels."""
    quicklook(ds, path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert 10_000 < path.stat().st_size < 2_000_000
    pixels = imread(path)
    assert pixels.shape == (1080, 1920, 4)
    return pixels[..., :3]


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_a_picture(tmp_path: Path, mode: str) -> None:
    """The picture is a slide with colours in it, not only text."""
    make, basename = MODES[mode]
    pixels = _picture(finish_dataset(make(4), facts(basename)), tmp_path / "run.png")
    assert (np.ptp(pixels, axis=2) > 0.1).mean() > 0.01


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_grid_has_a_picture(tmp_path: Path, mode: str) -> None:
    """Where nothing was reached, the sheet says so; title and footer stay."""
    make, basename = MODES[mode]
    pixels = _picture(finish_dataset(emptied(make(8)), facts(basename)), tmp_path / "run.png")
    assert (pixels[480:600] < 0.9).any()
    assert (pixels[:120] < 0.5).any()


def test_a_dataset_without_grids_has_a_picture(tmp_path: Path) -> None:
    """Even a dataset that has nothing to draw, and no attributes, gives a sheet."""
    _picture(xr.Dataset(), tmp_path / "run.png")


def test_one_cell_has_a_picture(tmp_path: Path) -> None:
    """A single cell with a value is no reason to fail, in any mode."""
    for number, (make, basename) in enumerate(MODES.values()):
        full = make(8)
        ds = emptied(full)
        for name, variable in full.data_vars.items():
            if variable.ndim >= 2:
                cell = tuple(size // 2 for size in variable.shape)
                ds[name].values[cell] = 1e-5
        _picture(finish_dataset(ds, facts(basename)), tmp_path / f"{number}.png")


def test_pictures_are_deterministic(tmp_path: Path) -> None:
    """Two attempts of one task draw the same bytes."""
    ds = finish_dataset(MODES["bathymetry"][0](4), facts(ASHES["bathy"]))
    for name in ("one", "two"):
        quicklook(ds, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_seafloor_can_be_given(tmp_path: Path) -> None:
    """A plume is drawn over the seafloor that the store has for its time."""
    ds = finish_dataset(imaging_ashes(4), facts(ASHES["imaging"]))
    axis = np.arange(-20.0, 20.5, 0.5)
    floor = Bathymetry(axis, axis, np.add.outer(axis, axis) / 20, "slope")
    quicklook(ds, tmp_path / "without.png")
    quicklook(ds, tmp_path / "with.png", floor=floor)
    changed = imread(tmp_path / "without.png") != imread(tmp_path / "with.png")
    assert changed[:, :960].any()
    assert "bathymetry" not in ds


def test_no_global_state(tmp_path: Path) -> None:
    """Drawing never touches pyplot, which threads would share."""
    program = (
        "import sys, xarray; from covis_dask.products.quicklook import quicklook; "
        "quicklook(xarray.Dataset(), sys.argv[1]); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "run.png")], check=True, timeout=60)


def test_usual_range_is_kept_for_usual_data() -> None:
    """Runs can be compared: the range of docs/method.md#quick-looks holds while it shows the data."""
    assert limits(np.linspace(0, 0.5, 100), (0.1, 0.5)) == (0.1, 0.5)
    assert limits(np.full(3, np.nan), (0.1, 0.5)) == (0.1, 0.5)


def test_range_shifts_when_it_would_hide_the_data() -> None:
    """Data far outside the usual range get one of their own, round and robust against outliers."""
    low, high = limits(np.append(np.linspace(3, 7, 1000), 1e6), (0.1, 0.5))
    assert low <= 3.1
    assert 6.9 <= high <= 8


def test_velocity_range_is_symmetric_and_round() -> None:
    """The neutral colour stays at 0, the ends at a round number; all-zero data keep the least range."""
    assert symmetric_limit(np.linspace(-0.21, 0.1, 200), 0.1) == pytest.approx(0.25)
    assert symmetric_limit(np.zeros(4), 0.1) == pytest.approx(0.1)
    assert symmetric_limit(np.full(2, np.nan), 0.1) == pytest.approx(0.1)


def test_signed_numbers() -> None:
    """Numbers have a true minus sign, and 0 has none."""
    assert [signed(value) for value in (-1.25, 0.04, -0.04, 3)] == ["\N{MINUS SIGN}1.2", "0.0", "0.0", "3.0"]


def test_levels_of_isosurfaces() -> None:
    """The original's levels are kept while they show a plume; else they follow the data."""
    axis = np.arange(40.0)
    r = np.hypot.outer(np.hypot.outer(axis - 20, axis - 20), axis - 20)
    assert levels_for(Volume(axis, axis, axis, -40 - 2 * r), LOOK) == (-60.0, -50.0, -40.0)
    assert max(levels_for(Volume(axis, axis, axis, -90 - 2 * r), LOOK)) < -90
    assert min(levels_for(Volume(axis, axis, axis, 0 * r - 20), LOOK)) == -40


def test_the_strongest_column_is_the_plume() -> None:
    """One bright sample is no plume; a column of fair ones is, and the level is cut in its middle."""
    weight = np.zeros((20, 30, 10))
    weight[3, 4, 0] = 5.0
    weight[12:15, 20:23, :] = 2.0
    place = strongest(weight)
    assert (abs(place.iy - 13), abs(place.ix - 21)) <= (1, 1)
    assert place.iz == 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_panels_share_one_scale_and_do_not_overlap(count: int) -> None:
    """All panels of a group have the same metres per inch, lie in their region, and apart."""
    frames = [((0.0, 20.0), (0.0, 10.0 + 5 * number)) for number in range(count)]
    region = (1.0, 1.0, 9.0, 6.0)
    boxes = arrange(region, frames)
    scales = {round(width * SHEET[0] / 20, 9) for _, _, width, _ in boxes}
    assert len(scales) == 1
    for left, bottom, width, height in boxes:
        assert region[0] - 1e-9 <= left * SHEET[0] <= (left + width) * SHEET[0] <= region[2] + 1e-9
        assert region[1] - 1e-9 <= bottom * SHEET[1] <= (bottom + height) * SHEET[1] <= region[3] + 1e-9
    for one in range(count):
        for two in range(one):
            a, b = boxes[one], boxes[two]
            apart = a[0] >= b[0] + b[2] or b[0] >= a[0] + a[2] or a[1] >= b[1] + b[3] or b[1] >= a[1] + a[3]
            assert apart


def test_heights_at_the_tower_alone_have_a_picture(tmp_path: Path) -> None:
    """A bathymetry run that reached no cell but those under its own head gets a sheet that says so."""
    ds = finish_dataset(MODES["bathymetry"][0](8), facts(ASHES["bathy"]))
    height = next(name for name, array in ds.data_vars.items() if array.attrs.get("original_name") == "v")
    ds[height] = ds[height].where(np.hypot(ds.x, ds.y) < 4)
    assert np.isfinite(ds[height]).any()
    _picture(ds, tmp_path / "run.png")
