"""Archives of simulated runs: kinds, orders, bytes, and the archive of the demonstration."""

import gzip
import tarfile
from dataclasses import replace
from pathlib import Path

import py7zr
import pytest

from catalog.names import basename_of, mode_family, parse_basename
from covis_dask.cli.simulate import main
from covis_dask.raw.record import parse_record
from covis_dask.simulate import PointScatterers, Scene, archive, simulate, write_archive
from covis_dask.simulate.archive import DemoRun, demo_runs, write_demo_archive
from covis_dask.simulate.pack import Order, arrange
from covis_dask.simulate.specs import run_spec

EXTENSIONS = [".tar", ".tar.gz", ".tgz", ".7z", ""]
SPEC = run_spec("ASHES", "imaging", samples=40, pitches=(4.0, 6.0), pings=2, faults=("empty_bin:4",))
MEMBERS = simulate(SPEC, Scene((PointScatterers(((-4.0, -3.0, 6.0),), (-20.0,)),)))


def read(path: Path) -> dict[str, bytes]:
    """Files of an archive, or a folder, in their order, by path within it."""
    if path.is_dir():
        return {f"{path.name}/{file.name}": file.read_bytes() for file in sorted(path.iterdir())}
    if path.suffix == ".7z":
        with py7zr.SevenZipFile(path) as packed:
            names = packed.getnames()
            target = path.parent / "unpacked"
            packed.extractall(target)
        return {name: (target / name).read_bytes() for name in names}
    with tarfile.open(path) as tar:
        files = [entry for entry in tar if entry.isfile()]
        return {entry.name: stream.read() for entry in files if (stream := tar.extractfile(entry))}


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_kind_holds_the_run(tmp_path: Path, extension: str) -> None:
    """Each kind of archive gives back all files, empty ones too, in one folder named like the run."""
    path = write_archive(MEMBERS, tmp_path / f"{SPEC.basename}{extension}")
    assert basename_of(path.name) == SPEC.basename
    assert read(path) == {f"{SPEC.basename}/{name}": data for name, data in MEMBERS.items()}


@pytest.mark.parametrize("extension", EXTENSIONS[:4])
def test_bytes_depend_on_the_contents_alone(tmp_path: Path, extension: str) -> None:
    """Two archives of the same run are equal to the byte, whatever they are called meanwhile."""
    first = write_archive(MEMBERS, tmp_path / "a" / f"run{extension}", folder="run")
    second = write_archive(MEMBERS, tmp_path / "b" / f"run{extension}", folder="run")
    assert first.read_bytes() == second.read_bytes()


def test_gzip_has_no_time(tmp_path: Path) -> None:
    """The gzip header carries neither time nor name, and the file unpacks to the plain tar."""
    packed = write_archive(MEMBERS, tmp_path / "run.tar.gz").read_bytes()
    assert packed[3] == 0
    assert packed[4:8] == bytes(4)
    assert gzip.decompress(packed) == write_archive(MEMBERS, tmp_path / "run.tar").read_bytes()


def test_orders(tmp_path: Path) -> None:
    """Members come in the order asked for, and a shuffled order is the same for the same seed."""
    written = list(MEMBERS)
    assert arrange(written, "written") == written
    assert arrange(written, "name") == sorted(written)
    late = arrange(written, "metadata-last")
    assert [name.endswith(".bin") for name in late] == [True] * 4 + [False] * (len(late) - 4)
    shuffled = arrange(written, "shuffled", seed=3)
    assert shuffled == arrange(written, "shuffled", seed=3) != written
    assert sorted(shuffled) == sorted(written)
    orders: tuple[Order, ...] = ("written", "name", "metadata-last", "shuffled")
    for order in orders:
        path = write_archive(MEMBERS, tmp_path / f"{order}.tar", folder="x", order=order)
        assert list(read(path)) == [f"x/{name}" for name in arrange(written, order)]


def test_other_folder() -> None:
    """At Endeavour the folder in the archive may bear start and end; at Ashes it is named like the run."""
    spec = run_spec("END", "diffuse", samples=20, pings=2)
    assert spec.folder == "APLUWCOVISMBSONAR001_20140305T030012.345Z_20140305T030013.595Z-DIFFUSE"
    assert SPEC.folder == SPEC.basename


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    """Writing a directory where something is fails, and leaves it alone and nothing else behind."""
    (tmp_path / "run").mkdir()
    with pytest.raises(FileExistsError, match="choose another location"):
        write_archive(MEMBERS, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not list((tmp_path / "run").iterdir())


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that breaks off leaves neither the archive nor a part of it."""

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(tarfile.TarFile, "addfile", broken)
    with pytest.raises(OSError, match="disk full"):
        write_archive(MEMBERS, tmp_path / "run.tar.gz")
    assert not list(tmp_path.iterdir())


def test_demo_runs_of_2014() -> None:
    """The demonstration holds several runs of each mode of 2014, on several days, in three kinds of file."""
    runs = demo_runs()
    names = [parse_basename(run.spec.basename) for run in runs]
    assert {name.site for name in names} == {"Endeavour"}
    assert {name.datetime.year for name in names} == {2014}
    modes = [name.mode for name in names]
    assert {mode: modes.count(mode) for mode in set(modes)} == {"IMAGING": 3, "DOPPLER": 3, "DIFFUSE": 4}
    assert len({name.datetime.date() for name in names}) >= 3
    kinds = [run.extension for run in runs]
    assert (kinds.count(".tar"), kinds.count(".7z")) == (1, 1)
    assert len({run.path for run in runs}) == len(runs)
    for run in runs:
        start = run.spec.start
        assert run.path == f"{start:%Y/%m/%d}/{run.spec.basename}{run.extension}"


def test_demo_runs_of_all_modes() -> None:
    """With `full` there is a run of each mode of Ashes, all in 2019, besides those of 2014."""
    short, full = demo_runs(), demo_runs(full=True)
    assert [run.path for run in full[: len(short)]] == [run.path for run in short]
    names = [parse_basename(run.spec.basename) for run in full[len(short) :]]
    families = {mode_family(name.mode, name.site) for name in names}
    assert families == {"imaging", "diffuse", "bathy", "doppler", "fullimaging"}
    assert {name.datetime.year for name in names} == {2019}


@pytest.mark.parametrize("number", range(3))
def test_demo_levels_fit_the_twelve_bits(number: int) -> None:
    """The scenes of the demonstration neither vanish below the last bit nor are clipped."""
    run = demo_runs()[number]
    spec = replace(run.spec, pitches=run.spec.pitches[len(run.spec.pitches) // 2 :][:1], pings=1)
    data = parse_record(simulate(spec, run.scene)["rec_7038_000001.bin"])[1][100:, :-1]
    assert 8 < max(abs(data.real).max(), abs(data.imag).max()) < 2000


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> tuple[DemoRun, ...]:
    """Two tiny runs in place of the demonstration's."""
    runs = (
        DemoRun(run_spec("END", "imaging", samples=30, pitches=(20.0,), pings=1), Scene()),
        DemoRun(run_spec("END", "diffuse", samples=30, pings=1), Scene(), extension=".tar"),
    )
    monkeypatch.setattr(archive, "demo_runs", lambda **_: runs)
    return runs


def test_demo_archive_is_written_once(tmp_path: Path, tiny: tuple[DemoRun, ...]) -> None:
    """A second call writes what is missing, keeps what is there, and says which."""
    lines: list[str] = []
    paths = write_demo_archive(tmp_path, log=lines.append)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [run.path for run in tiny]
    assert all("MB" in line for line in lines)
    paths[0].unlink()
    before = paths[1].stat().st_mtime_ns
    lines.clear()
    assert write_demo_archive(tmp_path, log=lines.append) == paths
    assert "MB" in lines[0]
    assert lines[1].endswith("kept")
    assert paths[1].stat().st_mtime_ns == before


@pytest.mark.usefixtures("tiny")
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command names each run and the sum; a place that takes no files gives a sentence and code 1."""
    assert main(["--output", str(tmp_path / "raw")]) == 0
    assert "2 runs" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert main(["--output", str(tmp_path / "file")]) == 1
    assert "cannot write" in capsys.readouterr().err
