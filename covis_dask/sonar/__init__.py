"""Arrays to arrays: the processing steps of the method, free of files, parameters and Dask.

See docs/method.md#processing-steps.

Element data are [N, E], beams [N, B]: sample axis first, C order, complex128. Angles are radians unless a
name ends in ``_deg``.
"""

from covis_dask.sonar.beamform import Beamformer, ReceiverArray, Sector, beam_count, beamformer
from covis_dask.sonar.bursts import Burst, bursts_ashes, bursts_endeavour
from covis_dask.sonar.calibration import (
    Calibration,
    CalibrationUnavailable,
    Medium,
    SonarSettings,
    calibration,
)
from covis_dask.sonar.detect import NoiseLevels, OscfarLevels, oscfar, percentile_hazen, snr_db
from covis_dask.sonar.filter import FilterSettings, Lowpass, make_filter
from covis_dask.sonar.geometry import (
    BeamDirections,
    HeadAttitude,
    directions_ashes,
    directions_endeavour,
    elevation_sine,
    flat_bottom,
    receiver_to_world,
)
from covis_dask.sonar.grid import GridAxes, Gridder, OwnSamples, make_gridder
from covis_dask.sonar.phase import correct_phase, monitor_samples, offset_covariance, phase_offset
from covis_dask.sonar.ranges import range_axis
from covis_dask.sonar.seafloor import (
    Seafloor,
    SeafloorCrossings,
    SeafloorSearch,
    seafloor_crossings,
)
from covis_dask.sonar.seawater import (
    ASHES,
    ENDEAVOUR,
    SeaWater,
    Water,
    absorption,
    absorption_2010,
    sound_speed,
)
from covis_dask.sonar.stats import PingStatistics, ScintillationStatistics, median_filter
from covis_dask.sonar.windows import (
    Bins,
    complete_bins,
    cut_bins,
    hamming_covariance,
    lagged_bins,
    velocity_scale,
    window_bins,
    window_correlation,
    window_power,
    window_ranges,
)

__all__ = [
    "ASHES",
    "ENDEAVOUR",
    "BeamDirections",
    "Beamformer",
    "Bins",
    "Burst",
    "Calibration",
    "CalibrationUnavailable",
    "FilterSettings",
    "GridAxes",
    "Gridder",
    "HeadAttitude",
    "Lowpass",
    "Medium",
    "NoiseLevels",
    "OscfarLevels",
    "OwnSamples",
    "PingStatistics",
    "ReceiverArray",
    "ScintillationStatistics",
    "SeaWater",
    "Seafloor",
    "SeafloorCrossings",
    "SeafloorSearch",
    "Sector",
    "SonarSettings",
    "Water",
    "absorption",
    "absorption_2010",
    "beam_count",
    "beamformer",
    "bursts_ashes",
    "bursts_endeavour",
    "calibration",
    "complete_bins",
    "correct_phase",
    "cut_bins",
    "directions_ashes",
    "directions_endeavour",
    "elevation_sine",
    "flat_bottom",
    "hamming_covariance",
    "lagged_bins",
    "make_filter",
    "make_gridder",
    "median_filter",
    "monitor_samples",
    "offset_covariance",
    "oscfar",
    "percentile_hazen",
    "phase_offset",
    "range_axis",
    "receiver_to_world",
    "seafloor_crossings",
    "snr_db",
    "sound_speed",
    "velocity_scale",
    "window_bins",
    "window_correlation",
    "window_power",
    "window_ranges",
]
