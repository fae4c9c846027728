"""A raw run as an xarray object: what is known of its pings at once, their samples when they are asked for.

Folders and plain tar files are read where they lie. A stream (.tar.gz, .7z) can only be read from its start:
to read pings here and there would decompress it again for each. So it is unpacked once, into a scratch
folder that goes when nothing refers to the dataset any more; so is a tar with sparse pings.
"""

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

from covis_dask.errors import ArchiveUnsafe, NoValidPings
from covis_dask.raw._files import BIN, is_text, split
from covis_dask.raw._indexed import IndexedFiles, NoPlace, indexed_files
from covis_dask.raw._member import Archive, Limits
from covis_dask.raw._store import open_random
from covis_dask.raw.archive import open_archive
from covis_dask.raw.leftovers import hold
from covis_dask.raw.ping import Ping, PingTable
from covis_dask.raw.record import HEADER_BYTES, BadRecord, check_record, parse_record_header, read_samples
from covis_dask.raw.scratch import scratch_errors
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep

__all__ = ["open_run"]

Complex = NDArray[np.complex64]

_ATTITUDE = (
    ("rotator_pitch", "pitch", "rotator pitch reading"),
    ("rotator_roll", "roll", "rotator roll reading"),
    ("rotator_yaw", "yaw", "rotator yaw reading"),
    ("sensor_pitch", "sensor_pitch", "pitch of the sonar head"),
    ("sensor_roll", "sensor_roll", "roll of the sonar head"),
    ("sensor_heading", "sensor_heading", "magnetic heading of the sonar head"),
)
_HEADER = (
    ("transmit_frequency", "xmit_freq", "transmit frequency", "Hz"),
    ("sample_rate", "sample_rate", "complex samples per second", "s-1"),
    ("pulse_width", "pulse_width", "length of the transmitted pulse", "s"),
    ("max_ping_rate", "max_ping_rate", "highest ping rate", "s-1"),
    ("power_setting", "power_sel", "source level setting", "dB"),
    ("gain_setting", "gain_sel", "receiver gain setting", "dB"),
    ("sound_speed_header", "sound_speed", "sound speed set in the sonar", "m s-1"),
)
_SAMPLES = {
    "long_name": "complex baseband signal of each receiving element",
    "units": "1",
    "comment": "Machine units, I + iQ, exactly as recorded; not a number throughout a faulty ping.",
}


def open_run(
    source: ArchiveSource,
    basename: str,
    *,
    limits: Limits = Limits(),  # noqa: B008 (a frozen value)
    scratch: Path | None = None,
) -> xr.Dataset:
    """Open a run; see `covis_dask.open_raw` for what the dataset holds.

    Parameters
    ----------
    source : ArchiveSource
        The archive, or a folder.
    basename : str
        Name of the run.
    limits : Limits
        What the archive may hold.
    scratch : Path, optional
        Where a stream is unpacked; the system's own folder for temporary files when not given.

    Raises
    ------
    InputError
        When the archive is at fault, or has no ping that can be read.
    RawMissing, StorageUnavailable
        When the store is.
    """
    with open_archive(source, limits, lasting=True) as archive:
        if archive.lasting:
            with suppress(NoPlace):
                return _open(archive, source, basename, limits)
    home = Path(tempfile.mkdtemp(prefix="covis-raw-", dir=scratch))
    try:
        hold(home)
        with open_archive(source, limits) as stream:
            _unpack(stream, home)
        unpacked = ArchiveSource(LocalFileSystem(), str(home))
        with open_archive(unpacked, limits, lasting=True) as archive:
            return _open(archive, unpacked, basename, limits, stream=stream, home=home)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _unpack(stream: Archive, home: Path) -> None:
    """Write the files of a run that matter here into a folder."""
    for member in stream:
        base = split(member.name)[1]
        if not (BIN.fullmatch(base) or is_text(base)):
            continue
        target, data = home / member.name, member.read()
        with scratch_errors(home.parent):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise ArchiveUnsafe(
                    f"the archive has a file and a folder of one name: {member.name}"
                ) from error


def _open(
    archive: Archive,
    source: ArchiveSource,
    basename: str,
    limits: Limits,
    *,
    stream: Archive | None = None,
    home: Path | None = None,
) -> xr.Dataset:
    """Make the dataset of an archive whose members can be read at any time; of `stream` it was unpacked."""
    with indexed_files(archive, limits, None) as files:
        if stream is not None:
            files.marked &= stream.marked
            files.notes = (*stream.notes, *files.notes)
        sweep = RawSweep(basename, files)
        # Of each ping the fixed part of its record is read: enough to tell whether it is sound.
        pings = list(sweep.pings(_channels(files, sweep.table), wanted=frozenset()))
        reader = _PingReader(source, files, pings, home)
        return _dataset(sweep, pings, reader)


def _channels(files: IndexedFiles, table: PingTable) -> int:
    """Return the number of channels, as the first sound ping has it.

    Raises
    ------
    NoValidPings
        When there is none.
    """
    for _, blob in files.bins(table.rows):
        try:
            header = parse_record_header(blob.read(HEADER_BYTES))
            check_record(header, blob.size)
        except BadRecord:
            continue
        return header.nelems
    raise NoValidPings("no ping of the run can be read")


class _PingReader:
    """Reads single pings, in any order, from any thread; a copy works in another process of this machine.

    Parameters
    ----------
    source : ArchiveSource
        A folder or a plain tar file.
    files : IndexedFiles
        Of that source.
    pings : sequence of Ping
        What is known of them.
    home : Path, optional
        Scratch folder that is removed together with this.
    """

    def __init__(
        self, source: ArchiveSource, files: IndexedFiles, pings: Sequence[Ping], home: Path | None
    ) -> None:
        sound = [ping.record for ping in pings if ping.fault is None and ping.record is not None]
        self.shape = (sound[0].nsamps, sound[0].nelems)
        self._fs = source.fs
        self._places = {
            ping.number: (path or source.path, begin, size)
            for ping in pings
            if ping.fault is None
            for path, begin, size in (files.place(ping.number),)
        }
        if home is not None:
            weakref.finalize(self, _remove, home, os.getpid())

    def read(self, numbers: "NDArray[np.int64]") -> Complex:
        """Return the samples of some pings [ping, N, E]."""
        data = np.empty((numbers.size, *self.shape), np.complex64)
        for row, number in enumerate(numbers.ravel().tolist()):
            self._fill(data[row], number)
        return data

    def _fill(self, data: Complex, number: int) -> None:
        if number not in self._places:
            data.fill(complex(np.nan, np.nan))
            return
        path, begin, size = self._places[number]
        with open_random(ArchiveSource(self._fs, path)) as file:
            file.seek(begin)
            _, samples = read_samples(file.read(size))
        # I and Q lie side by side as in a complex number; 16 bits times a power of two are exact in 24.
        np.multiply(samples.values, np.float32(samples.scale), out=data.view(np.float32), dtype=np.float32)


def _remove(home: Path, owner: int) -> None:
    """Remove a scratch folder, unless this is a forked copy of the process that made it."""
    if os.getpid() == owner:
        shutil.rmtree(home, ignore_errors=True)


def _dataset(sweep: RawSweep, pings: Sequence[Ping], reader: _PingReader) -> xr.Dataset:
    nsamps, nelems = reader.shape
    numbers = np.array([ping.number for ping in pings], np.int64)
    samples = da.map_blocks(
        reader.read,
        da.from_array(numbers, chunks=1),
        new_axis=[1, 2],
        chunks=((1,) * len(pings), (nsamps,), (nelems,)),
        dtype=np.complex64,
        meta=np.empty((0, 0, 0), np.complex64),
    )
    return xr.Dataset(
        {"samples": (("ping", "sample", "element"), samples, _SAMPLES)},
        coords={
            "ping": ("ping", numbers, {"long_name": "ping number"}),
            "sample": ("sample", np.arange(nsamps), {"long_name": "sample number"}),
            "element": ("element", np.arange(nelems), {"long_name": "receiving element"}),
            **_of_table(sweep.table, numbers),
            **_of_headers(pings),
            "fault": ("ping", [ping.fault or "" for ping in pings], {"long_name": "why it cannot be used"}),
        },
        attrs=_attributes(sweep, numbers),
    )


def _of_table(table: PingTable, numbers: NDArray[np.int64]) -> dict[str, Any]:
    rows = [table.row(int(number)) for number in numbers]
    micros = np.round(table.time[rows] * 1e6).astype("datetime64[us]")
    variables: dict[str, Any] = {
        "time": ("ping", micros.astype("datetime64[ns]"), {"long_name": "time of the ping, UTC"})
    }
    for name, column, text in _ATTITUDE:
        variables[name] = ("ping", getattr(table, column)[rows], {"long_name": text, "units": "degree"})
    return variables


def _of_headers(pings: Sequence[Ping]) -> dict[str, Any]:
    return {
        name: (
            "ping",
            np.array([np.nan if ping.header is None else getattr(ping.header, key) for ping in pings]),
            {"long_name": text, "units": units},
        )
        for name, key, text, units in _HEADER
    }


def _attributes(sweep: RawSweep, numbers: NDArray[np.int64]) -> Mapping[str, Any]:
    listed = set(sweep.table.rows)
    return {
        "basename": sweep.basename,
        "sweep": json.dumps(dict(sweep.sweep)),
        "missing_pings": sorted(listed.difference(numbers.tolist())),
        "unlisted_pings": list(sweep.unlisted),
        "notes": "; ".join(sweep.notes),
    }
