"""``python -m covis_dask.ancillary``: list the seafloor grids, or make bathymetry products into one."""

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import Any

import xarray as xr

from covis_dask._version import __version__
from covis_dask.ancillary._folder import open_ancillary, open_netcdf
from covis_dask.ancillary._register import register
from covis_dask.cli.exits import Exit
from covis_dask.config import Location, load_settings
from covis_dask.errors import ConfigurationError, CovisError
from covis_dask.products.stored import StoredProduct
from covis_dask.storage import ProductStore, open_location, storage_errors

__all__ = ["main", "parser"]


_PROG = "python -m covis_dask.ancillary"


def parser(prog: str = _PROG) -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Seafloor grids for the diffuse-flow maps of 2018+, each valid from a given date.",
    )
    parser.add_argument("--version", action="version", version=f"covis-dask {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    new = verbs.add_parser(
        "register",
        help="make a grid from bathymetry products",
        description="Make a seafloor grid from one bathymetry product or several (left, centre and right "
        "sectors), averaged by their gridding weights. A grid of the same date is replaced.",
    )
    new.add_argument(
        "products", nargs="+", metavar="PRODUCT", help="NetCDF product of a bathymetry run, or its folder"
    )
    new.add_argument(
        "--valid-from",
        required=True,
        type=_date,
        metavar="DATE",
        help="start of validity, such as 2019-07-06 (UTC)",
    )
    show = verbs.add_parser("list", help="show the grids and their dates")
    for verb in (new, show):
        verb.add_argument(
            "--ancillary", metavar="FOLDER", help="folder or URL of the grids (covis.ancillary.url)"
        )
    return parser


def _date(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def main(argv: Sequence[str] | None = None, *, prog: str = _PROG) -> int:
    """Run the command; the exit codes are in `covis_dask.cli.exits`."""
    arguments = parser(prog).parse_args(argv)
    try:
        location = load_settings().ancillary if arguments.ancillary is None else Location(arguments.ancillary)
        fs, path = open_location(location)
        if arguments.verb == "list":
            return _list(fs, path)
        with ExitStack() as opened:
            products = [opened.enter_context(_product(text)) for text in arguments.products]
            print(register(fs, path, products, arguments.valid_from))
    except CovisError as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.CONFIGURATION
    return Exit.DONE


def _list(fs: Any, path: str) -> Exit:
    grids = open_ancillary(fs, path).grids()
    for grid in grids:
        since = "ever" if grid.valid_from.year == dt.MINYEAR else f"{grid.valid_from:%Y-%m-%dT%H:%M:%SZ}"
        print(f"{since:<20}  {grid.name}  ({grid.size} bytes)")
    if not grids:
        print(f"no seafloor grid in {path}: diffuse-flow maps of 2018+ assume a flat seafloor")
    return Exit.DONE


def _product(text: str) -> xr.Dataset:
    """Open a NetCDF product, or the one in a product folder.

    Raises
    ------
    ConfigurationError
        When there is none.
    """
    fs, path = open_location(Location(text))
    with storage_errors(f"reading {text}", missing=ConfigurationError):
        if not fs.isdir(path):
            return open_netcdf(bytes(fs.cat_file(path)), text)
        store = ProductStore(fs, path, text)
        product = StoredProduct.at(store, "")
        if product is not None:
            return product.dataset()
        files = [name for name in fs.ls(path, detail=False) if PurePosixPath(name).suffix == ".nc"]
        if len(files) != 1:
            raise ConfigurationError(f"{text} holds {len(files)} NetCDF files: name the one to register")
        return open_netcdf(bytes(fs.cat_file(files[0])), text)


if __name__ == "__main__":
    sys.exit(main())
