"""How arrays are cut into chunks, in NetCDF and Zarr alike."""

import itertools
from collections.abc import Iterator, Sequence

__all__ = ["SMALL", "blocks", "chunk_shape", "shard_shape"]

SMALL = 4096
"""Arrays of fewer values are stored in one piece, uncompressed."""

_MAP = 128
_COLUMN = 32


def chunk_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Choose chunks for an array whose last axes are y and x.

    Maps are cut in pieces of 128 x 128; volumes in columns of 32 x 32 with all heights. A column is about
    0.7 MB, serves vertical and horizontal slices alike, and is often empty: a plume fills a small part of its
    box.
    """
    side = _COLUMN if len(shape) == 4 else _MAP
    return (*shape[:-2], *(min(size, side) for size in shape[-2:]))


def shard_shape(shape: Sequence[int], chunks: Sequence[int]) -> tuple[int, ...]:
    """Choose one shard that holds a whole array: whole chunks, so it may reach beyond the array."""
    return tuple(-(-size // chunk) * chunk for size, chunk in zip(shape, chunks, strict=True))


def blocks(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Run through the chunks of an array, last axis fastest."""
    starts = (range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(slice(start, start + chunk) for start, chunk in zip(corner, chunks, strict=True))
