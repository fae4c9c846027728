"""`open_raw`: a run as a lazy xarray object, the same from every kind of archive."""

import gc
import pickle
from pathlib import Path
from typing import Any

import dask
import fsspec
import numpy as np
import pytest
import xarray as xr

import covis_dask as covis
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import with_sweep
from covis_dask.simulate.pack import write_archive
from tests.unit._rawruns import CHANNELS, NAME, NSAMPS, header, pack, record, run_files
from tests.unit._small_runs import MODES

_KINDS = (".tar", ".tar.gz", ".7z", "")


def _written(folder: Path, kind: str, **changes: bytes | None) -> Path:
    """Write the tiny run; a change replaces a file by its name, None leaves it out."""
    files = dict(run_files(folder="")) | {name: data for name, data in changes.items() if data is not None}
    gone = {name for name, data in changes.items() if data is None}
    return write_archive({n: d for n, d in files.items() if n not in gone}, folder / f"{NAME}{kind}")


def _scratch(folder: Path) -> list[Path]:
    gc.collect()
    return list(folder.glob("covis-raw-*"))


@pytest.mark.parametrize("mode", MODES[::3], ids=str)
@pytest.mark.parametrize("kind", _KINDS)
def test_samples_are_those_the_engine_reads(mode: Any, kind: str, tmp_path: Path) -> None:
    """Every sample of every ping equals what mode programs get, bit by bit; one chunk per ping."""
    archive = write_archive(mode.members, tmp_path / f"{mode.basename}{kind}", folder=mode.spec.folder)
    raw = covis.open_raw(archive, scratch=tmp_path)
    assert raw.samples.chunks is not None
    assert raw.samples.chunks[0] == (1,) * raw.sizes["ping"]
    assert raw.samples.dtype == np.complex64
    source = ArchiveSource(fsspec.filesystem("file"), str(archive))
    pings = with_sweep(source, mode.basename, lambda sweep: list(sweep.pings(raw.sizes["element"])))
    assert raw.ping.values.tolist() == [ping.number for ping in pings]
    np.testing.assert_array_equal(raw.samples.values, np.array([ping.data for ping in pings]))
    assert raw.samples.attrs["units"]
    assert raw.attrs["basename"] == mode.basename
    assert raw.attrs["site"] == mode.site


@pytest.mark.parametrize("kind", _KINDS)
def test_any_ping_at_any_time(kind: str, tmp_path: Path) -> None:
    """Pings are read in any order, also by a copy that has gone to another process, and from many threads."""
    raw = covis.open_raw(_written(tmp_path, kind), scratch=tmp_path)
    first = {number: 100.0 * number + 1j * (100 * number + 1) for number in (1, 2, 3, 5, 6)}
    for number in (6, 1, 5):
        assert complex(raw.samples.sel(ping=number).values[0, 0]) == first[number]
    copy = pickle.loads(pickle.dumps(raw))
    with dask.config.set(scheduler="threads", num_workers=4):
        assert copy.samples.values[:, 0, 0].tolist() == list(first.values())


def test_attitude_and_headers_are_coordinates(tmp_path: Path) -> None:
    """Each ping has its own time, attitude and settings, with units; NaN where it has no header."""
    changed = {"rec_7000_000002.json": header(gain_sel=41), "rec_7000_000003.json": None}
    raw = covis.open_raw(_written(tmp_path, ".tar", **changed))
    assert raw.sensor_pitch.values.tolist() == [0.1, 0.2, 0.3, 0.5, 0.6]
    assert raw.sensor_pitch.attrs["units"] == "degree"
    assert raw.gain_setting.values[:2].tolist() == [53.0, 41.0]
    assert np.isnan(raw.gain_setting.values[2])
    assert raw.time.values[0] == np.datetime64("2019-08-20T12:00:02.25")
    assert dict(raw.sizes) == {"ping": 5, "sample": NSAMPS, "element": CHANNELS}
    assert raw.attrs["sweep"] == '{"mode": "imaging1"}'


def test_faulty_pings_say_why(tmp_path: Path) -> None:
    """A ping that is cut off keeps its place, names its fault and has no numbers; a missing one is listed."""
    changed = {"rec_7038_000002.bin": record(2, keep=70), "rec_7038_000005.bin": None}
    raw = covis.open_raw(_written(tmp_path, ".tar.gz", **changed), scratch=tmp_path)
    assert raw.ping.values.tolist() == [1, 2, 3, 6]
    assert "truncated" in str(raw.fault.sel(ping=2).item())
    assert np.isnan(raw.samples.sel(ping=2).values).all()
    assert raw.fault.sel(ping=3).item() == ""
    assert not np.isnan(raw.samples.sel(ping=3).values).any()
    assert raw.attrs["missing_pings"] == [5]


def test_a_stream_is_unpacked_once_and_nothing_stays(tmp_path: Path) -> None:
    """Scratch holds a stream as long as something refers to it; a plain tar and a folder need none."""
    for kind in (".tar", ""):
        raw = covis.open_raw(_written(tmp_path, kind), scratch=tmp_path)
        assert not _scratch(tmp_path)
    archive = _written(tmp_path, ".tar.gz")
    raw = covis.open_raw(archive, scratch=tmp_path)
    archive.unlink()  # it is not read again
    part: xr.DataArray = raw.samples[2]
    del raw
    assert len(_scratch(tmp_path)) == 1
    assert complex(part.values[0, 0]) == 300 + 301j
    del part
    assert not _scratch(tmp_path)


def test_far_away_and_through_urls() -> None:
    """Any fsspec URL will do: of a stream, and of a folder."""
    fs = fsspec.filesystem("memory")
    fs.pipe_file(f"/far/{NAME}.tar.gz", pack("tar.gz", run_files()))
    for name, data in run_files():
        fs.pipe_file(f"/far/unpacked/{name}", data)
    for url in (f"memory://far/{NAME}.tar.gz", f"memory://far/unpacked/{NAME}"):
        assert complex(covis.open_raw(url).samples[4].values[0, 0]) == 600 + 601j


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """Each failure is one of ours, says what to do, and leaves no scratch behind."""
    whole = _written(tmp_path, ".tar.gz").read_bytes()
    (tmp_path / f"{NAME}.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(covis.ArchiveTruncated, match="download the file again"):
        covis.open_raw(tmp_path / f"{NAME}.tar.gz", scratch=tmp_path)
    assert not _scratch(tmp_path)
    with pytest.raises(covis.RawMissing):
        covis.open_raw(tmp_path / "elsewhere" / f"{NAME}.tar.gz")
    with pytest.raises(covis.ConfigurationError, match="must be named after its run"):
        covis.open_raw(tmp_path / "some.tar.gz")
    bad = {name: b"" for name, _ in run_files(folder="") if name.endswith(".bin")}
    with pytest.raises(covis.NoValidPings):
        covis.open_raw(_written(tmp_path, ".tar", **bad))
