"""The picture of a product: one slide per run (docs/method.md#quick-looks)."""

from pathlib import Path

import xarray as xr

from covis_dask.modes.context import Bathymetry
from covis_dask.products._canvas import Sheet
from covis_dask.products._grids import field
from covis_dask.products._maps import draw_bathymetry, draw_diffuse, draw_fullimaging
from covis_dask.products._plumes import draw_doppler, draw_imaging, has_plume, seafloor, velocity_field

__all__ = ["quicklook"]


def quicklook(ds: xr.Dataset, path: Path | str, *, floor: Bathymetry | None = None) -> None:
    """Draw a finished dataset as a PNG of 1920 x 1080 points.

    What is drawn follows from the variables, found by `original_name`: a plume in three dimensions and two
    slices (imaging), velocity in three planes (Doppler), maps (diffuse, bathymetry), or both (full-range).
    Colours and levels are those of docs/method.md#quick-looks, with scales that shift when they would hide
    the data. A grid without values gives a sheet that says so.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.finish`; title and footer come from its attributes.
    path : Path or str
        An existing file is replaced.
    floor : Bathymetry, optional
        Seafloor to draw under plumes and maps whose dataset has none of its own (`bathymetry`).
    """
    if floor is not None and seafloor(ds) is None:
        height = xr.DataArray(floor.height, dims=("y_floor", "x_floor"))
        ds = ds.assign(bathymetry=height).assign_coords(y_floor=floor.y, x_floor=floor.x)
    sheet = Sheet(ds)
    if velocity_field(ds) is not None:
        draw_doppler(sheet, ds)
    elif has_plume(ds):
        maps = field(ds, "decorrelation_v", "intensity_filt_v", "bathy_filt_v", "bathy_v")
        (draw_imaging if maps is None else draw_fullimaging)(sheet, ds)
    elif field(ds, "decorrelation_v") is not None:
        draw_diffuse(sheet, ds)
    elif field(ds, "v") is not None:
        draw_bathymetry(sheet, ds)
    else:
        sheet.say("This product has no grid that can be drawn.")
    sheet.save(Path(path))
