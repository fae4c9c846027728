"""The copies of a run's raw archive: one after the other, until one can be processed."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from catalog.answers import Sense, answer_of
from catalog.hosts import preferred
from catalog.model import RawFile, Run
from covis_dask.config import Location, Settings
from covis_dask.errors import (
    CovisError,
    InputError,
    RawMissing,
    StorageRefused,
    StorageUnavailable,
    TransientError,
)
from covis_dask.products.manifest import InputFile
from covis_dask.raw.scratch import scratch_place
from covis_dask.raw.source import ArchiveSource
from covis_dask.storage import open_location, storage_errors

__all__ = ["first_sound_copy"]

T = TypeVar("T")


def first_sound_copy(
    run: Run,
    settings: Settings,
    log: Callable[[str], None],
    process: Callable[[ArchiveSource], T],
) -> tuple[T, InputFile]:
    """Process the first copy that can be; the others are what to fall back on.

    Parameters
    ----------
    run : Run
    settings : Settings
        Which hosts there are, and which are preferred.
    log : callable
        Takes a line for the run's log.
    process : callable
        What is to be done with the archive.

    Returns
    -------
    tuple
        What `process` returned, and the copy it was given.

    Raises
    ------
    CovisError
        When no copy can be processed: the fault that decides what happens next.
    """
    faults: list[CovisError] = []
    for raw in preferred(run.raw, settings.host_order):
        location = settings.hosts.get(raw.host)
        if location is None:
            faults.append(RawMissing(f"host {raw.host} is not configured (covis.hosts.{raw.host}.url)"))
            log(str(faults[-1]))
            continue
        try:
            source, entry = _find(raw, location)
            log(f"reading {raw.host}:{raw.filename} ({entry.size} bytes)")
            return process(source), entry
        except (InputError, RawMissing, StorageUnavailable) as error:
            if isinstance(error, StorageUnavailable) and error.place != scratch_place():
                error.place = raw.host
            log(f"{raw.host}: {error.kind}: {error}")
            faults.append(error)
    raise _worst(run, faults)


def _worst(run: Run, faults: list[CovisError]) -> CovisError:
    """Of several copies that cannot be used, report the fault that decides what happens next.

    A host that may answer later beats a damaged copy, and that beats one that is not there.
    """
    for group in (TransientError, InputError):
        for fault in faults:
            if isinstance(fault, group):
                return fault
    reasons = (
        "; ".join(dict.fromkeys(str(fault) for fault in faults)) or "the catalogue lists no raw file for it"
    )
    return RawMissing(f"no raw archive of {run.basename} could be found: {reasons}")


def _find(raw: RawFile, location: Location) -> tuple[ArchiveSource, InputFile]:
    """Ask a host for its copy; a host that refuses it has none for us, and other hosts may."""
    try:
        fs, root = open_location(location)
        path = f"{root}/{raw.filename}" if root else raw.filename
        with storage_errors(f"looking for {raw.host}:{raw.filename}", missing=RawMissing):
            info = _info(fs, path)
    except StorageRefused as error:
        hint = "; a store that may not be listed says so also of what is not there"
        raise RawMissing(f"{error}{hint if 'AccessDenied' in str(error) else ''}") from error
    size = info.get("size") if info.get("type") != "directory" else None
    etag = info.get("ETag")
    return ArchiveSource(fs, path), InputFile(
        host=raw.host, filename=raw.filename, size=size, etag=str(etag).strip('"') if etag else None
    )


def _info(fs: Any, path: str) -> Mapping[str, Any]:
    """Return what a store knows of a file. A refused HEAD has no words, so the file itself is asked for."""
    try:
        info: Mapping[str, Any] = fs.info(path)
    except Exception as error:
        answer = answer_of(error)
        if answer is not None and answer.service and answer.sense is Sense.REFUSED:
            fs.cat_file(path, start=0, end=1)
        raise
    return info
