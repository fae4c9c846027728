"""What is simulated, and what is judged: one experiment per mode and kind of truth."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from covis_dask.modes.parameters import GridSpec
from covis_dask.simulate import FlowPatch, Scene, Seafloor, instrument, simulate
from covis_dask.simulate.geometry import Era
from covis_dask.simulate.specs import run_spec
from covis_dask.simulate.truth import (
    Case,
    RunTruth,
    flow_patch,
    point_target,
    seafloor_plane,
    vertical_flow,
    volume_target,
)
from tests.truth._judges import (
    Judge,
    correlation,
    floor_height,
    patch_position,
    peak_level,
    position,
    radial_velocity,
    step_height,
    step_position,
    vertical_velocity,
    volume_level,
)
from tests.truth._runs import in_memory, process, settings

__all__ = ["EXPERIMENTS", "PROFILES", "Row", "measure"]

PROFILES = ("corrected", "matlab")

_FINE = 0.02
"""Spacing of a grid on which a cell holds one sample, m."""


@dataclass(frozen=True)
class Experiment:
    """A simulated run, the presets that process it, and what is judged.

    Parameters
    ----------
    mode : str
        For the table.
    family : str
    presets : tuple of str
    case : callable
        Makes the run and its truth.
    judges : tuple of Judge
    fine : bool
        Grid finely round the scatterer, instead of the default grid.
    """

    mode: str
    family: str
    presets: tuple[str, ...]
    case: Callable[[], Case]
    judges: tuple[Judge, ...]
    fine: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table: the error of each profile."""

    mode: str
    preset: str
    quantity: str
    unit: str
    limit: float
    corrected: float
    matlab: float


def _on_floor(era: Era, family: str, beam: int, **changes: float) -> Case:
    """Put the point where the axis of a beam meets the level seafloor."""
    case = point_target(era, family, beam=beam, **changes)
    spec = case.spec
    angle = math.degrees(spec.instrument.beam_angles[beam])
    down = spec.view(len(spec.pitches) // 2).at(1.0, angle)[2] - spec.altitude
    return point_target(era, family, beam=beam, distance=-spec.altitude / down, **changes)


def _full_range_floor() -> Case:
    """Lay a seafloor with a fluttering patch before a full-range run of thin fan (see `seafloor_plane`)."""
    sonar = instrument("ASHES", "fullimaging", noise=0.0, gain=40.0, vertical_width=0.5, sector=64.0)
    pitches = [-40.0 + 1.5 * step for step in range(14)]
    spec = run_spec("ASHES", "fullimaging", settings=sonar, pitches=pitches, pings=9, samples=600)
    heading = math.radians(spec.attitude(0).heading)
    patch = FlowPatch(8 * math.sin(heading), 8 * math.cos(heading), 2.0, 0.5)
    floor = Seafloor(strength=-5.0, flow=(patch,), radius=14.0, count=400_000)
    truth = RunTruth(positions=((patch.x, patch.y, 0.0),), jitter=0.5, seafloor=floor)
    return Case(spec, Scene((floor,)), truth)


def _full_range_point() -> Case:
    """Put a point before a full-range run whose levels hold for the sector of its maps (Q9)."""
    sonar = instrument("ASHES", "fullimaging", noise=0.0, gain=45.0, sector=64.0)
    return point_target(
        "ASHES", "fullimaging", jitter=0.05, pitches=(-24.0, -20.0, -16.0), pings=8, settings=sonar
    )


_MOVING = {"radial_velocity": 1.0, "clock_offset": 0.1}

EXPERIMENTS: dict[str, Experiment] = {
    "imaging-2010-point": Experiment(
        "Imaging 2010-15",
        "imaging",
        ("END",),
        lambda: point_target("END", distance=11.0),
        (position("v", 0.25),),
    ),
    "imaging-2010-volume": Experiment(
        "Imaging 2010-15",
        "imaging",
        ("END",),
        lambda: volume_target("END", samples=1100, pitches=(20.0, 26.0, 32.0, 38.0), pings=4),
        # Half the difference of two pings has half the power of one.
        (volume_level(("v",), 15.0, 22.0, factor=0.5),),
    ),
    "doppler-2010-point": Experiment(
        "Doppler 2010-15",
        "doppler",
        ("END",),
        lambda: point_target("END", "doppler", distance=14.0, jitter=0.5),
        (position("intensity_v", 0.5),),
    ),
    "doppler-2010-volume": Experiment(
        "Doppler 2010-15",
        "doppler",
        ("END",),
        lambda: volume_target("END", "doppler", pings=10, **_MOVING),
        (
            volume_level(("intensity_v",), 9.0, 18.0),
            radial_velocity("doppler_velocity_vr", "vr_offset", 100.0, 9.0, 18.0),
        ),
    ),
    "doppler-2010-rising": Experiment(
        "Doppler 2010-15",
        "doppler",
        ("END",),
        lambda: vertical_flow(velocity=0.6, pings=10),
        (vertical_velocity("doppler_velocity_v", 100.0, 9.0, 18.0),),
    ),
    "diffuse-2010-point": Experiment(
        "Diffuse flow 2010-15",
        "diffuse",
        ("END",),
        lambda: _on_floor("END", "diffuse", 80, samples=760, jitter=0.0),
        (position("intensity_v", 0.5),),
    ),
    "diffuse-2010-patch": Experiment(
        "Diffuse flow 2010-15",
        "diffuse",
        ("END",),
        lambda: flow_patch("END", radius=2.0),
        (patch_position(0.5), correlation(0.1)),
    ),
    "imaging-2018-point": Experiment(
        "Imaging 2018+",
        "imaging",
        ("PP2", "PP3"),
        lambda: point_target("ASHES"),
        (position("Ia", 0.25),),
    ),
    "imaging-2018-volume": Experiment(
        "Imaging 2018+",
        "imaging",
        ("PP2", "PP3"),
        lambda: volume_target("ASHES"),
        (volume_level(("Ia", "Id"), 5.0, 9.0),),
    ),
    "doppler-2018-point": Experiment(
        "Doppler 2018+",
        "doppler",
        ("PPX", "PP3"),
        lambda: point_target("ASHES", "doppler"),
        (position("intensity_Ia", 0.5),),
    ),
    "doppler-2018-volume": Experiment(
        "Doppler 2018+",
        "doppler",
        ("PPX", "PP3"),
        lambda: volume_target("ASHES", "doppler", pings=6, **_MOVING),
        (
            volume_level(("intensity_Ia", "intensity_Id"), 4.5, 9.0),
            radial_velocity("doppler_velocity_vr_cov", "vr_offset_ave", 1.0, 4.5, 9.0),
        ),
    ),
    "diffuse-2018-point": Experiment(
        "Diffuse flow 2018+",
        "diffuse",
        ("PP2", "PP3"),
        lambda: _on_floor("ASHES", "diffuse", 80, samples=700, jitter=0.05),
        (position("intensity_v", 0.5),),
    ),
    "diffuse-2018-level": Experiment(
        "Diffuse flow 2018+",
        "diffuse",
        ("PP2", "PP3"),
        lambda: _on_floor("ASHES", "diffuse", 80, samples=700, jitter=0.05),
        (peak_level("intensity_v"),),
        fine=True,
    ),
    "diffuse-2018-patch": Experiment(
        "Diffuse flow 2018+",
        "diffuse",
        ("PP2", "PP3"),
        lambda: flow_patch("ASHES", radius=2.0),
        (patch_position(0.5), correlation(0.05)),
    ),
    "bathy-2018": Experiment(
        "Bathymetry 2018+",
        "bathy",
        ("PP2",),
        lambda: seafloor_plane(step=1.0),
        (floor_height("v", 0.05), step_height("v", 0.05), step_position("v", 0.5)),
    ),
    "full-range-imaging": Experiment(
        "Full range 2018+, imaging",
        "fullimaging",
        ("PP3",),
        lambda: point_target("ASHES", "fullimaging", pitches=(-10.0, -6.0, -2.0), pings=6),
        (position("Ia", 0.25),),
    ),
    "full-range-level": Experiment(
        "Full range 2018+, maps",
        "fullimaging",
        ("PP3",),
        _full_range_point,
        (peak_level("intensity_v"),),
        fine=True,
    ),
    "full-range-point": Experiment(
        "Full range 2018+, maps",
        "fullimaging",
        ("PP3",),
        _full_range_point,
        (position("intensity_v", 0.5),),
    ),
    "full-range-floor": Experiment(
        "Full range 2018+, maps",
        "fullimaging",
        ("PP3",),
        _full_range_floor,
        (floor_height("bathy_v", 0.05), patch_position(0.5), correlation(0.05)),
    ),
}


@cache
def measure(name: str) -> tuple[Row, ...]:
    """Simulate an experiment, process it in both profiles, and judge the products."""
    experiment = EXPERIMENTS[name]
    case = experiment.case()
    grid = _round(case.truth.positions[0]) if experiment.fine else None
    basename, rows = case.spec.basename, []
    with in_memory(simulate(case.spec, case.scene), basename) as source:
        for preset in experiment.presets:
            products = [
                process(source, basename, settings(basename, experiment.family, profile, preset, grid))
                for profile in PROFILES
            ]
            rows += [
                Row(
                    experiment.mode,
                    preset,
                    judge.quantity,
                    judge.unit,
                    judge.limit,
                    *(judge.error(product, case) for product in products),
                )
                for judge in experiment.judges
            ]
    return tuple(rows)


def _round(place: tuple[float, float, float]) -> GridSpec:
    x, y = (round(value, 2) for value in place[:2])
    return GridSpec("any", x - 0.6, x + 0.6, y - 0.6, y + 0.6, _FINE, _FINE)
