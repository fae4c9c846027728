"""Second level of diffuse-flow products: phase, temperature, active areas (docs/science.md#diffuse-flow)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from catalog.vocabulary import HEAD_HEIGHT
from covis_dask.config.science import ScienceSection
from covis_dask.science._maps import ALL, SEEN, MapGeometry, geometry_of, sector
from covis_dask.science._regions import REGIONS, add_areas, add_statistics
from covis_dask.science.constants import ENTHALPY_RATIO, water_at
from covis_dask.science.fixes import ScienceFixes, science_fixes
from covis_dask.science.flags import RegionFlag
from covis_dask.science.phase import (
    coherence_time,
    path_length,
    phase_per_kelvin,
    phase_variance,
    structure_function,
)
from covis_dask.science.quantities import Quantities
from covis_dask.science.run import attributes_of, one_run, parameter, site_of, wavenumber

__all__ = ["level2", "level2_of"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

_K: Final = 846.518  # rad/m, of 200 kHz
_MAPS: Final = {
    "decorrelation": "ping-to-ping decorrelation",
    "phase_variance": "phase variance",
    "amplitude_variance": "normalised amplitude variance",
    "log_intensity_variance": "variance of log intensity",
    "scintillation_index": "scintillation index of intensity",
}
_ACTIVE: Final = 0.2
_REFERENCE_QUANTILE: Final = 0.9
_LAG: Final = 2.0  # s
_MODERN: Final = ("phase_variance",)


@dataclass(frozen=True, slots=True, eq=False)
class DiffuseFields:
    """The maps of a product.

    Parameters
    ----------
    values : mapping of str to ndarray of float64, [Ny, Nx]
        By name without the suffix; NaN where there is nothing to be had.
    valid : mapping of str to ndarray of bool, [Ny, Nx]
        Cells that count.
    reached : mapping of str to ndarray of bool, [Ny, Nx]
        Cells with a value, whether they count or not.
    seen : ndarray of bool, [Ny, Nx]
        Cells that any sample reached.
    floor : ndarray of float64, [Ny, Nx]
        Height of the seafloor above the base, m.
    geometry : MapGeometry
    dims : tuple of str
        Of the maps.
    """

    values: Mapping[str, Real]
    valid: Mapping[str, Bool]
    reached: Mapping[str, Bool]
    seen: Bool
    floor: Real
    geometry: MapGeometry
    dims: tuple[str, str]

    def cells(self, name: str, region: str) -> Bool:
        """Return the cells of a map that count in a region."""
        if region == SEEN:
            return self.reached[name]
        return np.asarray(self.valid[name] & self.geometry.regions[region])


def level2(ds: xr.Dataset, science: ScienceSection) -> xr.Dataset:
    """Make the second level of a diffuse-flow product.

    Parameters
    ----------
    ds : Dataset
        Of a diffuse run of either era.
    science : ScienceSection
        Regions, shadows, thresholds, profile.

    Returns
    -------
    Dataset
        Active areas, means and phase by region, and maps of phase and temperature (docs/science.md).
    """
    return level2_of(ds, science, "")


def level2_of(ds: xr.Dataset, science: ScienceSection, suffix: str) -> xr.Dataset:
    """Make the second level of the maps whose names end in a suffix."""
    ds = one_run(ds)
    fields = _fields(ds, science, suffix)
    if fields is None:
        note = "The product has no map of decorrelation."
        return xr.Dataset(attrs=attributes_of(ds, science, [note], title=_TITLE))
    out = Quantities()
    names = list(fields.geometry.regions)
    coords: dict[str, Any] = {
        "region": xr.Variable(("region",), np.array(names), {"long_name": "name of the region"}),
        **{dim: ds[dim].variable for dim in fields.dims},
    }
    if "time" in ds.coords and not ds["time"].dims:
        coords["time"] = ds["time"].variable
    for name, words in _MAPS.items():
        if name in fields.values:
            add_statistics(out, fields, name, words)
    coords |= add_areas(out, fields, science.diffuse)
    threshold = science.diffuse.active.get(site_of(ds), _ACTIVE)
    facts = _add_phase(out, ds, fields, science)
    active = fields.valid["decorrelation"] & (np.nan_to_num(fields.values["decorrelation"]) > threshold)
    out.add("active", fields.dims, np.where(fields.valid["decorrelation"], active, np.nan))
    out.flags("region_flag", REGIONS, _flags(fields), RegionFlag, "doubts about a region")
    notes = [
        f"{name}: the region lies outside the sector of this run."
        for name, flag in zip(names, _flags(fields), strict=True)
        if flag & RegionFlag.OUTSIDE_SECTOR
    ]
    return out.dataset(
        coords, attributes_of(ds, science, notes, title=_TITLE, active_threshold=threshold, **facts)
    )


_TITLE: Final = "Second-level quantities of diffuse flow"


def _fields(ds: xr.Dataset, science: ScienceSection, suffix: str) -> DiffuseFields | None:
    """Read the maps of a product, and say which of their cells count."""
    first = f"decorrelation{suffix}"
    if first not in ds or ds[first].ndim != 2:
        return None
    dims = (str(ds[first].dims[0]), str(ds[first].dims[1]))
    geometry = geometry_of(ds, dims, science)
    values, valid, with_value = {}, {}, {}
    sectors: dict[bytes, Bool] = {}
    seen = np.zeros(geometry.x.shape, np.bool_)
    for name in _MAPS:
        if name + suffix not in ds:
            continue
        field = np.asarray(ds[name + suffix].values, np.float64)
        weight = f"{name}_weight{suffix}"
        reached = np.isfinite(field)
        if weight in ds:
            reached = np.nan_to_num(np.asarray(ds[weight].values)) > 0
        values[name] = field
        key = reached.tobytes()  # most maps reach the same cells
        if key not in sectors:
            sectors[key] = sector(reached, geometry, ds) & geometry.allowed
        with_value[name] = reached & np.isfinite(field)
        valid[name] = sectors[key] & with_value[name]
        seen |= reached
    return DiffuseFields(values, valid, with_value, seen, _floor(ds, suffix, geometry), geometry, dims)


def _floor(ds: xr.Dataset, suffix: str, geometry: MapGeometry) -> Real:
    """Return the height of the seafloor: that of the product, else a flat one at the base."""
    for name in ("bathymetry", f"seafloor_height{suffix}"):
        if name in ds.variables and ds[name].shape == geometry.x.shape:
            return np.nan_to_num(np.asarray(ds[name].values, np.float64))
    return np.zeros(geometry.x.shape)


def _flags(fields: DiffuseFields) -> list[int]:
    """Say of each region what speaks against it."""
    flags = []
    for name, mask in fields.geometry.regions.items():
        flag = RegionFlag(0)
        valid = np.count_nonzero(fields.cells("decorrelation", name))
        if not (fields.seen & mask).any():
            flag |= RegionFlag.OUTSIDE_SECTOR
        if not valid:
            flag |= RegionFlag.NO_VALUES
        elif name not in (ALL, SEEN) and 2 * valid < np.count_nonzero(mask & fields.geometry.allowed):
            flag |= RegionFlag.PARTLY_SEEN
        flags.append(int(flag))
    return flags


def _add_phase(
    out: Quantities, ds: xr.Dataset, fields: DiffuseFields, science: ScienceSection
) -> dict[str, Any]:
    """Add phase and temperature; return what the attributes say of them."""
    fixes = science_fixes(science.profile, science.fixes)
    reference = _reference_correlation(fields)
    facts = {"reference_correlation": reference}
    if "phase_variance" not in fields.values:
        return facts
    valid = fields.valid["decorrelation"]
    structure = structure_function(np.where(valid, 1 - fields.values["decorrelation"], np.nan), reference)
    out.add("phase_structure", fields.dims, structure)
    pings = _pings(ds)
    variance = _variance(fields, pings, fixes)
    lag = parameter(ds, "correlation", "tlag", _LAG)
    pooled = [_pooled(fields, region, pings, fixes) for region in fields.geometry.regions]
    means = [_mean(structure, mask) for mask in fields.geometry.regions.values()]
    out.add("phase_variance_pooled", REGIONS, pooled, pings=pings)
    out.add("phase_structure_mean", REGIONS, means, ("rad2", "mean structure function of the phase"), lag=lag)
    out.add("coherence_time", REGIONS, coherence_time(np.array(means), np.array(pooled), lag))
    if "log_intensity_variance" in fields.values:
        chi = fields.values["log_intensity_variance"]
        amplitudes = [
            _mean(np.where(fields.valid["log_intensity_variance"], chi, np.nan), mask) / 4
            for mask in fields.geometry.regions.values()
        ]
        out.add("log_amplitude_variance", REGIONS, amplitudes)
    temperature = _temperature(ds, fields, variance, science)
    out.add(
        "temperature_fluctuation",
        fields.dims,
        temperature,
        quality="relative",
        layer_height=science.diffuse.layer_height,
        integral_length=science.diffuse.integral_length,
    )
    if science.diffuse.heat_flux_density:
        _add_heat(out, ds, fields, science, (temperature, coherence_time(structure, variance, lag)))
    return {**facts, "window_pings": pings, "lag": lag}


def _reference_correlation(fields: DiffuseFields) -> float:
    """Return the correlation where nothing flows: outside regions with flow; 1 where none is configured."""
    outside = fields.valid["decorrelation"] & fields.geometry.outside_active
    if not outside.any():
        return 1.0
    correlation = 1 - fields.values["decorrelation"][outside]
    return float(np.clip(np.quantile(correlation, _REFERENCE_QUANTILE), 0.05, 1.0))


def _pings(ds: xr.Dataset) -> float:
    """Return the number of pings over which the coherence was averaged."""
    if "window_pings" in ds.attrs:
        return float(ds.attrs["window_pings"])
    if "burst_npings" in ds and ds["burst_npings"].size:
        return float(np.median(ds["burst_npings"].values))
    return float("inf")


def _unbiased(coherence: Any, pings: float, fixes: ScienceFixes) -> Real:
    """Return the phase variance of a coherence, as is or without the share of the few pings (Q65)."""
    if fixes.pooled_coherence and np.isfinite(pings):
        return phase_variance(coherence, pings)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.log(coherence))


def _variance(fields: DiffuseFields, pings: float, fixes: ScienceFixes) -> Real:
    stored = np.where(fields.valid["phase_variance"], fields.values["phase_variance"], np.nan)
    return _unbiased(np.exp(-stored), pings, fixes)


def _pooled(fields: DiffuseFields, region: str, pings: float, fixes: ScienceFixes) -> float:
    """Return the phase variance of a region: the coherence is averaged before the logarithm."""
    chosen = fields.values["phase_variance"][fields.cells("phase_variance", region)]
    if not chosen.size:
        return float("nan")
    if not fixes.pooled_coherence:
        return float(chosen.mean())
    return float(_unbiased(float(np.exp(-chosen).mean()), pings, fixes))


def _mean(values: Real, mask: Bool) -> float:
    chosen = values[mask & np.isfinite(values)]
    return float(chosen.mean()) if chosen.size else float("nan")


def _temperature(ds: xr.Dataset, fields: DiffuseFields, variance: Real, science: ScienceSection) -> Real:
    """Return the temperature fluctuation of the warm layer that makes the phase flutter so, K."""
    geometry = fields.geometry
    known = np.isfinite(variance)  # few cells of a map are
    below = HEAD_HEIGHT - fields.floor[known]
    path = path_length(science.diffuse.layer_height, below / np.hypot(geometry.distance[known], below))
    per_kelvin = phase_per_kelvin(
        path, science.diffuse.integral_length, wavenumber(ds, _K), water_at(site_of(ds)).sound_expansion
    )
    temperature = np.full(variance.shape, np.nan)
    temperature[known] = np.sqrt(variance[known]) / per_kelvin
    return temperature


def _add_heat(
    out: Quantities, ds: xr.Dataset, fields: DiffuseFields, science: ScienceSection, maps: tuple[Real, Real]
) -> None:
    """Add the proxy of the heat flux density: temperature excess that rises at the speed of its eddies."""
    water, (temperature, time) = water_at(site_of(ds)), maps
    rise = science.diffuse.integral_length / time
    density = (
        science.diffuse.heat_flux_calibration
        * water.density
        * water.heat_capacity
        * rise
        * temperature
        / ENTHALPY_RATIO
    )
    masks = fields.geometry.regions.values()
    means = [_mean(density, mask) for mask in masks]
    out.add("heat_flux_density_proxy", REGIONS, means, quality="uncalibrated")
    totals = [float(np.nansum(density[mask])) * fields.geometry.cell for mask in masks]
    out.add("heat_flow_proxy", REGIONS, totals, quality="uncalibrated")
