"""Record decoding: known answers (docs/method.md#known-answers)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from covis_dask.raw.record import (
    BadRecord,
    RecordHeader,
    check_record,
    pack_record,
    parse_record,
    parse_record_header,
)


def _header(nsamps: int, nelems: int, samp_type: int = 16) -> RecordHeader:
    return RecordHeader(7039, 12, nelems, nsamps, nelems, 0, max(0, nsamps - 1), samp_type)


@pytest.mark.parametrize(("samp_type", "factor"), [(16, 16), (0, 1)])
def test_known_record(samp_type: int, factor: int) -> None:
    """The record of docs/method.md#known-answers decodes to the stated numbers, with either sample type."""
    samples = (factor * np.arange(1, 13, dtype=np.int16)).reshape(3, 2, 2)
    header, data = parse_record(pack_record(_header(3, 2, samp_type), samples))
    assert header == _header(3, 2, samp_type)
    assert data.dtype == np.complex128
    assert data.flags.c_contiguous
    assert data[0, 0] == 1 + 2j
    assert data[0, 1] == 3 + 4j
    assert data[2, 1] == 11 + 12j


def test_division_keeps_fractions() -> None:
    """The 12-bit rule divides; it does not shift the fraction away."""
    samples = np.array([[[1, -1]]], np.int16)
    _, data = parse_record(pack_record(_header(1, 1), samples))
    assert data[0, 0] == complex(1 / 16, -1 / 16)


@pytest.mark.parametrize(
    ("nsamps", "nelems", "size"), [(3523, 256, 3_608_124), (1644, 128, 842_044), (3460, 256, 3_543_612)]
)
def test_file_lengths(nsamps: int, nelems: int, size: int) -> None:
    """Lengths of real files follow from N and E (docs/method.md#element-data-record)."""
    header = _header(nsamps, nelems)
    assert header.nbytes == size
    check_record(header, size)
    with pytest.raises(BadRecord, match=f"{nsamps - 1} of {nsamps} samples"):
        check_record(header, size - 1)


def test_header_only_file_is_bad() -> None:
    """The 156-byte file of a real run, which says 128 channels, is a bad record.

    See docs/method.md#known-answers.
    """
    whole = pack_record(_header(1644, 128), np.zeros((1644, 128, 2), np.int16))
    with pytest.raises(BadRecord, match="0 of 1644 samples"):
        parse_record(whole[:156])


@pytest.mark.parametrize("size", [0, 1, 59])
def test_short_header_is_bad(size: int) -> None:
    """A file that ends within the fixed part says so."""
    with pytest.raises(BadRecord, match=f"{size} of 60 bytes"):
        parse_record_header(bytes(size))


@pytest.mark.parametrize(("nsamps", "nelems"), [(0, 4), (4, 0)])
def test_no_samples_is_bad(nsamps: int, nelems: int) -> None:
    """A record of nothing is a bad record, not an empty array."""
    empty = pack_record(_header(nsamps, nelems), np.zeros((nsamps, nelems, 2), np.int16))
    with pytest.raises(BadRecord, match="no samples"):
        parse_record(empty)


@given(
    arrays(np.int16, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(2))),
    st.sampled_from([0, 16]),
    st.binary(max_size=5),
)
def test_round_trip(samples: np.ndarray, samp_type: int, rest: bytes) -> None:
    """What is packed is decoded exactly, whatever follows the record."""
    nsamps, nelems, _ = samples.shape
    header, data = parse_record(pack_record(_header(nsamps, nelems, samp_type), samples) + rest)
    scale = 16 if samp_type == 16 else 1
    np.testing.assert_array_equal(data, (samples[..., 0] + 1j * samples[..., 1]) / scale)
    assert header.number == 12


@given(st.binary(max_size=200))
def test_any_bytes(buf: bytes) -> None:
    """No bytes do worse than `BadRecord`."""
    try:
        _, data = parse_record(buf)
    except BadRecord:
        return
    assert data.size > 0
