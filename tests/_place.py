"""A folder in which commands are run as a new user would, and small raw runs to put there."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import RunSpec, simulate
from covis_dask.simulate.scene import PointScatterers, Scene
from covis_dask.simulate.specs import run_spec


def diffuse(hour: int) -> RunSpec:
    """Return a small diffuse run of 2014-03-05."""
    start = run_spec("END", "diffuse").start.replace(hour=hour)
    return run_spec("END", "diffuse", start=start, pings=6, samples=400)


def imaging(hour: int) -> RunSpec:
    """Return a small imaging run of 2014-03-05."""
    start = run_spec("END", "imaging").start.replace(hour=hour)
    return run_spec("END", "imaging", start=start, pitches=(20.0, 22.0), pings=2, samples=400)


def doppler(hour: int) -> RunSpec:
    """Return a small Doppler run of 2014-03-05."""
    start = run_spec("END", "doppler").start.replace(hour=hour)
    return run_spec("END", "doppler", start=start, pitches=(24.0, 26.0), pings=3, samples=500)


MODES = {"DIFFUSE": diffuse, "IMAGING": imaging, "DOPPLER": doppler}


@cache
def _members(mode: str) -> Mapping[str, bytes]:
    scene = Scene((PointScatterers(((-9.0, -8.0, 0.0),), (-20.0,), jitter=0.5),))
    return simulate(MODES[mode](1), scene)


def members(mode: str = "DIFFUSE") -> dict[str, bytes]:
    """Return the files of one sound run of a mode; every run of it made here has the same."""
    return dict(_members(mode))


def version_of(manifest: Path) -> Path:
    """Return the folder of the version that a manifest names."""
    return manifest.parent / str(json.loads(manifest.read_text())["folder"])


@dataclass(frozen=True)
class Place:
    """A folder with an archive under covis-data/raw, as a new user has it."""

    path: Path

    def store(self, spec: RunSpec, files: dict[str, bytes] | None = None, extension: str = ".tar.gz") -> Path:
        """Put a run into the archive."""
        folder = self.path / "covis-data" / "raw" / f"{spec.start:%Y/%m/%d}"
        archive = folder / f"{spec.basename}{extension}"
        return write_archive(members(spec.mode) if files is None else files, archive, folder=spec.folder)

    def catalogue(self, folder: str = "covis-data/raw", host: str = "COVIS-NAS") -> None:
        """List the archive in the catalogue."""
        done = self.run("catalog", "import", "--walk", folder, "--host", host)
        assert done.returncode == 0, done.stderr

    def run(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run ``python -m`` and return what it said."""
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.path,
            env={**os.environ, "DASK_CONFIG": str(self.path / "config"), **environ},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )

    def begin(self, *words: str, **environ: str) -> "subprocess.Popen[str]":
        """Begin ``python -m``."""
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self.path,
            env={**os.environ, "DASK_CONFIG": str(self.path / "config"), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def report(self, *words: str, code: int, **environ: str) -> dict[str, Any]:
        """Run a batch with ``--json`` on one worker; return its report, with the runs by name."""
        done = self.run("covis_dask.batch", *words, "--workers", "1", "--json", **environ)
        assert done.returncode == code, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert sum(report["counts"].values()) == report["expected"]
        report["by_name"] = {run["basename"]: run for run in report["runs"]}
        return report

    def products(self) -> set[str]:
        """Return the basenames of the runs that are committed."""
        return {path.parent.name for path in (self.path / "covis-data" / "products").rglob("metadata.json")}
