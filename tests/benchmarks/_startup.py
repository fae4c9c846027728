"""``python -m tests.benchmarks._startup CASE ARCHIVE``: a small run on a fresh Dask worker, again and again.

From the call to the committed product; compiled kernels are on disk. What the first run costs more than the
later ones is the start-up of a worker, beside the imports that a batch makes it do beforehand.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from distributed import Client, LocalCluster

from covis_dask.runs.warmup import ReadyPlugin

__all__ = ["main", "timed_run"]

_LATER = 3


def timed_run(archive: str, folder: str) -> dict[str, float]:
    """Process the run, on the worker, as the batch would."""
    wall, cpu = time.perf_counter(), time.process_time()
    from covis_dask.cli._process import run
    from covis_dask.cli.process import parser

    if code := run(parser().parse_args([archive, "--output", folder])):
        raise RuntimeError(f"the run failed with code {code}")
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def main(arguments: list[str]) -> None:
    """Measure, and print one line of JSON."""
    case, archive = arguments[0], Path(arguments[1])
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        begun = time.perf_counter()
        client.register_plugin(ReadyPlugin())
        ready = time.perf_counter() - begun
        times = [
            client.submit(timed_run, str(archive), f"{folder}/{number}", pure=False).result()
            for number in range(1 + _LATER)
        ]
    first, later = times[0], times[1:]
    extra = {word: first[word] - min(time[word] for time in later) for word in ("cpu", "wall")}
    print(json.dumps({"case": case, "ready": ready, "first": first, "later": later, "extra": extra}))


if __name__ == "__main__":
    main(sys.argv[1:])
