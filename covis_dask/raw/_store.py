"""Files of a store, read so that what the store does wrong is told apart from what an archive holds wrong.

Everything above sees one of two errors from here: `RawMissing` and `StorageUnavailable`. Whatever else
comes up while an archive is read is therefore about its contents.
"""

import io
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO

from catalog.answers import Sense, answer_of
from catalog.redaction import redact_error
from covis_dask.errors import CovisError, RawMissing, StorageUnavailable
from covis_dask.raw._direct import direct_way
from covis_dask.raw.source import ArchiveSource

__all__ = ["open_random", "open_sequential", "store_errors"]

_BUFFER = 1 << 20
_CHUNK = 8 << 20
_AHEAD = 4


@contextmanager
def store_errors(path: str) -> Iterator[None]:
    """Turn what a file system raises into our errors; some raise things that are no OSError."""
    try:
        yield
    except (CovisError, MemoryError):
        raise
    except NotADirectoryError as error:
        raise RawMissing(f"the raw file {path} does not exist") from error
    except Exception as error:
        redact_error(error)
        answer = answer_of(error)
        if answer is not None and answer.sense is Sense.ABSENT:
            raise RawMissing(f"the raw file {path} does not exist") from error
        if answer is not None and answer.sense is Sense.REFUSED:
            raise RawMissing(f"the raw file {path} cannot be read: the store {answer.sentence}") from error
        raise StorageUnavailable(
            f"the store broke off in {path}: {type(error).__name__}: {error}; trying again may help"
        ) from error


def open_sequential(source: ArchiveSource) -> io.BufferedReader:
    """Open a file that will be read mostly from start to end; a store far away is read ahead of need."""
    return _buffered(source, lambda size: _ReadAhead(source, size))


def open_random(source: ArchiveSource) -> io.BufferedReader:
    """Open a file that will be read here and there; only what is asked for is fetched."""
    return _buffered(source, lambda size: _Ranges(source, size))


def _buffered(source: ArchiveSource, remote: Callable[[int], io.RawIOBase]) -> io.BufferedReader:
    with store_errors(source.path):
        size = source.fs.info(source.path).get("size") if _takes_ranges(source.fs) else None
        raw = _Guarded(source.open(), source.path) if size is None else remote(size)
    return io.BufferedReader(raw, _BUFFER)


def _takes_ranges(fs: Any) -> bool:
    """Say whether it is a store across the network that takes several requests at once, each for a range."""
    protocols = getattr(fs, "protocol", ())
    # Web servers may answer with the whole file; fsspec's own web files know how to deal with that.
    is_web = "http" in ((protocols,) if isinstance(protocols, str) else protocols)
    return bool(getattr(fs, "async_impl", False)) and not is_web


def _speaks_s3(fs: Any) -> bool:
    protocols = getattr(fs, "protocol", ())
    return "s3" in ((protocols,) if isinstance(protocols, str) else protocols)


class _Guarded(io.RawIOBase):
    """An open fsspec file with our errors."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with store_errors(self._path):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        with store_errors(self._path):
            # Short reads are common over networks; above, a short read means the end.
            while done < len(view) and (part := self._file.read(len(view) - done)):
                view[done : done + len(part)] = part
                done += len(part)
        return done

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Ranges(io.RawIOBase):
    """A remote file read by ranges, each when it is asked for."""

    def __init__(self, source: ArchiveSource, size: int) -> None:
        self._source = source
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        part = self._read(min(len(view), self._size - self._at))
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _read(self, most: int) -> Any:
        """Return some bytes at the current position, none at the end."""
        return b"" if most <= 0 else self._fetch(self._at, self._at + most)

    def _fetch(self, start: int, stop: int) -> bytes:
        with store_errors(self._source.path):
            part: bytes = self._source.fs.cat_file(self._source.path, start=start, end=stop)
        # S3 sends just what is asked for; a page in its place would end up in the archive.
        exact = _speaks_s3(self._source.fs)
        if not 0 < len(part) <= stop - start or (exact and len(part) != stop - start):
            raise StorageUnavailable(
                f"the store sent {len(part)} bytes of {self._source.path} for the range {start} to {stop}; "
                "trying again may help"
            )
        return part


class _ReadAhead(_Ranges):
    """The same, with the next few ranges already on their way.

    They overlap one another and the decompression, which is what a store across a network needs to be fast.
    """

    def __init__(self, source: ArchiveSource, size: int) -> None:
        super().__init__(source, size)
        self._pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="covis-read-ahead")
        self._coming: deque[tuple[int, Future[memoryview]]] = deque()
        self._direct = direct_way(source.fs, source.path)
        # Memory that has just been used is faster than new memory, and there never is more than this.
        self._spare: list[bytearray] = []
        self._start = 0
        self._part = memoryview(b"")

    def _read(self, most: int) -> Any:
        if most <= 0:
            return b""
        while not self._start <= self._at < self._start + len(self._part):
            self._next_part()
        offset = self._at - self._start
        return self._part[offset : offset + most]

    def _next_part(self) -> None:
        """Take the next range that was asked for; after a seek elsewhere, begin anew there."""
        if isinstance(self._part.obj, bytearray):
            self._spare.append(self._part.obj)
        self._start, self._part = 0, memoryview(b"")
        if self._coming and not self._coming[0][0] <= self._at < self._coming[-1][0] + _CHUNK:
            self._forget()
        if not self._coming:
            self._ask(self._at)
        while len(self._coming) < _AHEAD and (start := self._coming[-1][0] + _CHUNK) < self._size:
            self._ask(start)
        start, future = self._coming.popleft()
        self._start, self._part = start, future.result()

    def _ask(self, start: int) -> None:
        memory = self._spare.pop() if self._spare else bytearray(min(_CHUNK, self._size))
        view = memoryview(memory)[: min(_CHUNK, self._size - start)]
        self._coming.append((start, self._pool.submit(self._fill, start, view)))

    def _fill(self, start: int, view: memoryview) -> memoryview:
        if self._direct is not None and self._direct.fill(start, view):
            return view
        part = self._fetch(start, start + len(view))
        view[: len(part)] = part
        return view[: len(part)]

    def _forget(self) -> None:
        for _, future in self._coming:
            future.cancel()
        self._coming.clear()

    def close(self) -> None:
        if not self.closed:
            self._forget()
            self._pool.shutdown(wait=True)
            if self._direct is not None:
                self._direct.close()
        super().close()
