"""Tiny raw runs for the tests of covis_dask.raw: two channels, a few samples, every kind of archive."""

import bz2
import gzip
import io
import itertools
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import fsspec
import numpy as np
import py7zr
from backports import zstd

from covis_dask.raw.record import RecordHeader, pack_record
from covis_dask.raw.source import ArchiveSource

NAME = "COVIS-20190820T120001-imaging1"
KINDS = ("tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "7z", "folder")
LASTING = ("tar", "zip", "folder")
"""Kinds whose members can be read at any time."""
CHANNELS = 2
NSAMPS = 4

Files = list[tuple[str, bytes]]
_counter = itertools.count()


def record(
    number: int, *, nsamps: int = NSAMPS, nelems: int = CHANNELS, keep: int | None = None, samp_type: int = 16
) -> bytes:
    """Make a record whose samples tell which ping they are of; `keep` cuts the file off."""
    header = RecordHeader(number, number, nelems, nsamps, nelems, 0, max(0, nsamps - 1), samp_type)
    data = 16 * (number * 100 + np.arange(2 * nsamps * nelems, dtype=np.int16))
    return pack_record(header, data.reshape(nsamps, nelems, 2))[:keep]


def header(**changes: Any) -> bytes:
    """Make a rec_7000 json; a field changed to None is left out."""
    hdr = {
        "xmit_freq": 396000,
        "sample_rate": 34482.758,
        "pulse_width": 0.0005,
        "max_ping_rate": 2,
        "power_sel": 220,
        "gain_sel": 53,
        "sound_speed": 1468,
    } | changes
    return json.dumps({"hdr": {name: value for name, value in hdr.items() if value is not None}}).encode()


def table(numbers: Iterable[int]) -> bytes:
    """Make an index.csv in which ping n has sensor pitch n/10."""
    lines = ["ping,seconds,usecs,pitch,roll,yaw,kPAngle,kRAngle,kHeading"]
    lines += [f"{n},{1566302401 + n},250000,275.{n % 10},8.4,134.2,{n / 10},-0.2,211.3" for n in numbers]
    return "\n".join(lines).encode() + b"\n"


def run_files(numbers: Sequence[int] = (1, 2, 3, 5, 6), folder: str = NAME) -> Files:
    """Make the files of a run, in the order of their names, as the instrument's archives have them."""
    prefix = f"{folder}/" if folder else ""
    files = {f"rec_7000_{n:06d}.json": header(ping_num=n) for n in (*numbers, max(numbers) + 1)}
    files |= {f"rec_7038_{n:06d}.bin": record(n) for n in numbers}
    files |= {"index.csv": table([0, *numbers]), "sweep.json": b'{"mode": "imaging1"}'}
    return [(prefix + name, files[name]) for name in sorted(files)]


def tar_bytes(files: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> bytes:
    """Pack a plain tar; a TarInfo goes in as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info is not name:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pack(kind: str, files: Files) -> bytes:
    """Pack a run as an archive of any kind."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
            for name, data in files:
                zipped.writestr(name, data)
        return buffer.getvalue()
    if kind == "7z":
        with py7zr.SevenZipFile(buffer, "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 0}]) as archive:
            for name, data in files:
                archive.writestr(data, name)
        return buffer.getvalue()
    return PACKERS[kind](tar_bytes(files))


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": lambda data: gzip.compress(data, 1),
    "tar.bz2": lambda data: bz2.compress(data, 1),
    "tar.xz": lambda data: lzma.compress(data, preset=0),
    "tar.zst": zstd.compress,
}
"""What packs a tar."""


def store(data: bytes, kind: str = "tar") -> ArchiveSource:
    """Put an archive into a store in memory."""
    fs = fsspec.filesystem("memory")
    path = f"/raw/{next(_counter)}/{NAME}.{kind}"
    fs.pipe_file(path, data)
    return ArchiveSource(fs, path)


def stored(kind: str, files: Files) -> ArchiveSource:
    """Put a run into a store, as an archive or as a folder."""
    if kind != "folder":
        return store(pack(kind, files), kind)
    fs = fsspec.filesystem("memory")
    root = PurePosixPath(f"/raw/{next(_counter)}")
    for name, data in files:
        fs.pipe_file((root / name).as_posix(), data)
    return ArchiveSource(
        fs, (root / NAME).as_posix() if fs.isdir((root / NAME).as_posix()) else root.as_posix()
    )
