"""Names of runs: the basename grammar of both eras, archive names, mode families (science.md 2.1, 4.0).

Sound names::

    APLUWCOVISMBSONAR001_YYYYMMDDThhmmss.sssZ-MODE      Endeavour, 2010-15
    COVIS-YYYYMMDDThhmmss-mode                          Ashes, from 2018

Faulty names occur, and are read as far as they go, never refused for it: milliseconds, mode or both lost
(the mode is then ``(unknown)``), and a time of day of seven digits. Of seven digits the first six are taken
as hhmmss: the one known case, ``T0300000.172Z``, is 03:00:00.172 whichever zero is one too many, and the
day, which decides where the archive lies, is right in any case.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

__all__ = [
    "FAMILIES",
    "LEADING_LETTERS",
    "UNKNOWN_MODE",
    "BadName",
    "RunName",
    "archive_kind",
    "archive_path",
    "basename_of",
    "mode_family",
    "parse_basename",
    "site_of",
]

UNKNOWN_MODE = "(unknown)"
"""Mode of a run whose name has lost it."""

LEADING_LETTERS: Mapping[str, str] = MappingProxyType(
    {
        "imaging": "ima",
        "diffuse": "dif",
        "doppler": "dop",
        "bathy": "bat",
        "fullimaging": "ful",
        "survey": "sur",
        "target": "tar",
        "pano": "pan",
    }
)
"""The three letters with which the mode words of each family begin."""

FAMILIES = (*LEADING_LETTERS, "unknown")
"""Every answer of `mode_family`."""

_BY_LETTERS = {letters: family for family, letters in LEADING_LETTERS.items()}

_SOUND = re.compile(
    r"APLUWCOVISMBSONAR001_\d{8}T\d{6}\.\d{3}Z-[A-Z0-9]+ | COVIS-\d{8}T\d{6}-[A-Za-z0-9]+",
    re.ASCII | re.VERBOSE,
)
_READABLE = re.compile(
    r"""APLUWCOVISMBSONAR001_
            (?P<day_e>\d{8}) T (?P<time_e>\d{6,7}) (?:\.(?P<ms>\d{3}))? Z? (?:-(?P<mode_e>[A-Z0-9]+))?
      | COVIS-
            (?P<day_a>\d{8}) T (?P<time_a>\d{6,7}) (?:-(?P<mode_a>[A-Za-z0-9]+))?""",
    re.ASCII | re.VERBOSE,
)
_EXTENSION = re.compile(r"\.[\w.]{2,6}\Z", re.ASCII)
_KINDS = {".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar": "tar", ".7z": "7z"}
_FIRST_ASHES = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)


class BadName(ValueError):
    """The text is no basename of either era, not even a faulty one."""


@dataclass(frozen=True, slots=True)
class RunName:
    """What a basename says.

    Parameters
    ----------
    basename : str
        The name itself.
    datetime : datetime
        Start of the run, UTC, to the millisecond (Endeavour) or second (Ashes).
    mode : str
        As in the name, or ``(unknown)``.
    site : str
        ``Endeavour`` or ``Ashes``, by the date.
    fault : str, optional
        What is wrong with the name, as part of a sentence; None for a sound one.
    """

    basename: str
    datetime: dt.datetime
    mode: str
    site: str
    fault: str | None = None


def parse_basename(text: str) -> RunName:
    """Read a basename of either era, sound or faulty.

    Parameters
    ----------
    text : str
        A basename: no directory, no extension (see `basename_of`).

    Raises
    ------
    BadName
        When the text is no such name, or its date or time cannot be.
    """
    found = _READABLE.fullmatch(text)
    if found is None:
        raise BadName(
            f"{text!r} is no basename of a COVIS run: those look like "
            "APLUWCOVISMBSONAR001_20111001T210757.973Z-IMAGING or COVIS-20191024T003346-diffuse3"
        )
    day, clock = found["day_e"] or found["day_a"], found["time_e"] or found["time_a"]
    numbers = (day[:4], day[4:6], day[6:], clock[:2], clock[2:4], clock[4:6])
    try:
        second = dt.datetime(*map(int, numbers), tzinfo=dt.UTC)  # type: ignore[misc,arg-type]  # six numbers
    except ValueError as error:
        raise BadName(f"{text!r} names a date or time that cannot be") from error
    moment = second.replace(microsecond=1000 * int(found["ms"] or 0))
    mode = found["mode_e"] or found["mode_a"]
    return RunName(text, moment, mode or UNKNOWN_MODE, site_of(moment), _fault(text, clock, mode))


def _fault(text: str, clock: str, mode: str | None) -> str | None:
    if _SOUND.fullmatch(text):
        return None
    if len(clock) > 6:
        return "the time of day has seven digits"
    return "the milliseconds are lost" if mode else "the mode is lost"


def site_of(moment: dt.datetime) -> str:
    """Return the site where COVIS stood at a time: Endeavour before 2016, then Ashes (science.md 1.2)."""
    return "Endeavour" if moment < _FIRST_ASHES else "Ashes"


def basename_of(filename: str) -> str:
    r"""Return the basename of an archive's file name or path.

    The directory is dropped, then one match of ``\.[\w.]{2,6}`` at the end. `Path.stem` would take
    ``.973Z-IMAGING`` for an extension.
    """
    return _EXTENSION.sub("", filename.rpartition("/")[2], count=1)


def archive_kind(filename: str) -> str | None:
    """Tell the kind of a raw archive by its name: ``tar.gz`` (also .tgz), ``tar``, ``7z``, or None."""
    lower = filename.lower()
    return next((kind for extension, kind in _KINDS.items() if lower.endswith(extension)), None)


def archive_path(basename: str, ext: str) -> str:
    """Return where an archive usually lies: ``YYYY/MM/DD/<basename><ext>`` (science.md 2.1).

    Parameters
    ----------
    basename : str
        Of either era.
    ext : str
        With its dot, such as ``.tar.gz``.

    Raises
    ------
    BadName
        When `basename` is none.
    """
    return f"{parse_basename(basename).datetime:%Y/%m/%d}/{basename}{ext}"


@lru_cache(maxsize=1024)
def mode_family(mode: str, site: str) -> str:
    """Return the family of a mode word, by its leading letters (science.md 4.0).

    Parameters
    ----------
    mode : str
        As in the catalogue or in sweep.json, any case.
    site : str
        The words of Endeavour's dispatcher (``dockimaging``, ``dockdiffuse``, ``dockdoppler``,
        ``sonartest``) mean something at Endeavour only.

    Returns
    -------
    str
        One of `FAMILIES`.
    """
    word = mode.lower()
    if site.lower() == "endeavour":
        word = "diffuse" if word == "sonartest" else word.removeprefix("dock")
    return _BY_LETTERS.get(word[:3], "unknown")
