"""The archive of simulated runs that the demonstration processes: Grotto in 2014, and Ashes in 2019."""

import datetime as dt
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from catalog.names import archive_path
from covis_dask.simulate.geometry import Era
from covis_dask.simulate.instrument import instrument
from covis_dask.simulate.pack import Order, write_archive
from covis_dask.simulate.run import RunSpec, simulate
from covis_dask.simulate.scene import Plume, PointScatterers, Scene
from covis_dask.simulate.seafloor import FlowPatch, Seafloor
from covis_dask.simulate.specs import run_spec

__all__ = ["DemoRun", "demo_runs", "write_demo_archive"]

_NOISE = 0.25
"""Mostly lost in the 12-bit numbers, which keeps the demonstration's archives small."""

_GROTTO = (-11.1, -9.3, 4.0)
_INFERNO = (-13.27, -0.77, 2.0)


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One run of the demonstration.

    Parameters
    ----------
    spec : RunSpec
    scene : Scene
    extension : str
        Kind of archive.
    order : str
        Order of the files in it.
    """

    spec: RunSpec
    scene: Scene
    extension: str = ".tar.gz"
    order: Order = "name"

    @property
    def path(self) -> str:
        """Where it lies below the root: ``YYYY/MM/DD/<basename><extension>``."""
        return archive_path(self.spec.basename, self.extension)


def demo_runs(*, full: bool = False, seed: int = 0) -> tuple[DemoRun, ...]:
    """Return the runs of the demonstration.

    Parameters
    ----------
    full : bool
        Add the modes of the Ashes era.
    seed : int
        Another seed gives other noise and other weather.

    Returns
    -------
    tuple of DemoRun
        2014: three imaging and three Doppler runs and four of diffuse flow, on four days; with `full` also
        one run of each mode of 2019.
    """
    return (*_endeavour(seed), *(_ashes(seed) if full else ()))


def write_demo_archive(
    root: Path | str,
    *,
    full: bool = False,
    seed: int = 0,
    log: Callable[[str], None] = lambda _: None,
) -> tuple[Path, ...]:
    """Write the demonstration's archive; what is there already stays as it is.

    Parameters
    ----------
    root : Path or str
        Folder of the raw store.
    full : bool
        Add the modes of the Ashes era.
    seed : int
        See `demo_runs`.
    log : callable
        Gets a line for every run.

    Returns
    -------
    tuple of Path
        All archives of the demonstration, new and old.
    """
    written = []
    for run in demo_runs(full=full, seed=seed):
        path = Path(root) / run.path
        written.append(path)
        if path.exists():
            log(f"{run.path}: kept")
            continue
        write_archive(simulate(run.spec, run.scene), path, folder=run.spec.folder, order=run.order)
        log(f"{run.path}: {path.stat().st_size / 1e6:.1f} MB")
    return tuple(written)


def _sweep(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(first + step * i for i in range(1 + math.floor((last - first) / step + 0.5)))


def _spec(era: Era, family: str, start: dt.datetime, seed: int, gain: float, **changes: Any) -> RunSpec:
    settings = instrument(era, family, gain=gain, noise=_NOISE)
    return run_spec(era, family, start=start, settings=settings, seed=seed, **changes)


def _tide(start: dt.datetime) -> tuple[float, float]:
    """Lean of a plume in the current of the half-daily tide: east and north per metre of height."""
    phase = 2 * math.pi * start.timestamp() / (12.42 * 3600)
    return 0.12 * math.sin(phase), 0.12 * math.cos(phase)


def _endeavour(seed: int) -> Iterator[DemoRun]:
    rng = np.random.default_rng((seed, 2014))
    floor = Seafloor(
        strength=-14.0,
        bumps=0.1,
        flow=(FlowPatch(-14.0, -8.5, 3.5, 0.8), FlowPatch(-7.0, -13.5, 2.5, 0.5)),
        radius=32.0,
    )
    # Edges of the sulphide structure: they stand still, and the differences of pings do not show them.
    structure = PointScatterers(
        ((-11.6, -9.6, 6.5), (-10.6, -8.9, 7.5), (-11.0, -9.9, 5.6)), (-28.0, -31.0, -30.0)
    )
    for number, day in enumerate(("2014-01-15", "2014-04-10", "2014-09-02", "2014-11-20")):
        midnight = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
        moments = [
            midnight + dt.timedelta(hours=3 * k + 3, milliseconds=int(rng.integers(60_000)))
            for k in (0, 1, 2)
        ]
        activity = float(rng.uniform(-2, 2))
        run = 10 * seed + number
        if number < 3:
            plumes = [
                Plume(_GROTTO, -41.0 + activity, velocity=0.6 + 0.05 * activity, lean=_tide(moment), top=24.0)
                for moment in moments
            ]
            imaging = _spec(
                "END",
                "imaging",
                moments[0],
                run,
                20.0,
                samples=1150,
                pitches=_sweep(10.5, 49.5, 1.5),
                pings=3,
            )
            yield DemoRun(imaging, Scene((plumes[0], structure)))
            doppler = _spec(
                "END",
                "doppler",
                moments[1],
                run,
                18.0,
                samples=1080,
                pitches=_sweep(22.0, 50.0, 3.5),
                pings=6,
            )
            yield DemoRun(doppler, Scene((plumes[1], structure)), order="written")
        diffuse = _spec("END", "diffuse", moments[2], run, 6.0, samples=1300, pings=10)
        kinds = (".tar.gz", ".tar", ".7z", ".tar.gz")
        yield DemoRun(diffuse, Scene((floor,)), extension=kinds[number])


def _ashes(seed: int) -> Iterator[DemoRun]:
    start = dt.datetime(2019, 8, 20, 12, 0, 1, tzinfo=dt.UTC)
    plume = Plume(_INFERNO, -38.0, lean=_tide(start), top=14.0)
    floor = Seafloor(
        strength=-12.0,
        bumps=0.12,
        flow=(FlowPatch(-9.0, 4.0, 2.5, 0.9), FlowPatch(-11.0, -2.0, 1.5, 0.5)),
        radius=34.0,
        seed=2,
    )
    hour = dt.timedelta(hours=1)
    toward: dict[str, Any] = {"heading": 275.0}
    yield DemoRun(
        _spec(
            "ASHES", "imaging", start, seed, 53.0, samples=900, pitches=_sweep(-8, 36, 2), pings=3, **toward
        ),
        Scene((plume,)),
    )
    yield DemoRun(
        _spec("ASHES", "diffuse", start + hour, seed, 32.0, samples=1400, pings=20), Scene((floor,))
    )
    yield DemoRun(
        _spec("ASHES", "bathy", start + 2 * hour, seed, 44.0, samples=1000, pitches=_sweep(-55, -13, 2)),
        Scene((replace(floor, count=600_000),)),
    )
    yield DemoRun(
        _spec(
            "ASHES",
            "doppler",
            start + 3 * hour,
            seed,
            53.0,
            samples=900,
            pitches=_sweep(2, 36, 2.5),
            **toward,
        ),
        Scene((plume,)),
    )
    yield DemoRun(
        _spec(
            "ASHES",
            "fullimaging",
            start + 4 * hour,
            seed,
            42.0,
            samples=900,
            pitches=_sweep(-40, 30, 5),
            **toward,
        ),
        Scene((plume, replace(floor, count=600_000))),
    )
