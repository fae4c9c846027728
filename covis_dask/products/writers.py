"""Every file of a product, by format, in a local folder."""

from collections.abc import Callable
from pathlib import Path

import xarray as xr

from covis_dask.modes.context import Bathymetry
from covis_dask.products.formats import file_name
from covis_dask.products.mat import write_mat
from covis_dask.products.netcdf import write_netcdf
from covis_dask.products.quicklook import quicklook
from covis_dask.products.zarr import write_zarr

__all__ = ["write_product"]

_WRITERS: dict[str, Callable[[xr.Dataset, Path], object]] = {
    "nc": write_netcdf,
    "zarr": write_zarr,
    "mat": write_mat,
}


def write_product(
    ds: xr.Dataset,
    folder: Path,
    basename: str,
    formats: tuple[str, ...],
    *,
    floor: Bathymetry | None = None,
) -> tuple[str, ...]:
    """Write the data files and the quick-look picture of a finished dataset.

    A picture that cannot be drawn costs the picture alone.

    Parameters
    ----------
    ds : Dataset
        See `covis_dask.products.metadata.finish_dataset`.
    folder : Path
        Made if it is not there.
    basename : str
        Stem of every file.
    formats : tuple of str
        Of `covis_dask.products.formats.FORMATS`.
    floor : Bathymetry, optional
        Seafloor to draw under the plume.

    Returns
    -------
    tuple of str
        What a user must be told.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in formats:
        _WRITERS[name](ds, folder / file_name(basename, name))
    picture = folder / f"{basename}.png"
    try:
        quicklook(ds, picture, floor=floor)
    except MemoryError:
        raise
    except Exception as error:  # drawing has many libraries, and the data are whole without it
        picture.unlink(missing_ok=True)
        return (f"no picture: {type(error).__name__}: {error}",)
    return ()
