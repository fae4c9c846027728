"""Raw hosts of every kind: DMAS, SFTP, S3, folders; and which copy is used."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.ingest import ListingError, walk_store
from catalog.model import RawFile, Run
from catalog.names import parse_basename
from cluster.servers import S3Server
from covis_dask.batches.plan import make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.config import Location, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import CovisError, RawMissing, StorageRefused, StorageUnavailable
from covis_dask.raw._store import open_sequential
from covis_dask.raw.archive import iter_members
from covis_dask.raw.source import ArchiveSource
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import process_run
from covis_dask.storage import open_location, storage_errors
from tests._place import Place, diffuse
from tests.services._onc import TOKEN, OncService, onc_service
from tests.services._s3 import location
from tests.services._sshd import SshServer, ssh_server

pytestmark = pytest.mark.service

NAME = f"{diffuse(1).basename}.tar"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small sound run as a plain .tar."""
    return Place(tmp_path_factory.mktemp("archive")).store(diffuse(1), extension=".tar")


@pytest.fixture
def onc(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OncService]:
    """Give the archive service with that run, and the token in the environment."""
    monkeypatch.setenv("DMAS_API_KEY", TOKEN)
    with onc_service({NAME: archive.read_bytes()}) as service:
        yield service


def _dmas(service: OncService) -> Location:
    return Location("onc://data.oceannetworks.ca", endpoint=service.url, key="${DMAS_API_KEY}")


@pytest.mark.parametrize(("ranges", "sizes"), [(True, True), (False, True), (False, False)])
def test_dmas_is_streamed(onc: OncService, archive: Path, ranges: bool, sizes: bool) -> None:
    """A file comes whole whether or not the service knows ranges and sizes; seeking needs ranges."""
    onc.ranges, onc.sizes = ranges, sizes
    fs, root = open_location(_dmas(onc))
    assert root == ""
    assert fs.info(NAME)["size"] == (archive.stat().st_size if sizes else None)
    with open_sequential(ArchiveSource(fs, NAME)) as stream:
        assert stream.read() == archive.read_bytes()
        assert stream.seekable() is ranges
        if ranges:
            stream.seek(-1024, 2)
            assert stream.read() == archive.read_bytes()[-1024:]


def test_dmas_goes_on_after_a_break(onc: OncService, archive: Path) -> None:
    """A download that breaks off goes on where it was; without ranges it is a fault that passes."""
    onc.breaks = 2
    fs, _ = open_location(_dmas(onc))
    with open_sequential(ArchiveSource(fs, NAME)) as stream:
        assert stream.read() == archive.read_bytes()
    assert onc.breaks == 0
    onc.ranges, onc.breaks = False, 9
    with pytest.raises(StorageUnavailable), open_sequential(ArchiveSource(fs, NAME)) as stream:
        stream.read()


def test_dmas_refusals_have_no_token(onc: OncService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown file, wrong token, service down: three kinds of fault, and no message holds the token."""

    def fault(name: str) -> CovisError:
        with pytest.raises(CovisError) as caught, storage_errors("looking", missing=RawMissing):
            open_location(_dmas(onc))[0].info(name)
        error: BaseException | None = caught.value
        while error is not None:
            assert TOKEN not in f"{error} {error.args}"
            error = error.__cause__
        return caught.value

    assert isinstance(fault("nothing.tar"), RawMissing)
    onc.down = True
    assert isinstance(fault(NAME), StorageUnavailable)
    onc.down = False
    monkeypatch.setenv("DMAS_API_KEY", f"x{TOKEN}")
    assert isinstance(fault(NAME), StorageRefused)
    with pytest.raises(ListingError, match="cannot be walked"):
        walk_store(open_location(_dmas(onc))[0], "", "DMAS")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """Give a running OpenSSH server."""
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def _sftp(server: SshServer, folder: Path, **options: str) -> Location:
    given = {"key_filename": str(server.key), "known_hosts": str(server.known_hosts)}
    return Location(
        f"sftp://{server.user}@127.0.0.1:{server.port}{folder}",
        options={"allow_agent": False, "look_for_keys": False, **given, **options},
    )


def test_sftp_host(sshd: SshServer, archive: Path) -> None:
    """An archive is read, and a folder walked, over SFTP from a server whose key is known."""
    fs, root = open_location(_sftp(sshd, archive.parent))
    assert root == str(archive.parent)
    members = [member.name for member in iter_members(ArchiveSource(fs, f"{root}/{archive.name}"))]
    assert "sweep.json" in {Path(name).name for name in members}
    report = walk_store(fs, root, "ship")
    assert [run.raw for run in report.runs] == [(RawFile("SHIP", archive.name, archive.stat().st_size),)]
    with pytest.raises(RawMissing), storage_errors("looking", missing=RawMissing):
        fs.info(f"{root}/nothing.tar")


def test_sftp_verifies_the_host_key(sshd: SshServer, archive: Path, tmp_path: Path) -> None:
    """An unknown and a changed host key are refused before anything is sent, and so is a wrong account."""
    unknown = tmp_path / "unknown"
    unknown.write_text("")
    with pytest.raises(StorageRefused, match="is unknown: verify it"):
        open_location(_sftp(sshd, archive.parent, known_hosts=str(unknown)))
    other = (sshd.key.parent / "user.pub").read_text()
    changed = tmp_path / "changed"
    changed.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    with pytest.raises(StorageRefused, match="a host key other"):
        open_location(_sftp(sshd, archive.parent, known_hosts=str(changed)))
    with pytest.raises(StorageRefused, match="refuses this account"):
        open_location(_sftp(sshd, archive.parent, key_filename=str(sshd.key.parent / "host")))


def test_sftp_server_that_goes_away(tmp_path: Path, archive: Path) -> None:
    """While the server is away the fault passes; when it is back, a new connection is made."""
    with ssh_server(tmp_path) as server:
        where = _sftp(server, archive.parent)
        fs, root = open_location(where)
        assert fs.info(f"{root}/{archive.name}")["size"] == archive.stat().st_size
        server.process.stop()
        with pytest.raises(StorageUnavailable):
            open_location(where)
        server.process.start()
        fs, root = open_location(where)
        assert fs.exists(f"{root}/{archive.name}")


def test_copies_are_tried_in_order_of_preference(
    nas: S3Server, onc: OncService, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing on one host, damaged on the next, away on a third: the first sound copy makes the product.

    The order is the configured one, names match in any case, and the manifest says which copy was used.
    """
    nas.filesystem().pipe_file("raw/damaged.tar", archive.read_bytes()[: archive.stat().st_size // 2])
    name = parse_basename(diffuse(1).basename)
    hosts = ("Covis-Nas", "old-covis-nas3", "WASABI", "my_disk", "dmas")
    files = ("damaged.tar", "missing.tar", "x.tar", archive.name, NAME)
    raw = tuple(RawFile(host.upper(), file) for host, file in zip(hosts, files, strict=True))
    run = Run(name.basename, name.datetime, name.mode, name.site, raw)
    settings = replace(
        load_settings({}),
        hosts={
            "COVIS-NAS": location(nas, monkeypatch, "s3://raw"),
            "OLD-COVIS-NAS3": Location(str(tmp_path)),
            "WASABI": location(nas, monkeypatch, "s3://covis-raw", endpoint="http://127.0.0.1:9"),
            "MY_DISK": Location(str(archive.parent)),
            "DMAS": _dmas(onc),
        },
        products=Location(str(tmp_path / "products")),
        ancillary=Location(str(tmp_path / "ancillary")),
        max_outage=0.0,
    )
    quick = {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 1}}
    monkeypatch.setattr("covis_dask.storage.locations._TIMEOUTS", quick)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)

    (tmp_path / "products").mkdir()

    def used(prefix: str, *order: str) -> tuple[str, str]:
        spec = ProductSpec(
            profile="matlab", prefix=prefix, store=settings.products.url, hosts=frozenset(settings.hosts),
            host_order=order,
        )  # fmt: skip
        (task,) = make_plan([run], PostProcessing(spec, engine_named("native"), "b", run.datetime)).tasks
        assert isinstance(task, RunTask)
        outcome = process_run(task, replace(settings, host_order=order))
        assert outcome.state == "done", outcome.reason
        folder = tmp_path / "products" / outcome.path
        manifest = json.loads((folder / "metadata.json").read_text())
        return manifest["input"]["host"], (folder / manifest["folder"] / "output.txt").read_text()

    host, log = used("a", "covis-nas", "old-covis-nas3", "wasabi", "my_disk", "dmas")
    assert host == "MY_DISK"
    assert [word in log for word in ("archive-truncated", "raw-missing", "storage-unavailable")] == [True] * 3
    assert used("b", "dmas", "my_disk")[0] == "DMAS"
    assert used("c", "covis-nas", "DMAS")[0] == "DMAS"
