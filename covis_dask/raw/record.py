"""The 7038 record: one ping as the sonar wrote it. Bytes in, arrays out, and back.

See docs/method.md#element-data-record.
"""

import struct
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HEADER_BYTES",
    "BadRecord",
    "RecordHeader",
    "Samples",
    "check_record",
    "pack_record",
    "parse_record",
    "parse_record_header",
    "read_samples",
]

HEADER_BYTES = 60
"""Length of the fixed part; a list of E element numbers and the samples follow."""

# serial_number, number, (2), total_nelems, nsamps, nelems, first_samp, last_samp, samp_type, (28)
_HEADER = struct.Struct("<QI2xHIHIIH28x")
_UPPER_12_BITS = 16


class BadRecord(ValueError):
    """The bytes are no whole 7038 record; the message says in which way."""


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """Fixed part of a record, under the names of docs/method.md#element-data-record.

    Parameters
    ----------
    serial_number, number : int
        Of the sonar, of the ping (which may differ from the number in the file name).
    total_nelems : int
        Elements of the array.
    nsamps, nelems : int
        N samples, E channels.
    first_samp, last_samp : int
        0 and N-1 in the runs seen.
    samp_type : int
        16: the sample sits in the upper 12 of 16 bits.
    """

    serial_number: int
    number: int
    total_nelems: int
    nsamps: int
    nelems: int
    first_samp: int
    last_samp: int
    samp_type: int

    @property
    def data_offset(self) -> int:
        """Where the samples begin, in bytes."""
        return HEADER_BYTES + 2 * self.nelems

    @property
    def nbytes(self) -> int:
        """Length of the whole record: 60 + 2E + 4EN."""
        return self.data_offset + 4 * self.nelems * self.nsamps


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Element data as they were recorded: a quarter of the memory of what they become.

    Parameters
    ----------
    values : ndarray of int16 or float64, [N, 2 E]
        I and Q of every element.
    scale : float
        Machine units per recorded one.
    """

    values: NDArray[Any]
    scale: float

    @classmethod
    def of(cls, data: NDArray[np.complex128]) -> Self:
        """Hold element data [N, E] in machine units."""
        return cls(np.ascontiguousarray(data).view(np.float64), 1.0)

    @property
    def shape(self) -> tuple[int, int]:
        """N samples, E channels."""
        return self.values.shape[0], self.values.shape[1] // 2

    def decode(self, stop: int | None = None) -> NDArray[np.complex128]:
        """Return I + iQ of the first `stop` samples (of all of them), in machine units; [n, E]."""
        values = self.values[:stop]
        data = np.empty((len(values), self.shape[1]), np.complex128)
        # I and Q lie side by side in the file as in a complex number; 1/16 is a power of two: this is exact.
        np.multiply(values, self.scale, out=data.view(np.float64))
        return data


def parse_record_header(buf: bytes) -> RecordHeader:
    """Read the fixed part of a record.

    Parameters
    ----------
    buf : bytes
        The record, or at least its first 60 bytes.

    Raises
    ------
    BadRecord
        When there are fewer.
    """
    if len(buf) < HEADER_BYTES:
        raise BadRecord(f"truncated in its header: {len(buf)} of {HEADER_BYTES} bytes")
    return RecordHeader(*_HEADER.unpack_from(buf))


def check_record(header: RecordHeader, size: int) -> None:
    """See whether a file can hold what its header says.

    Parameters
    ----------
    header : RecordHeader
        Read from the file.
    size : int
        Its length in bytes; more than the record needs does no harm.

    Raises
    ------
    BadRecord
        When there are no samples, or the last of them is not all there.
    """
    if header.nsamps == 0 or header.nelems == 0:
        raise BadRecord("holds no samples")
    if size < header.nbytes:
        complete = max(0, size - header.data_offset) // (4 * header.nelems)
        raise BadRecord(f"truncated, {complete} of {header.nsamps} samples are complete")


def parse_record(buf: bytes) -> tuple[RecordHeader, NDArray[np.complex128]]:
    """Decode a record.

    Parameters
    ----------
    buf : bytes
        The whole file; bytes after the record are ignored.

    Returns
    -------
    header : RecordHeader
    data : ndarray of complex128, [N, E]
        I + iQ in machine units, C order; divided by 16 when `samp_type` is 16.

    Raises
    ------
    BadRecord
        When the record has no samples, or ends before its last one.
    """
    header, samples = read_samples(buf)
    return header, samples.decode()


def read_samples(buf: bytes) -> tuple[RecordHeader, Samples]:
    """Read a record, and leave its samples as they are.

    Parameters
    ----------
    buf : bytes
        As for `parse_record`; the samples stay in it.

    Raises
    ------
    BadRecord
        As `parse_record`.
    """
    header = parse_record_header(buf)
    check_record(header, len(buf))
    shape = (header.nsamps, 2 * header.nelems)
    raw = np.frombuffer(buf, "<i2", shape[0] * shape[1], header.data_offset)
    return header, Samples(raw.reshape(shape), 1 / 16 if header.samp_type == _UPPER_12_BITS else 1.0)


def pack_record(header: RecordHeader, data: NDArray[np.int16]) -> bytes:
    """Write a record.

    Parameters
    ----------
    header : RecordHeader
        Its `nsamps` and `nelems` are written as they are, so that faulty files can be made.
    data : ndarray of int16, [N, E, 2]
        I and Q as they stand in the file.
    """
    fixed = _HEADER.pack(
        header.serial_number,
        header.number,
        header.total_nelems,
        header.nsamps,
        header.nelems,
        header.first_samp,
        header.last_samp,
        header.samp_type,
    )
    elements = np.arange(header.nelems, dtype="<u2")
    return fixed + elements.tobytes() + np.ascontiguousarray(data, "<i2").tobytes()
