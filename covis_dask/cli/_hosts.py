"""``covis doctor`` on raw hosts: whether each opens, and lets a file be read that the catalogue names."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from catalog.answers import look_into
from catalog.errors import CatalogError
from catalog.query import RunQuery
from covis_dask.cli._finding import Finding
from covis_dask.config import Location, Settings
from covis_dask.errors import CovisError, RawMissing, StorageRefused
from covis_dask.storage import open_location, path_on, sent_instead, storage_errors

__all__ = ["check_host", "quick"]

_QUICK = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 1}}
_TRIED = 8
"""Files, before a host counts as shut."""


def quick(location: Location) -> Location:
    """Give up on a server that is away in seconds rather than in minutes."""
    if not location.url.startswith(("s3://", "s3a://")):
        return location
    return replace(location, options={"config_kwargs": _QUICK, **location.options})


def check_host(name: str, location: Location, settings: Settings) -> Finding:
    """Look at a host, and read a file there.

    Parameters
    ----------
    name : str
        In the catalogue.
    location : Location
    settings : Settings
        Where the catalogue is.
    """
    title, advice = f"host {name}", f"correct covis.hosts.{name}, or remove it with null"
    where = location.url + (f" at {location.endpoint}" if location.endpoint else "")
    listed: CovisError | None = None
    try:
        fs, root = open_location(quick(location))
        try:
            with storage_errors(where):
                _look(fs, root)
        except StorageRefused as error:  # whoever may not list may still read
            listed = error
    except CovisError as error:
        return Finding(title, "RED", str(error), advice)
    files = _some_files(name, settings)
    read, faults = _read_one(fs, root, files, where)
    if read is not None:
        cannot = "" if listed is None else "may not be listed, but its files can be read: "
        return Finding(title, "ok", f"{where}: {cannot}{read}" if cannot else f"{where}: {read} can be read")
    if listed is not None:
        return Finding(title, "RED", str(listed), advice)
    if not files:
        return Finding(title, "ok", f"{where}; the catalogue knows no file there to read")
    missing = all(isinstance(fault, RawMissing) for fault in faults)
    if missing:
        what = f"{where} opens, but the first {len(files)} files of the catalogue are not there"
        return Finding(title, "warn", what, "correct the url, or import what the host holds")
    worst = next(fault for fault in faults if not isinstance(fault, RawMissing))
    return Finding(title, "RED", str(worst), advice)


def _some_files(host: str, settings: Settings) -> list[str]:
    """Return a few files that the catalogue knows on a host."""
    try:
        with settings.catalog.open() as catalog:
            files = (
                raw.filename for run in catalog.select(RunQuery()) for raw in run.raw if raw.host == host
            )
            return list(islice(files, _TRIED))
    except CatalogError:
        return []  # the catalogue has a line of its own


def _read_one(fs: Any, root: str, files: Sequence[str], where: str) -> tuple[str | None, list[CovisError]]:
    """Read the beginning of a file; return which one, or why none could be."""
    faults: list[CovisError] = []
    for file in files:
        path = path_on(fs, root, file)
        try:
            with storage_errors(f"{where}: reading {file}", missing=RawMissing):
                if fs.info(path).get("type") != "directory":
                    with fs.open(path, "rb") as stream:
                        stream.read(1)
                    strange = sent_instead(fs, path)
                    if strange is not None:
                        faults.append(StorageRefused(f"{where}: in place of {file} {strange}"))
                        continue
        except CovisError as error:
            faults.append(error)
        else:
            return file, faults
    return None, faults


def _look(fs: Any, root: str) -> None:
    if getattr(fs, "protocol", None) != "onc":
        look_into(fs, root)
        return
    try:
        fs.info("covis-dask-looks-whether-the-token-is-good")
    except FileNotFoundError:
        return  # it answers, and takes the token
