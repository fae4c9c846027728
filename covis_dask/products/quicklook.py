"""The picture of a product: one slide per run (docs/method.md#quick-looks)."""

from pathlib import Path

import xarray as xr

from covis_dask.modes.context import Bathymetry
from covis_dask.modes.spec import load_object
from covis_dask.products._canvas import Sheet
from covis_dask.products._grids import as_computed, spec_of
from covis_dask.products._plumes import seafloor

__all__ = ["Sheet", "quicklook"]


def quicklook(ds: xr.Dataset, path: Path | str, *, floor: Bathymetry | None = None) -> None:
    """Draw a finished dataset as a PNG of 1920 x 1080 points.

    Who draws follows from the dataset's mode (`ModeSpec.quicklook`): a plume in three dimensions and two
    slices (imaging), velocity in three planes (Doppler), maps (diffuse, bathymetry), or both (full-range).
    Colours and levels are those of docs/method.md#quick-looks, with scales that shift when they would hide
    the data. A grid without values gives a sheet that says so.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.metadata.finish_dataset`; title and footer come from its attributes.
    path : Path or str
        An existing file is replaced.
    floor : Bathymetry, optional
        Seafloor to draw under plumes and maps whose dataset has none of its own (`bathymetry`).

    Raises
    ------
    ModeUnsupported
        When nothing is known of the dataset's mode.
    """
    ds = as_computed(ds)
    if floor is not None and seafloor(ds) is None:
        height = xr.DataArray(floor.height, dims=("y_floor", "x_floor"))
        ds = ds.assign(bathymetry=height).assign_coords(y_floor=floor.y, x_floor=floor.x)
    sheet = Sheet(ds)
    if "mode_family" in ds.attrs:
        load_object(spec_of(ds).quicklook)(sheet, ds)
    else:
        sheet.say("This dataset does not say of which mode it is.")
    sheet.save(Path(path))
