"""Archives of every kind: their members, cut-off and damaged files, hostile ones, and stores that fail."""

import gzip
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import py7zr
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from hypothesis import given, settings
from hypothesis import strategies as st

from covis_dask.errors import (
    ArchiveTruncated,
    ArchiveUnreadable,
    ArchiveUnsafe,
    InputError,
    RawMissing,
    StorageUnavailable,
)
from covis_dask.raw.archive import Limits, iter_members, open_archive
from covis_dask.raw.source import ArchiveSource
from tests.unit._rawruns import (
    KINDS,
    LASTING,
    NAME,
    PACKERS,
    Files,
    pack,
    run_files,
    store,
    stored,
    tar_bytes,
)

FILES = run_files()
PACKED = {kind: pack(kind, FILES) for kind in KINDS if kind != "folder"}


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert {thread for thread in threading.enumerate() if thread.name.startswith("covis")} <= before


def _read(source: ArchiveSource, limits: Limits = Limits()) -> Files:  # noqa: B008
    return [(member.name, member.read()) for member in iter_members(source, limits)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_yields_its_files(kind: str) -> None:
    """Each kind of archive yields the same files, a folder under names of its own."""
    prefix = "" if kind == "folder" else f"{NAME}/"
    expected = {prefix + name.removeprefix(f"{NAME}/"): data for name, data in FILES}
    members = list(iter_members(stored(kind, FILES)))
    assert {member.name: member.size for member in members} == {n: len(d) for n, d in expected.items()}
    assert dict(_read(stored(kind, FILES))) == expected


def test_contents_decide_not_the_name() -> None:
    """An archive under a wrong or faulty name (docs/method.md#names) is still read."""
    for kind, data in PACKED.items():
        assert len(_read(store(data, "part.tar.gz"))) == len(FILES), kind
        assert len(_read(store(data, "172Z-IMAGING"))) == len(FILES), kind


def test_members_need_not_be_read() -> None:
    """A member that is not read, or only begun, does not disturb the next."""
    for kind in KINDS:
        for number, member in enumerate(iter_members(stored(kind, FILES))):
            if number % 2:
                assert member.read(3) == dict(_read(stored(kind, FILES)))[member.name][:3]


def test_stream_members_cannot_be_read_late() -> None:
    """Reading a member of a stream after the next one has come is refused, not answered wrongly."""
    first, *_ = iter_members(store(PACKED["tar.gz"]))
    with pytest.raises(ValueError, match="read once"):
        first.read()


@pytest.mark.parametrize("kind", LASTING)
def test_lasting_members(kind: str) -> None:
    """In a plain tar, a ZIP and a folder, members can be read at any time and in any order."""
    with open_archive(stored(kind, FILES), Limits(), lasting=True) as archive:
        assert archive.lasting
        members = list(archive)
        contents = {member.name.removeprefix(f"{NAME}/"): member.read() for member in reversed(members)}
        assert archive.marked
    assert contents == {name.removeprefix(f"{NAME}/"): data for name, data in FILES}


@pytest.mark.parametrize("kind", [kind for kind in PACKED if kind != "tar"])
def test_truncated_anywhere(kind: str) -> None:
    """A compressed archive cut off at any place is called truncated."""
    data = PACKED[kind]
    for cut in range(0, len(data), 3):
        with pytest.raises(ArchiveTruncated):
            _read(store(data[:cut], kind))


def test_truncated_tar() -> None:
    """A plain tar cut off within a member or header is called truncated; between members one cannot tell."""
    data = PACKED["tar"]
    for cut in range(0, len(data), 61):
        try:
            found = _read(store(data[:cut], "tar"))
        except ArchiveTruncated:
            continue
        assert found == FILES[: len(found)]
        assert not any(data[cut : cut + -cut % 512]), "something of the last block was lost"


def test_what_gnu_tar_adds() -> None:
    """A volume label and the lists of an incremental archive are passed over; a contiguous file is a file."""
    label, listed, contiguous = (tarfile.TarInfo(name) for name in ("COVIS backup 7", "run/", "run/b"))
    label.type, listed.type, contiguous.type = b"V", b"D", tarfile.CONTTYPE
    listed.size = contiguous.size = 5
    data = tar_bytes([(label, b""), (listed, b"Yb\0\0\0"), ("run/a", b"text"), (contiguous, b"whole")])
    assert _read(store(data, "tar")) == [("run/a", b"text"), ("run/b", b"whole")]


def test_missing_end_marks_are_forgiven() -> None:
    """A tar whose end marks and last padding are gone has lost nothing."""
    data = PACKED["tar"].rstrip(b"\0")
    for cut in (data, data + bytes(100), gzip.compress(data), PACKED["tar"] + bytes(5000)):
        assert len(_read(store(cut, "tar"))) == len(FILES)


@pytest.mark.parametrize("kind", [kind for kind in PACKED if kind != "tar"])
def test_without_its_end_is_truncated(kind: str) -> None:
    """The last bytes of what is packed hold its checksum, or its list: without them it is not whole."""
    with pytest.raises(ArchiveTruncated):
        _read(store(PACKED[kind][:-1], kind))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG" + bytes(1000), "tar.gz"),
        (PACKED["zip"][:120] + bytes([PACKED["zip"][120] ^ 1]) + PACKED["zip"][121:], "zip"),
        (b"hello" * 300, "tar"),
        (gzip.compress(b"hello" * 300), "tar.gz"),
        (PACKED["tar"][:512] + b"junk" * 300 + PACKED["tar"][1712:], "tar"),
        (PACKED["tar.gz"][:-6] + b"\xff" + PACKED["tar.gz"][-5:], "tar.gz"),
        (PACKED["7z"][:40] + bytes([PACKED["7z"][40] ^ 1]) + PACKED["7z"][41:], "7z"),
        (PACKED["7z"][:-3] + bytes([PACKED["7z"][-3] ^ 1]) + PACKED["7z"][-2:], "7z"),
    ],
    ids=["png", "zip data", "text", "gzipped text", "bad header", "gzip checksum", "7z data", "7z header"],
)
def test_unreadable(data: bytes, kind: str) -> None:
    """What is no archive, or damaged, is called unreadable."""
    with pytest.raises(ArchiveUnreadable):
        _read(store(data, kind))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(PACKED)), st.data())
def test_damage_never_does_worse(kind: str, data: st.DataObject) -> None:
    """Whichever bytes are damaged, the archive is read or refused as bad input: no other error, no hang."""
    damaged = bytearray(PACKED[kind])
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=3)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        _read(store(bytes(damaged), kind))
    except InputError:
        return


def _special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def _sparse() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(f"{NAME}/rec_7038_000001.bin")
        info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "999999999999"}
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    return buffer.getvalue()


EVIL = {
    "absolute": tar_bytes([("/etc/passwd", b"x"), *FILES]),
    "parent": tar_bytes([*FILES, (f"{NAME}/../../x", b"x")]),
    "backslash": tar_bytes([("..\\x", b"x")]),
    "drive": tar_bytes([("C:\\x", b"x")]),
    "parent folder": tar_bytes([_special("../up", tarfile.DIRTYPE)]),
    "symbolic link": tar_bytes([_special(f"{NAME}/index.csv", tarfile.SYMTYPE, "/etc/passwd")]),
    "hard link": tar_bytes([*FILES, _special("beside", tarfile.LNKTYPE, f"{NAME}/index.csv")]),
    "device": tar_bytes([_special("zero", tarfile.CHRTYPE)]),
    "block device": tar_bytes([_special("sda", tarfile.BLKTYPE)]),
    "pipe": tar_bytes([_special("pipe", tarfile.FIFOTYPE)]),
    "huge sparse": _sparse(),
}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("evil", EVIL)
def test_hostile_tar(evil: str, packing: str) -> None:
    """Paths out of the archive, links, devices and a sparse terabyte are refused wherever they stand."""
    with pytest.raises(ArchiveUnsafe):
        _read(store(PACKERS[packing](EVIL[evil]), packing))


def test_hostile_seven_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for 7z: a link is refused, and so is a path out of it."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "link.7z", "w") as archive:
        archive.write(tmp_path / "link", "run/index.csv")
    # Even the writer refuses such names, so it has to be talked into them.
    monkeypatch.setattr("py7zr.py7zr.check_archive_path", lambda _: True)
    monkeypatch.setattr(py7zr.SevenZipFile, "_sanitize_archive_arcname", staticmethod(lambda name: name))
    with py7zr.SevenZipFile(tmp_path / "path.7z", "w") as archive:
        archive.writestr(b"x", "../../up")
    with py7zr.SevenZipFile(tmp_path / "root.7z", "w") as archive:
        archive.writestr(b"x", "/etc/passwd")
    fs = fsspec.filesystem("file")
    for name in ("link.7z", "path.7z", "root.7z"):
        with pytest.raises(ArchiveUnsafe):
            _read(ArchiveSource(fs, str(tmp_path / name)))


@pytest.mark.parametrize("target", ["/etc/passwd", "/etc", ".", "nowhere"])
def test_linked_folder(target: str, tmp_path: Path) -> None:
    """A link inside a folder is refused too, whatever it leads to."""
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(ArchiveUnsafe, match="link"):
        _read(ArchiveSource(fsspec.filesystem("file"), str(tmp_path)))


def test_hostile_folder(tmp_path: Path) -> None:
    """A folder may hold no pipe: reading it would hang."""
    os.mkfifo(tmp_path / "index.csv")
    with pytest.raises(ArchiveUnsafe):
        _read(ArchiveSource(fsspec.filesystem("file"), str(tmp_path)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "limits",
    [Limits(max_members=3), Limits(max_member_bytes=50), Limits(max_total_bytes=1500)],
    ids=["count", "member", "total"],
)
def test_limits(kind: str, limits: Limits) -> None:
    """Too many members, too large a member, too much in all: refused, in every kind of archive."""
    with pytest.raises(ArchiveUnsafe, match="max_"):
        _read(stored(kind, FILES), limits)


def test_size_bomb_is_refused_unread() -> None:
    """A size that only the header claims is refused before anything is unpacked."""
    info = tarfile.TarInfo("bomb")
    info.size = 1 << 40
    with pytest.raises(ArchiveUnsafe, match="max_member_bytes"):
        _read(store(gzip.compress(info.tobuf()), "tar.gz"))


def test_header_bomb_is_refused() -> None:
    """A name of a gigabyte is not read into memory."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with pytest.raises(ArchiveUnsafe, match="header"):
        _read(store(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)), "tar.gz"))


def test_endless_padding_is_refused() -> None:
    """Zeros without end after the end mark are not read to their end."""
    for kind in PACKERS.keys() - {"tar"}:
        data = PACKERS[kind](PACKED["tar"] + bytes(1 << 22))
        with pytest.raises(ArchiveUnsafe, match="end mark"):
            _read(store(data, kind), Limits(max_total_bytes=1 << 20))


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading leaves no file behind, neither here nor in the temporary folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for kind in KINDS:
        _read(stored(kind, FILES))
    assert list(tmp_path.iterdir()) == []


def test_seven_zip_stops_early() -> None:
    """A 7z that is left after a member, or by an exception, leaves no thread behind (see the fixture)."""
    for count in range(3):
        members = iter_members(store(PACKED["7z"]))
        for _ in range(count):
            next(members)
        members.close()  # type: ignore[attr-defined]

    def broken() -> None:
        for _ in iter_members(store(PACKED["7z"])):
            raise KeyError

    with pytest.raises(KeyError):
        broken()


@pytest.mark.parametrize("kind", PACKED)
def test_empty_archive_has_no_members(kind: str) -> None:
    """An archive of nothing is sound, and yields nothing."""
    assert _read(store(pack(kind, []), kind)) == []


def test_tar_of_the_oldest_kind() -> None:
    """A tar without the mark of the later formats is read by its name."""
    data = bytearray(tar_bytes([("run/a", b"text")]))
    data[257:265] = bytes(8)
    header = bytes(data[:148]) + b" " * 8 + bytes(data[156:512])
    data[148:156] = b"%06o\0 " % sum(header)
    assert _read(store(bytes(data), "tar")) == [("run/a", b"text")]


def test_seven_zip_keeps_names_apart() -> None:
    """Of two files with one name both are yielded, in order; an empty file is a member too."""
    data = pack("7z", [("run/a", b"first"), ("run/empty", b""), ("run/a", b"last")])
    found = _read(store(data))
    assert sorted(found) == [("run/a", b"first"), ("run/a", b"last"), ("run/empty", b"")]
    assert [text for name, text in found if name == "run/a"] == [b"first", b"last"]


def test_missing_raw_file() -> None:
    """A file that is not there is missing, not unavailable."""
    with pytest.raises(RawMissing):
        _read(ArchiveSource(fsspec.filesystem("memory"), "/nowhere/run.tar.gz"))
    with pytest.raises(RawMissing):
        _read(ArchiveSource(fsspec.filesystem("file"), "/nowhere/run"))


class _Breaks(io.BytesIO):
    """A file whose connection breaks after some bytes."""

    def __init__(self, data: bytes, after: int, error: Exception) -> None:
        super().__init__(data)
        self._after, self._error = after, error

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= self._after:
            raise self._error
        return super().read(min(size or 0, self._after - self.tell()))


class _OneFile:
    """As much of a file system as reading takes."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def isdir(self, _: str) -> bool:
        return False

    def open(self, _: str, __: str) -> io.BytesIO:
        return self._file


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("error", [OSError("reset"), TimeoutError(), RuntimeError("odd client")])
def test_store_that_breaks_off(kind: str, error: Exception) -> None:
    """An error of the store, of whatever class, is not taken for damage of the archive."""
    for after in (0, 100, len(PACKED[kind]) // 2):
        file = _Breaks(PACKED[kind], after, error)
        with pytest.raises(StorageUnavailable):
            _read(ArchiveSource(_OneFile(file), f"run.{kind}"))
        assert file.closed


class _FarAway:
    """A store across a network: asynchronous, so it is asked for ranges."""

    async_impl = True

    def __init__(self, data: bytes, most: int | None = None, fail_from: int | None = None) -> None:
        self.data, self.most, self.fail_from = data, most, fail_from
        self.ranges: list[tuple[int, int]] = []

    def info(self, _: str) -> dict[str, Any]:
        return {"size": len(self.data)}

    def cat_file(self, _: str, start: int, end: int) -> bytes:
        self.ranges.append((start, end))
        if self.fail_from is not None and end > self.fail_from:
            raise OSError("reset")
        return self.data[start : end if self.most is None else min(end, start + self.most)]


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("most", [None, 301])
def test_reading_ahead(kind: str, most: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store across a network is read in ranges ahead of need, also when it sends less than asked for."""
    monkeypatch.setattr("covis_dask.raw._store._CHUNK", 700)
    far = _FarAway(PACKED[kind], most)
    found = _read(ArchiveSource(far, f"run.{kind}"))
    assert dict(found) == dict(FILES)
    assert len(far.ranges) > 1


@pytest.mark.parametrize("kind", PACKED)
def test_reading_ahead_from_a_real_asynchronous_store(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The asynchronous machinery of fsspec takes several ranges at once."""
    monkeypatch.setattr("covis_dask.raw._store._CHUNK", 256)
    source = store(PACKED[kind], kind)
    far = AsyncFileSystemWrapper(source.fs, asynchronous=False)
    assert dict(_read(ArchiveSource(far, source.path))) == dict(FILES)


def test_reading_ahead_fails_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that fails is a store that broke off; an early end leaves no thread behind."""
    monkeypatch.setattr("covis_dask.raw._store._CHUNK", 700)
    with pytest.raises(StorageUnavailable):
        _read(ArchiveSource(_FarAway(PACKED["tar"], fail_from=3000), "run.tar"))
    members = iter_members(ArchiveSource(_FarAway(PACKED["tar"]), "run.tar"))
    next(members)
    members.close()  # type: ignore[attr-defined]


def test_store_that_ignores_ranges() -> None:
    """A store that sends the whole file for each range is not taken for a damaged archive."""
    far = _FarAway(PACKED["tar"])
    far.cat_file = lambda _, start, end: far.data + bytes(end)  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(StorageUnavailable, match="range"):
        _read(ArchiveSource(far, "run.tar"))


def test_lasting_members_far_away() -> None:
    """From a plain tar across a network only headers and the wanted members are fetched."""
    data = tar_bytes([("a", bytes(4 << 20)), ("b", b"wanted")])
    far = _FarAway(data)
    with open_archive(ArchiveSource(far, "run.tar"), Limits(), lasting=True) as archive:
        assert [member.read() for member in archive if member.name == "b"] == [b"wanted"]
    assert sum(end - start for start, end in far.ranges) < len(data)


@pytest.mark.golden
def test_golden_archives_open(shared: Path) -> None:
    """Every golden archive opens, and holds one run."""
    archives = sorted((shared / "golden").glob("*/*.tar.gz"))
    assert len(archives) >= 7
    for path in archives:
        names = [member.name for member in iter_members(ArchiveSource(fsspec.filesystem("file"), str(path)))]
        run = path.name.removesuffix(".tar.gz")
        assert {f"{run}/index.csv", f"{run}/sweep.json", f"{run}/rec_7038_000001.bin"} <= set(names)
