"""``python -m cluster.warm``: process a tiny run of each kind, so that an image holds the compiled kernels.

Numba keeps them in NUMBA_CACHE_DIR, by machine type; on another type they are made anew at the first run.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from catalog.model import Run
from catalog.vocabulary import Site
from covis_dask.engines import engine_named
from covis_dask.errors import CovisError
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.raw.source import ArchiveSource
from covis_dask.simulate.geometry import Era
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import simulate
from covis_dask.simulate.scene import PointScatterers, Scene
from covis_dask.simulate.specs import run_spec

__all__ = ["main"]

_SCENE = Scene((PointScatterers(((-9.0, -8.0, 0.0),), (-20.0,), jitter=0.5),))
_RUNS: tuple[tuple[Era, str, dict[str, Any]], ...] = (
    ("END", "imaging", {"pitches": (20.0, 22.0, 24.0), "pings": 2, "samples": 320}),
    ("END", "doppler", {"pitches": (24.0, 26.0, 28.0), "pings": 2, "samples": 320}),
    ("END", "diffuse", {"pings": 6, "samples": 320}),
    ("ASHES", "imaging", {"pitches": (-9.0, -5.0), "pings": 2, "samples": 240}),
    ("ASHES", "diffuse", {"pings": 12, "samples": 400}),
)


def main() -> int:
    """Process each run; one that fails is told of, and fails the build."""
    with tempfile.TemporaryDirectory(prefix="covis-warm-") as folder:
        for era, family, changes in _RUNS:
            spec = run_spec(era, family, **changes)
            site = Site.ENDEAVOUR if era == "END" else Site.ASHES
            archive = write_archive(
                simulate(spec, _SCENE), Path(folder) / f"{spec.basename}.tar", folder=spec.folder
            )
            run = Run(spec.basename, spec.start, spec.basename.rpartition("-")[2], site, ())
            try:
                engine_named("native").process(
                    ArchiveSource(LocalFileSystem(), str(archive)),
                    run,
                    parameters_for(family, site),
                    Context(),
                )
            except CovisError as error:
                print(f"{run.basename}: {error.kind}: {error}", file=sys.stderr)  # noqa: T201
                return 1
            print(f"{site} {family}: ready", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
