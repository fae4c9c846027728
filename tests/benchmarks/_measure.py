"""What is measured in a process of its own: ``python -m tests.benchmarks._measure WHAT CASE ARCHIVE ...``.

A child process per measurement, so that memory peaks and start-up are its own. Prints one line of JSON.
"""

import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["main"]

_MIB = 1 << 20


def _timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}, found


def _peak() -> float:
    """Largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _gunzip(path: Path) -> int:
    from isal import igzip

    size = 0
    with igzip.open(path, "rb") as file:  # type: ignore[no-untyped-call]
        while part := file.read(_MIB):
            size += len(part)
    return size


def _gflops() -> float:
    """Measured rate of real single-precision products in one thread, GFLOP/s."""
    import numpy as np

    n = 1024
    a, b, c = (np.ones((n, n), np.float32) for _ in range(3))
    best = min(_timed(lambda: np.matmul(a, b, out=c))[0]["cpu"] for _ in range(12))
    return 2 * n**3 / best / 1e9


def _native(case: Any, archive: Path, precision: str) -> Callable[[], Any]:
    import fsspec

    from catalog.model import RawFile, Run
    from catalog.names import parse_basename
    from covis_dask.engines.native import NativeEngine
    from covis_dask.modes import parameters_for
    from covis_dask.modes.context import Context
    from covis_dask.raw.source import ArchiveSource

    name = parse_basename(case.full.basename)
    run = Run(name.basename, name.datetime, name.mode, name.site, (RawFile("LOCAL", archive.name),))
    parameters = parameters_for(case.family, case.site, overrides={"precision": precision})
    source = ArchiveSource(fsspec.filesystem("file"), str(archive))
    return lambda: NativeEngine().process(source, run, parameters, Context())


def _run_native(case: Any, archive: Path, precision: str) -> dict[str, Any]:
    from covis_dask.products.netcdf import write_netcdf
    from tests.benchmarks._runs import archive_of
    from tests.benchmarks._stages import Stages, watched

    # A small run loads imports and compiled code first, as the first run of a worker does.
    first = _timed(_native(case, archive_of(case, "small", archive.parents[1]), precision))[0]
    gc.collect()
    work = _native(case, archive, precision)
    spent, dataset = _timed(work)
    found: dict[str, Any] = {**spent, "peak_mb": _peak(), "first": first}
    with tempfile.TemporaryDirectory() as folder:
        found["write"], _ = _timed(partial(write_netcdf, dataset, Path(folder) / "product.nc"))
    found["write_peak_mb"] = _peak()
    stages = Stages()
    with watched(stages):
        work()
    stages.close()
    return {**found, "stages": dict(stages.seconds)}


def _run_baseline(case: Any, archive: Path) -> dict[str, Any]:
    from tests.benchmarks._baseline import process

    spent, _ = _timed(lambda: process(case, archive))
    return {**spent, "peak_mb": _peak()}


def main(arguments: list[str]) -> None:
    """Measure one thing."""
    from threadpoolctl import threadpool_limits

    from tests.benchmarks._runs import CASES

    what, name, archive, *rest = arguments
    case, path = CASES[name], Path(archive)
    with threadpool_limits(1):
        if what == "floor":
            spent, size = _timed(lambda: _gunzip(path))
            found: dict[str, Any] = {"gunzip": spent, "bytes": size, "gflops": _gflops()}
        elif what == "baseline":
            found = _run_baseline(case, path)
        else:
            found = _run_native(case, path, *rest)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
