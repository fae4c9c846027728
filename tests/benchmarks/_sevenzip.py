"""``python -m tests.benchmarks._sevenzip ARCHIVE ROUNDS``: our reading of a .7z against bare LZMA decoding.

Bare is the decoder of liblzma (Python's ``lzma``, which py7zr uses as well), fed with the packed stream of
that very archive, with what comes out thrown away. Ours lists, checks and hands over every member.
"""

import json
import lzma
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import py7zr

from covis_dask.raw.archive import iter_members
from covis_dask.raw.source import ArchiveSource

__all__ = ["main"]

_PIECE = 1 << 20


def _bare(path: Path) -> int:
    """Decode the packed stream; returns the bytes that came out."""
    with py7zr.SevenZipFile(path) as archive:
        streams, start = archive.header.main_streams, archive.afterheader
        coders = [folder.coders for folder in streams.unpackinfo.folders]
        places = streams.packinfo.packpositions
    size = 0
    with path.open("rb") as file:
        for number, (coder,) in enumerate(coders):
            file.seek(start + places[number])
            left = places[number + 1] - places[number]
            # The module's own reader of 7z properties; there is no public one.
            filters = [lzma._decode_filter_properties(lzma.FILTER_LZMA2, coder["properties"])]  # type: ignore[attr-defined]
            decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
            while left:
                data = file.read(min(_PIECE, left))
                left -= len(data)
                size += len(decoder.decompress(data, _PIECE))
                while not (decoder.needs_input or decoder.eof):
                    size += len(decoder.decompress(b"", _PIECE))
    return size


def _ours(path: Path) -> int:
    source = ArchiveSource(fsspec.filesystem("file"), str(path))
    return sum(len(member.read()) for member in iter_members(source))


def _timed(work: Callable[[Path], int], path: Path) -> tuple[float, float, int]:
    wall, cpu = time.perf_counter(), time.process_time()
    size = work(path)
    return time.process_time() - cpu, time.perf_counter() - wall, size


def main(arguments: list[str]) -> None:
    """Measure in turn, and print the best of each as one line of JSON."""
    path, rounds = Path(arguments[0]), int(arguments[1])
    pairs = [(_timed(_bare, path), _timed(_ours, path)) for _ in range(rounds)]
    bare, ours = (min(found) for found in zip(*pairs, strict=True))
    if bare[2] != ours[2]:
        raise SystemExit(f"{bare[2]} bytes from the decoder, {ours[2]} in the members")
    print(
        json.dumps(
            {
                "archive_bytes": path.stat().st_size,
                "bytes": ours[2],
                "bare": {"cpu": bare[0], "wall": bare[1]},
                "ours": {"cpu": ours[0], "wall": ours[1]},
                "ratio": ours[0] / bare[0],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
