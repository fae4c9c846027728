"""Bursts the plain way: all samples of all pings at once, where the programs take a part or a few rows."""

import numpy as np

from covis_dask.modes.ashes.imaging import ImagingBurst, _reduced
from covis_dask.modes.endeavour._operators import PingOperators
from covis_dask.modes.endeavour._reach import whole
from covis_dask.modes.endeavour._series import Series
from covis_dask.modes.parameters import Noise, Oscfar, Parameters
from covis_dask.sonar._types import Complex
from covis_dask.sonar.calibration import Calibration
from covis_dask.sonar.detect import oscfar
from covis_dask.sonar.stats import PingStatistics
from covis_dask.sonar.windows import WindowSums

__all__ = ["imaging_burst", "series"]


def imaging_burst(
    pings: PingStatistics, calibration: Calibration, noise: Noise, levels: Oscfar
) -> ImagingBurst:
    """Reduce the pings of a burst, 2018+; arrays [N, B] (docs/method.md#imaging-2018 steps 2.2 to 2.6)."""
    detected_a, _ = oscfar(np.abs(pings.mean) ** 2, levels.percentile, levels.threshold)
    detected_d, _ = oscfar(np.sqrt(pings.fluctuation_power) ** 2, levels.percentile, levels.threshold)
    return _reduced(pings, calibration.gain, noise.noise_floor, detected_a, detected_d)


def series(samples: Complex, operators: PingOperators, parameters: Parameters) -> Series:
    """Return the window averages of a calibrated ping, or of the scaled difference of two, 2010-15 Doppler.

    See docs/method.md#doppler-2010-15 step 4.
    """
    part = whole(operators, parameters)
    sums = WindowSums(part.power, part.lagged, part.lag, samples.shape[1])
    sums.add(samples)
    return Series(sums.power, sums.autocovariance)
