"""Single archives: opened, processed, and the products of processed ones read again."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from catalog.names import BadName, basename_of, parse_basename
from covis_dask.ancillary import open_ancillary
from covis_dask.batches.history import History
from covis_dask.batches.single import ArchiveRequest, decide_one, run_of_archive
from covis_dask.config import Location, Settings, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import ModeUnsupported, RawMissing
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import load_overrides
from covis_dask.products.manifest import InputFile
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.paths import ProductPaths
from covis_dask.products.reading import ENDINGS, read_file
from covis_dask.products.stored import ProductMissing, StoredProduct
from covis_dask.raw.lazy import open_run
from covis_dask.raw.leftovers import scratch_folder
from covis_dask.raw.source import ArchiveSource
from covis_dask.runs.provenance import product_facts
from covis_dask.runs.task import RunTask
from covis_dask.storage import ProductStore, open_location, storage_errors

__all__ = ["open_product", "open_raw", "process_archive"]

_Options = Mapping[str, Any]
_log = logging.getLogger("covis_dask")


def process_archive(
    archive: str | Path,
    *,
    profile: str = "matlab",
    fixes: Sequence[str] = (),
    preset: str | None = None,
    parameters: Mapping[str, Any] | str | Path | None = None,
    ancillary: str | Path | None = None,
    storage_options: _Options | None = None,
) -> xr.Dataset:
    """Process one raw archive; nothing is written.

    Parameters
    ----------
    archive : str or Path
        Path or fsspec URL of a ``.tar.gz``, ``.tar``, ``.7z`` or ``.zip`` file (docs/method.md#archives has
        all kinds), or of an unpacked folder, that bears the name of its run: it says site, mode and time.
    profile : str
        ``matlab`` for the numbers of the original programs, ``corrected`` to have their documented faults
        mended.
    fixes : sequence of str
        Quirks of the original to mend in profile ``matlab``, such as ``Q11`` (docs/quirks.md).
    preset : str, optional
        Version of the original to follow; chosen by site and mode when not given.
    parameters : mapping, str or Path, optional
        Parameters that differ from the default, by dotted key (``{"filter.bw": 4}``), or a file of them.
    ancillary : str or Path, optional
        Folder or URL of bathymetry grids; the configured one when not given.
    storage_options : mapping, optional
        Arguments of the file system that `archive` names.

    Returns
    -------
    xarray.Dataset
        The same variables and attributes as in the product that ``covis process`` writes.

    Raises
    ------
    ConfigurationError
        When the name is not that of a run, or a parameter makes no sense.
    InputError, ModeUnsupported
        When the archive is at fault, or there is no program for such a run.
    RawMissing, StorageUnavailable
        When the archive is not there, or its store does not answer.

    Examples
    --------
    >>> ds = covis.process_archive("COVIS-20190820T120001-diffuse1.tar.gz", profile="corrected")
    >>> ds.decorrelation_intensity.plot()
    """
    request = ArchiveRequest(
        output="",
        profile=profile,
        fixes=tuple(fixes),
        preset=preset,
        overrides=_overrides(parameters),
        ancillary=None if ancillary is None else str(ancillary),
        force=True,
    )
    return _decided_and_processed(archive, storage_options, request)


def _decided_and_processed(
    archive: str | Path, storage_options: _Options | None, request: ArchiveRequest
) -> xr.Dataset:
    settings = load_settings()
    item, notes = decide_one(str(archive), request, settings)
    for note in notes:
        _log.warning("%s", note)
    if not isinstance(item.task, RunTask):
        raise ModeUnsupported(item.reason)
    return _processed(item.task, _source(archive, storage_options), settings)


def _overrides(parameters: Mapping[str, Any] | str | Path | None) -> dict[str, Any]:
    if parameters is None or isinstance(parameters, Mapping):
        return dict(parameters or {})
    return load_overrides(str(parameters))


def _source(archive: str | Path, storage_options: _Options | None) -> ArchiveSource:
    return ArchiveSource(*open_location(Location(str(archive), options=storage_options or {})))


def _processed(task: RunTask, source: ArchiveSource, settings: Settings) -> xr.Dataset:
    """Carry out a task, but for the writing."""
    engine = engine_named(task.engine)
    ancillary = settings.ancillary if task.ancillary is None else Location(task.ancillary)
    with storage_errors(f"looking for {source.path}", missing=RawMissing):
        info = source.fs.info(source.path)
    with scratch_folder(settings.scratch) as scratch:
        context = Context(
            log=lambda line: _log.info("%s: %s", task.basename, line),
            ancillary=open_ancillary(*open_location(ancillary)),
            limits=settings.limits,
            scratch=scratch,
        )
        computed = engine.process(source, task.run, task.parameters, context)
    file = InputFile("LOCAL", source.name, None if info["type"] == "directory" else info["size"])
    finished = finish_dataset(computed, product_facts(task, engine, file))
    return xr.decode_cf(finished)  # times as times, as when a product is read


def open_raw(
    archive: str | Path,
    *,
    scratch: str | Path | None = None,
    storage_options: _Options | None = None,
) -> xr.Dataset:
    """Open a raw archive: what is known of its pings at once, their samples when they are asked for.

    Parameters
    ----------
    archive : str or Path
        As for `process_archive`.
    scratch : str or Path, optional
        Folder in which streams are unpacked (see Notes); ``covis.scratch`` when not given.
    storage_options : mapping, optional
        Arguments of the file system that `archive` names.

    Returns
    -------
    xarray.Dataset
        ``samples`` (ping, sample, element), complex64 in machine units, one dask chunk per ping. Coordinates
        along ``ping``: number and time; attitude by rotator and sensor, degrees; the settings in the ping's
        header; ``fault``, which says why a ping cannot be used (its samples are NaN) and else is empty.
        Attributes: the run's name, its sweep.json, pings that are missing or not listed.

    Raises
    ------
    ConfigurationError
        When the name is not that of a run.
    InputError
        When the archive is at fault, or no ping of it can be read.
    RawMissing, StorageUnavailable
        When the archive is not there, or its store or the scratch folder does not answer.

    Notes
    -----
    Of folders and plain ``.tar`` files the headers are read at once, and of the samples only what is asked
    for. A packed archive can only be read from its start: it is decompressed once, here, into a scratch
    folder as large as the unpacked run (11 GB at most), which goes with the last reference to the dataset.
    Afterwards any ping costs one read of a local file, in any order. Workers on other machines do not see
    that folder.

    Examples
    --------
    >>> raw = covis.open_raw("COVIS-20190820T120001-diffuse1.tar.gz")
    >>> abs(raw.samples.sel(ping=10)).plot()
    """
    settings = load_settings()
    run = run_of_archive(str(archive))
    folder = scratch or settings.scratch
    dataset = open_run(
        _source(archive, storage_options),
        run.basename,
        limits=settings.limits,
        scratch=None if folder is None else Path(folder),
    )
    return dataset.assign_attrs(site=str(run.site), mode=run.mode, start=run.datetime.isoformat())


def open_product(
    product: str | Path, *, prefix: str | None = None, storage_options: _Options | None = None
) -> xr.Dataset:
    """Read the product of a run into memory, whichever version of this package wrote it.

    Parameters
    ----------
    product : str or Path
        Name of the run (of its archive will do), whose product catalogue and configuration know; or path or
        fsspec URL of a product: its folder, its ``.nc`` file or its ``.zarr.zip`` store.
    prefix : str, optional
        With a run's name: folder below the product store, such as ``native-corrected``; by default that of
        the newest product.
    storage_options : mapping, optional
        Arguments of the file system that `product` names.

    Returns
    -------
    xarray.Dataset
        Grids (time, z, y, x) or (time, y, x), with one time; tables of pings, bursts and beams, which a file
        keeps in groups.

    Raises
    ------
    ProductMissing
        When there is no product.
    LegacyProduct, ProductDamaged
        When another program's lies there, or what lies there cannot be used.
    DocumentError
        When a newer version of this package wrote it.
    CatalogError
        When the catalogue does not know the run, or does not answer.
    StorageUnavailable
        When the store does not answer.
    """
    text = str(product)
    run = basename_of(text)
    if _is_name(run) and not Path(text).exists():
        history = History.here()
        return history.open(run, ProductPaths(prefix).run(run) if prefix else history.newest_path(run))
    fs, path = open_location(Location(text, options=storage_options or {}))
    if not path.endswith(ENDINGS):
        return StoredProduct.of(ProductStore(fs, path, text), "").dataset()
    with storage_errors(f"reading {text}", missing=ProductMissing):
        return read_file(fs, path)


def _is_name(text: str) -> bool:
    try:
        parse_basename(text)
    except BadName:
        return False
    return True
