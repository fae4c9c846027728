"""index.csv and rec_7000 headers: docs/method.md#known-answers, and files that are not as they should be."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covis_dask.raw.ping import PingHeader, PingTable
from tests.unit._rawruns import header, table

ROW = "1,1566318723,233000,286.2,20.3,134.2,-44.1,-0.8,278.2"


def _table(*lines: str) -> PingTable:
    return PingTable.from_csv("\n".join(lines).encode())


def test_ping_zero_is_no_ping() -> None:
    """A ping-0 row goes, ten rows survive, and they are joined by number (docs/method.md#known-answers)."""
    numbers = [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    pings = PingTable.from_csv(table([0, *numbers]))
    assert len(pings) == 10
    assert pings.ping.tolist() == numbers
    assert pings.row(7) == 5
    with pytest.raises(KeyError):
        pings.row(6)
    assert pings.sensor_pitch[pings.row(11)] == 1.1
    assert pings.notes == ()


def test_columns() -> None:
    """Every column lands under its name, floats as written, time as seconds and microseconds."""
    pings = _table(ROW)
    assert pings.time[0] == 1566318723 + 233000 / 1e6
    values = [
        pings.pitch,
        pings.roll,
        pings.yaw,
        pings.sensor_pitch,
        pings.sensor_roll,
        pings.sensor_heading,
    ]
    assert [column[0] for column in values] == [286.2, 20.3, 134.2, -44.1, -0.8, 278.2]
    assert pings.ping.dtype == np.int64
    assert all(column.dtype == np.float64 and column.flags.c_contiguous for column in values)


@pytest.mark.parametrize(
    "text",
    [
        "ping,seconds,usecs,pitch,roll,yaw,kPAngle,kRAngle,kHeading\n" + ROW,
        ROW + "\n\n   \n",
        "\r\n".join(["ping,seconds", "", ROW, ""]),
        ROW.replace(",", " , "),
        ROW + ",7,extra",
        "\ufeffping,s\n" + ROW,
        ROW.replace("1,", "1.0,", 1),
    ],
    ids=["header", "blank", "crlf", "spaces", "extra", "bom", "float number"],
)
def test_harmless_variants(text: str) -> None:
    """Line ends, blanks, further columns and a missing header line change nothing."""
    pings = PingTable.from_csv(text.encode())
    assert pings.ping.tolist() == [1]
    assert pings.sensor_heading.tolist() == [278.2]
    assert pings.notes == ()


@pytest.mark.parametrize(
    "bad",
    [
        "2,1566318723,233000",
        "2," + ROW.split(",", 1)[1].replace("286.2", "oops"),
        "2," + ROW.split(",", 1)[1].replace("286.2", "nan"),
        "2," + ROW.split(",", 1)[1].replace("286.2", ""),
        "1.5," + ROW.split(",", 1)[1],
        "-3," + ROW.split(",", 1)[1],
        "1e300," + ROW.split(",", 1)[1],
    ],
    ids=["short", "word", "nan", "empty", "fraction", "negative", "huge"],
)
def test_malformed_rows_go_with_a_note(bad: str) -> None:
    """A row that is no nine numbers is dropped, and the log will say which line it was."""
    pings = _table("ping,seconds", bad, ROW)
    assert pings.ping.tolist() == [1]
    (note,) = pings.notes
    assert "numbers, line 2; line 2 is" in note
    assert bad in note


def test_first_of_repeated_rows_counts() -> None:
    """Of rows with one number the first is kept, with a note."""
    pings = _table(ROW, ROW.replace("286.2", "1"), "4" + ROW[1:])
    assert pings.ping.tolist() == [1, 4]
    assert pings.pitch.tolist() == [286.2, 286.2]
    assert pings.notes == ("index.csv: repeated, only the first row counts: ping 1",)


def test_many_bad_rows_one_short_note() -> None:
    """A broken file does not flood the log."""
    for rows in (["x" * 500] * 1000, [*["x" * 500] * 1000, ROW]):
        (note,) = _table(*rows).notes
        assert "1000 rows" in note or "and 990 more" in note
        assert len(note) < 300


@given(st.binary(max_size=300))
def test_any_bytes_make_a_table(text: bytes) -> None:
    """No index.csv raises; at worst the table is empty."""
    pings = PingTable.from_csv(text)
    assert len(pings) == len(pings.time) == len(pings.sensor_heading)


def test_header_fields() -> None:
    """A header gives its seven numbers as floats, and the whole object."""
    found = PingHeader.from_json(header(ping_num=439))
    assert found.xmit_freq == 396000.0
    assert found.sample_rate == 34482.758
    assert (found.pulse_width, found.max_ping_rate) == (0.0005, 2.0)
    assert (found.power_sel, found.gain_sel, found.sound_speed) == (220.0, 53.0, 1468.0)
    assert found.fields["ping_num"] == 439


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"{}",
        b'{"hdr": []}',
        b"[" * 100_000,
        header(sample_rate=None),
        header(sample_rate="34482,758"),
        header(gain_sel=True),
        header(xmit_freq=float("nan")),
        header(xmit_freq=10**400),
        json.dumps({"hdr": {"sample_rate": [1]}}).encode(),
    ],
    ids=[
        "empty",
        "cut",
        "binary",
        "list",
        "no hdr",
        "hdr list",
        "deep",
        "missing",
        "text",
        "bool",
        "nan",
        "huge",
        "only one",
    ],
)
def test_odd_headers_are_refused_with_a_sentence(text: bytes) -> None:
    """Whatever is wrong with a header, it is a ValueError that says what."""
    with pytest.raises(ValueError, match=r"\w"):
        PingHeader.from_json(text)
