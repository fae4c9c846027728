"""What is known of pings: their headers, the table that lists them, and the pings themselves."""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from covis_dask.raw._csvtext import quote_line, read_rows
from covis_dask.raw._ranges import ATTITUDE, HEADER, beyond, beyond_in, clock_notes
from covis_dask.raw.record import RecordHeader, Samples

__all__ = ["ATTITUDE", "Ping", "PingHeader", "PingTable", "name_some", "parse_object"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def parse_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object; zero bytes behind it, as a lost disk block leaves them, are passed over.

    Raises
    ------
    ValueError
        When the text is anything else.
    """
    try:
        document = _json(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 (bad contents, not a bad call)
    return document


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        trimmed = text.rstrip(b"\0")
        if trimmed == text:
            raise
        if not trimmed:
            raise ValueError("it is nothing but zero bytes") from None
        return json.loads(trimmed)


@dataclass(frozen=True, slots=True)
class PingHeader:
    """Settings of one ping, from rec_7000_NNNNNN.json (docs/method.md#settings-record).

    Parameters
    ----------
    xmit_freq : float
        Transmit frequency, Hz.
    sample_rate : float
        Complex samples per second.
    pulse_width : float
        s.
    max_ping_rate : float
        Hz.
    power_sel, gain_sel : float
        Source level setting and receiver gain, dB.
    sound_speed : float
        m/s, as set in the sonar.
    fields : mapping
        The whole `hdr` object.
    """

    xmit_freq: float
    sample_rate: float
    pulse_width: float
    max_ping_rate: float
    power_sel: float
    gain_sel: float
    sound_speed: float
    fields: Mapping[str, Any]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read the file's text; a number may stand there as text.

        Raises
        ------
        ValueError
            When it is not a JSON object with a `hdr` that has every field above as a finite number.
        """
        hdr = parse_object(text).get("hdr")
        if not isinstance(hdr, dict):
            raise ValueError("it has no object hdr")  # noqa: TRY004
        numbers = {name: _number(hdr, name) for name in cls.__slots__ if name != "fields"}
        texts = {name: number for name, number in numbers.items() if isinstance(hdr[name], str)}
        return cls(**numbers, fields=hdr | texts)

    @property
    def fault(self) -> str | None:
        """The first setting that is beyond the instrument, to stand after "it has"; None when none is."""
        found = (beyond(name, getattr(self, name), bounds) for name, bounds in HEADER.items())
        return next((f"its {fault}" for fault in found if fault), None)


def _number(hdr: Mapping[str, Any], name: str) -> float:
    value = hdr.get(name)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"its {name} is {'missing' if value is None else 'no number'}")  # noqa: TRY004
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"its {name} is not finite")
    return number


@dataclass(frozen=True, slots=True, eq=False)
class PingTable:
    """index.csv without the rows that are no pings (docs/method.md#ping-table); n rows, in file order.

    Parameters
    ----------
    ping : ndarray of int64, [n]
        Ping numbers, each once.
    time : ndarray of float64, [n]
        Unix time, s.
    pitch, roll, yaw : ndarray of float64, [n]
        Rotator (motor) readings as they stand in the file, degrees.
    sensor_pitch, sensor_roll, sensor_heading : ndarray of float64, [n]
        Attitude sensor: kPAngle, kRAngle, kHeading, degrees.
    notes : tuple of str
        What was odd about the file, for the log.
    strange : mapping of int to str
        Pings that are not in the table because a reading of theirs is beyond the instrument, and which.
    """

    ping: NDArray[np.int64]
    time: NDArray[np.float64]
    pitch: NDArray[np.float64]
    roll: NDArray[np.float64]
    yaw: NDArray[np.float64]
    sensor_pitch: NDArray[np.float64]
    sensor_roll: NDArray[np.float64]
    sensor_heading: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    strange: Mapping[int, str] = field(default_factory=dict)
    rows: Mapping[int, int] = field(init=False, repr=False)
    """Row of each ping number."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", {int(number): row for row, number in enumerate(self.ping)})

    def __len__(self) -> int:
        return len(self.ping)

    def row(self, number: int) -> int:
        """Return the row of a ping, by its number.

        Raises
        ------
        KeyError
            When the table does not list it.
        """
        return self.rows[number]

    @classmethod
    def from_csv(cls, text: bytes) -> Self:
        """Read index.csv.

        The header line may be missing, lines may be blank, further columns are ignored, and what spreadsheets
        make of it is read too (see `_csvtext`). A row with fewer than nine numbers is dropped, and so is a
        second row of the same ping; both leave a note. The table may come out empty.
        """
        malformed: list[int] = []
        count = 0
        repeated: list[int] = []
        rows: dict[int, Sequence[float]] = {}
        for line, cells in read_rows(text):
            count += 1
            values = _values(cells)
            if values is None:
                malformed.append(line)
            elif values[0] in rows:
                repeated.append(int(values[0]))
            elif values[0] != 0:  # ping 0 logs the head at rest: no ping
                rows[int(values[0])] = values
        notes = []
        if malformed:
            first = f"line {malformed[0]} is {quote_line(text, malformed[0])}"
            what = f"dropped what is not a row of {_COLUMNS} numbers, {name_some('line', malformed)}"
            if len(malformed) == count:
                what = f"none of its {count} rows is {_COLUMNS} numbers"
            notes.append(f"index.csv: {what}; {first}")
        if repeated:
            notes.append(f"index.csv: repeated, only the first row counts: {name_some('ping', repeated)}")
        columns = np.array(list(rows.values()), np.float64).reshape(-1, _COLUMNS).T.copy()
        return cls(
            np.array(list(rows), np.int64),
            columns[1] + columns[2] / 1e6,
            columns[3],
            columns[4],
            columns[5],
            columns[6],
            columns[7],
            columns[8],
            tuple(notes),
        )

    def judged(self, columns: Collection[str]) -> Self:
        """Return the table without the pings of which a reading is beyond the instrument.

        Parameters
        ----------
        columns : collection of str
            Those that are used; of the others, and of the clock, there is only a note.
        """
        if not len(self):
            return self
        found = beyond_in({name: getattr(self, name) for name in ATTITUDE})
        numbers = self.ping.tolist()
        notes, strange = [], dict[int, str]()
        for name, faults in found.items():
            for row, fault in faults.items():
                if name in columns:
                    strange.setdefault(numbers[row], fault)
            if name not in columns:
                first, fault = next(iter(faults.items()))
                notes.append(f"{fault} (ping {numbers[first]}{_more(len(faults))}); it is not used here")
        notes += clock_notes(numbers, self.time)
        kept = np.array([number not in strange for number in numbers])
        arrays = {one.name: getattr(self, one.name)[kept] for one in fields(self) if one.name in _ARRAYS}
        said = (*self.notes, *(f"index.csv: {note}" for note in notes))
        return replace(self, **arrays, notes=said, strange=strange)


_COLUMNS = 9
_ARRAYS = ("ping", "time", *ATTITUDE)
_HIGHEST_PING = 2**31


def _values(cells: Sequence[str]) -> list[float] | None:
    """Return the nine numbers of a row, or None."""
    try:
        values = [float(cell) for cell in cells[:_COLUMNS]]
    except ValueError:
        return None
    if len(values) < _COLUMNS or not all(map(math.isfinite, values)):
        return None
    if not (0 <= values[0] < _HIGHEST_PING and values[0].is_integer()):
        return None
    return values


def _more(count: int) -> str:
    return f" and {count - 1} more" if count > 1 else ""


def name_some(what: str, numbers: Sequence[int], most: int = 10) -> str:
    """Name some of the numbers: a broken file must not flood the log."""
    named = ", ".join(map(str, numbers[:most]))
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {named}{more}"


@dataclass(frozen=True, slots=True, eq=False)
class Ping:
    """One ping whose .bin exists and that index.csv lists.

    Parameters
    ----------
    number : int
        NNNNNN of its files.
    samples : Samples, optional
        Element data as recorded. None together with `fault` None: the ping was not wanted, and its file is
        sound.
    fault : str, optional
        Why it is a bad ping (docs/method.md#bad-and-missing-pings, Q21), to stand after "ping 12: ".
    header : PingHeader, optional
        Its own rec_7000 header; None when there is none that can be used (2010-15: a bad ping, Q22).
    record : RecordHeader, optional
        Fixed part of the record, where it could be read.
    """

    number: int
    samples: Samples | None
    fault: str | None
    header: PingHeader | None
    record: RecordHeader | None

    @property
    def data(self) -> NDArray[np.complex128] | None:
        """Element data [N, E] in machine units, decoded anew every time."""
        return None if self.samples is None else self.samples.decode()
