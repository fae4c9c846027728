"""Names of runs: known answers (docs/method.md#known-answers), and what holds for any name."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.names import (
    UNKNOWN_MODE,
    BadName,
    archive_kind,
    archive_path,
    basename_of,
    families,
    mode_family,
    parse_basename,
)

ENDEAVOUR = "APLUWCOVISMBSONAR001_20111001T210757.973Z-IMAGING"
ASHES = "COVIS-20191024T003346-diffuse3"
EXTENSIONS = [
    "", ".tar", ".tar.gz", ".tgz", ".7z", ".zip", ".tar.bz2", ".tbz2", ".TAR.XZ", ".txz", ".tar.zst", ".tzst",
]  # fmt: skip

_endeavour_modes = st.from_regex(r"[A-Z0-9]{1,12}", fullmatch=True)
_ashes_modes = st.from_regex(r"[A-Za-z0-9]{1,16}", fullmatch=True)


def _moments(first_year: int, last_year: int) -> st.SearchStrategy[dt.datetime]:
    first, last = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (first_year, last_year + 1))
    milliseconds = st.integers(0, (last - first) // dt.timedelta(milliseconds=1) - 1)
    return milliseconds.map(lambda number: first + dt.timedelta(milliseconds=number))


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_endeavour_name(extension: str) -> None:
    """An Endeavour archive of any kind gives its run, to the millisecond, and its path by date."""
    name = parse_basename(basename_of(f"somewhere/{ENDEAVOUR}{extension}"))
    assert (name.basename, name.mode, name.site, name.fault) == (ENDEAVOUR, "IMAGING", "Endeavour", None)
    assert name.datetime == dt.datetime(2011, 10, 1, 21, 7, 57, 973000, dt.UTC)
    assert archive_path(ENDEAVOUR, extension) == f"2011/10/01/{ENDEAVOUR}{extension}"


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_ashes_name(extension: str) -> None:
    """An Ashes archive of any kind gives its run and its path by date."""
    name = parse_basename(basename_of(f"{ASHES}{extension}"))
    assert (name.basename, name.mode, name.site, name.fault) == (ASHES, "diffuse3", "Ashes", None)
    assert name.datetime == dt.datetime(2019, 10, 24, 0, 33, 46, 0, dt.UTC)
    assert archive_path(ASHES, extension) == f"2019/10/24/{ASHES}{extension}"


def test_name_that_lost_milliseconds_and_mode() -> None:
    """The malformed name of docs/method.md#names is read, with unknown mode and the site of its date."""
    name = parse_basename(basename_of("APLUWCOVISMBSONAR001_20111001T210757.7z"))
    assert name.datetime == dt.datetime(2011, 10, 1, 21, 7, 57, 0, dt.UTC)
    assert (name.mode, name.site, name.fault) == (UNKNOWN_MODE, "Endeavour", "the mode is lost")
    assert mode_family(name.mode, name.site) == "unknown"


def test_time_of_day_of_seven_digits() -> None:
    """Seven digits are read as hhmmss and one too many; the fault is named."""
    name = parse_basename("APLUWCOVISMBSONAR001_20100930T0300000.172Z-IMAGING")
    assert name.datetime == dt.datetime(2010, 9, 30, 3, 0, 0, 172000, dt.UTC)
    assert (name.mode, name.fault) == ("IMAGING", "the time of day has seven digits")


@pytest.mark.parametrize(
    ("text", "mode", "fault"),
    [
        ("APLUWCOVISMBSONAR001_20111001T210757-IMAGING", "IMAGING", "the milliseconds are lost"),
        ("APLUWCOVISMBSONAR001_20111001T210757.973Z", UNKNOWN_MODE, "the mode is lost"),
        ("COVIS-20191024T003346", UNKNOWN_MODE, "the mode is lost"),
    ],
)
def test_other_faults(text: str, mode: str, fault: str) -> None:
    """A name that lost a part is read as far as it goes."""
    name = parse_basename(text)
    assert (name.mode, name.fault) == (mode, fault)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "readme",
        "APLUWCOVISMBSONAR001_20140227T210039.330Z_20140227T210809.616Z-IMAGING",  # a folder inside archives
        "APLUWCOVISMBSONAR001_20141301T210757.973Z-IMAGING",
        "COVIS-20190230T003346-diffuse3",
        "COVIS-20191024T243346-diffuse3",
        f"{ASHES}\n",
        f"{ASHES}.tar.gz",
        f"2019/10/24/{ASHES}",
        "COVIS-2019\u0661\u066024T003346-diffuse3",
    ],
)
def test_no_name(text: str) -> None:
    """What is no name, or a moment that never was, is refused by a sentence that quotes it."""
    with pytest.raises(BadName, match=r"not the basename|impossible") as refusal:
        parse_basename(text)
    assert repr(text) in str(refusal.value)


@given(_moments(2010, 2015), _endeavour_modes, st.sampled_from(EXTENSIONS))
def test_endeavour_round_trip(moment: dt.datetime, mode: str, extension: str) -> None:
    """Any sound Endeavour name comes back from its archive's path with its own time and mode."""
    basename = f"APLUWCOVISMBSONAR001_{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z-{mode}"
    name = parse_basename(basename_of(archive_path(basename, extension)))
    assert (name.basename, name.datetime, name.mode, name.site) == (basename, moment, mode, "Endeavour")
    assert name.fault is None


@given(_moments(2016, 2030), _ashes_modes, st.sampled_from(EXTENSIONS))
def test_ashes_round_trip(moment: dt.datetime, mode: str, extension: str) -> None:
    """Any sound Ashes name comes back from its archive's path with its own time and mode."""
    moment = moment.replace(microsecond=0)
    basename = f"COVIS-{moment:%Y%m%dT%H%M%S}-{mode}"
    name = parse_basename(basename_of(archive_path(basename, extension)))
    assert (name.basename, name.datetime, name.mode, name.site) == (basename, moment, mode, "Ashes")
    assert name.fault is None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text, however odd, makes the grammar fail in another way than by saying no."""
    try:
        name = parse_basename(basename_of(text))
    except BadName:
        return
    assert mode_family(name.mode, name.site) in families()


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        (f"{ASHES}.tar.gz", "tar.gz"),
        (f"{ASHES}.tgz", "tar.gz"),
        (f"{ENDEAVOUR}.tar", "tar"),
        (f"2011/10/01/{ENDEAVOUR}.7z", "7z"),
        (f"{ENDEAVOUR}.TAR", "tar"),
        (f"{ASHES}.tar.bz2", "tar.bz2"),
        (f"{ASHES}.tbz2", "tar.bz2"),
        (f"{ASHES}.TAR.XZ", "tar.xz"),
        (f"{ASHES}.txz", "tar.xz"),
        (f"{ASHES}.tar.zst", "tar.zst"),
        (f"{ASHES}.Zip", "zip"),
        (ENDEAVOUR, None),
        (f"{ENDEAVOUR}.mat", None),
        (f"{ENDEAVOUR}.tar.gz.part", None),
    ],
)
def test_archive_kind(filename: str, kind: str | None) -> None:
    """The kind of an archive is told by the end of its name."""
    assert archive_kind(filename) == kind


@pytest.mark.parametrize(
    ("site", "family", "modes"),
    [
        ("Endeavour", "imaging", "IMAGING imaging dockimaging"),
        ("Endeavour", "diffuse", "DIFFUSE DIFFUSESLOW dockdiffuse sonartest"),
        ("Endeavour", "doppler", "DOPPLER dockdoppler"),
        ("Endeavour", "bathy", "BATHY"),
        ("Ashes", "imaging", "imaging imaging1 imageleft imagecenter"),
        (
            "Ashes",
            "diffuse",
            "diffuse diffuse3 diffuse1deep diffuse2shallow diffuse1down diffuse3up diffuseleft",
        ),
        ("Ashes", "doppler", "doppler1 doppler3"),
        ("Ashes", "bathy", "bathy2"),
        ("Ashes", "fullimaging", "fullimaging1"),
        ("Ashes", "survey", "survey3"),
        ("Ashes", "target", "target"),
        ("Ashes", "pano", "panoleft panocenter panoright2"),
        ("Ashes", "unknown", "(unknown) dockimaging sonartest x"),
        ("Endeavour", "unknown", "(unknown) dock"),
    ],
)
def test_mode_family(site: str, family: str, modes: str) -> None:
    """Mode words go to their family by the leading letters, as docs/method.md#dispatch says, per site."""
    assert {mode: mode_family(mode, site) for mode in modes.split()} == dict.fromkeys(modes.split(), family)
