"""A password, or a method that cannot be read, is no damage, and is called by its name."""

import io
import struct
import zlib

import py7zr
import pytest

from covis_dask.errors import ArchiveUnreadable
from tests.field._runs import process, read, report
from tests.unit._rawruns import pack, run_files, store

LZMA2 = bytes.fromhex("21 21 01 10")  # an identifier of one byte, with one byte of properties


def _seven_zip(*, password: str | None = None, hidden: bool = False, plain: bool = False) -> bytes:
    """Pack a run; `hidden` encrypts its names too, `plain` has a table of contents that can be edited."""
    buffer = io.BytesIO()
    filters = [{"id": py7zr.FILTER_LZMA2, "preset": 1}] if plain else None
    with py7zr.SevenZipFile(buffer, "w", password=password, filters=filters) as archive:
        archive.set_encoded_header_mode(not plain)
        if hidden:
            archive.set_encrypted_header(True)
        for name, data in run_files():
            archive.writestr(data, name)
    return buffer.getvalue()


def _with_method(coder: str) -> bytes:
    """Pack a run and say that it is packed by another method."""
    data = _seven_zip(plain=True)
    (offset,) = struct.unpack("<12xQ", data[:20])
    table = data[32 + offset :].replace(LZMA2, bytes.fromhex(coder), 1)
    start = struct.pack("<QQI", offset, len(table), zlib.crc32(table))
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + data[32 : 32 + offset] + table


@pytest.mark.parametrize("hidden", [False, True], ids=["contents", "names too"])
def test_password(hidden: bool) -> None:
    """An encrypted archive is said to need a password, whether its names can be seen or not."""
    with pytest.raises(ArchiveUnreadable, match="needs a password") as caught:
        read(store(_seven_zip(password="vent", hidden=hidden), "7z"), [])
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("coder", "named"),
    [("04 03 03 01 1b", "BCJ2.*0303011b"), ("03 06 f1 06", "06f106"), ("04 04 f7 11 04", "04f71104")],
    ids=["BCJ2", "a cipher of old", "LZ4"],
)
def test_method_is_named(coder: str, named: str) -> None:
    """A method that is not read here is named, with what to do."""
    with pytest.raises(ArchiveUnreadable, match=f"method that cannot be read here .*{named}.*pack it again"):
        read(store(_with_method(coder), "7z"), [])


def test_damage_is_still_damage() -> None:
    """A changed byte in the packed data is called damage."""
    data = bytearray(pack("7z", run_files()))
    data[60] ^= 1
    with pytest.raises(ArchiveUnreadable, match="damaged"):
        read(store(bytes(data), "7z"), [])


def test_reported_file() -> None:
    """The archive of the report is said to need a password."""
    (path,) = report("11-7z-password").glob("*.7z")
    with pytest.raises(ArchiveUnreadable, match="needs a password"):
        process(path)
