"""How fast a plume rises and what it carries, height by height: the `corrected` profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.science.flags import LevelFlag
from covis_dask.science.flux import NOTHING, Flux, Section, gaussian_flux
from covis_dask.science.grids import PlumeFields
from covis_dask.science.line import BLOCKING, CentreLine
from covis_dask.science.velocity import (
    LEAST_ALONG,
    Sight,
    advected,
    axial,
    bilinear,
    line_of_sight,
    smoothed_along,
)

__all__ = ["PlumeRise", "plume_rise"]

Real = NDArray[np.float64]

_GRID_VARIANCE = 1 / 3  # of the square of the step: what multilinear gridding adds to the square of a radius
_BEAM_VARIANCE = 0.026  # m2: range window, pulse and beam


@dataclass(frozen=True, slots=True, eq=False)
class PlumeRise:
    """A rising plume by height.

    Parameters
    ----------
    seen : ndarray of float64, [n]
        Share of a vertical velocity along the line of sight.
    radial : ndarray of float64, [n]
        Velocity along the line of sight on the axis, m/s, as measured.
    advected, axial : tuple of Flux, [n]
        With either model of the flow.
    flags : ndarray of int32, [n]
        Those of the centre line and of the velocity, see `LevelFlag`.
    extras : mapping of str to ndarray of float64, [n]
        What the originals have besides (profile `matlab`).
    """

    seen: Real
    radial: Real
    advected: tuple[Flux, ...]
    axial: tuple[Flux, ...]
    flags: NDArray[np.int32]
    extras: Mapping[str, Real] = field(default_factory=dict)

    def of(self, name: str, *, axial: bool = False) -> Real:
        """Return a quantity of the fluxes by height."""
        return np.array(
            [getattr(flux, name) for flux in (self.axial if axial else self.advected)], np.float64
        )

    @property
    def structural_error(self) -> Real:
        """1-sigma error of the volume flux, that of the model of the flow included, m3/s."""
        half = (self.of("volume") - self.of("volume", axial=True)) / 2
        return np.asarray(np.hypot(half, self.of("volume_error")))


def plume_rise(
    fields: PlumeFields, line: CentreLine, least_vertical: float, *, resolution: bool = False
) -> PlumeRise:
    """Measure velocity, width and fluxes at every height of a centre line.

    Parameters
    ----------
    fields : PlumeFields
        With velocities.
    line : CentreLine
    least_vertical : float
        Levels at which the sonar sees a smaller share of a vertical velocity are left out.
    resolution : bool
        Take the widening by cell, pulse and beam out of the widths.
    """
    flags = line.flags.astype(np.int32)
    axis, volume = line.axis, fields.backscatter
    if axis is None or fields.velocity is None:
        nothing = np.full(len(line.z), np.nan)
        none = (NOTHING,) * len(line.z)
        return PlumeRise(nothing, nothing, none, none, flags | int(LevelFlag.NO_VELOCITY))
    levels = np.searchsorted(volume.z, line.z - 1e-9)
    e = line_of_sight(axis.x, axis.y, line.z, HEAD_HEIGHT)
    planes = [fields.velocity[:, :, k] for k in levels]
    radial = np.array(
        [bilinear(v, (volume.x, volume.y), x, y) for v, x, y in zip(planes, axis.x, axis.y, strict=True)]
    )
    along = np.einsum("ij,ij->i", e, axis.tangent)
    flags |= _doubts(radial, e[:, 2], along, fields.limit, least_vertical)
    usable = flags & int(LevelFlag.SEEN_FLAT | LevelFlag.ACROSS | LevelFlag.NO_VELOCITY | LevelFlag.FAST) == 0
    smooth = smoothed_along(line.z, np.where(usable, radial, np.nan))
    fluxes = []
    for n, k in enumerate(levels):
        if usable[n] and np.isfinite(smooth[n]) and not flags[n] & int(BLOCKING):
            sight = Sight(axis.tangent[n], float(smooth[n] / along[n]), float(along[n]))
            pair = _both(fields, int(k), (float(axis.x[n]), float(axis.y[n])), float(line.radius[n]), sight)
            fluxes.append(tuple(_sharpened(f, volume.steps[0]) for f in pair) if resolution else pair)
        else:
            fluxes.append((NOTHING, NOTHING))
    return PlumeRise(e[:, 2], radial, tuple(f[0] for f in fluxes), tuple(f[1] for f in fluxes), flags)


def _doubts(radial: Real, vertical: Real, along: Real, limit: float, least: float) -> NDArray[np.int32]:
    """Say at each height why the velocity on the axis cannot be used."""
    with np.errstate(invalid="ignore"):
        cases = (
            (LevelFlag.NO_VELOCITY, ~np.isfinite(radial)),
            (LevelFlag.FAST, abs(radial) > limit),
            (LevelFlag.SEEN_FLAT, ~(vertical >= least)),
            (LevelFlag.ACROSS, ~(abs(along) >= LEAST_ALONG)),
        )
    total = np.zeros(len(radial), np.int32)
    for flag, found in cases:
        total |= np.where(found, int(flag), 0).astype(np.int32)
    return total


def _both(
    fields: PlumeFields, k: int, centre: tuple[float, float], radius: float, sight: Sight
) -> tuple[Flux, Flux]:
    """Fit a section with both models of the flow."""
    volume = fields.backscatter
    reach = 3.0 * radius + volume.steps[0]
    columns = slice(*np.searchsorted(volume.x, (centre[0] - reach, centre[0] + reach)))
    rows = slice(*np.searchsorted(volume.y, (centre[1] - reach, centre[1] + reach)))
    x, y = np.meshgrid(volume.x[columns], volume.y[rows])
    if x.shape[0] < 2 or x.shape[1] < 2 or fields.velocity is None:
        return NOTHING, NOTHING
    e = line_of_sight(x, y, float(volume.z[k]), HEAD_HEIGHT)
    radial = fields.velocity[rows, columns, k]
    sigma = None
    if fields.spread is not None:
        sigma = fields.spread[rows, columns, k] / np.sqrt(max(fields.pings, 1.0)) / abs(e[..., 2])
    first, second = (
        gaussian_flux(Section(x, y, model(radial, e, sight), sigma, centre, radius))
        for model in (advected, axial)
    )
    return first, second


def _sharpened(flux: Flux, step: float) -> Flux:
    """Take the widening out of a radius; the volume flux stays, the speed on the axis rises."""
    square = flux.radius**2 - _GRID_VARIANCE * step**2 - _BEAM_VARIANCE
    if not square > 0:
        return flux
    radius = float(np.sqrt(square))
    speed = flux.volume / (np.pi * square)
    ratio = speed / flux.speed
    return Flux(
        speed,
        flux.speed_error * ratio,
        radius,
        flux.radius_error * flux.radius / radius,
        flux.volume,
        flux.volume_error,
        flux.volume * speed / 2,
        flux.summed,
        flux.misfit,
    )
