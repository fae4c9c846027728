"""Sparse members of a tar are files like any other; what they claim is still held against the limits."""

import gzip
import io
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import xarray as xr
from fsspec.implementations.local import LocalFileSystem

from covis_dask.errors import ArchiveTruncated, ArchiveUnreadable, ArchiveUnsafe
from covis_dask.raw.archive import Limits, iter_members, open_archive
from covis_dask.raw.lazy import open_run
from covis_dask.raw.source import ArchiveSource
from tests.field._runs import process, report
from tests.unit._rawruns import store

HOLE = bytes(65536)
FILES = {
    "dense": b"dense" * 1000,
    "hole first": HOLE + b"data" * 2000,
    "hole last": b"data" * 2000 + HOLE,
    "many holes": b"".join(bytes([n]) * 4096 + HOLE for n in range(1, 60)) + b"end",
    "nothing but a hole": HOLE * 4,
    "after it": b"the next member",
}
FORMATS = {
    "gnu": ["--format=gnu"],
    "pax 0.0": ["--format=posix", "--sparse-version=0.0"],
    "pax 0.1": ["--format=posix", "--sparse-version=0.1"],
    "pax 1.0": ["--format=posix", "--sparse-version=1.0"],
}


@cache
def _packed(kind: str) -> bytes:
    tar = shutil.which("gtar") or shutil.which("tar")
    if (
        tar is None
        or b"GNU" not in subprocess.run([tar, "--version"], capture_output=True, check=True).stdout
    ):
        pytest.skip("there is no GNU tar here")
    with TemporaryDirectory() as folder:
        for name, data in FILES.items():
            with (Path(folder) / name).open("wb") as file:
                for at in range(0, len(data), 4096):
                    if any(data[at : at + 4096]):
                        file.seek(at)
                        file.write(data[at : at + 4096])
                file.truncate(len(data))
        words = [tar, "-S", "--hole-detection=raw", *FORMATS[kind], "-cf", "-", *FILES]
        return subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("packing", ["tar", "tar.gz"])
def test_every_format_is_read(kind: str, packing: str) -> None:
    """Whichever way GNU tar writes holes, each file comes out whole, and so does the next."""
    data = _packed(kind)
    assert len(data) < sum(map(len, FILES.values())) // 2, "tar found no holes"
    source = store(gzip.compress(data) if packing == "tar.gz" else data, packing)
    assert {member.name: (member.size, member.read()) for member in iter_members(source)} == {
        name: (len(data), data) for name, data in FILES.items()
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_first_bytes(kind: str) -> None:
    """The first bytes can be had alone, and in a plain tar at any time."""
    with open_archive(store(_packed(kind), "tar"), Limits(), lasting=True) as archive:
        for member in reversed(list(archive)):
            for limit in (0, 1, 5000, 70_000, 1 << 20):
                assert member.read(limit) == FILES[member.name][:limit]


@pytest.mark.parametrize("kind", FORMATS)
def test_limits_count_the_holes(kind: str) -> None:
    """A file may not be larger than allowed, however little of it is in the archive."""
    source = store(gzip.compress(_packed(kind)), "tar.gz")
    for limits in (Limits(max_member_bytes=65536), Limits(max_total_bytes=200_000)):
        with pytest.raises(ArchiveUnsafe, match="max_"):
            list(iter_members(source, limits))


@pytest.mark.parametrize("kind", FORMATS)
def test_cut_off_within(kind: str) -> None:
    """Cut off in a sparse member, the archive has to be fetched again."""
    data = _packed(kind)
    for cut in range(9000, len(data) - 20_000, 20_011):
        with pytest.raises(ArchiveTruncated):
            [member.read() for member in iter_members(store(data[:cut], "tar"))]


@pytest.mark.parametrize(
    ("extents", "size"),
    [("0,9", 5), ("4,2,0,1", 9), ("0,4,2,4", 9), ("0,600", 600), ("0,-1", 9), ("-5,3", 9)],
    ids=["beyond the file", "backwards", "overlapping", "beyond the archive", "negative", "before the file"],
)
def test_damaged_list(extents: str, size: int) -> None:
    """A list of pieces that cannot be is damage, not an endless read or wrong data."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("file")
        info.pax_headers = {"GNU.sparse.map": extents, "GNU.sparse.size": str(size)}
        info.size = 5
        tar.addfile(info, io.BytesIO(b"12345"))
    with pytest.raises(ArchiveUnreadable, match="sparse"):
        list(iter_members(store(buffer.getvalue(), "tar")))


def _dense(path: Path) -> bytes:
    """Pack the reported archive again without holes, as `tarfile` reads it."""
    buffer = io.BytesIO()
    with tarfile.open(path) as sparse, tarfile.open(fileobj=buffer, mode="w") as tar:
        for info in sparse:
            found = sparse.extractfile(info)
            data = b"" if found is None else found.read()
            plain = tarfile.TarInfo(info.name)
            plain.type, plain.size = (tarfile.REGTYPE if found else info.type), len(data)
            tar.addfile(plain, io.BytesIO(data))
    return buffer.getvalue()


def test_reported_file(tmp_path: Path) -> None:
    """The archive of the report gives the product of the same files without holes."""
    (path,) = report("12-gnu-sparse").glob("*.tar.gz")
    dense = tmp_path / "dense.tar"
    dense.write_bytes(_dense(path))
    xr.testing.assert_identical(process(path)[0], process(dense)[0])


def test_open_raw_of_a_plain_tar(tmp_path: Path) -> None:
    """A sparse ping of a plain tar, which lies nowhere as it is, can be opened too."""
    (path,) = report("12-gnu-sparse").glob("*.tar.gz")
    opened = []
    for name, data in (("sparse", gzip.decompress(path.read_bytes())), ("dense", _dense(path))):
        plain = tmp_path / f"{name}.tar"
        plain.write_bytes(data)
        opened.append(open_run(ArchiveSource(LocalFileSystem(), str(plain)), "run", scratch=tmp_path).load())
    xr.testing.assert_identical(*opened)
