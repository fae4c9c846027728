"""Raw archives of every kind, read member by member and never unpacked to disk (docs/method.md#archives)."""

import tarfile
from collections.abc import Iterator
from io import BufferedReader

from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable
from covis_dask.raw._folder import FolderArchive
from covis_dask.raw._member import Archive, Gate, Limits, Member
from covis_dask.raw._store import open_random, open_sequential, store_errors
from covis_dask.raw._tar import TarArchive
from covis_dask.raw.source import ArchiveSource

__all__ = ["Archive", "Limits", "Member", "iter_members", "open_archive"]

_GZIP = b"\x1f\x8b"
_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
_TAR = b"ustar"
_TAR_AT = 257
_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".7z")


def iter_members(source: ArchiveSource, limits: Limits = Limits()) -> Iterator[Member]:  # noqa: B008 (frozen)
    """Yield the regular files of an archive, in its own order, in bounded memory.

    Parameters
    ----------
    source : ArchiveSource
        A ``.tar``, ``.tar.gz``, ``.tgz`` or ``.7z`` file, or a folder. The contents decide, not the name.
    limits : Limits
        What it may hold.

    Yields
    ------
    Member
        To be read, or not, before the next one is asked for.

    Raises
    ------
    ArchiveTruncated
        When the file ends before its contents do.
    ArchiveUnreadable
        When it is no archive of these kinds, or damaged.
    ArchiveUnsafe
        When it holds links, devices or outside paths, or more than `limits` allow.
    RawMissing
        When there is no such file.
    StorageUnavailable
        When the store breaks off.
    """
    with open_archive(source, limits) as archive:
        yield from archive


def open_archive(source: ArchiveSource, limits: Limits, *, lasting: bool = False) -> Archive:
    """Open an archive for one pass; errors as for `iter_members`, here or on the way.

    Parameters
    ----------
    source : ArchiveSource
        The archive.
    limits : Limits
        What it may hold.
    lasting : bool
        Ask for members that can be read later, in any order. Only folders and plain tar files have such; the
        `lasting` of the result tells.
    """
    gate = Gate(limits)
    if _is_folder(source):
        return FolderArchive(source, gate)
    file = open_random(source) if lasting else open_sequential(source)
    try:
        return _open_file(file, source.name, gate, lasting=lasting)
    except BaseException:
        file.close()
        raise


def _is_folder(source: ArchiveSource) -> bool:
    # Far away each question costs a round trip, and a name like this answers it.
    if getattr(source.fs, "async_impl", False) and source.name.lower().endswith(_SUFFIXES):
        return False
    with store_errors(source.path):
        return bool(source.fs.isdir(source.path))


def _open_file(file: BufferedReader, name: str, gate: Gate, *, lasting: bool) -> Archive:
    start = file.peek(tarfile.BLOCKSIZE)
    if start.startswith(_GZIP):
        return TarArchive(file, gate, gzipped=True, lasting=False)
    if start.startswith(_SEVEN_ZIP):
        from covis_dask.raw._sevenzip import SevenZipArchive  # py7zr takes its time, and few archives need it

        return SevenZipArchive(file, gate)
    # The oldest tar programs wrote no mark; then the name must do, and the first checksum tells.
    if start.startswith(_TAR, _TAR_AT) or (start and name.lower().endswith(".tar")):
        return TarArchive(file, gate, gzipped=False, lasting=lasting)
    if _GZIP.startswith(start) or _SEVEN_ZIP.startswith(start):
        raise ArchiveTruncated(f"the file has only {len(start)} bytes: download it again")
    raise ArchiveUnreadable(f"{name} is not a .tar, .tar.gz or .7z archive, judging by its contents")
