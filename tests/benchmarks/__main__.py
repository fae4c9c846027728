"""``python -m tests.benchmarks``: measure runs of real size against the machine's own limits.

Every measurement is a process of its own with one thread. The floor of a run is what cannot be avoided: isal
gunzip of that very archive, the beamforming at the measured rate of single-precision products, and 0.35 s for
the rest (less for small runs). Takes minutes, and GB in the cache folder for the simulated archives.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks._flop import gflop_of
from tests.benchmarks._report import draw, table
from tests.benchmarks._runs import CASES, archive_of, cache_folder

__all__ = ["main"]

_REST = 0.35
_USUAL = ("imaging", "diffuse-40", "diffuse-200", "bathy")
_WITH_BASELINE = ("imaging",)
_ROOT = Path(__file__).resolve().parents[2]
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write figures.json, figures.md and figures.png."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    parser.add_argument("--case", action="append", choices=sorted(CASES), help=f"repeatable ({_USUAL})")
    parser.add_argument("--precision", action="append", choices=("float64", "float32"), help="both")
    parser.add_argument("--no-baseline", action="store_true", help="leave out the plain NumPy port")
    parser.add_argument("--archives", type=Path, help="folder of the simulated archives (the cache folder)")
    parser.add_argument("--output", type=Path, help="folder of the figures (the cache folder)")
    words = parser.parse_args(argv)
    folder = words.archives or cache_folder()
    figures: dict[str, Any] = {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "scale": words.scale,
        "machine": _machine(),
        "cases": {},
    }
    for name in words.case or _USUAL:
        print(f"{name} ...", flush=True)
        baseline = name in _WITH_BASELINE and not words.no_baseline
        figures["cases"][name] = _case(
            name, words.scale, folder, words.precision or ["float64", "float32"], baseline=baseline
        )
    output = words.output or cache_folder()
    output.mkdir(parents=True, exist_ok=True)
    (output / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (output / "figures.md").write_text(table(figures))
    draw(figures, output / "figures.png")
    print(table(figures))
    print(f"figures.json, figures.md and figures.png are in {output}")
    return 0


def _case(name: str, scale: str, folder: Path, precisions: list[str], *, baseline: bool) -> dict[str, Any]:
    archive = archive_of(CASES[name], scale, folder)
    found = _child("floor", name, archive)
    gflop = gflop_of(CASES[name], scale)
    rest = _REST * min(1.0, found["bytes"] / 1.5e9) if scale == "small" else _REST
    found |= {
        "gflop": gflop,
        "archive_bytes": archive.stat().st_size,
        "floor": found["gunzip"]["cpu"] + gflop / found["gflops"] + rest,
        "paths": [],
    }
    for precision in precisions:
        found["paths"].append({"precision": precision, **_child("native", name, archive, precision)})
    if baseline:
        found["baseline"] = _child("baseline", name, archive)
    return found


def _child(*words: object) -> dict[str, Any]:
    """Measure something in a process with one thread."""
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    # Where this is set, for the sake of equal results on unequal machines, it also sets the speed.
    environment.pop("OPENBLAS_CORETYPE", None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks._measure", *map(str, words)],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"measuring {words} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


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
