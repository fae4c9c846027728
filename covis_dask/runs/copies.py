"""The copies of a run's raw archive: one after the other, until one can be processed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fsspec.implementations.local import LocalFileSystem

from catalog.answers import Answer, Sense, answer_of
from catalog.hosts import preferred
from catalog.model import RawFile, Run
from covis_dask.config import Location, Settings
from covis_dask.errors import (
    ConfigurationError,
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
from covis_dask.runs.refusals import Refusals, refusals_of
from covis_dask.storage import open_location, path_on, sent_instead, storage_errors

__all__ = ["first_sound_copy"]

T = TypeVar("T")


def first_sound_copy(
    run: Run,
    settings: Settings,
    log: Callable[[str], None],
    process: Callable[[ArchiveSource], T],
    batch: str = "",
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
    batch : str
        Its identifier: what a host refuses as a whole is remembered as long as it lasts.

    Returns
    -------
    tuple
        What `process` returned, and the copy it was given.

    Raises
    ------
    CovisError
        When no copy can be processed: the fault that decides what happens next.
    """
    refusals = refusals_of(batch)
    faults: list[CovisError] = []
    files = preferred(run.raw, settings.host_order)
    for raw in sorted(files, key=lambda raw: refusals.seems_shut(settings.hosts.get(raw.host))):
        location = settings.hosts.get(raw.host)
        if location is None:
            faults.append(RawMissing(f"host {raw.host} is not configured (covis.hosts.{raw.host}.url)"))
            log(str(faults[-1]))
            continue
        copy = _Copy(raw, location, refusals)
        try:
            source, entry = copy.find()
        except (RawMissing, StorageRefused, StorageUnavailable) as error:
            fault: CovisError = error
        else:
            log(f"reading {raw.host}:{raw.filename} ({entry.size} bytes)")
            try:
                return process(source), entry
            except (InputError, RawMissing, StorageUnavailable) as error:
                fault = copy.judged(error, source, entry)
        log(f"{raw.host}: {fault.kind}: {fault}")
        faults.append(fault)
    raise _worst(run, faults)


def _worst(run: Run, faults: list[CovisError]) -> CovisError:
    """Of several copies that cannot be used, report the fault that decides what happens next.

    A host that may answer later beats one that refuses us, which may be mended; that beats a damaged copy,
    and that one that is not there.
    """
    for group in (TransientError, StorageRefused, InputError):
        for fault in faults:
            if isinstance(fault, group):
                return fault
    reasons = (
        "; ".join(dict.fromkeys(str(fault) for fault in faults)) or "the catalogue lists no raw file for it"
    )
    return RawMissing(f"no raw archive of {run.basename} could be found: {reasons}")


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy of the archive on one host.

    Its faults are of three kinds: `RawMissing` (this copy cannot be had), `StorageRefused` with a place (this
    host has nothing for us) and `StorageUnavailable` (it may have later).
    """

    raw: RawFile
    location: Location
    refusals: Refusals

    def find(self) -> tuple[ArchiveSource, InputFile]:
        """Ask the host for the copy, unless it is known to refuse everything."""
        if (known := self.refusals.known(self.location)) is not None:
            raise self._named(known)
        raw = self.raw
        try:
            fs, root = open_location(self.location)
        except StorageUnavailable as error:
            raise self._named(error) from error
        except ConfigurationError as error:  # the account, the host key, a variable that is not set
            raise self._whole(StorageRefused(f"host {raw.host}: {error}")) from error
        path = path_on(fs, root, raw.filename)
        try:
            with storage_errors(f"looking for {raw.host}:{raw.filename}", missing=RawMissing):
                info = _info(fs, path)
        except RawMissing as error:
            if isinstance(fs, LocalFileSystem) and not Path(root).exists():
                raise RawMissing(
                    f"{error}; there is no folder {root} at all: is its disk mounted?"
                ) from error
            raise self._judged_refusal(error) from error.__cause__
        except CovisError as error:
            raise self._judged_refusal(error) from error.__cause__
        self.refusals.one_read(self.location)
        size = info.get("size") if info.get("type") != "directory" else None
        return ArchiveSource(fs, path), InputFile(
            host=raw.host, filename=raw.filename, size=size, etag=_etag(info)
        )

    def judged(self, error: CovisError, source: ArchiveSource, entry: InputFile) -> CovisError:
        """Judge what came up while the copy was read.

        A damaged archive is the copy's fault only if it is the archive that was sent.
        """
        if not isinstance(error, InputError):
            return self._judged_refusal(error)
        try:
            with storage_errors(f"looking at {self.raw.host}:{self.raw.filename} again", missing=RawMissing):
                strange = sent_instead(source.fs, source.path, size=entry.size, etag=entry.etag)
        except CovisError as other:
            return self._judged_refusal(other)
        if strange is None:
            return error
        where = f"{self.raw.host}:{self.raw.filename}"
        return self._named(StorageUnavailable(f"{where}: this is not the store's answer: {strange}"))

    def _judged_refusal(self, error: CovisError) -> CovisError:
        """Tell a refusal of the host as a whole from that of one file."""
        cause = error.__cause__
        answer = answer_of(cause) if cause is not None else None
        if answer is not None and answer.whole:
            return self._whole(error if answer.sense is Sense.REFUSED else RawMissing(str(error)))
        if answer is None or answer.sense is not Sense.REFUSED:
            return self._named(error)
        self.refusals.one_denied(self.location)
        return RawMissing(f"{error}{_hint(answer)}")

    def _whole(self, error: CovisError) -> CovisError:
        """Remember a host that has nothing for us; what needs it cannot be run."""
        fault = (
            error if isinstance(error, RawMissing) and not _is_refused(error) else StorageRefused(str(error))
        )
        self.refusals.remember(self.location, fault)
        return self._named(fault)

    def _named(self, error: CovisError) -> CovisError:
        """Say which host it is, for those who count."""
        if isinstance(error, (StorageUnavailable, StorageRefused)) and error.place != scratch_place():
            error.place = self.raw.host
        return error


def _is_refused(error: CovisError) -> bool:
    answer = answer_of(error.__cause__) if error.__cause__ is not None else None
    return answer is not None and answer.sense is Sense.REFUSED


def _hint(answer: Answer) -> str:
    return (
        "; a store that may not be listed says so also of what is not there"
        if "AccessDenied" in answer.text
        else ""
    )


def _etag(info: Mapping[str, Any]) -> str | None:
    etag = info.get("ETag")
    return str(etag).strip('"') if etag else None


def _info(fs: Any, path: str) -> Mapping[str, Any]:
    """Return what a store knows of a file. A HEAD that fails has no words, so the file is asked for."""
    try:
        info: Mapping[str, Any] = fs.info(path)
    except Exception as error:
        answer = answer_of(error)
        if answer is not None and answer.service and answer.sense is not Sense.ABSENT:
            fs.cat_file(path, start=0, end=1)
        raise
    return info
