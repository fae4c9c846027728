"""``python -m tests.benchmarks``: measure what there is to a batch against the machine's own limits.

Every measurement is a process of its own. Parts: ``runs`` (a run, with one thread, against its floor),
``workers`` (two against one), ``sevenzip`` (.7z against bare LZMA decoding), ``s3`` (an object against curl),
``startup`` (a worker's first run), ``orchestration`` (many runs that do nothing). The floor of a run is what
cannot be avoided: isal gunzip of that very archive, the beamforming at the measured rate of single-precision
products, and 0.35 s for the rest (less for small runs). Takes minutes, and GB in the cache folder for the
simulated archives.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks._child import ROOT, bare_environment, measured
from tests.benchmarks._flop import gflop_of
from tests.benchmarks._report import draw, table
from tests.benchmarks._runs import CASES, archive_of, cache_folder, seven_zip_of

__all__ = ["main"]

_REST = 0.35
_USUAL = ("imaging", "diffuse-40", "diffuse-200", "bathy", "doppler-2014")
_WITH_BASELINE = ("imaging",)
_WORKERS = {"full": (("imaging", 6), ("diffuse-200", 24)), "small": (("diffuse-40", 4),)}
_STARTED = {"full": ("imaging", "diffuse-40", "bathy"), "small": ("diffuse-40",)}
_OBJECT = "imaging"
_PACKED = "diffuse-200"
_ROUNDS = {"full": 5, "small": 1}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write figures.json, figures.md and figures.png."""
    words = _words(argv)
    folder = words.archives or cache_folder()
    figures: dict[str, Any] = {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "scale": words.scale,
        "machine": _machine(),
        "cases": {},
    }
    for part in words.part or _PARTS:
        print(f"{part} ...", flush=True)
        load = os.getloadavg()[0]
        figures |= _PARTS[part](words, folder)
        figures.setdefault("load", {})[part] = load
    output = words.output or cache_folder()
    output.mkdir(parents=True, exist_ok=True)
    (output / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (output / "figures.md").write_text(table(figures))
    draw(figures, output / "figures.png")
    print(table(figures))
    print(f"figures.json, figures.md and figures.png are in {output}")
    return 0


def _words(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    parser.add_argument("--part", action="append", choices=tuple(_PARTS), help="repeatable (all of them)")
    parser.add_argument(
        "--case", action="append", choices=sorted(CASES), help=f"of the runs; repeatable ({_USUAL})"
    )
    parser.add_argument("--precision", action="append", choices=("float64", "float32"), help="both")
    parser.add_argument("--no-baseline", action="store_true", help="leave out the plain NumPy port")
    parser.add_argument("--archives", type=Path, help="folder of the simulated archives (the cache folder)")
    parser.add_argument("--output", type=Path, help="folder of the figures (the cache folder)")
    return parser.parse_args(argv)


def _runs(words: argparse.Namespace, folder: Path) -> dict[str, Any]:
    cases = {}
    for name in words.case or _USUAL:
        print(f"{name} ...", flush=True)
        baseline = name in _WITH_BASELINE and not words.no_baseline
        cases[name] = _case(
            name, words.scale, folder, words.precision or ["float64", "float32"], baseline=baseline
        )
    return {"cases": cases}


def _case(name: str, scale: str, folder: Path, precisions: list[str], *, baseline: bool) -> dict[str, Any]:
    archive = archive_of(CASES[name], scale, folder)
    found = measured("_measure", "floor", name, archive, threads=1)
    gflop = gflop_of(CASES[name], scale)
    rest = _REST * min(1.0, found["bytes"] / 1.5e9) if scale == "small" else _REST
    found |= {
        "gflop": gflop,
        "archive_bytes": archive.stat().st_size,
        "floor": found["gunzip"]["cpu"] + gflop / found["gflops"] + rest,
        "paths": [],
    }
    for precision in precisions:
        spent = measured("_measure", "native", name, archive, precision, threads=1)
        found["paths"].append({"precision": precision, **spent})
    if baseline:
        found["baseline"] = measured("_measure", "baseline", name, archive, threads=1)
    return found


def _workers(words: argparse.Namespace, folder: Path) -> dict[str, Any]:
    rounds = 2 if words.scale == "full" else 1
    return {
        "workers": [
            measured("_workers", name, count, archive_of(CASES[name], words.scale, folder).resolve(), rounds)
            for name, count in _WORKERS[words.scale]
        ]
    }


def _sevenzip(words: argparse.Namespace, folder: Path) -> dict[str, Any]:
    archive = seven_zip_of(archive_of(CASES[_PACKED], words.scale, folder))
    return {"sevenzip": measured("_sevenzip", archive, min(3, _ROUNDS[words.scale]))}


def _s3(words: argparse.Namespace, folder: Path) -> dict[str, Any]:
    archive = archive_of(CASES[_OBJECT], words.scale, folder)
    return {"s3": measured("_s3", archive, _ROUNDS[words.scale])}


def _startup(words: argparse.Namespace, folder: Path) -> dict[str, Any]:
    found = []
    for name in _STARTED[words.scale]:
        archive = archive_of(CASES[name], "small", folder).resolve()
        measured("_startup", name, archive)  # compiles what is not on disk yet
        found.append(measured("_startup", name, archive))
    commands = {
        "import covis_dask": ["-c", "import covis_dask"],
        "--help": ["-m", "covis_dask.cli", "--help"],
    }
    return {"startup": found, "commands": {name: _command(words) for name, words in commands.items()}}


def _command(words: list[str]) -> float:
    """Return the shortest wall time of a Python command, s."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=bare_environment(), capture_output=True, check=True
        )
        times.append(time.perf_counter() - start)
    return min(times)


def _orchestration(words: argparse.Namespace, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    runs, done = (10_000, 8_020) if words.scale == "full" else (60, 60)
    return {"orchestration": measured("orchestration", "--runs", runs, "--done", done)}


_PARTS: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "runs": _runs,
    "workers": _workers,
    "sevenzip": _sevenzip,
    "s3": _s3,
    "startup": _startup,
    "orchestration": _orchestration,
}


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
    }


if __name__ == "__main__":
    sys.exit(main())
