"""``python -m tests.benchmarks.precision``: how far the float32 path is from the float64 one.

Simulates one small run of every mode, processes it both ways, and prints a table: for every gridded variable
the largest difference relative to the largest value, the median of the relative differences, and how many
cells differ by more than a thousandth of their value (samples that lie on a threshold). Weights are equal.
"""

import sys
import tempfile
from pathlib import Path

import fsspec
import numpy as np
import xarray as xr

from catalog.model import RawFile, Run
from catalog.names import parse_basename
from covis_dask.engines import engine_named
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.raw.source import ArchiveSource
from covis_dask.simulate.geometry import Era
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import RunSpec, simulate
from covis_dask.simulate.scene import Scene
from covis_dask.simulate.specs import run_spec
from tests.benchmarks._runs import CASES

__all__ = ["main"]

_MODES: tuple[tuple[Era, str, str], ...] = (
    ("END", "imaging", "doppler-2014"),
    ("END", "diffuse", "diffuse-40"),
    ("END", "doppler", "doppler-2014"),
    ("ASHES", "imaging", "imaging"),
    ("ASHES", "diffuse", "diffuse-40"),
    ("ASHES", "bathy", "bathy"),
    ("ASHES", "doppler", "imaging"),
)


def _processed(spec: RunSpec, family: str, scene: Scene, folder: Path) -> list[xr.Dataset]:
    archive = write_archive(simulate(spec, scene), folder / f"{spec.basename}.tar", folder=spec.folder)
    name = parse_basename(spec.basename)
    run = Run(name.basename, name.datetime, name.mode, name.site, (RawFile("LOCAL", archive.name),))
    source = ArchiveSource(fsspec.filesystem("file"), str(archive))
    return [
        engine_named("native").process(
            source, run, parameters_for(family, name.site, overrides={"precision": precision}), Context()
        )
        for precision in ("float64", "float32")
    ]


def main() -> int:
    """Print the table."""
    print("| mode | variable | largest / largest value | median relative | cells off by 1e-3 |")
    print("|---|---|---|---|---|")
    for era, family, scene in _MODES:
        with tempfile.TemporaryDirectory() as folder:
            double, single = _processed(run_spec(era, family), family, CASES[scene].scene, Path(folder))
        site = "2010-15" if era == "END" else "2018+"
        for key, values in double.data_vars.items():
            if "y" not in values.dims or "weight" in str(key):
                continue
            a, b = values.values, single[key].values
            some = np.isfinite(a) & np.isfinite(b)
            if not some.any():
                continue
            difference, size = np.abs(a - b)[some], np.abs(a[some])
            relative = difference / np.where(size > 0, size, 1)
            off = int((relative > 1e-3).sum() + (np.isfinite(a) != np.isfinite(b)).sum())
            print(
                f"| {family} {site} | {key} | {difference.max() / size.max():.1e} "
                f"| {np.median(relative):.1e} | {off} of {some.sum()} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
