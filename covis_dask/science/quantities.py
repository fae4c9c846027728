"""Names, units and words of all second-level quantities, and the dataset that is made of them."""

from collections.abc import Mapping, Sequence
from enum import IntFlag
from typing import Any, Final

import numpy as np
import xarray as xr

from covis_dask.science.flags import flag_attributes

__all__ = ["QUALITIES", "QUANTITIES", "Quantities", "quality_of"]

_AXIAL = ", with water that follows the axis"

QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    # plumes, by height
    "center_x": ("m", "distance east of the plume's centre"),
    "center_y": ("m", "distance north of the plume's centre"),
    "center_moment_x": ("m", "distance east of the centroid of the backscatter"),
    "center_moment_y": ("m", "distance north of the centroid of the backscatter"),
    "radius_backscatter": ("m", "e-folding radius of the backscatter"),
    "peak_backscatter": ("m-1", "volume backscattering coefficient at the plume's centre"),
    "background_backscatter": ("m-1", "volume backscattering coefficient around the plume"),
    "axis_x": ("m", "distance east of the plume's axis"),
    "axis_y": ("m", "distance north of the plume's axis"),
    "tangent_x": ("1", "eastward component of the axis's direction"),
    "tangent_y": ("1", "northward component of the axis's direction"),
    "tangent_z": ("1", "upward component of the axis's direction"),
    "arc_length": ("m", "distance along the axis from the top of the vent"),
    "line_of_sight_vertical": ("1", "share of a vertical velocity in that along the line of sight"),
    "radial_velocity_axis": ("m s-1", "velocity away from the sonar on the axis"),
    "vertical_velocity_axis": ("m s-1", "vertical velocity on the axis"),
    "radius_velocity": ("m", "e-folding radius of the vertical velocity"),
    "volume_flux": ("m3 s-1", "volume flux of the plume"),
    "volume_flux_structural_error": (
        "m3 s-1",
        "1-sigma error of the volume flux with that of the model of the flow",
    ),
    "volume_flux_axial": ("m3 s-1", "volume flux of the plume" + _AXIAL),
    "volume_flux_sum": ("m3 s-1", "volume flux of the plume, summed over cells"),
    "volume_flux_weighted": ("m3 s-1", "volume flux of the plume, velocity weighted with backscatter"),
    "momentum_flux": ("m4 s-2", "specific momentum flux of the plume"),
    "centerline_velocity": ("m s-1", "vertical velocity at the plume's centre, of a fitted profile"),
    "temperature_std": ("K", "standard deviation of temperature at the plume's centre, from backscatter"),
    # plumes as a whole
    "vent_x": ("m", "distance east of the vent"),
    "vent_y": ("m", "distance north of the vent"),
    "vent_z": ("m", "height of the vent above the base of COVIS"),
    "inclination": ("degree", "inclination of the plume from the vertical"),
    "azimuth": ("degree", "direction towards which the plume leans, clockwise from north"),
    "azimuth_math": ("degree", "direction towards which the plume leans, counter-clockwise from east"),
    "lean_east": ("1", "eastward shift of the plume per height"),
    "lean_north": ("1", "northward shift of the plume per height"),
    "curvature": ("m-1", "curvature of the plume's axis at mid height"),
    "displacement_east": ("m", "eastward distance of the axis from the vent, at the highest level"),
    "displacement_north": ("m", "northward distance of the axis from the vent, at the highest level"),
    "plume_height": ("m", "height of the plume above the vent"),
    "plume_width": ("m", "greatest width of the plume's horizontal sections"),
    "plume_volume": ("m3", "volume of the plume"),
    "integrated_backscatter": ("dB", "backscatter integrated over the plume, re 1 m2"),
    "mean_backscatter": ("dB", "mean volume backscattering strength of the plume, re 1 m-1"),
    "entrainment": ("1", "entrainment coefficient that was used"),
    "entrainment_run": ("1", "entrainment coefficient of the run's own widths"),
    "virtual_source_height": ("m", "height of the virtual source above the base of COVIS"),
    "virtual_depth_hk": ("m", "depth of the virtual source below the lowest level, after Hunt and Kaye"),
    "buoyancy_flux": ("m4 s-3", "buoyancy flux of the plume"),
    "heat_flux": ("W", "heat flux of the plume"),
    "heat_flux_structural_error": ("W", "1-sigma error of the heat flux from what the estimates differ by"),
    "heat_flux_axial": ("W", "heat flux of the plume" + _AXIAL),
    "heat_flux_from_velocity": ("W", "heat flux of the plume, from the velocity on its axis alone"),
    "heat_flux_from_backscatter": ("W", "heat flux of the plume, from velocity and temperature fluctuation"),
    "flux_misfit": ("1", "relative misfit of the volume flux to the plume model"),
    "width_misfit": ("1", "relative misfit of the widths to a straight line"),
    "current_east": ("m s-1", "apparent eastward current, from the lean of the plume"),
    "current_north": ("m s-1", "apparent northward current, from the lean of the plume"),
    # regions
    "valid_area": ("m2", "area with values"),
    "active_area": ("m2", "area where the map exceeds the threshold"),
    "active_fraction": ("1", "share of the valid area where the map exceeds the threshold"),
    "patch_count": ("1", "connected patches of active cells"),
    "patch_area": ("m2", "area of the patches of active cells"),
    "effective_area": ("m2", "effective area of decorrelation"),
    "effective_fraction": ("1", "effective area of decorrelation to the valid area"),
    "centroid_x": ("m", "distance east of the centroid of decorrelation"),
    "centroid_y": ("m", "distance north of the centroid of decorrelation"),
    "active_centroid_x": ("m", "distance east of the centroid of the active cells"),
    "active_centroid_y": ("m", "distance north of the centroid of the active cells"),
    "phase_variance_pooled": ("rad2", "phase variance over the window, from the mean coherence"),
    "coherence_time": ("s", "coherence time of the phase"),
    "log_amplitude_variance": ("1", "variance of log amplitude"),
    "heat_flux_density_proxy": ("W m-2", "mean heat flux density of diffuse flow, an uncalibrated proxy"),
    "heat_flow_proxy": ("W", "heat flow of diffuse flow, an uncalibrated proxy"),
    # maps
    "phase_structure": ("rad2", "structure function of the phase at the lag of the pairs"),
    "temperature_fluctuation": ("K", "standard deviation of the temperature of the warm layer, from phase"),
    "active": ("1", "active diffuse flow"),
}
"""Units and long name of each quantity; statistics of maps are described where they are made."""

QUALITIES: Final = ("good", "fair", "poor", "bad")
_GOOD, _FAIR = 3.0, 10.0  # degrees


def quality_of(inclination: float, value: float) -> int:
    """Return the place in `QUALITIES` of a flux of a plume with an inclination (degrees)."""
    if not np.isfinite(value):
        return 3
    return 0 if inclination < _GOOD else 1 if inclination <= _FAIR else 2


class Quantities:
    """Collects quantities and makes a dataset of them."""

    def __init__(self) -> None:
        self._variables: dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]] = {}

    def add(
        self,
        name: str,
        dims: Sequence[str],
        values: Any,
        words: tuple[str, str] | None = None,
        **attributes: Any,
    ) -> None:
        """Add a quantity; ``..._error`` is the standard error of the quantity of that name.

        Parameters
        ----------
        name : str
        dims : sequence of str
        values : array-like
        words : tuple of str, optional
            Units and long name of what is not in the table.
        **attributes
            Further ones.
        """
        units, long_name = words or _described(name)
        known = {"units": units, "long_name": long_name, **attributes}
        self._variables[name] = (tuple(dims), np.asarray(values, np.float64), known)
        owner = name.removesuffix("_error")
        if owner != name and owner in self._variables:
            self._variables[owner][2]["ancillary_variables"] = name

    def flags(self, name: str, dims: Sequence[str], values: Any, kind: type[IntFlag], long_name: str) -> None:
        """Add a bit mask."""
        attributes = {"long_name": long_name, **flag_attributes(kind)}
        self._variables[name] = (tuple(dims), np.asarray(values, np.int32), attributes)

    def quality(self, name: str, dims: Sequence[str], values: Any, long_name: str) -> None:
        """Add places in `QUALITIES`."""
        attributes = {
            "long_name": long_name,
            "units": "1",
            "flag_values": np.arange(len(QUALITIES), dtype=np.int8),
            "flag_meanings": " ".join(QUALITIES),
        }
        self._variables[name] = (tuple(dims), np.asarray(values, np.int8), attributes)

    def dataset(self, coords: Mapping[str, Any], attributes: Mapping[str, Any]) -> xr.Dataset:
        """Return the dataset."""
        return xr.Dataset(
            {name: xr.Variable(*parts, fastpath=True) for name, parts in self._variables.items()},
            dict(coords),
            dict(attributes),
        )


def _described(name: str) -> tuple[str, str]:
    if name in QUANTITIES:
        return QUANTITIES[name]
    units, long_name = QUANTITIES[name.removesuffix("_error")]
    return units, f"1-sigma error of the {long_name}"
