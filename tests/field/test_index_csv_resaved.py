"""An index.csv that a spreadsheet has saved again is the same table, or its first bad line is quoted."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from covis_dask.errors import SweepIncomplete
from covis_dask.raw.ping import PingTable
from tests.field._runs import SOUND, read, report
from tests.unit._rawruns import pack, run_files, store, table

PLAIN = table([0, *SOUND]).decode()


def _quoted(text: str, separator: str = ",") -> str:
    lines = (line.split(separator) for line in text.splitlines())
    return "\n".join(separator.join(f'"{cell}"' for cell in line) for line in lines) + "\n"


SEMICOLONS = PLAIN.replace(",", ";")
DECIMAL_COMMAS = SEMICOLONS.replace(".", ",")
RESAVED: dict[str, Callable[[], bytes]] = {
    "semicolons": SEMICOLONS.encode,
    "tabs": PLAIN.replace(",", "\t").encode,
    "quotes": _quoted(PLAIN).encode,
    "quoted semicolons": _quoted(SEMICOLONS, ";").encode,
    "decimal commas": DECIMAL_COMMAS.encode,
    "quoted decimal commas": _quoted(DECIMAL_COMMAS, ";").replace('";"', '","').encode,
    "decimal commas and tabs": DECIMAL_COMMAS.replace(";", "\t").encode,
    "sep line": lambda: b"sep=;\r\n" + SEMICOLONS.replace("\n", "\r\n").encode(),
    "empty columns behind": lambda: DECIMAL_COMMAS.replace("\n", ";;;\n").encode(),
    "no header line": lambda: DECIMAL_COMMAS.split("\n", 1)[1].encode(),
    "UTF-16": lambda: PLAIN.encode("utf-16"),
    "UTF-16, big end first": lambda: b"\xfe\xff" + SEMICOLONS.encode("utf-16-be"),
    "UTF-8 with a mark": lambda: SEMICOLONS.encode("utf-8-sig"),
    "zeros behind": lambda: PLAIN.encode() + bytes(512),
    "line ends of old Macs": lambda: PLAIN.replace("\n", "\r").encode(),
}


def _same(left: PingTable, right: PingTable) -> None:
    for column in dataclasses.fields(PingTable):
        found, expected = getattr(left, column.name), getattr(right, column.name)
        if isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(found, expected)
        else:
            assert found == expected


@pytest.mark.parametrize("kind", RESAVED)
def test_same_table(kind: str) -> None:
    """However it was saved, the numbers are the same, to the bit, and nothing is noted."""
    _same(PingTable.from_csv(RESAVED[kind]()), PingTable.from_csv(PLAIN.encode()))


@pytest.mark.parametrize("kind", ["semicolons", "UTF-16", "quotes"])
def test_run_is_read(kind: str) -> None:
    """A run with such a table is read whole."""
    files = [(name, RESAVED[kind]() if name.endswith("index.csv") else data) for name, data in run_files()]
    assert read(store(pack("tar.gz", files), "tar.gz"), []) == SOUND


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ping,seconds\n0,1\n1,2\n", "none of its 2 rows is 9 numbers; line 2 is '0,1'"),
        ("<html>\n<body>", "none of its 2 rows is 9 numbers; line 1 is '<html>'"),
        (PLAIN.replace(",", " "), "none of its 7 rows is 9 numbers; line 1 is 'ping seconds"),
        (
            PLAIN.replace(".", ","),
            "none of its 6 rows is 9 numbers; line 2 is '0,1566302401,250000,275,0,8,4,",
        ),
        (PLAIN.replace("1566", "24-10-"), "none of its 6 rows is 9 numbers; line 2 is '0,24-10-302401"),
    ],
    ids=["too short", "a web page", "blanks", "decimal commas among commas", "dates"],
)
def test_first_bad_line_is_quoted(text: str, line: str) -> None:
    """If no row can be read, the reason quotes the first, with its number; so does the log."""
    files = [(name, text.encode() if name.endswith("index.csv") else data) for name, data in run_files()]
    with pytest.raises(SweepIncomplete) as caught:
        read(store(pack("tar.gz", files), "tar.gz"), [], None)
    assert line in str(caught.value)


def test_one_bad_line_is_quoted_in_a_note() -> None:
    """A bad line among good ones costs that line, and the note quotes it, a long one in part."""
    found = PingTable.from_csv(PLAIN.encode() + b"9,soon," + b"x" * 5000 + b"\n")
    assert found.ping.tolist() == SOUND
    (note,) = found.notes
    assert "line 8 is '9,soon,xxx" in note
    assert len(note) < 250


@pytest.mark.parametrize("behind", ["", ",more"])
@pytest.mark.parametrize("cell", ["17.5", "3"])
def test_further_columns(behind: str, cell: str) -> None:
    """Columns behind the ninth are passed over, with a title or without."""
    title, *rows = PLAIN.splitlines()
    text = "\n".join([title + behind, *(f"{row},{cell}" for row in rows)])
    _same(PingTable.from_csv(text.encode()), PingTable.from_csv(PLAIN.encode()))


def test_reported_tables() -> None:
    """The tables of the report are read, all to the same numbers."""
    tables = [PingTable.from_csv(path.read_bytes()) for path in report("06-index-csv-resaved").glob("*.csv")]
    assert len(tables) == 4
    for found in tables:
        assert len(found) == 5
        _same(found, tables[0])
