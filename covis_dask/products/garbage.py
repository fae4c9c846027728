"""What can be swept from a product store: decided here, from names, ages and the manifest alone.

A version that no manifest names may be one that is being uploaded, or one that somebody who has read the
manifest before is still reading: it has to be old, and so has the manifest that does not name it.
"""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from covis_dask.products.commit import Seen
from covis_dask.products.manifest import Manifest
from covis_dask.products.paths import FAILURE, LOG, ProductPaths
from covis_dask.storage import Listed

__all__ = ["KEPT_TRIES", "Garbage", "garbage_of", "is_leftover"]

KEPT_TRIES: Final = 5
"""Tries that failed are kept so often for each run; the oldest go."""

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part|\.probe-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Garbage:
    """Files that belong together, and that nobody needs.

    Parameters
    ----------
    what : str
        ``version``, ``layout-1`` (files of a product that has been replaced since), ``try`` or ``part``.
    files : tuple of Listed
    """

    what: str
    files: tuple[Listed, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size or 0 for file in self.files)


def is_leftover(file: Listed, before: dt.datetime) -> bool:
    """Tell whether a file is what a writer that died has left: a part of a file, or a probe."""
    return bool(_LEFTOVER.fullmatch(file.name)) and _is_older(file, before)


def garbage_of(run: str, seen: Seen, files: Sequence[Listed], before: dt.datetime) -> tuple[Garbage, ...]:
    """Return what can be swept from a run's folder.

    Parameters
    ----------
    run : str
        The run's folder below the store.
    seen : Seen
        What lies there as manifest. Where that cannot be used, nothing but parts of files is garbage.
    files : sequence of Listed
        Every file in the folder.
    before : datetime
        Only what was written before this moment is old enough.
    """
    parts = tuple(Garbage("part", (file,)) for file in files if is_leftover(file, before))
    if seen.fault is not None:
        return parts
    rest = [file for file in files if not _LEFTOVER.fullmatch(file.name)]
    tries = tuple(_older_tries(run, rest))
    if any(file.path == ProductPaths.manifest(run) and not _is_older(file, before) for file in files):
        return parts + tries  # whoever has read the manifest before may be at what that one named
    versions = (
        Garbage("version", tuple(group))
        for folder, group in _by_folder(run, rest, ProductPaths.VERSIONED)
        if not _is_named(seen.manifest, folder) and all(_is_older(file, before) for file in group)
    )
    return (*parts, *tries, *versions, *_replaced(run, seen.manifest, rest, before))


def _is_older(file: Listed, before: dt.datetime) -> bool:
    return file.modified is not None and file.modified < before


def _by_folder(run: str, files: Iterable[Listed], heads: Sequence[str]) -> Iterator[tuple[str, list[Listed]]]:
    """Gather files by their folder of a version or try, named as below the run's folder, in order."""
    groups: dict[str, list[Listed]] = defaultdict(list)
    for file in files:
        head, _, rest = file.path.removeprefix(f"{run}/").partition("/")
        if head in heads and "/" in rest:
            groups[f"{head}/{rest.partition('/')[0]}"].append(file)
    yield from sorted(groups.items())


def _is_named(manifest: Manifest | None, folder: str) -> bool:
    if manifest is None:
        return False
    folders = {manifest.folder, manifest.level2.folder if manifest.level2 else ""}
    return folder in folders or any(entry.is_in(folder) for entry in manifest.all_files)


def _older_tries(run: str, files: Iterable[Listed]) -> Iterator[Garbage]:
    tries = [group for _, group in _by_folder(run, files, (ProductPaths.tries("").rstrip("/"),))]
    for group in tries[:-KEPT_TRIES]:
        yield Garbage("try", tuple(group))


def _replaced(
    run: str, manifest: Manifest | None, files: Iterable[Listed], before: dt.datetime
) -> Iterator[Garbage]:
    """Return the files of a product of layout 1 that one of layout 2 has replaced."""
    if manifest is None or not manifest.folder:
        return
    named = {ProductPaths.file(run, entry.name) for entry in manifest.all_files}
    old = tuple(
        file
        for file in files
        if file.path not in named
        and _is_older(file, before)
        and _is_of_layout_1(file.path.removeprefix(f"{run}/"), manifest.basename)
    )
    if old:
        yield Garbage("layout-1", old)


def _is_of_layout_1(name: str, basename: str) -> bool:
    head = name.partition("/")[0]
    return name in {LOG, FAILURE} or head.startswith(f"{basename}.")
