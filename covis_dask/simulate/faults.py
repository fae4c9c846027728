"""Faults of raw runs that occur, to be made on purpose (docs/method.md#archives, #bad-and-missing-pings)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from covis_dask.raw.record import pack_record, parse_record_header

__all__ = ["PING_FAULTS", "RUN_FAULTS", "break_run"]

Members = dict[str, bytes]


def _reshaped(record: bytes, samples: float, channels: float) -> bytes:
    """Keep a share of samples and channels, with a header that says so."""
    header = parse_record_header(record)
    data = np.frombuffer(record, "<i2", offset=header.data_offset).reshape(header.nsamps, header.nelems, 2)
    data = data[: int(header.nsamps * samples), : int(header.nelems * channels)].astype(np.int16)
    n, e = data.shape[:2]
    return pack_record(replace(header, nsamps=n, last_samp=n - 1, nelems=e, total_nelems=e), data)


def _bin(change: Callable[[bytes], bytes | None]) -> Callable[[Members, int], None]:
    """Make a fault that changes, or removes, the record of a ping."""

    def apply(members: Members, number: int) -> None:
        name = f"rec_7038_{number:06d}.bin"
        changed = change(members.pop(name))
        if changed is not None:
            members[name] = changed

    return apply


def _missing_json(members: Members, number: int) -> None:
    del members[f"rec_7000_{number:06d}.json"]


def _rows(members: Members, number: int, copies: int) -> None:
    lines = members["index.csv"].splitlines(keepends=True)
    start = f"{number},".encode()
    members["index.csv"] = b"".join(line if not line.startswith(start) else line * copies for line in lines)


def _reading(members: Members, number: int, column: int, value: bytes) -> None:
    """Put another reading into a ping's row."""
    lines = members["index.csv"].splitlines()
    for at, line in enumerate(lines):
        cells = line.split(b",")
        if cells[0] == b"%d" % number:
            cells[column] = value
            lines[at] = b",".join(cells)
    members["index.csv"] = b"\n".join(lines) + b"\n"


PING_FAULTS: Mapping[str, Callable[[Members, int], None]] = {
    "missing_bin": _bin(lambda _: None),
    "empty_bin": _bin(lambda _: b""),
    "header_only_bin": _bin(lambda record: record[: parse_record_header(record).data_offset]),
    "truncated_bin": _bin(lambda record: record[: len(record) // 2 + 1]),
    "garbage_bin": _bin(lambda _: bytes(range(256))),
    "wrong_channels": _bin(lambda record: _reshaped(record, 1, 0.5)),
    "other_samples": _bin(lambda record: _reshaped(record, 0.75, 1)),
    "other_type": _bin(lambda record: record[:30] + b"\0\0" + record[32:]),
    "missing_json": _missing_json,
    "missing_row": lambda members, number: _rows(members, number, 0),
    "duplicate_row": lambda members, number: _rows(members, number, 2),
    "wild_row": lambda members, number: _reading(members, number, 6, b"1e308"),
    "clock_back": lambda members, number: _reading(members, number, 1, b"1000000000"),
}
"""Faults of one ping, written ``kind:number``."""

RUN_FAULTS: Mapping[str, str] = {
    "no_index": "index.csv",
    "no_sweep": "sweep.json",
    "no_headers": "rec_7000_",
    "no_bins": "rec_7038_",
}
"""Faults of a whole run, and how the names of the files begin that are then missing."""


def break_run(members: Members, faults: Iterable[str]) -> None:
    """Put faults into a run, in place.

    Parameters
    ----------
    members : dict of str to bytes
        Files of the run.
    faults : iterable of str
        ``kind:number`` with a kind of `PING_FAULTS`, or a word of `RUN_FAULTS`.

    Raises
    ------
    ValueError
        No such fault, or no such ping.
    """
    for fault in faults:
        kind, _, number = fault.partition(":")
        if fault in RUN_FAULTS:
            for name in [name for name in members if name.startswith(RUN_FAULTS[fault])]:
                del members[name]
        elif kind in PING_FAULTS and number.isdecimal():
            try:
                PING_FAULTS[kind](members, int(number))
            except KeyError as error:
                raise ValueError(f"fault {fault!r}: the run has no file {error.args[0]}") from error
        else:
            known = ", ".join([*(f"{name}:N" for name in PING_FAULTS), *RUN_FAULTS])
            raise ValueError(f"there is no fault {fault!r}: choose among {known}")
