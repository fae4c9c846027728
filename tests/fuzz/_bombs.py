"""Small files that want to become large ones: each is read within the limits, or refused, in memory."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from covis_dask.errors import InputError
from covis_dask.raw.archive import Limits
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from tests.unit._rawruns import CHANNELS, NAME, header, run_files, table, tar_bytes

__all__ = ["BOMBS", "explode"]

_MIB = 1 << 20
_SLOW = 60.0
_LIMITS = Limits(max_members=20_000)  # as much as is needed to see that more of them take no more


def _tar(names: Iterator[str], size: int) -> Iterator[bytes]:
    """Yield a tar of zeros, piece by piece."""
    for name in names:
        info = tarfile.TarInfo(name)
        info.size = size
        yield info.tobuf()
        yield bytes(-(-size // 512) * 512)
    yield bytes(1024)


def _numbered(count: int, base: str = "rec_7038_{:06d}.bin") -> Iterator[str]:
    return (f"{NAME}/{base.format(number)}" for number in range(1, count + 1))


def _pieces(pieces: Iterator[bytes], packer: object) -> bytes:
    packed = bytearray()
    for piece in pieces:
        packed += packer.compress(piece)  # type: ignore[attr-defined]
    return bytes(packed + packer.flush())  # type: ignore[attr-defined]


def _gzip() -> object:
    return zlib.compressobj(1, wbits=31)


def _run(**changed: bytes) -> bytes:
    files = {name.rpartition("/")[2]: data for name, data in run_files()} | changed
    return gzip.compress(tar_bytes([(f"{NAME}/{name}", data) for name, data in files.items()]))


def _seven_zip() -> bytes:
    """Say that there are two million files, in a table long enough to hold them."""
    listed = b"\x01\x05" + b"\xe0" + (1 << 21).to_bytes(3, "little") + bytes(1 << 22)
    start = struct.pack("<QQI", 0, len(listed), zlib.crc32(listed))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + listed


def _zip(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _numbered(count):
            archive.writestr(name, b"")
    return buffer.getvalue()


def _overlapping() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{NAME}/index.csv", bytes(60 * _MIB))
        first = archive.infolist()[0]
        for name in _numbered(100):
            twin = zipfile.ZipInfo(name)
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(twin, field, getattr(first, field))
            archive.filelist.append(twin)
    return buffer.getvalue()


BOMBS: Mapping[str, Callable[[], bytes]] = {
    "gzip of zeros in large members": lambda: _pieces(_tar(_numbered(3), 60 * _MIB), _gzip()),
    "bzip2 of the same": lambda: _pieces(_tar(_numbered(1), 60 * _MIB), bz2.BZ2Compressor(9)),
    "xz of the same": lambda: _pieces(_tar(_numbered(1), 60 * _MIB), lzma.LZMACompressor(preset=0)),
    "gzip of empty members": lambda: _pieces(_tar(_numbered(20_500), 0), _gzip()),
    "gzip of small texts": lambda: _pieces(_tar(_numbered(33, "{:06d}.json"), 2 * _MIB - 1), _gzip()),
    "gzip of a quarter of a gigabyte behind the end": lambda: _pieces(
        iter([*_tar(iter(()), 0), *[bytes(_MIB)] * 256]), _gzip()
    ),
    "ZIP of empty members": lambda: _zip(20_500),
    "ZIP whose members overlap": _overlapping,
    "7-zip of two million members": _seven_zip,
    "JSON without end": lambda: _run(**{"sweep.json": b"[" * (2 * _MIB - 1)}),
    "header of many keys": lambda: _run(
        **{"rec_7000_000001.json": header()[:-2] + b"".join(b',"k%d":0' % n for n in range(100_000)) + b"}}"}
    ),
    "table of commas": lambda: _run(**{"index.csv": b"," * (2 * _MIB - 1)}),
    "table of quotes": lambda: _run(**{"index.csv": b'"' * (2 * _MIB - 1)}),
    "table of line ends": lambda: _run(**{"index.csv": b"\n" * (2 * _MIB - 1)}),
    "table of short rows": lambda: _run(**{"index.csv": table([1]) + b"1,2\n" * 300_000}),
    "table of many pings": lambda: _run(**{"index.csv": table(range(1, 20_000))}),
}


def explode(name: str, folder: Path) -> str | None:
    """Read a bomb as a run; return what went wrong."""
    path = folder / f"{NAME}.tar.gz"
    path.write_bytes(BOMBS[name]())
    start = time.process_time()
    with suppress(InputError):
        with_sweep(ArchiveSource(LocalFileSystem(), str(path)), NAME, _look, limits=_LIMITS, scratch=folder)
    seconds = time.process_time() - start
    return f"it took {seconds:.0f} s\n" if seconds > _SLOW else None


def _look(sweep: RawSweep) -> None:
    sweep.common_header(34482)
    for _ in sweep.pings(CHANNELS):
        pass
