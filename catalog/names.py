"""Names of runs: the basename grammar of both eras, archive names, mode families.

See docs/method.md#names, #dispatch.

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
from dataclasses import dataclass
from functools import cache, lru_cache

from catalog.errors import BadName, CatalogError
from catalog.vocabulary import SITES, Family, Site

__all__ = [
    "ARCHIVE_KINDS",
    "MODES_GROUP",
    "UNKNOWN_MODE",
    "BadName",
    "RunName",
    "archive_kind",
    "archive_path",
    "basename_of",
    "families",
    "leading_letters",
    "mode_family",
    "parse_basename",
    "register_family",
    "site_of",
]

MODES_GROUP = "covis_dask.modes"
"""Entry points by which other distributions bring modes. Their names are families, and that is all that is
looked at here: what they stand for is loaded by whoever has programs for modes."""

UNKNOWN_MODE = "(unknown)"
"""Mode of a run whose name has lost it."""

_leading_letters: dict[str, str] = {
    str(Family.IMAGING): "ima",
    str(Family.DIFFUSE): "dif",
    str(Family.DOPPLER): "dop",
    str(Family.BATHY): "bat",
    str(Family.FULLIMAGING): "ful",
    str(Family.SURVEY): "sur",
    str(Family.TARGET): "tar",
    str(Family.PANO): "pan",
}
"""The three letters with which the mode words of each family begin; see `register_family`."""

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
_KINDS = {
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar": "tar",
    ".7z": "7z",
    ".zip": "zip",
    ".tar.zst": "tar.zst",
    ".tzst": "tar.zst",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tbz": "tar.bz2",
}
ARCHIVE_KINDS = tuple(dict.fromkeys(_KINDS.values()))
"""Kinds of raw archive: of several copies of a run on one host, the first of these is taken."""


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
        ``Endeavour`` or ``Ashes`` (`Site`), by the date.
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
    match = _READABLE.fullmatch(text)
    if match is None:
        raise BadName(
            f"{text!r} is not the basename of a COVIS run; examples are "
            "APLUWCOVISMBSONAR001_20111001T210757.973Z-IMAGING or COVIS-20191024T003346-diffuse3"
        )
    day, clock = match["day_e"] or match["day_a"], match["time_e"] or match["time_a"]
    numbers = (day[:4], day[4:6], day[6:], clock[:2], clock[2:4], clock[4:6])
    try:
        second = dt.datetime(*map(int, numbers), tzinfo=dt.UTC)  # type: ignore[misc,arg-type]  # six numbers
    except ValueError as error:
        raise BadName(f"{text!r} has an impossible date or time") from error
    moment = second.replace(microsecond=1000 * int(match["ms"] or 0))
    mode = match["mode_e"] or match["mode_a"]
    return RunName(text, moment, mode or UNKNOWN_MODE, str(site_of(moment)), _fault(text, clock, mode))


def _fault(text: str, clock: str, mode: str | None) -> str | None:
    if _SOUND.fullmatch(text):
        return None
    if len(clock) > 6:
        return "the time of day has seven digits"
    return "the milliseconds are lost" if mode else "the mode is lost"


def site_of(moment: dt.datetime) -> Site:
    """Return the site where COVIS stood at a time, UTC: Endeavour before 2016, then Ashes."""
    day = moment.date()
    return [site for site in Site if SITES[site].catalogued_from <= day][-1]


def basename_of(filename: str) -> str:
    r"""Return the basename of an archive's file name or path.

    The directory is dropped, then the extension of a raw archive, any case, or else one match of
    ``\.[\w.]{2,6}`` at the end. `Path.stem` would take ``.973Z-IMAGING`` for an extension.
    """
    name = filename.rpartition("/")[2]
    if extension := _archive_extension(name):
        return name[: -len(extension)]
    return _EXTENSION.sub("", name, count=1)


def archive_kind(filename: str) -> str | None:
    """Tell the kind of a raw archive by its name, in any case: one of `ARCHIVE_KINDS`, or None."""
    extension = _archive_extension(filename)
    return None if extension is None else _KINDS[extension]


def _archive_extension(filename: str) -> str | None:
    lower = filename.lower()
    return next((extension for extension in _KINDS if lower.endswith(extension)), None)


def archive_path(basename: str, ext: str) -> str:
    """Return where an archive usually lies: ``YYYY/MM/DD/<basename><ext>`` (docs/method.md#names).

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


def families() -> tuple[str, ...]:
    """Return every answer of `mode_family`: ours, those of installed distributions, ``unknown`` last."""
    _register_installed()
    return (*_leading_letters, str(Family.UNKNOWN))


def leading_letters(family: str) -> str:
    """Return the three lower-case letters with which the mode words of a family begin."""
    if family not in _leading_letters:
        _register_installed()
    return _leading_letters[family]


@cache
def _register_installed() -> None:
    """Make known the families whose modes other distributions bring.

    Raises
    ------
    CatalogError
        When such a family, or its first three letters, will not do.
    """
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    for entry in entry_points(group=MODES_GROUP):
        try:
            register_family(entry.name, entry.name[:3])
        except ValueError as error:
            whose = entry.dist.name if entry.dist else "unknown"
            raise CatalogError(
                f"the distribution {whose} brings a mode that cannot be: {error}; rename the mode there, or "
                "uninstall it"
            ) from error


def register_family(family: str, letters: str) -> None:
    """Make a family of modes known that this program does not have by itself.

    Families of modes that installed distributions bring need not be registered (`MODES_GROUP`): this is for
    programs that are not installed. Doing so again is no harm.

    Parameters
    ----------
    family : str
        One word in lower case.
    letters : str
        The three letters with which its mode words begin.

    Raises
    ------
    ValueError
        When the word or the letters will not do, or another family has them.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", family) or not re.fullmatch("[a-z]{3}", letters):
        raise ValueError(
            f"family {family!r} with letters {letters!r}: a family is a word in lower case, and its mode "
            "words begin with three letters of their own"
        )
    if family == Family.UNKNOWN or _leading_letters.get(family, letters) != letters:
        raise ValueError(f"there is a family {family!r} already")
    owner = next((known for known, own in _leading_letters.items() if own == letters), family)
    if owner != family:
        raise ValueError(f"modes that begin with {letters!r} are of family '{owner}'")
    _leading_letters[family] = letters
    mode_family.cache_clear()


@lru_cache(maxsize=1024)
def mode_family(mode: str, site: str) -> str:
    """Return the family of a mode word, by its leading letters.

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
        One of `families`: the word of a member of `Family`, or a family from outside.
    """
    word = mode.lower()
    if site.capitalize() == Site.ENDEAVOUR:
        word = Family.DIFFUSE if word == "sonartest" else word.removeprefix("dock")
    if word[:3] not in _leading_letters.values():
        _register_installed()
    return next((family for family, own in _leading_letters.items() if own == word[:3]), str(Family.UNKNOWN))
