"""Why a quantity is missing or not to be trusted: bit masks, with their meanings for CF attributes."""

from enum import IntFlag
from typing import Any

import numpy as np

__all__ = ["ChangeFlag", "LevelFlag", "RegionFlag", "VentFlag", "flag_attributes"]


class LevelFlag(IntFlag):
    """Of a plume at one height."""

    NO_CELLS = 1
    NOT_CONVERGED = 2
    CENTRE_FAR = 4
    RADIUS_AT_BOUND = 8
    FEW_CELLS = 16
    WEAK_PEAK = 32
    POOR_FIT = 64
    CUT_BY_EDGE = 128
    SECOND_PLUME = 256
    OUTLIER = 512
    SEEN_FLAT = 1024
    """The sonar sees too small a share of a vertical velocity."""
    NO_VELOCITY = 2048
    FAST = 4096
    """The velocity along the line of sight is beyond what the low-pass filter lets through unharmed."""
    ACROSS = 8192
    """The axis is almost perpendicular to the line of sight."""
    NOT_ANALYSED = 16384
    """The height is none of this vent's."""


class VentFlag(IntFlag):
    """Of a plume as a whole."""

    NO_PLUME = 1
    NO_AXIS = 2
    FEW_LEVELS = 4
    ALPHA_DEFAULT = 8
    """The entrainment coefficient is that of the configuration, not of a period of runs."""
    INCLINED = 16
    """Inclined by 10 degrees or more: the velocity hangs on the model of the flow."""
    FLUX_MISFIT = 32
    WIDTH_MISFIT = 64
    NO_HEAT = 128
    VENT_LOCATED = 256
    """The configuration does not say where the vent is; it was looked for."""
    OUTSIDE_SECTOR = 512
    NO_VELOCITY = 1024
    CUT_BY_EDGE = 2048


class RegionFlag(IntFlag):
    """Of an area of the seafloor."""

    OUTSIDE_SECTOR = 1
    NO_VALUES = 2
    PARTLY_SEEN = 4
    """Less than half of the area that lies outside the shadows has values."""


class ChangeFlag(IntFlag):
    """Of a comparison of two surveys of the seafloor."""

    NO_COMMON_CELLS = 1
    OTHER_FRAME = 2
    """The tower stood elsewhere, so that the grids have other places."""


def flag_attributes(kind: type[IntFlag]) -> dict[str, Any]:
    """Return the CF attributes of a variable of such flags."""
    return {
        "flag_masks": np.array([int(flag) for flag in kind], np.int32),
        "flag_meanings": " ".join((flag.name or "").lower() for flag in kind),
        "units": "1",
    }
