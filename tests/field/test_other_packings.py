"""Runs packed by whoever stored them: read where a library can, and called by their names where none can."""

import io
import lzma
import struct
import zipfile
from collections.abc import Callable

import pytest
from backports import zstd

from catalog.hosts import preferred
from catalog.ingest import import_listing
from catalog.model import RawFile
from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable, ArchiveUnsafe, SweepIncomplete
from covis_dask.raw.archive import Limits, iter_members
from tests.field._runs import SOUND, read
from tests.unit._rawruns import NAME, PACKERS, pack, run_files, store

TAR = pack("tar", run_files())
PACKED = {kind: pack(kind, run_files()) for kind in (*PACKERS, "zip", "7z") if kind != "tar"}
BEHIND = {
    "line end": b"\r\n",
    "one byte": b"x",
    "text": b"-- sent from the vessel --\n" * 5000,
    "zeros, then text": bytes(5000) + b"the end\n",
    "erased flash": b"\xff" * 4096,
    "half a mark": b"BZ",
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("behind", BEHIND)
def test_bytes_behind_the_end(kind: str, behind: str) -> None:
    """Whatever stands behind the end of a sound archive of any kind, the run is read, with one note."""
    log: list[str] = []
    assert read(store(PACKED[kind] + BEHIND[behind], kind), log) == SOUND
    assert ["behind the end" in line for line in log] == [True]


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("zeros", [4, 512, 100_000])
def test_padding_is_nothing_odd(kind: str, zeros: int) -> None:
    """Zeros behind an archive are padding: no note."""
    log: list[str] = []
    assert read(store(PACKED[kind] + bytes(zeros), kind), log) == SOUND
    assert log == []


@pytest.mark.parametrize("kind", sorted(PACKERS.keys() - {"tar"}))
@pytest.mark.parametrize("padding", [0, 4])
def test_parts_are_one_file(kind: str, padding: int) -> None:
    """Several parts in a row, as parallel packers write them, empty ones among them, are one archive."""
    part = PACKERS[kind]
    data = bytes(padding).join(map(part, (TAR[:700], b"", TAR[700:2048], TAR[2048:])))
    log: list[str] = []
    assert read(store(data, kind), log) == SOUND
    assert log == []
    for cut in range(len(part(TAR[:700])) + 12 + padding, len(data), 29):
        if data[:cut].rstrip(b"\0") != data[:cut]:
            continue
        with pytest.raises((ArchiveTruncated, SweepIncomplete)):
            read(store(data[:cut], kind), [])


def test_skippable_frames() -> None:
    """What a parallel Zstandard packer writes between its frames is passed over."""
    skipped = struct.pack("<II", 0x184D2A5E, 4) + b"size"
    data = skipped + zstd.compress(TAR[:1000]) + skipped + zstd.compress(TAR[1000:]) + skipped
    assert read(store(data, "tar.zst"), []) == SOUND


@pytest.mark.parametrize("kind", sorted(PACKERS.keys() - {"tar"}))
def test_damage_stays_damage(kind: str) -> None:
    """A changed byte is damage of the archive, in whatever words its library has for it."""
    data = bytearray(PACKED[kind])
    data[len(data) // 2] ^= 0xFF
    with pytest.raises((ArchiveUnreadable, ArchiveTruncated)):
        read(store(bytes(data), kind), [])


def _wide_xz() -> bytes:
    return lzma.compress(TAR, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}])


def _wide_zstandard() -> bytes:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    return packer.compress(TAR) + packer.flush()


def _wide_seven_zip() -> bytes:
    data, lzma2 = bytearray(pack_plain_seven_zip()), bytes.fromhex("21 21 01")
    at = data.index(lzma2, 32) + len(lzma2)
    data[at] = 40  # a dictionary of 4 GiB
    return with_checksums(bytes(data))


def pack_plain_seven_zip() -> bytes:
    """Pack a run with a table of contents that can be edited."""
    import py7zr

    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]) as archive:
        archive.set_encoded_header_mode(False)
        for name, data in run_files():
            archive.writestr(data, name)
    return buffer.getvalue()


def with_checksums(data: bytes) -> bytes:
    """Make the checksums of a 7-zip file fit its table of contents."""
    import zlib

    offset, length = struct.unpack("<12xQQ", data[:28])
    start = struct.pack("<QQI", offset, length, zlib.crc32(data[32 + offset : 32 + offset + length]))
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + data[32:]


@pytest.mark.parametrize("make", [_wide_xz, _wide_zstandard, _wide_seven_zip])
def test_memory_to_unpack(make: Callable[[], bytes]) -> None:
    """An archive that takes a gigabyte of memory to unpack is refused, with what to do."""
    with pytest.raises(ArchiveUnsafe, match=r"memory to unpack.* pack .*again with a smaller"):
        read(store(make(), "any"), [])


@pytest.mark.parametrize(
    ("inner", "named"),
    [("tar.gz", "gzip data"), ("7z", "a 7-zip archive"), ("zip", "a ZIP archive"), ("tar.xz", "xz data")],
)
def test_packed_twice(inner: str, named: str) -> None:
    """An archive packed once more, as web servers and careful people do, is said to be."""
    with pytest.raises(ArchiveUnreadable, match=f"no tar archive but {named}: unpack it once"):
        read(store(PACKERS["tar.gz"](PACKED[inner]), "tar.gz"), [])


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"\x04\x22\x4d\x18", "LZ4 data"),
        (b"LZIP\x01", "lzip data"),
        (b"\x1f\x9d\x90", "compress"),
        (b"PK\x07\x08PK\x03\x04", "a split ZIP archive"),
        (b"\n<!DOCTYPE html><html>", "a page for a web browser"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "a page for a web browser"),
        (b"\x89HDF\r\n\x1a\n", "NetCDF-4 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
)
@pytest.mark.parametrize("name", ["tar.gz", "tar"])
def test_something_else_is_named(start: bytes, named: str, name: str) -> None:
    """What is no raw archive is called what it is, with the kinds that are read."""
    with pytest.raises(ArchiveUnreadable, match=f"{named}.*a raw archive is a .tar, .tar.gz"):
        read(store(start + b"\x01\x02\x03" * 200, name), [])


def test_zeros_are_named() -> None:
    """A file of which nothing but zeros has come over is called so; as a tar it is one of nothing."""
    with pytest.raises(ArchiveUnreadable, match="nothing but zero bytes"):
        read(store(bytes(5000), "tar.gz"), [])
    with pytest.raises(SweepIncomplete, match=r"sweep.json"):
        read(store(bytes(10240), "tar"), [])


# ---- ZIP


def _zip(method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"", **changes: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment
        archive.mkdir(NAME)
        for name, data in run_files():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            for field, value in changes.items():
                setattr(info, field, value)
            archive.writestr(info, data)
    return buffer.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods(method: int) -> None:
    """Every method that Python's library knows is read; so is an archive with a comment."""
    assert read(store(_zip(method, b"from disk 7" * 100), "zip"), []) == SOUND


def _listed(data: bytes, offset: int, value: int) -> bytes:
    """Change a 16-bit number of every entry in the list of members, and of the last record's size no byte."""
    changed, at = bytearray(data), 0
    while (at := changed.find(b"PK\1\2", at)) >= 0:
        changed[at + offset : at + offset + 2] = value.to_bytes(2, "little")
        at += 4
    return bytes(changed)


@pytest.mark.parametrize(
    ("method", "named"), [(9, "Deflate64"), (93, "Zstandard"), (98, "PPMd"), (77, "unknown")]
)
def test_zip_method_is_named(method: int, named: str) -> None:
    """A method that is not read is named, with its number and what to do."""
    with pytest.raises(ArchiveUnreadable, match=f"cannot be read here .{named}, method {method}.: pack it"):
        read(store(_listed(_zip(), 10, method), "zip"), [])


def test_zip_password() -> None:
    """An encrypted ZIP is said to need a password, not to be damaged."""
    with pytest.raises(ArchiveUnreadable, match="needs a password") as caught:
        read(store(_listed(_zip(), 8, 1), "zip"), [])
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("kind", [0o120777, 0o010644, 0o020644], ids=["link", "pipe", "device"])
def test_hostile_zip(kind: int) -> None:
    """A link, pipe or device in a ZIP refuses the archive; so does a path out of it."""
    with pytest.raises(ArchiveUnsafe, match="not a regular file"):
        read(store(_zip(create_system=3, external_attr=kind << 16), "zip"), [])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../up", b"x")
    with pytest.raises(ArchiveUnsafe, match="points out of it"):
        read(store(buffer.getvalue(), "zip"), [])


def test_zip_list_bomb() -> None:
    """A list of members far longer than allowed is refused before it is read."""
    data = _zip(comment=b"")
    with pytest.raises(ArchiveUnsafe, match="list of members"):
        list(iter_members(store(data, "zip"), Limits(max_members=2)))


def test_zip_that_overlaps() -> None:
    """Members that share their data, the trick of a ZIP bomb, are never unpacked without end."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{NAME}/a", bytes(1 << 20))
        for number in range(200):
            twin = zipfile.ZipInfo(f"{NAME}/{number}")
            first = archive.infolist()[0]
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(twin, field, getattr(first, field))
            archive.filelist.append(twin)
    with pytest.raises(ArchiveUnreadable, match="damaged"):
        [member.read() for member in iter_members(store(buffer.getvalue(), "zip"))]


# ---- where runs are listed


def test_listings_and_hosts() -> None:
    """A listing takes these kinds for runs; of two on one host, the one that is read faster counts."""
    lines = [f"3\t{size}\tcovis/{NAME}.{kind}" for size, kind in ((9, "tar.bz2"), (7, "zip"), (8, "tar.gz"))]
    report = import_listing("\n".join(lines) + f"\n3\t5\tcovis/{NAME[:-1]}2.tar.xz\n")
    assert [file.filename for run in report.runs for file in run.raw] == [
        f"covis/{NAME}.tar.gz",
        f"covis/{NAME[:-1]}2.tar.xz",
    ]
    copies = [RawFile("A", f"{NAME}.{kind}") for kind in ("tar.bz2", "zip", "7z", "tar")]
    assert [file.filename.removeprefix(f"{NAME}.") for file in preferred(copies)] == [
        "tar", "7z", "zip", "tar.bz2",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["tar.bz2", "tar.xz", "tar.zst", "zip"])
def test_contents_decide(suffix: str) -> None:
    """An archive of these kinds under another's name is read all the same."""
    assert read(store(PACKED[suffix], "tar.gz"), []) == SOUND
