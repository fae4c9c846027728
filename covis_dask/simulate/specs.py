"""Settings of typical runs of each mode, small."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from covis_dask.simulate.geometry import Era
from covis_dask.simulate.instrument import Instrument, acquisition, instrument
from covis_dask.simulate.run import RunSpec

__all__ = ["run_spec"]

_STARTS = {
    "END": dt.datetime(2014, 3, 5, 3, 0, 12, 345_000, tzinfo=dt.UTC),
    "ASHES": dt.datetime(2019, 8, 20, 12, 0, 1, tzinfo=dt.UTC),
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
        A family of modes whose spec says how it is acquired.
    start : datetime, optional
        UTC.
    settings : Instrument, optional
        The sonar; as usual for the mode when not given.
    pitches : sequence of float, optional
        Degrees.
    **changes
        Other fields of `RunSpec`.

    Raises
    ------
    ModeUnsupported
        When nothing is known of the mode.
    ValueError
        When its spec does not say how it is acquired.
    """
    usual = acquisition(era, family)
    first, last, step = usual.pitches
    sweep = tuple(first + step * i for i in range(1 + round((last - first) / step)))
    spec = RunSpec(
        mode=family.upper() if era == "END" else f"{family}1",
        start=start or _STARTS[era],
        instrument=settings or instrument(era, family),
        samples=usual.samples,
        pitches=sweep if pitches is None else tuple(pitches),
        pings=usual.pings,
        heading=230.0 if era == "END" else 295.0,
        interval=usual.interval,
    )
    return replace(spec, **changes)
