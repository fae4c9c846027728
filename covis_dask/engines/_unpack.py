"""A raw archive as the folder that the Matlab code wants; only what passes the gate of `covis_dask.raw`."""

from collections.abc import Callable
from pathlib import Path

from covis_dask.errors import ArchiveUnsafe
from covis_dask.raw._files import SWEEP, run_folder, split
from covis_dask.raw.archive import Limits, open_archive
from covis_dask.raw.scratch import scratch_fault
from covis_dask.raw.source import ArchiveSource

__all__ = ["unpack_run"]


def unpack_run(
    source: ArchiveSource, basename: str, scratch: Path, limits: Limits, tick: Callable[[], None]
) -> Path:
    """Unpack a run into a folder of its own name, whatever its name in the archive (docs/method.md#archives).

    Parameters
    ----------
    source : ArchiveSource
    basename : str
        The Matlab code takes mode and time from the folder's name.
    scratch : Path
        Where to unpack.
    limits : Limits
    tick : callable
        Called for every file; may raise to stop.

    Raises
    ------
    InputError
        As for `covis_dask.raw.archive.iter_members`, and when there is no sweep.json, or more than one.
    StorageUnavailable
        When the scratch folder is full.
    """
    root = scratch / "unpacked"
    root.mkdir()
    sweeps = set()
    try:
        with open_archive(source, limits) as archive:
            for member in archive:
                tick()
                target = root / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(member.read())
                folder, base = split(member.name)
                if base == SWEEP:
                    sweeps.add(folder)
            unpacked = root / run_folder(sweeps, marked=archive.marked)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ArchiveUnsafe(f"the archive has a file and a folder of one name: {error.filename}") from error
    except OSError as error:
        fault = scratch_fault(error, scratch)  # the Matlab code needs the whole unpacked run on disk
        if fault is None:
            raise
        raise fault from error
    home = scratch / "run" / basename
    home.parent.mkdir()
    return unpacked.rename(home)
