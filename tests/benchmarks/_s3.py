"""``python -m tests.benchmarks._s3 ARCHIVE ROUNDS``: our reading of an S3 object against curl.

A real server on loopback (MinIO where there is one), the object warm in memory. curl gets it by a signed
address and throws it away; ours reads it as an archive is read. Best of some rounds, in turn.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # comes with Dask

from cluster.processes import ServerFailed
from cluster.servers import Account, S3Server, s3_server
from covis_dask.config import Location
from covis_dask.raw._store import open_sequential
from covis_dask.raw.source import ArchiveSource
from covis_dask.storage import open_location

__all__ = ["main"]

_PIECE = 1 << 20


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _timed(work: Callable[[], object], server: psutil.Process, who: int) -> dict[str, float]:
    """Time some work: ours, or that of children that have ended; and what the server had to do for it."""
    there, here, wall = sum(server.cpu_times()[:2]), _cpu(who), time.perf_counter()
    work()
    wall = time.perf_counter() - wall
    return {"wall": wall, "cpu": _cpu(who) - here, "server_cpu": sum(server.cpu_times()[:2]) - there}


def _read(source: ArchiveSource, look: Callable[[], object] = lambda: None) -> int:
    size, buffer = 0, bytearray(_PIECE)
    with open_sequential(source) as file:
        while got := file.readinto(buffer):
            size += got
            look()
    return size


def _measured(server: S3Server, archive: Path, rounds: int) -> dict[str, Any]:
    server.make_buckets("raw")
    names = {"COVIS_BENCH_KEY": server.key, "COVIS_BENCH_SECRET": server.secret}
    os.environ |= names
    key, secret = (f"${{{name}}}" for name in names)
    fs, root = open_location(Location("s3://raw", endpoint=server.endpoint, key=key, secret=secret))
    source = ArchiveSource(fs, f"{root}/{archive.name}")
    where, address = (fs.url(source.path, client_method=method) for method in ("put_object", "get_object"))
    # Not by s3fs: its parts would hide what reading takes.
    subprocess.run(["curl", "--silent", "--fail", "--upload-file", str(archive), where], check=True)
    process = psutil.Process(server.process.pid)
    curl = ["curl", "--silent", "--fail", "--output", os.devnull, address]
    before, memory = _resident(), [0.0]
    if _read(source, lambda: memory.append(_resident() - before)) != archive.stat().st_size:
        raise SystemExit("the object did not come whole")
    found: dict[str, list[dict[str, float]]] = {"curl": [], "ours": []}
    for _ in range(rounds):
        found["curl"].append(
            _timed(lambda: subprocess.run(curl, check=True), process, resource.RUSAGE_CHILDREN)
        )
        found["ours"].append(_timed(lambda: _read(source), process, resource.RUSAGE_SELF))
    best = {name: min(times, key=lambda time: time["wall"]) for name, times in found.items()}
    return {
        "server": server.kind,
        "bytes": archive.stat().st_size,
        **best,
        "share": best["curl"]["wall"] / best["ours"]["wall"],
        "rounds": found,
        "memory_mb": max(memory),
    }


def main(arguments: list[str]) -> None:
    """Measure, and print one line of JSON; where there is no server or no curl, say so."""
    archive, rounds = Path(arguments[0]), int(arguments[1])
    if shutil.which("curl") is None:
        print(json.dumps({"missing": "curl"}))
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            server = s3_server("bench", Path(folder), Account("covis-bench", "covis-bench-secret"))
        except ServerFailed as error:
            print(json.dumps({"missing": str(error)}))
            return
        server.process.start()
        try:
            found = _measured(server, archive, rounds)
        finally:
            server.process.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
