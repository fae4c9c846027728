"""Settings of typical runs of each mode, small."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from covis_dask.simulate.geometry import Era
from covis_dask.simulate.instrument import Instrument, instrument
from covis_dask.simulate.run import RunSpec

__all__ = ["run_spec"]

_STARTS = {
    "END": dt.datetime(2014, 3, 5, 3, 0, 12, 345_000, tzinfo=dt.UTC),
    "ASHES": dt.datetime(2019, 8, 20, 12, 0, 1, tzinfo=dt.UTC),
}
# Pitches (first, last, step in degrees), pings per burst, seconds between them, samples.
_SWEEPS: dict[tuple[str, str], tuple[tuple[float, float, float], int, float, int]] = {
    ("END", "imaging"): ((20.0, 32.0, 2.0), 3, 0.5, 640),
    ("END", "doppler"): ((24.0, 36.0, 2.0), 4, 0.5, 900),
    ("END", "diffuse"): ((-18.2, -18.2, 1.0), 12, 0.25, 560),
    ("ASHES", "imaging"): ((-9.0, 15.0, 4.0), 4, 0.5, 480),
    ("ASHES", "doppler"): ((2.0, 14.0, 4.0), 4, 0.5, 480),
    ("ASHES", "diffuse"): ((-20.4, -20.4, 1.0), 20, 0.25, 560),
    ("ASHES", "bathy"): ((-44.0, -20.0, 3.0), 2, 0.5, 600),
    ("ASHES", "fullimaging"): ((-40.0, 10.0, 10.0), 10, 0.5, 480),
}


def run_spec(
    era: Era,
    family: str,
    *,
    start: dt.datetime | None = None,
    settings: Instrument | None = None,
    pitches: Sequence[float] | None = None,
    **changes: Any,
) -> RunSpec:
    """Return a small run of a mode.

    Parameters
    ----------
    era : {"END", "ASHES"}
    family : str
        ``imaging``, ``diffuse``, ``doppler``, and for 2018+ ``bathy`` and ``fullimaging``.
    start : datetime, optional
        UTC.
    settings : Instrument, optional
        The sonar; as usual for the mode when not given.
    pitches : sequence of float, optional
        Degrees.
    **changes
        Other fields of `RunSpec`.
    """
    (first, last, step), pings, interval, samples = _SWEEPS[era, family]
    sweep = tuple(first + step * i for i in range(1 + round((last - first) / step)))
    spec = RunSpec(
        mode=family.upper() if era == "END" else f"{family}1",
        start=start or _STARTS[era],
        instrument=settings or instrument(era, family),
        samples=samples,
        pitches=sweep if pitches is None else tuple(pitches),
        pings=pings,
        heading=230.0 if era == "END" else 295.0,
        interval=interval,
    )
    return replace(spec, **changes)
