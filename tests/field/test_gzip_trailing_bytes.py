"""Bytes behind a sound gzip file are no damage; a file cut off before its end is."""

import gzip

import pytest

from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable, InputError
from tests.field._runs import SOUND, assert_sound, read, report
from tests.unit._rawruns import pack, run_files, store

TAR = pack("tar", run_files())
PACKED = gzip.compress(TAR)
BEHIND = {
    "line end": b"\r\n",
    "one byte": b"\n",
    "nine bytes": b"123456789",
    "text": b"-- sent from the vessel --\n" * 100,
    "zeros, then text": bytes(5000) + b"the end\n",
    "erased flash": b"\xff" * 4096,
    "half a mark": b"\x1f",
    "a long log": b"2019-10-24 transferred\n" * 100_000,
}


@pytest.mark.parametrize("behind", BEHIND)
def test_read_with_a_note(behind: str) -> None:
    """Whatever stands behind a sound end, the run is read, and the log says that something does."""
    log: list[str] = []
    assert read(store(PACKED + BEHIND[behind], "tar.gz"), log) == SOUND
    assert ["behind the end" in line for line in log] == [True]


@pytest.mark.parametrize("zeros", [1, 9, 10, 511, 100_000])
def test_padding_is_nothing_odd(zeros: int) -> None:
    """Zeros up to the end of a tape block are padding, as ever: no note."""
    log: list[str] = []
    assert read(store(PACKED + bytes(zeros), "tar.gz"), log) == SOUND
    assert log == []


@pytest.mark.parametrize("behind", ["", "\r\n"])
@pytest.mark.parametrize("cut", [1, 700, 2048])
def test_parts_are_one_file(cut: int, behind: str) -> None:
    """A file in several gzip parts is read to the end of its last part."""
    parts = gzip.compress(TAR[:cut]) + bytes(3) + gzip.compress(TAR[cut:])
    log: list[str] = []
    assert read(store(parts + behind.encode(), "tar.gz"), log) == SOUND
    assert len(log) == len(behind) // 2


def test_cut_off_is_truncated() -> None:
    """Cut off anywhere, in its first part or in its last, the file has to be fetched again."""
    for data, first in ((PACKED, 20), (gzip.compress(TAR[:2048]) + gzip.compress(TAR[2048:]), None)):
        start = len(gzip.compress(TAR[:2048])) + 2 if first is None else first
        for cut in range(start, len(data), 7):
            with pytest.raises(ArchiveTruncated, match="download the file again"):
                read(store(data[:cut], "tar.gz"), [])


def test_damage_stays_damage() -> None:
    """A changed byte before the end is not taken for bytes behind it."""
    checksum = len(PACKED) - 8
    for behind in (b"", b"\r\n"):
        data = PACKED[:checksum] + bytes([PACKED[checksum] ^ 1]) + PACKED[checksum + 1 :] + behind
        with pytest.raises(ArchiveUnreadable, match="damaged"):
            read(store(data, "tar.gz"), [])


def test_said_when_the_run_fails() -> None:
    """The note reaches the log of a run that fails for another reason, too."""
    files = [(name, data) for name, data in run_files() if "7000" not in name]
    log: list[str] = []
    with pytest.raises(InputError, match="rec_7000"):
        read(store(pack("tar.gz", files) + b"\r\n", "tar.gz"), log)
    assert any("behind the end" in line for line in log)


def test_reported_file() -> None:
    """The archive of the report gives the product of the sound run, and a note."""
    (path,) = (report("04-gzip-trailing-bytes") / "crlf").iterdir()
    assert any("behind the end" in line for line in assert_sound(path))
