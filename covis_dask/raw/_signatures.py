"""What a file is, judging by its first bytes: archives that are read, and what is found in their place."""

from typing import Final

from covis_dask.raw._codecs import CODECS, MARKS, Codec

__all__ = ["BLOCK", "GZIP", "SEVEN_ZIP", "ZEROS", "ZIP", "codec_of", "foreign", "is_cut_off", "is_tar"]

BLOCK: Final = 512
"""Bytes from the start that tell."""
GZIP: Final = b"\x1f\x8b"
SEVEN_ZIP: Final = b"7z\xbc\xaf\x27\x1c"
ZIP: Final = (b"PK\3\4", b"PK\5\6")
"""Of an archive with members, and of one without."""

ZEROS: Final = "nothing but zero bytes"
"""Which a tar archive of nothing is, too."""

_TAR: Final = b"ustar"
_TAR_AT: Final = 257
_FOREIGN: Final = (
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PK\x07\x08", "the first part of a split ZIP archive"),
    (b"LZIP", "lzip data"),
    (b"\x04\x22\x4d\x18", "LZ4 data"),
    (b"\x89LZO", "lzop data"),
    (b"\x1f\x9d", "data of the old 'compress' (.Z)"),
    (b"\x5d\x00\x00", "LZMA data of the old kind (.lzma)"),
    (b"\x89HDF", "an HDF5 or NetCDF-4 file"),
    (b"CDF\x01", "a NetCDF file"),
    (b"CDF\x02", "a NetCDF file"),
    (b"MATLAB 5.0", "a Matlab file"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
_PAGE: Final = (b"<!doctype html", b"<html", b"<?xml", b"<error")


def codec_of(start: bytes) -> Codec | None:
    """Return how a file is packed, None when it is in none of the ways of `CODECS`."""
    return next((codec for codec in CODECS if codec.is_part(start)), None)


def is_tar(start: bytes) -> bool:
    """Say whether a file is a tar archive; the oldest have no mark, and are told by their checksum."""
    if start.startswith(_TAR, _TAR_AT):
        return True
    header = start[:BLOCK]
    stated = header[148:156].strip(b" \0")
    if len(header) < BLOCK or not stated.isdigit():
        return False
    return sum(header[:148]) + sum(header[156:]) + 8 * ord(" ") == _octal(stated)


def _octal(digits: bytes) -> int:
    try:
        return int(digits, 8)
    except ValueError:
        return -1


def is_cut_off(start: bytes) -> bool:
    """Say whether the few bytes of a file may be the beginning of an archive."""
    return any(mark.startswith(start) for mark in (GZIP, SEVEN_ZIP, *ZIP, *MARKS))


def foreign(start: bytes) -> str | None:
    """Name what a file is in place of a tar archive, as the object of a sentence; None when nobody knows."""
    if start.startswith(GZIP):
        return "gzip data"
    if start.startswith(SEVEN_ZIP):
        return "a 7-zip archive"
    if start.startswith(ZIP):
        return "a ZIP archive"
    if (codec := codec_of(start)) is not None:
        return f"{codec.name} data"
    if start.lstrip().lower().startswith(_PAGE):
        return "a page for a web browser, as a server sends in place of a file"
    if start and not start.strip(b"\0"):
        return ZEROS
    return next((what for mark, what in _FOREIGN if start.startswith(mark)), None)
