"""Many runs in time: averages, direction, tides and spectra (docs/science.md#series).

Functions take `pandas.Series` with a time index, one row a run, NaN where a run has no value. Nothing is
interpolated, and runs are never averaged silently.
"""

from covis_dask.science.timeseries.directions import BimodalDirection, bimodal_direction, lean_statistics
from covis_dask.science.timeseries.resampling import effective_size, resample
from covis_dask.science.timeseries.rotary import TidalEllipse, rotary_fit, rotary_spectrum
from covis_dask.science.timeseries.spectra import coherence, lomb_scargle
from covis_dask.science.timeseries.tides import (
    CONSTITUENTS,
    alias_period,
    harmonic_fit,
    resolved_constituents,
    sampling_interval,
)

__all__ = [
    "CONSTITUENTS",
    "BimodalDirection",
    "TidalEllipse",
    "alias_period",
    "bimodal_direction",
    "coherence",
    "effective_size",
    "harmonic_fit",
    "lean_statistics",
    "lomb_scargle",
    "resample",
    "resolved_constituents",
    "rotary_fit",
    "rotary_spectrum",
    "sampling_interval",
]
