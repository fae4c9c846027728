"""The text files of a raw run, as the instrument writes them.

See docs/method.md#archives to #settings-record.
"""

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from catalog.vocabulary import SITES, Site
from covis_dask.simulate.instrument import Instrument

Row = tuple[int, dt.datetime, tuple[float, ...]]
"""Ping number, time, and six angles in degrees: columns 3 to 8 of index.csv."""

__all__ = ["INDEX_HEADER", "Motion", "Row", "clock", "extras", "index_csv", "ping_header", "sweep_json"]

INDEX_HEADER = "ping,seconds,usecs,pitch,roll,yaw,kPAngle,kRAngle,kHeading"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def clock(moment: dt.datetime) -> list[int]:
    """Return a time as [seconds, microseconds]."""
    whole, rest = divmod(moment - _EPOCH, dt.timedelta(seconds=1))
    return [whole, rest // dt.timedelta(microseconds=1)]


def _text(document: Any) -> bytes:
    return (json.dumps(document, indent=4) + "\n").encode()


def _number(value: float) -> int | float:
    """Return whole numbers without a point, as the instrument writes them."""
    return int(value) if value == int(value) else value


@dataclass(frozen=True, slots=True)
class Motion:
    """How the rotator moves in a run.

    Parameters
    ----------
    first : (roll, pitch, yaw)
        Angles at the start, degrees.
    step : float
        Change of pitch from burst to burst, degrees.
    steps : int
        Bursts.
    """

    first: tuple[float, float, float]
    step: float
    steps: int


def sweep_json(
    basename: str, mode: str, start: dt.datetime, end: dt.datetime, instrument: Instrument, motion: Motion
) -> bytes:
    """Return sweep.json; that of the Endeavour era has a `timestamp`."""
    document: dict[str, Any] = {"mode": mode}
    if instrument.era == "END":
        document["timestamp"] = clock(start)
    document |= {
        "_id": basename,
        "starttime": clock(start),
        "endtime": clock(end),
        "motion": {
            "start": [round(angle, 1) for angle in motion.first],
            "inc": [0, round(motion.step, 3), 0],
            "steps": motion.steps,
            "roundtrip": False,
        },
        "settings": {
            "rxgain": _number(instrument.gain),
            "txpower": _number(instrument.power),
            "pulse_width": instrument.pulse_length,
            "range": 75,
        },
    }
    return _text(document)


def index_csv(rows: Iterable[Row]) -> bytes:
    """Return index.csv from its rows."""
    lines = [INDEX_HEADER]
    for number, moment, angles in rows:
        seconds, usecs = clock(moment)
        # Adding 0 turns -0.0 into 0.0.
        lines.append(f"{number},{seconds},{usecs}," + ",".join(f"{round(a, 1) + 0.0:.1f}" for a in angles))
    return ("\n".join(lines) + "\n").encode()


def ping_header(number: int, moment: dt.datetime, instrument: Instrument) -> bytes:
    """Return rec_7000_NNNNNN.json."""
    header = {
        "sonar_id": 0,
        "ping_num": number,
        "multi_ping": 0,
        "xmit_freq": _number(instrument.frequency),
        "sample_rate": instrument.sample_rate,
        "rcvr_bandwidth": 0,
        "pulse_width": instrument.pulse_length,
        "pulse_type": 0,
        "envelope_type": 0,
        "envelope_param": 0,
        "pulse_extra": 0,
        "max_ping_rate": _number(instrument.max_ping_rate),
        "ping_period": clock(moment)[0],
        "range_sel": 75,
        "power_sel": _number(instrument.power),
        "gain_sel": _number(instrument.gain),
        "control": {
            "auto_bd_filter_method": 0,
            "auto_gain_method": 0,
            "auto_range_method": 0,
            "bd_depth": False,
            "bd_range": False,
        },
        "prj": {
            "id": 1,
            "vert_angle": 0,
            "horiz_angle": 0,
            "vert_width": 0.0174533,
            "horiz_width": 2.0943952,
            "focal_point": 10000000,
            "window_type": 0,
            "window_param": 0,
        },
        "transmit": {"pitch_stabilization": 0, "yaw_stabilization": 0},
        "hydrophone_id": 0,
        "recv": {"window_type": 0, "window_param": 0, "flags": 1, "beam_width": 0.008},
        "bd": {"min_range": 1, "max_range": 5, "min_depth": 1, "max_depth": 5},
        "absorption": 0,
        "sound_speed": _number(instrument.header_sound_speed),
        "spreading_loss": 0,
    }
    return _text({"hdr": header})


def extras(instrument: Instrument, rows: Iterable[Row]) -> dict[str, bytes]:
    """Return the files that the processing does not use: names and contents."""
    if instrument.era == "ASHES":
        text = f'<?xml version="1.0"?>\n<transducer elements="{instrument.channels}"/>\n'
        return {"transducer.xml": text.encode()}
    motors = ["seconds,usecs,pitch,roll,yaw"]
    for _, moment, angles in rows:
        seconds, usecs = clock(moment)
        motors.append(f"{seconds},{usecs}," + ",".join(f"{a:.1f}" for a in angles[:3]))
    place = SITES[Site.ENDEAVOUR]
    return {
        "position.csv": f"easting,northing,depth\n{place.easting},{place.northing},{-place.depth}\n".encode(),
        "rotator.csv": ("\n".join(motors) + "\n").encode(),
    }
