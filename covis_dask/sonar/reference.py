"""The steps one after the other, each with its result, as docs/method.md describes them.

Programs go through them in one go (`covis_dask.sonar.fused`); this is what they are compared with, and what
shows a ping after each step.
"""

from collections.abc import Callable
from dataclasses import dataclass

from covis_dask.sonar._types import Complex
from covis_dask.sonar.beamform import Beamformer
from covis_dask.sonar.calibration import Calibration

__all__ = ["PingStages", "ping_stages"]


@dataclass(frozen=True, slots=True, eq=False)
class PingStages:
    """One ping after each step.

    Parameters
    ----------
    phased, filtered : ndarray of complex128, [N, E]
        Element data after phase correction and after the filter (decimated: fewer samples), machine units.
    beams : ndarray of complex128, [N, B]
        Machine units.
    calibrated : ndarray of complex128, [N, B]
        1/sqrt(m) for volume scattering.
    """

    phased: Complex
    filtered: Complex
    beams: Complex
    calibrated: Complex


def ping_stages(
    phased: Complex, lowpass: Callable[[Complex], Complex], beamformer: Beamformer, calibration: Calibration
) -> PingStages:
    """Filter, beamform and calibrate one ping.

    See docs/method.md#imaging-2010-15 step 2.1, #doppler-2010-15 step 2.

    Parameters
    ----------
    phased : ndarray of complex128, [N, E]
        Element data after phase correction.
    lowpass : callable
        A `covis_dask.sonar.filter.Lowpass`, or what leaves element data as they are.
    beamformer : Beamformer
    calibration : Calibration
        Of the samples that the filter keeps.
    """
    filtered = lowpass(phased)
    beams = beamformer(filtered)
    return PingStages(phased, filtered, beams, calibration.apply(beams))
