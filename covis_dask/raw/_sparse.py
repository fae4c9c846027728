"""Files with holes, as ``tar -S`` packs them: only what lies between the holes is in the archive."""

from collections.abc import Iterable

from covis_dask.errors import ArchiveUnreadable

__all__ = ["Extents", "check_extents", "fill_holes", "first_bytes"]

Extents = tuple[tuple[int, int], ...]
"""First byte in the file, and number of bytes, of each piece between the holes; ascending."""


def check_extents(pieces: Iterable[tuple[int, int]], size: int, room: int, name: str) -> Extents:
    """Return the pieces that a header states.

    Parameters
    ----------
    pieces : iterable of (int, int)
        As `tarfile` read them.
    size : int
        Bytes of the whole file.
    room : int
        Bytes of the archive that belong to it.
    name : str
        For the message.

    Raises
    ------
    ArchiveUnreadable
        When pieces overlap, lie beyond the file, or have more bytes than the archive holds of it.
    """
    extents = tuple((offset, count) for offset, count in pieces if count != 0)
    end = 0
    for offset, count in extents:
        if count < 0 or offset < end:
            raise ArchiveUnreadable(f"{name} is a sparse file, and its list of pieces is damaged")
        end = offset + count
    if end > size or sum(count for _, count in extents) > room:
        raise ArchiveUnreadable(f"{name} is a sparse file, and its pieces are larger than itself")
    return extents


def first_bytes(extents: Extents, size: int) -> Extents:
    """Return the pieces, or parts of them, that lie in the first `size` bytes."""
    return tuple((offset, min(count, size - offset)) for offset, count in extents if offset < size)


def fill_holes(packed: bytes, extents: Extents, size: int) -> bytes:
    """Return a file of `size` bytes with the pieces in their places and zeros between them."""
    whole, at = bytearray(size), 0
    for offset, count in extents:
        whole[offset : offset + count] = packed[at : at + count]
        at += count
    return bytes(whole)
