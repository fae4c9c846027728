"""The files of a product as users ask for them: by format, under plain names that tell runs apart."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from covis_dask.products.formats import FORMATS
from covis_dask.products.manifest import FileEntry, Manifest
from covis_dask.products.paths import LOG

__all__ = ["ALL", "KINDS", "ProductFile", "files_of"]

ALL: Final = "all"
KINDS: Final = (*FORMATS, "png", "log", ALL)
"""What can be asked for: the file formats, the quick look, the log of the run, or everything."""


@dataclass(frozen=True, slots=True)
class ProductFile:
    """A file of a product.

    Parameters
    ----------
    entry : FileEntry
        As the manifest names it.
    kind : str
        One of `KINDS`; ``all`` for what is none of the others.
    name : str
        Plain name, which no file of another run has: ``<basename>.nc``, ``<basename>.log``.
    """

    entry: FileEntry
    kind: str
    name: str

    @property
    def head(self) -> str:
        """What is opened: the file, or the folder of a Zarr store as they were before form 2 of the files."""
        return self.entry.name.removesuffix(self.name.partition("/")[2]).rstrip("/")


def files_of(manifest: Manifest, kinds: Collection[str] = ("nc",)) -> tuple[ProductFile, ...]:
    """Return the files of a product that are of some kinds, in the order of the manifest."""
    return tuple(one for one in _named(manifest, manifest.all_files) if {one.kind, ALL} & set(kinds))


def _named(manifest: Manifest, entries: Iterable[FileEntry]) -> Iterable[ProductFile]:
    basename = manifest.basename
    kinds = {f"{basename}.zarr.zip": "zarr", **{f"{basename}.{kind}": kind for kind in KINDS}}
    for entry in entries:
        plain = entry.plain
        if plain == LOG:
            yield ProductFile(entry, "log", f"{basename}.log")
        elif plain.startswith(f"{basename}."):
            yield ProductFile(entry, kinds.get(plain.partition("/")[0], ALL), plain)
        else:
            yield ProductFile(entry, ALL, f"{basename}.{plain}")
