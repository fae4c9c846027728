"""Raw archives: files of a run changed, packed in any way, and the archive changed again."""

import io
import json
import random
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import fsspec

from covis_dask.errors import InputError
from covis_dask.raw.archive import Limits
from covis_dask.raw.lazy import open_run
from covis_dask.raw.ping import ATTITUDE
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep
from tests.fuzz._changes import changed_bytes, changed_document, changed_text
from tests.unit._rawruns import CHANNELS, NAME, PACKERS, Files, pack, run_files

__all__ = ["check"]

_LIMITS = Limits(max_members=500, max_member_bytes=1 << 20, max_total_bytes=1 << 23, max_text_bytes=1 << 18)
_NAMES = (
    "../up",
    "/etc/passwd",
    "C:\\x",
    "",
    ".",
    "a" * 300,
    "é\ud800",
    "._index.csv",
    "__MACOSX/x",
    "x\0y",
    "run\\a",
)


def check(rng: random.Random, folder: Path) -> None:
    """Read an archive: it gives its pings, or an `InputError`; anything else goes through."""
    files = run_files((1, 2, 3, 5, 6))
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        _change(rng, files)
    kind = rng.choice(("tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "7z"))
    data = _packed(rng, kind, files)
    if rng.random() < 0.6:
        data = changed_bytes(rng, data)
    if rng.random() < 0.1:
        data += rng.randbytes(rng.randint(1, 3000))
    fs = fsspec.filesystem("memory")
    path = f"/fuzz/{NAME}.{kind if rng.random() < 0.8 else 'tar.gz'}"
    fs.pipe_file(path, data)
    source = ArchiveSource(fs, path)
    with suppress(InputError):
        with_sweep(source, NAME, _look, limits=_LIMITS, scratch=folder, log=_line)
    if rng.random() < 0.2:
        with suppress(InputError):
            open_run(source, NAME, limits=_LIMITS, scratch=folder).load()


def _line(line: str) -> None:
    assert isinstance(line, str)
    assert len(line) < 20_000, "a line of the log without end"


def _look(sweep: RawSweep) -> None:
    """Ask everything that a mode program asks."""
    sweep.attitude = tuple(ATTITUDE)
    header = sweep.common_header(34482)
    assert header.fault is None
    seen = [(ping.number, ping.data, sweep.header(ping.number)) for ping in sweep.pings(CHANNELS)]
    assert {number for number, _, _ in seen} <= set(sweep.table.rows)
    json.dumps(dict(sweep.sweep), default=str)
    assert all(abs(value) <= 90 for value in sweep.table.sensor_pitch)
    assert isinstance(sweep.notes, tuple)


def _change(rng: random.Random, files: Files) -> None:
    """Change one file of a run: its place, its name, or what is in it."""
    if not files:
        return
    at = rng.randrange(len(files))
    name, data = files[at]
    how = rng.randrange(7)
    if how == 0:
        del files[at]
    elif how == 1:
        files.append((name, changed_bytes(rng, data)))
    elif how == 2:
        rng.shuffle(files)
    elif how == 3:
        other = rng.choice(
            (*_NAMES, name.upper(), f"{NAME}/{rng.choice(_NAMES)}", name.replace(NAME, "other"))
        )
        files[at] = (other, data)
    elif name.endswith(".json") and rng.random() < 0.7:
        with suppress(ValueError):
            files[at] = (name, json.dumps(changed_document(rng, json.loads(data))).encode())
    elif name.endswith(".csv"):
        files[at] = (name, changed_text(rng, data))
    elif name.endswith(".bin") and len(data) > 60:
        field = rng.choice((8, 14, 16, 20, 22, 26, 30))
        number = struct.pack("<I", rng.choice((0, 1, 2, 4, 16, 255, 65535, 2**31, 2**32 - 1)))
        files[at] = (name, data[:field] + number[:2] + data[field + 2 :])
    else:
        files[at] = (name, changed_bytes(rng, data))


def _packed(rng: random.Random, kind: str, files: Files) -> bytes:
    """Pack files, whatever they are called; some tars with headers that nobody's tar writes."""
    with suppress(Exception):  # packers refuse some names
        if kind in ("zip", "7z") or rng.random() < 0.6:
            return pack(kind, files)
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"{NAME}/sweep.json", b"{}")
        return buffer.getvalue()
    style = rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=buffer, mode="w", format=style, errors="replace") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name[:90] or "x")
            info.size = len(data)
            if rng.random() < 0.1:
                info.type = bytes([rng.choice(b"0123456789LKSxgXVDMN\0")])
            if rng.random() < 0.05:
                info.size = rng.choice((0, 1, 1 << 20, 1 << 33))
            if rng.random() < 0.05:
                info.pax_headers = {"GNU.sparse.map": rng.choice(("0,5", "9,9", "-1,2", "x")), "size": "12"}
            with suppress(Exception):
                tar.addfile(info, io.BytesIO(data + bytes(max(0, min(info.size, 1 << 20) - len(data)))))
    return PACKERS.get(kind, bytes)(buffer.getvalue())
