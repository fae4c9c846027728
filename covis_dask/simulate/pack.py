"""Pack a raw run as one of the archives that runs come in (docs/method.md#archives)."""

import bz2
import datetime as dt
import gzip
import io
import lzma
import shutil
import tarfile
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import py7zr
from backports import zstd
from py7zr.helpers import ArchiveTimestamp

from catalog.names import archive_kind, basename_of

__all__ = ["Order", "arrange", "write_archive"]

Order = Literal["written", "name", "metadata-last", "shuffled"]

_WHEN = dt.datetime(2014, 1, 1, tzinfo=dt.UTC).timestamp()
"""Every member bears this time."""

_GZIP_LEVEL = 4
"""A quarter smaller than level 1; higher levels take several times as long for little."""


def arrange(names: Iterable[str], order: Order = "name", seed: int = 0) -> list[str]:
    """Put the members of a run in order.

    Parameters
    ----------
    names : iterable of str
    order : str
        ``written``: as they came, each ping's header before its record; ``name``; ``metadata-last``: records,
        then everything else; ``shuffled``.
    seed : int
        For ``shuffled``.
    """
    listed = list(names)
    if order == "name":
        return sorted(listed)
    if order == "metadata-last":
        return sorted(listed, key=lambda name: (not name.endswith(".bin"), name))
    if order == "shuffled":
        return [listed[i] for i in np.random.default_rng(seed).permutation(len(listed))]
    return listed


def write_archive(
    members: Mapping[str, bytes],
    path: Path,
    *,
    folder: str | None = None,
    order: Order = "name",
    seed: int = 0,
) -> Path:
    """Write a run as an archive; it appears under its name when it is whole.

    Parameters
    ----------
    members : mapping of str to bytes
        Files of the run.
    path : Path
        Its extension tells the kind (`catalog.names.ARCHIVE_KINDS`); any other becomes a directory.
    folder : str, optional
        Directory inside the archive; the basename when not given.
    order : str
        Order of the members, see `arrange`.
    seed : int
        For the order ``shuffled``.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    FileExistsError
        When a directory shall be written where something is.
    """
    kind = archive_kind(path.name)
    if kind is None and path.exists():
        raise FileExistsError(f"{path} exists: remove it first, or choose another location")
    inside = folder if folder is not None else basename_of(path.name)
    files = [(f"{inside}/{name}", members[name]) for name in arrange(members, order, seed)]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        if kind is None:
            _directory(unfinished, members)
        elif kind == "7z":
            _seven_zip(unfinished, files)
        elif kind == "zip":
            _zip(unfinished, files)
        else:
            _tar(unfinished, files, inside, kind)
        unfinished.replace(path)
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        else:
            unfinished.unlink(missing_ok=True)
    return path


def _directory(path: Path, members: Mapping[str, bytes]) -> None:
    path.mkdir()
    for name, data in members.items():
        (path / name).write_bytes(data)


def _tar(path: Path, files: list[tuple[str, bytes]], folder: str, kind: str) -> None:
    with (
        path.open("wb") as plain,
        _packer(plain, kind) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        tar.addfile(_entry(folder, 0, tarfile.DIRTYPE))
        for name, data in files:
            tar.addfile(_entry(name, len(data), tarfile.REGTYPE), io.BytesIO(data))


def _packer(file: IO[bytes], kind: str) -> AbstractContextManager[Any]:
    """Return what packs into a file, so that the bytes depend on the contents alone."""
    match kind:
        case "tar.gz":
            return gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)  # neither name nor time
        case "tar.bz2":
            return bz2.BZ2File(file, "wb", compresslevel=1)
        case "tar.xz":
            return lzma.LZMAFile(file, "wb", preset=1)
        case "tar.zst":
            return zstd.ZstdFile(file, "wb")
        case _:
            return nullcontext(file)


def _entry(name: str, size: int, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.mtime = size, kind, int(_WHEN)
    entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    entry.uname = entry.gname = "covis"
    return entry


def _seven_zip(path: Path, files: list[tuple[str, bytes]]) -> None:
    filters = [{"id": py7zr.FILTER_LZMA2, "preset": 1}]
    with py7zr.SevenZipFile(path, "w", filters=filters) as archive:
        for name, data in files:
            archive.writestr(data, name)
        for entry in archive.header.files_info.files:
            entry["lastwritetime"] = ArchiveTimestamp.from_datetime(_WHEN)


def _zip(path: Path, files: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name, (2014, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
