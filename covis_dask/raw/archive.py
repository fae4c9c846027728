"""Raw archives of every kind, read member by member and never unpacked to disk (docs/method.md#archives)."""

from collections.abc import Iterator
from io import BufferedReader

from catalog.names import archive_kind
from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable
from covis_dask.raw import _signatures as signatures
from covis_dask.raw._codecs import Unpack
from covis_dask.raw._folder import FolderArchive
from covis_dask.raw._gunzip import Gunzip
from covis_dask.raw._member import Archive, Gate, Limits, Member
from covis_dask.raw._store import open_random, open_sequential, store_errors
from covis_dask.raw._tar import TarArchive
from covis_dask.raw._zip import ZipArchive
from covis_dask.raw.source import ArchiveSource

__all__ = ["Archive", "Limits", "Member", "iter_members", "open_archive"]


def iter_members(source: ArchiveSource, limits: Limits = Limits()) -> Iterator[Member]:  # noqa: B008 (frozen)
    """Yield the regular files of an archive, in its own order, in bounded memory.

    Parameters
    ----------
    source : ArchiveSource
        A tar file, plain or packed (``.tar.gz``, ``.tar.bz2``, ``.tar.xz``, ``.tar.zst``), a ``.7z`` or a
        ``.zip``, or a folder. The contents decide, not the name.
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
        Ask for members that can be read later, in any order. Only folders, ZIP archives and plain tar files
        have such; the `lasting` of the result tells.
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
    if getattr(source.fs, "async_impl", False) and archive_kind(source.name) is not None:
        return False
    with store_errors(source.path):
        return bool(source.fs.isdir(source.path))


def _open_file(file: BufferedReader, name: str, gate: Gate, *, lasting: bool) -> Archive:
    start = file.peek(signatures.BLOCK)
    if start.startswith(signatures.GZIP):
        return TarArchive(file, gate, packed=Gunzip(file))
    if (codec := signatures.codec_of(start)) is not None:
        return TarArchive(file, gate, packed=Unpack(file, codec))
    if start.startswith(signatures.ZIP):
        return ZipArchive(file, gate)
    if start.startswith(signatures.SEVEN_ZIP):
        from covis_dask.raw._sevenzip import SevenZipArchive  # py7zr takes its time, and few archives need it

        return SevenZipArchive(file, gate)
    if signatures.is_tar(start):
        return TarArchive(file, gate, lasting=lasting)
    if signatures.is_cut_off(start):
        raise ArchiveTruncated(f"the file has only {len(start)} bytes: download it again")
    what = signatures.foreign(start)
    if archive_kind(name) == "tar" and what in (None, signatures.ZEROS):
        return TarArchive(file, gate, lasting=lasting)  # its first header is damaged, or it has none
    if what is not None:
        raise ArchiveUnreadable(f"{name} is {what}; a raw archive is {_KINDS}")
    raise ArchiveUnreadable(f"{name} is not {_KINDS}, judging by its contents")


_KINDS = "a .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst, .zip or .7z archive"
