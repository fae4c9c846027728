"""A store in a local folder: whole files, durable, below a root that is never made by the way.

A folder that is a mount point looks, while its disk is away, like an empty place to write to; so nothing here
makes the root, and whatever is missing at the root is an outage.
"""

import datetime as dt
import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from covis_dask.errors import ProductDamaged, StorageUnavailable
from covis_dask.storage._listed import Listed

__all__ = ["files", "inside", "listed", "lock_supported", "remove", "swap", "tag_of", "write"]

_LOCK_WAIT = 60.0
_LOCK_PAUSE = 0.02


def inside(root: str, path: str) -> Path:
    """Return where a path below the root lies, unless that is elsewhere.

    Raises
    ------
    ProductDamaged
        When the path climbs out of the store, or a link leads out of it.
    """
    target = Path(root, path)
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ProductDamaged(f"{path!r} is not a path inside the store {root}")
    base = Path(os.path.realpath(root))
    if not Path(os.path.realpath(target)).is_relative_to(base):
        raise ProductDamaged(
            f"{target} is a link that leads out of the store {root}, and is not followed; "
            "put the files themselves there"
        )
    return target


def tag_of(data: bytes) -> str:
    """Return what stands for contents where the store has no ETags."""
    return hashlib.sha256(data).hexdigest()


def write(root: str, path: str, fill: Callable[[Path], object]) -> None:
    """Put a file in its place, whole or not at all.

    Parameters
    ----------
    root, path : str
    fill : callable
        Writes the contents to the file it is given.
    """
    target = inside(root, path)
    _make_folders(Path(root), target.parent)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        fill(part)
        _sync(part)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def swap(root: str, path: str, data: bytes, tag: str | None) -> bool:
    """Replace a file's contents on condition that they are those we know; says whether they were.

    Parameters
    ----------
    root, path : str
    data : bytes
    tag : str, optional
        Of the contents to be replaced (`tag_of`); None when there must be no file.
    """
    target = inside(root, path)
    _make_folders(Path(root), target.parent)
    with _locked(target):
        try:
            held = tag_of(target.read_bytes())
        except FileNotFoundError:
            held = None
        if held != tag:
            return False
        write(root, path, lambda part: part.write_bytes(data))
    return True


def lock_supported(root: str) -> bool:
    """Tell whether the file system keeps locks, so that `swap` is what it promises."""
    probe = Path(root, f".probe-{uuid.uuid4().hex}")
    try:
        with _locked(probe):
            return True
    except OSError:
        return False
    finally:
        _lock_of(probe).unlink(missing_ok=True)


def files(root: str, path: str) -> Iterator[tuple[str, int]]:
    """List the regular files below a folder with their sizes; links are no files of ours."""
    base = inside(root, path)
    for folder, _, names in os.walk(base):
        for name in names:
            file = Path(folder, name)
            if file.is_symlink():
                continue
            try:
                size = file.stat().st_size
            except FileNotFoundError:  # renamed or removed meanwhile, by another writer
                continue
            yield file.relative_to(root).as_posix(), size


def listed(root: str, path: str, *, deep: bool) -> Iterator[Listed]:
    """List the regular files below a folder, or its own entries; links are left out."""
    try:
        entries = [one for one in os.scandir(inside(root, path)) if not one.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        name = Path(entry.path).relative_to(root).as_posix()
        if entry.is_dir():
            yield from listed(root, name, deep=True) if deep else [Listed(name, None, None)]
            continue
        with suppress(FileNotFoundError):
            known = entry.stat()
            yield Listed(name, known.st_size, dt.datetime.fromtimestamp(known.st_mtime, dt.UTC))


def remove(root: str, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    target = inside(root, path)
    with suppress(FileNotFoundError, NotADirectoryError):
        target.unlink()
        for folder in target.parents:
            if folder == Path(root):
                return
            try:
                folder.rmdir()
            except OSError:
                return


def _make_folders(root: Path, folder: Path) -> None:
    """Make the folders below the root one by one; the root itself has to be there."""
    missing = []
    while folder != root and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir()
        _sync(one.parent)


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name.lstrip('.')}.lock")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock of a file. It goes with its holder; one that is stopped keeps it, and is waited for."""
    descriptor = os.open(_lock_of(target), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + _LOCK_WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StorageUnavailable(
                        f"another process has been holding {_lock_of(target)} for {_LOCK_WAIT:.0f} s"
                    ) from None
                time.sleep(_LOCK_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
