"""Runs whose right answer is known: scenes made for one measurement, and what it finds.

See docs/method.md#known-answers.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.simulate.geometry import Era, Real
from covis_dask.simulate.instrument import instrument
from covis_dask.simulate.run import RunSpec
from covis_dask.simulate.scene import INDEPENDENT, FilledVolume, PointScatterers, Scene
from covis_dask.simulate.seafloor import FlowPatch, Seafloor, Step
from covis_dask.simulate.specs import run_spec

__all__ = [
    "Case",
    "RunTruth",
    "flow_patch",
    "point_target",
    "seafloor_plane",
    "vertical_flow",
    "volume_target",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTruth:
    """What a faultless processing finds in a run; None, or empty, where the scene says nothing of it.

    Parameters
    ----------
    positions : tuple of (x, y, z)
        World coordinates of the single scatterers, m.
    target_strength : float, optional
        Of each of them, dB re 1 m^2.
    volume_strength : float, optional
        Volume scattering strength, dB re 1/m.
    radial_velocity : float, optional
        Away from the sonar, m/s; without the clock's share.
    vertical_velocity : float, optional
        Upwards, m/s.
    clock_offset : float
        Velocity that the receiver's clock feigns, m/s: it stands in the monitor channel too.
    jitter : float
        Standard deviation of the echoes' phase from ping to ping, rad.
    seafloor : Seafloor, optional
        Its `elevation` gives the height at any place, its `flow` the patches.
    """

    positions: tuple[tuple[float, float, float], ...] = ()
    target_strength: float | None = None
    volume_strength: float | None = None
    radial_velocity: float | None = None
    vertical_velocity: float | None = None
    clock_offset: float = 0.0
    jitter: float = 0.0
    seafloor: Seafloor | None = None

    @property
    def correlation(self) -> float:
        """Correlation of the echoes of two pings (docs/method.md#known-answers, with s^2 = 2 jitter^2).

        It is also the share of the power that the mean over many pings keeps.
        """
        return math.exp(-(self.jitter**2))

    def radial(self, position: Real, head: float = HEAD_HEIGHT) -> Real:
        """Return the radial velocity (m/s) of the flow at world positions [J, 3] (m), seen from the head."""
        if self.radial_velocity is not None:
            return np.full(len(position), self.radial_velocity)
        away = position - np.array([0.0, 0.0, head])
        speed: Real = (self.vertical_velocity or 0.0) * away[:, 2] / np.linalg.norm(away, axis=1)
        return speed


@dataclass(frozen=True, slots=True)
class Case:
    """A run to simulate, what stands before the sonar, and what should be found."""

    spec: RunSpec
    scene: Scene
    truth: RunTruth


def _spec(era: Era, family: str, changes: dict[str, Any], **settings: Any) -> RunSpec:
    """Make a run without noise at a gain that uses the 12 bits; `changes` has the last word."""
    return run_spec(era, family, **{"settings": instrument(era, family, noise=0.0, **settings), **changes})


def point_target(
    era: Era,
    family: str = "imaging",
    *,
    strength: float = -30.0,
    distance: float = 8.0,
    beam: int | None = None,
    jitter: float = 0.1,
    **changes: Any,
) -> Case:
    """Put one strong, nearly steady scatterer on the axis of a beam of the middle burst.

    Parameters
    ----------
    era, family : str
        Mode.
    strength : float
        Target strength, dB.
    distance : float
        Slant range, m; moved to the nearest sample.
    beam : int, optional
        Index of the beam (a fifth of the sector right of the middle when not given).
    jitter : float
        Phase noise, rad.
    **changes
        Fields of `RunSpec`.
    """
    spec = _spec(era, family, changes, gain=25.0 if era == "END" else 45.0)
    angles, length = spec.instrument.beam_angles, spec.instrument.sample_length
    index = round(0.6 * len(angles)) if beam is None else beam
    middle = len(spec.pitches) // 2
    position = spec.view(middle).at(round(distance / length) * length, math.degrees(angles[index]))
    scene = Scene((PointScatterers((position,), (strength,), jitter=jitter),))
    return Case(spec, scene, RunTruth(positions=(position,), target_strength=strength, jitter=jitter))


def volume_target(
    era: Era,
    family: str = "imaging",
    *,
    strength: float = -50.0,
    radial_velocity: float = 0.0,
    clock_offset: float = 0.0,
    jitter: float = INDEPENDENT,
    **changes: Any,
) -> Case:
    """Fill beam and pulse everywhere with a medium, new in every ping, that recedes at one speed.

    Parameters
    ----------
    era, family : str
        Mode with volume scattering strength: imaging or Doppler.
    strength : float
        Volume scattering strength, dB re 1/m.
    radial_velocity, clock_offset : float
        m/s.
    jitter : float
        0 for a steady medium.
    **changes
        Fields of `RunSpec`.
    """
    spec = _spec(era, family, changes, gain=30.0 if era == "END" else 60.0, clock_offset=clock_offset)
    truth = RunTruth(
        volume_strength=strength, radial_velocity=radial_velocity, clock_offset=clock_offset, jitter=jitter
    )
    return Case(spec, Scene((FilledVolume(strength, radial_velocity=radial_velocity, jitter=jitter),)), truth)


def vertical_flow(
    era: Era = "END", *, velocity: float = 0.2, strength: float = -50.0, **changes: Any
) -> Case:
    """Fill everything with a medium that rises at one speed, for the vertical velocity of Doppler runs.

    Parameters
    ----------
    era : str
    velocity : float
        Upwards, m/s.
    strength : float
        Volume scattering strength, dB re 1/m.
    **changes
        Fields of `RunSpec`.
    """
    spec = _spec(era, "doppler", changes, gain=30.0 if era == "END" else 60.0)
    truth = RunTruth(volume_strength=strength, vertical_velocity=velocity, jitter=INDEPENDENT)
    return Case(spec, Scene((FilledVolume(strength, velocity=(0.0, 0.0, velocity)),)), truth)


def seafloor_plane(*, step: float = 0.0, height: float = 0.0, fan: float = 0.2, **changes: Any) -> Case:
    """Lay a plane seafloor, with a step across the middle of the sector, for bathymetry.

    Parameters
    ----------
    step : float
        Rise of the floor beyond 7 m from the tower, m.
    height : float
        Of the floor below the tower, m above the base.
    fan : float
        Height of the fan, degrees: thinner than the real one, whose footprint on the floor is longer than a
        range bin and speckled, so that its strongest point is not on the fan's axis.
    **changes
        Fields of `RunSpec`.
    """
    spec = _spec("ASHES", "bathy", changes, vertical_width=fan)
    edge = Step(spec.attitude(0).heading, 7.0, step) if step else None
    floor = Seafloor(strength=-5.0, height=height, step=edge, radius=16.0, count=600_000)
    return Case(spec, Scene((floor,)), RunTruth(seafloor=floor))


def flow_patch(
    era: Era, *, jitter: float = 0.5, distance: float = 9.0, radius: float = 1.5, **changes: Any
) -> Case:
    """Lay a steady plane seafloor with one fluttering patch ahead of the sonar, for diffuse flow.

    Parameters
    ----------
    era : str
    jitter : float
        Flutter in the patch, rad: 0 gives identical pings, `INDEPENDENT` a patch without correlation.
    distance, radius : float
        Of the patch: from the foot of the tower to its centre, and its size, m.
    **changes
        Fields of `RunSpec`.
    """
    spec = _spec(era, "diffuse", changes, gain=10.0 if era == "END" else 45.0)
    heading = math.radians(spec.attitude(0).heading)
    patch = FlowPatch(distance * math.sin(heading), distance * math.cos(heading), radius, jitter)
    floor = Seafloor(flow=(patch,), radius=spec.samples * spec.instrument.sample_length)
    truth = RunTruth(positions=((patch.x, patch.y, 0.0),), jitter=jitter, seafloor=floor)
    return Case(spec, Scene((floor,)), truth)
