"""The originals' second-level programs, for the profile `matlab` (docs/science.md#profiles)."""

from covis_dask.science.originals.centres import original_fields, original_line
from covis_dask.science.originals.heat import month_heat_flux, run_heat_flux
from covis_dask.science.originals.rise import original_rise
from covis_dask.science.originals.volume import original_volume

__all__ = [
    "month_heat_flux",
    "original_fields",
    "original_line",
    "original_rise",
    "original_volume",
    "run_heat_flux",
]
