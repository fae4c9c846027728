"""The text of index.csv, as the instrument wrote it or a spreadsheet saved it again.

A spreadsheet may put semicolons or tabs between the cells, quotes around them, commas for decimal points, a
line ``sep=;`` on top, and save it all as UTF-16. None of this can be mistaken for anything else. Decimal
commas among commas can: such a line is left whole, so that nobody takes its halves for numbers.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["quote_line", "read_rows"]

_CELLS: Final = 9
_LONGEST: Final = 120


def read_rows(text: bytes) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield line number and cells of every line but blank ones and a header.

    Parameters
    ----------
    text : bytes
        The file.

    Yields
    ------
    int
        Number of the line, from 1.
    sequence of str
        Its cells, stripped, with decimal points where a number had a comma.
    """
    lines = _decoded(text).splitlines()
    separator = _separator(lines)
    first, columns = True, 0
    for number, line in enumerate(lines, 1):
        if first and line.startswith("sep="):
            continue
        cells = [cell.strip() for cell in line.split(separator)]
        if not any(cells):
            continue
        if '"' in line:
            cells = _unquoted(line, separator)
        if separator != "," or '"' in line:
            cells = [cell.replace(",", ".") if cell.count(",") == 1 else cell for cell in cells]
        if first and cells[0].lower() == "ping":
            columns = sum(map(bool, cells))
        else:
            yield number, [line] if _halved(cells, columns) else cells
        first = False


def _halved(cells: Sequence[str], columns: int) -> bool:
    """Say whether numbers were cut at their decimal commas: more cells than titles, and no decimal point."""
    return 0 < columns < sum(map(bool, cells)) and not any("." in cell for cell in cells)


def quote_line(text: bytes, number: int) -> str:
    """Return a line as it can stand in a sentence."""
    line = _decoded(text).splitlines()[number - 1]
    return repr(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...")


def _decoded(text: bytes) -> str:
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return text.decode("utf-16", "replace").rstrip("\0")
    return text.decode("utf-8-sig", "replace").rstrip("\0")


def _separator(lines: Sequence[str]) -> str:
    """Return what separates the cells: of the first line that has enough of them."""
    for line in lines:
        for separator in (",", ";", "\t"):
            # Decimal commas may outnumber the cells, so a comma counts where nothing else could.
            if line.count(separator) >= _CELLS - 1 and not (separator == "," and ";" in line):
                return separator
    return ","


def _unquoted(line: str, separator: str) -> list[str]:
    """Return the cells of a line with quotes; the whole line, should they be beyond reading."""
    try:
        (cells,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    except (csv.Error, ValueError):
        return [line]
    return [cell.strip() for cell in cells]
