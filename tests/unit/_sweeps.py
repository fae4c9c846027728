"""A small run, and what mode programs can learn of it."""

from collections.abc import Callable
from typing import Any

from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from tests.unit._rawruns import (
    CHANNELS,
    NAME,
    Files,
    run_files,
    stored,
)

NUMBERS = (1, 2, 3, 5, 6)
RATE = 34483
BIN, JSON = "rec_7038_{:06d}.bin", "rec_7000_{:06d}.json"


def replaced(name: str, data: bytes | None, files: Files | None = None) -> Files:
    """Put other contents into a file of the run; None takes it out."""
    changed = [
        (path, data if path.endswith(f"/{name}") else old) for path, old in files or run_files(NUMBERS)
    ]
    return [(path, contents) for path, contents in changed if contents is not None]


def ordered(files: Files, first: Callable[[str], int]) -> Files:
    return sorted(files, key=lambda item: first(item[0].rpartition("/")[2]))


def everything(sweep: RawSweep) -> dict[str, Any]:
    """Take down all that a mode program can learn, asking in the usual order."""
    chosen = sweep.common_header(RATE)
    pings = [
        (
            ping.number,
            ping.fault,
            None if ping.data is None else ping.data.tolist(),
            ping.header,
            ping.record,
        )
        for ping in sweep.pings(CHANNELS)
    ]
    rows = sweep.table.ping.tolist()
    return {"common": chosen, "pings": pings, "rows": rows, "sweep": dict(sweep.sweep), "notes": sweep.notes}


def see(source: ArchiveSource, **options: Any) -> dict[str, Any]:
    return with_sweep(source, NAME, everything, **options)


EXPECTED = see(stored("folder", run_files(NUMBERS)))
