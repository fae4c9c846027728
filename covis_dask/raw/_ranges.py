"""What the instrument can say (docs/method.md#values-beyond-the-instrument): values beyond are no readings.

The bounds are wide, so that nothing which the sonar, its sensors or its motors ever said lies outside: they
are there for damaged files, not for odd runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ATTITUDE", "HEADER", "beyond", "beyond_in", "clock_notes", "is_clock"]

Range = tuple[float, float, str]

HEADER: Final[Mapping[str, Range]] = {
    "xmit_freq": (1e5, 1e6, "Hz"),
    "pulse_width": (1e-6, 0.1, "s"),
    "max_ping_rate": (0.0, 1000.0, "Hz"),
    "power_sel": (-100.0, 300.0, "dB"),
    "gain_sel": (-20.0, 120.0, "dB"),
    "sound_speed": (1300.0, 1700.0, "m/s"),
}
"""Lowest and highest value of the settings in a ping's header, and units."""

ATTITUDE: Final[Mapping[str, Range]] = {
    "pitch": (-3600.0, 3600.0, "degrees"),
    "roll": (-3600.0, 3600.0, "degrees"),
    "yaw": (-3600.0, 3600.0, "degrees"),
    "sensor_pitch": (-90.0, 90.0, "degrees"),
    "sensor_roll": (-180.0, 180.0, "degrees"),
    "sensor_heading": (-360.0, 360.0, "degrees"),
}
"""The same of the readings in index.csv, by column of the ping table; the motors read before their gears."""

_YEAR_2100: Final = 4_102_444_800.0


def beyond(name: str, value: float, bounds: Range) -> str | None:
    """Say that a value is beyond its bounds, as part of a sentence; None when it is not."""
    low, high, units = bounds
    if low <= value <= high:
        return None
    return f"{name} of {value:g} {units} is beyond the instrument's {low:g} to {high:g}"


def beyond_in(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, dict[int, str]]:
    """Say which readings of the ping table are beyond the instrument.

    Parameters
    ----------
    columns : mapping of str to ndarray of float64, [n]
        By names of `ATTITUDE`.

    Returns
    -------
    dict
        By column, for those that have any: row and what is wrong with it.
    """
    found: dict[str, dict[int, str]] = {}
    for name, values in columns.items():
        low, high, _ = ATTITUDE[name]
        for row in np.flatnonzero(~((values >= low) & (values <= high))).tolist():
            found.setdefault(name, {})[row] = str(beyond(_title(name), values[row], ATTITUDE[name]))
    return found


def _title(name: str) -> str:
    return name.replace("_", " ") if name.startswith("sensor") else f"rotator {name}"


def is_clock(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which Unix times lie between 1970 and 2100."""
    return (times >= 0) & (times < _YEAR_2100)


def clock_notes(pings: Sequence[int], times: NDArray[np.float64]) -> Iterator[str]:
    """Say what is odd about the times of a run's pings, in the order of the table."""
    known = is_clock(times)
    if strange := np.flatnonzero(~known).tolist():
        yield f"the time of {_some(pings, strange)} is in no year from 1970 to 2099"
    rows = np.flatnonzero(known)
    steps = np.diff(times[rows])
    if back := np.flatnonzero(steps < 0).tolist():
        worst = min(back, key=lambda step: float(steps[step]))
        more = f", and {len(back) - 1} times more" if len(back) > 1 else ""
        yield (
            f"the clock goes back by {-float(steps[worst]):g} s after ping {pings[int(rows[worst])]}{more}: "
            "times, and what is made of them, cannot be relied on"
        )


def _some(pings: Sequence[int], rows: Iterable[int], most: int = 5) -> str:
    numbers = [pings[row] for row in rows]
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"ping{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:most]))}{more}"
