"""Second level of Doppler products: rise, fluxes and heat flux of plumes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.config.science import ScienceSection, Vent
from covis_dask.science._plumes import (
    LEVELS,
    VENTS,
    FoundVent,
    add_axis,
    add_centres,
    by_level,
    coordinates,
    find_vents,
    level_flags,
    vents_of,
    window,
)
from covis_dask.science.constants import SeaWater, water_at
from covis_dask.science.fixes import ScienceFixes, science_fixes
from covis_dask.science.flags import LevelFlag, VentFlag
from covis_dask.science.grids import PlumeFields, plume_fields
from covis_dask.science.heat import Entrainment, Heat, PlumeProfile, heat_flux
from covis_dask.science.line import BLOCKING, CentreLine, centre_line
from covis_dask.science.originals import original_fields, original_line, original_rise, run_heat_flux
from covis_dask.science.plume_model import virtual_depth
from covis_dask.science.quantities import Quantities, quality_of
from covis_dask.science.rise import PlumeRise, plume_rise
from covis_dask.science.run import attributes_of, one_run, site_of
from covis_dask.science.scattering import heat_from_backscatter
from covis_dask.science.temperature import add_temperature, plume_temperature

__all__ = ["level2"]

Real = NDArray[np.float64]

_NO: Real = np.empty(0)

_MEAN_SHARE = 0.5
"""Momentum-weighted speed of a Gaussian section to that on its axis."""


@dataclass(frozen=True, slots=True, eq=False)
class _RisingVent:
    """A vent with the rise of its plume and its heat flux, with either model of the flow."""

    found: FoundVent
    rise: PlumeRise | None
    heat: Heat
    heat_axial: Heat
    profile: PlumeProfile

    @property
    def structural_error(self) -> float:
        """Half of what the estimates differ by, W: either model of the flow, and the speed alone."""
        fluxes = np.array([self.heat.flux, self.heat_axial.flux, self.heat.from_speed])
        if not np.isfinite(fluxes[0]):
            return float("nan")
        return float(np.nanmax(fluxes) - np.nanmin(fluxes)) / 2


def level2(ds: xr.Dataset, science: ScienceSection) -> xr.Dataset:
    """Make the second level of a Doppler product.

    Parameters
    ----------
    ds : Dataset
        Of a Doppler run.
    science : ScienceSection
        Vents with the entrainment that is held, profile.

    Returns
    -------
    Dataset
        Centre, axis, velocity, fluxes and heat flux of every plume (docs/science.md), with 1-sigma errors and
        flags.
    """
    fixes = science_fixes(science.profile, science.fixes)
    ds = one_run(ds)
    vents, notes = vents_of(ds, science)
    fields = plume_fields(ds, window(vents), offset=fixes.offset_subtracted) if vents else None
    if vents and (fields is None or fields.velocity is None):
        notes.append("The product has no velocities.")
    follow = centre_line
    if science.profile == "matlab":
        fields = None if fields is None else original_fields(fields)
        follow = partial(original_line, fixes=fixes)
    found, more = find_vents(fields, vents, follow)
    water = water_at(site_of(ds), own=fixes.own_water)
    rising = [_measured(one, fields, science, fixes, water) for one in found]
    coords = coordinates(ds, found)
    out = Quantities()
    levels = coords["level"].values
    add_centres(out, found, levels)
    add_axis(out, found, levels)
    add_temperature(out, found, levels, ds, science)
    _add_rise(out, rising, levels)
    _add_heat(out, rising, water)
    if science.plume.calibration != 1.0:  # without one the temperatures are relative
        heats = [
            np.nan
            if one.found.line is None
            else _from_backscatter(one, plume_temperature(one.found.line, ds, science), water)
            for one in rising
        ]
        out.add("heat_flux_from_backscatter", VENTS, heats)
    return out.dataset(coords, attributes_of(ds, science, notes + more, **_facts(water)))


def _measured(
    one: FoundVent, fields: PlumeFields | None, science: ScienceSection, fixes: ScienceFixes, water: SeaWater
) -> _RisingVent:
    """Measure the rise and the heat flux of one plume."""
    rise = None
    least = science.plume.least_vertical
    matlab = science.profile == "matlab"
    if fields is not None and one.line is not None:
        resolution = science.plume.resolution_correction
        rise = (
            original_rise(fields, one.line, fixes)
            if matlab
            else plume_rise(fields, one.line, least, resolution=resolution)
        )
    profiles = [_profile(one, rise, axial=axial) for axial in (False, True)]
    if matlab:
        heat, heat_axial = (run_heat_flux(p, one.vent.entrainment, fixes, water) for p in profiles)
    else:
        held = Entrainment(one.vent.entrainment, one.vent.entrainment_error)
        heat, heat_axial = (heat_flux(profile, held, water) for profile in profiles)
    flags = one.flags | heat.flags
    if rise is not None and not np.isfinite(rise.of("volume")).any():
        flags |= VentFlag.NO_VELOCITY
    return _RisingVent(replace(one, flags=flags), rise, heat, heat_axial, profiles[0])


def _profile(one: FoundVent, rise: PlumeRise | None, *, axial: bool) -> PlumeProfile:
    """Return what enters the heat flux: the levels without doubts in the range of heights for it."""
    if rise is None or one.line is None:
        return PlumeProfile(_NO, _NO, _NO, _NO, _NO)
    line = one.line
    low, high = one.vent.heat_levels or one.vent.levels
    blocked = int(BLOCKING | LevelFlag.SEEN_FLAT | LevelFlag.NO_VELOCITY | LevelFlag.ACROSS | LevelFlag.FAST)
    volume, volume_error, radius, radius_error, speed = (
        rise.of(name, axial=axial) for name in ("volume", "volume_error", "radius", "radius_error", "speed")
    )
    good = (line.z >= low - 1e-9) & (line.z <= high + 1e-9) & (rise.flags & blocked == 0)
    good &= np.isfinite(volume) & (volume > 0)
    inclination = np.nan if line.axis is None else line.axis.lean.inclination
    return PlumeProfile(
        line.z[good],
        volume[good],
        volume_error[good],
        radius[good],
        radius_error[good],
        speed[good],
        inclination,
    )


def _add_rise(out: Quantities, rising: Sequence[_RisingVent], levels: Real) -> None:
    """Add velocities and fluxes by height."""
    found = [one.found for one in rising]
    rises = {id(one.found): one.rise for one in rising}

    def add(name: str, values: Any) -> None:
        def of(one: FoundVent, _: CentreLine) -> Any:
            rise = rises[id(one)]
            return np.nan if rise is None else values(rise)

        out.add(name, LEVELS, by_level(found, levels, of))

    add("line_of_sight_vertical", lambda rise: rise.seen)
    add("radial_velocity_axis", lambda rise: rise.radial)
    for name, key in (
        ("vertical_velocity_axis", "speed"),
        ("vertical_velocity_axis_error", "speed_error"),
        ("radius_velocity", "radius"),
        ("radius_velocity_error", "radius_error"),
        ("volume_flux", "volume"),
        ("volume_flux_error", "volume_error"),
        ("volume_flux_sum", "summed"),
        ("momentum_flux", "momentum"),
    ):
        add(name, lambda rise, key=key: rise.of(key))
    for name in {name for rise in rises.values() if rise is not None for name in rise.extras}:
        add(name, lambda rise, name=name: rise.extras.get(name, np.nan))
    add("volume_flux_structural_error", lambda rise: rise.structural_error)
    add("volume_flux_axial", lambda rise: rise.of("volume", axial=True))

    def flags(one: FoundVent, line: CentreLine) -> Any:
        rise = rises[id(one)]
        return line.flags if rise is None else rise.flags

    out.flags("flag", LEVELS, level_flags(found, levels, flags), LevelFlag, "doubts about a level")


def _add_heat(out: Quantities, rising: Sequence[_RisingVent], water: SeaWater) -> None:
    """Add heat fluxes and what they rest on."""
    vents: list[Vent] = [one.found.vent for one in rising]
    out.add("entrainment", VENTS, [vent.entrainment for vent in vents])
    out.add("entrainment_error", VENTS, [vent.entrainment_error for vent in vents])
    for name, key in (
        ("entrainment_run", "entrainment_run"),
        ("virtual_source_height", "source"),
        ("buoyancy_flux", "buoyancy"),
        ("flux_misfit", "flux_misfit"),
        ("width_misfit", "width_misfit"),
        ("heat_flux", "flux"),
        ("heat_flux_from_velocity", "from_speed"),
    ):
        out.add(name, VENTS, [getattr(one.heat, key) for one in rising])
    errors = [float(np.hypot(one.heat.error, np.nan_to_num(one.structural_error))) for one in rising]
    out.add("heat_flux_error", VENTS, errors)
    out.add("heat_flux_structural_error", VENTS, [one.structural_error for one in rising])
    out.add("heat_flux_axial", VENTS, [one.heat_axial.flux for one in rising])
    out.add("virtual_depth_hk", VENTS, [_virtual_depth(one, water) for one in rising])
    for name, key in (("current_east", "east"), ("current_north", "north")):
        out.add(name, VENTS, [_current(one, key) for one in rising])
    flags = [int(one.found.flags) for one in rising]
    out.flags("plume_flag", VENTS, flags, VentFlag, "doubts about a plume")
    qualities = [
        quality_of(one.profile.inclination, np.nan if one.found.flags & VentFlag.NO_HEAT else one.heat.flux)
        for one in rising
    ]
    out.quality("heat_flux_quality", VENTS, qualities, "quality of the heat flux, by inclination")


def _virtual_depth(one: _RisingVent, water: SeaWater) -> float:
    """Return the depth of the virtual source below the lowest level."""
    profile = one.profile
    if not len(profile.z) or not np.isfinite(one.heat.flux):
        return float("nan")
    level = (float(profile.volume[0]), float(profile.radius[0]))
    return virtual_depth(water.heat_per_buoyancy, one.heat.flux, level, one.found.vent.entrainment)


def _from_backscatter(one: _RisingVent, temperature: Real, water: SeaWater) -> float:
    """Return the median over the levels of the heat flux from calibrated temperature fluctuations."""
    line, profile = one.found.line, one.profile
    if line is None or profile.speed is None or not profile.z.size:
        return float("nan")
    chosen = temperature[np.isin(line.z, profile.z)]
    return float(np.nanmedian(heat_from_backscatter(chosen, profile.speed, profile.radius, water)))


def _current(one: _RisingVent, key: str) -> float:
    """Return the apparent current that bends the plume, m/s."""
    line = one.found.line
    if line is None or line.axis is None or one.profile.speed is None or not one.profile.speed.size:
        return float("nan")
    return _MEAN_SHARE * float(np.mean(one.profile.speed)) * float(getattr(line.axis.lean, key))


def _facts(water: SeaWater) -> dict[str, Any]:
    """Return what else the attributes say."""
    return {
        "title": "Second-level quantities of plume Doppler",
        "heat_per_buoyancy": water.heat_per_buoyancy,
        "heat_per_buoyancy_comment": "rho cp / (g alpha_T), W s3 m-4, for water of "
        f"{water.temperature:g} degrees Celsius; warmer water gives less heat",
        "entrainment_comment": "Held for single runs: heat flux is proportional to it.",
    }
