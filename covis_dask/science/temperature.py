"""Temperature fluctuation of plumes by height, from their backscatter."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.config.science import ScienceSection
from covis_dask.science._plumes import LEVELS, FoundVent, by_level
from covis_dask.science.constants import water_at
from covis_dask.science.line import CentreLine
from covis_dask.science.quantities import Quantities
from covis_dask.science.run import site_of, wavenumber
from covis_dask.science.scattering import Turbulence, outer_scale, temperature_std

__all__ = ["add_temperature", "plume_temperature"]

_K: Final = 1676.106  # rad/m, of 396 kHz


def plume_temperature(line: CentreLine, ds: xr.Dataset, science: ScienceSection) -> NDArray[np.float64]:
    """Return the standard deviation of temperature (K) at the centres, with the outer scale of the radius."""
    water, k = water_at(site_of(ds)), wavenumber(ds, _K)
    spectrum = science.plume.spectrum
    values = [
        float(temperature_std(peak, Turbulence(outer_scale(radius), spectrum), k, water))
        if np.isfinite(radius) and np.isfinite(peak)
        else np.nan
        for peak, radius in zip(line.peak, line.radius, strict=True)
    ]
    return science.plume.calibration * np.array(values, np.float64)


def add_temperature(
    out: Quantities, found: Sequence[FoundVent], levels: Any, ds: xr.Dataset, science: ScienceSection
) -> None:
    """Add the temperature fluctuation of all plumes."""
    out.add(
        "temperature_std",
        LEVELS,
        by_level(found, levels, lambda _, line: plume_temperature(line, ds, science)),
        quality="relative",
        spectrum=science.plume.spectrum,
        outer_scale="radius of the backscatter, at least 0.3 m",
        calibration=science.plume.calibration,
    )
