"""Files of products copied out of the store: whole or not at all, resumed where they were broken off."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from covis_dask.errors import ConfigurationError, CovisError, ProductDamaged
from covis_dask.products.files import ProductFile
from covis_dask.products.manifest import FileEntry, checksum
from covis_dask.products.stored import StoredProduct

__all__ = ["Copied", "InTheWay", "copy_file"]


class InTheWay(CovisError):
    """Where a copy would go lies something else, which is not overwritten unasked."""


class Copied(StrEnum):
    """What a copy came to."""

    COPIED = "copied"
    THERE = "there"
    """The file was there before, and is the same."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A file as far as it has been copied; its name has the checksum, so no two versions share one."""

    path: Path
    entry: FileEntry

    @classmethod
    def of(cls, target: Path, entry: FileEntry) -> "_Part":
        return cls(target.with_name(f".{target.name}.{entry.sha256[:12]}.part"), entry)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Hold the part, so that no other process writes to it."""
        with self.path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InTheWay(f"another process is copying {self.path.name}") from None
            yield file


def copy_file(product: StoredProduct, file: ProductFile, folder: Path, *, overwrite: bool = False) -> Copied:
    """Copy a file of a product into a folder, under its plain name.

    Parameters
    ----------
    product : StoredProduct
    file : ProductFile
    folder : Path
        Made if it is not there.
    overwrite : bool
        Replace what has the name and is another file.

    Raises
    ------
    InTheWay
        When there is another file of that name.
    ProductDamaged
        When what the store holds is not what the manifest says.
    StorageUnavailable
        When the store does not answer; what has been copied is kept, and the next call goes on from there.
    ConfigurationError
        When the folder cannot be written.
    """
    target, entry = folder / file.name, file.entry
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is(target, entry):
            return Copied.THERE
        _make_way(target, overwrite=overwrite)
        part = _Part.of(target, entry)
        with part.opened() as opened:
            _fill(product, entry, opened)
            if checksum(part.path) != entry.sha256:
                opened.truncate(0)  # a part that somebody else had written to
                _fill(product, entry, opened)
            if checksum(part.path) != entry.sha256:
                part.path.unlink()
                raise ProductDamaged(
                    f"{product.url(entry)} is not what its manifest says (SHA-256 differs): `covis verify "
                    "--deep` tells more, --force makes the product anew"
                )
            os.fsync(opened.fileno())
            _make_way(target, overwrite=overwrite)
            part.path.replace(target)
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror or error}") from error
    return Copied.COPIED


def _is(target: Path, entry: FileEntry) -> bool:
    if target.is_symlink() or not target.is_file() or target.stat().st_size != entry.size:
        return False
    return checksum(target) == entry.sha256


def _make_way(target: Path, *, overwrite: bool) -> None:
    if not target.is_symlink() and not target.exists():
        return
    if not overwrite or (target.is_dir() and not target.is_symlink()):
        advice = "move it away" if target.is_dir() else "move it away, or replace it with --overwrite"
        raise InTheWay(f"{target} is there, and is something else: {advice}")


def _fill(product: StoredProduct, entry: FileEntry, file: BinaryIO) -> None:
    """Append what the part lacks."""
    held = file.seek(0, os.SEEK_END)
    if held > entry.size:
        file.truncate(0)
        held = 0
    if held < entry.size:
        for piece in product.store.pieces(product.path(entry), held):
            file.write(piece)
    file.flush()
