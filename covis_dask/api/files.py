"""The files of products: where they lie, and copies of them."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

from catalog.query import RunQuery
from covis_dask.api.keywords import Selection, query_of
from covis_dask.batches.found import Found, find_products
from covis_dask.batches.history import History
from covis_dask.errors import ConfigurationError
from covis_dask.products.copying import copy_file
from covis_dask.products.files import KINDS, files_of
from covis_dask.products.stored import StoredProduct

__all__ = ["copy_products", "product_files"]

_log = logging.getLogger("covis_dask")


def product_files(
    query: RunQuery | None = None,
    /,
    *,
    format: str | Sequence[str] = "nc",  # noqa: A002  # the word of every command
    prefix: str | None = None,
    **selection: Unpack[Selection],
) -> list[str]:
    """Return where the current files of the selected runs' products lie, by time.

    Runs without a product are left out. So is a product that cannot be used, with a warning in the log.

    Parameters
    ----------
    query : RunQuery, optional
        Which runs; or say it in keywords.
    format : str or sequence of str
        ``nc``, ``zarr``, ``mat``, ``png`` (quick look), ``log``, or ``all``.
    prefix : str, optional
        Folder below the product store, such as ``native-corrected``; by default that of each run's newest
        outcome.
    **selection
        As for `covis_dask.select_runs`.

    Returns
    -------
    list of str
        Absolute paths where the store is a folder, else URLs without any account.

    Raises
    ------
    ConfigurationError
        For keywords that make no sense.
    CatalogError
        When there is no catalogue, or it does not answer.
    StorageUnavailable
        When the store does not answer.

    Examples
    --------
    >>> season = xr.open_mfdataset(covis.product_files(year=2014, mode="imaging"))
    """
    kinds = _kinds(format)
    heads = (
        product.store.address(f"{product.run}/{file.head}")
        for product in _products(_query(query, selection), prefix)
        for file in files_of(product.manifest, kinds)
    )
    return list(dict.fromkeys(heads))


def copy_products(
    folder: str | Path,
    query: RunQuery | None = None,
    /,
    *,
    format: str | Sequence[str] = "nc",  # noqa: A002
    prefix: str | None = None,
    overwrite: bool = False,
    **selection: Unpack[Selection],
) -> list[Path]:
    """Copy the files of the selected runs' products into a folder, under plain names.

    A file that is there already and is the same is left as it is; what was broken off goes on from there.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    query, format, prefix, **selection
        As for `product_files`; see there for the errors as well.
    overwrite : bool
        Replace files that have the same name and are others, such as those of an older version.

    Returns
    -------
    list of Path
        Every file that is there now.

    Raises
    ------
    InTheWay
        When another file has the name of one, and `overwrite` does not say to replace it.
    ProductDamaged
        When a file in the store is not what its manifest says.
    """
    kinds, copies = _kinds(format), []
    for product in _products(_query(query, selection), prefix):
        for file in files_of(product.manifest, kinds):
            copy_file(product, file, Path(folder), overwrite=overwrite)
            copies.append(Path(folder, file.name))
    return copies


def _query(query: RunQuery | None, selection: Selection) -> RunQuery:
    if query is None:
        return query_of(selection)
    if selection:
        raise TypeError("give a RunQuery or keywords, not both")
    return query


def _kinds(wanted: str | Iterable[str]) -> frozenset[str]:
    kinds = frozenset([wanted] if isinstance(wanted, str) else wanted)
    if strange := kinds - set(KINDS):
        raise ConfigurationError(f"format {min(strange)}: choose one of {', '.join(KINDS)}")
    return kinds


def _products(query: RunQuery, prefix: str | None) -> Iterator[StoredProduct]:
    for found in find_products(History.here(), query, prefix):
        if found.product is not None:
            yield found.product
        elif found.fault is not None:
            _warn(found)


def _warn(found: Found) -> None:
    _log.warning("%s is left out: %s", found.run.basename, found.fault)
