"""Refusal, absence and outage are three things, and each is told in the store's own words."""

import ftplib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dask.config
import pytest
import yaml

from catalog.answers import Sense, answer_of
from catalog.errors import ListingError
from catalog.ingest import walk_store
from catalog.model import RawFile, Run
from catalog.names import parse_basename
from catalog.store import open_catalog
from covis_dask.batches.plan import make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.cli import main
from covis_dask.cli.doctor import examine
from covis_dask.config import Location, Settings, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import RawMissing, StorageRefused, StorageUnavailable
from covis_dask.raw._store import open_sequential
from covis_dask.raw.source import ArchiveSource
from covis_dask.runs.copies import first_sound_copy
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import process_run
from covis_dask.storage import ProductStore, open_location, storage_errors
from tests._answers import AWAY, CODES, ENTIRELY, QUICK, REFUSING, Answers, answering
from tests._place import Place, diffuse

NAME = parse_basename(diffuse(1).basename)
FILE = f"{NAME.basename}.tar"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Give the server, and clients that do not ask twice."""
    monkeypatch.setattr("covis_dask.storage.locations._TIMEOUTS", QUICK)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    with answering() as answers:
        yield answers


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small sound run as a plain .tar."""
    return Place(tmp_path_factory.mktemp("archive")).store(diffuse(1), extension=".tar")


def _settings(folder: Path, **hosts: Location) -> Settings:
    (folder / "products").mkdir(exist_ok=True)  # a worker makes no store
    return replace(
        load_settings({}),
        hosts=hosts,
        host_order=tuple(hosts),
        products=Location(str(folder / "products")),
        ancillary=Location(str(folder / "ancillary")),
        max_outage=0.0,
    )


def _run(**files: str) -> Run:
    raw = tuple(RawFile(host, file) for host, file in files.items())
    return Run(NAME.basename, NAME.datetime, NAME.mode, NAME.site, raw)


def _processed(run: Run, settings: Settings) -> RunOutcome:
    spec = ProductSpec(
        profile="matlab", prefix="a", store=settings.products.url, hosts=frozenset(settings.hosts),
        host_order=settings.host_order,
    )  # fmt: skip
    (task,) = make_plan([run], PostProcessing(spec, engine_named("native"), "b", run.datetime)).tasks
    assert isinstance(task, RunTask)
    return process_run(task, settings)


@pytest.mark.parametrize("bucket", REFUSING)
def test_refusals_come_in_the_services_words(s3: Answers, bucket: str, tmp_path: Path) -> None:
    """As a store of products it stops the batch, as a raw host what needs it; both say why."""
    _, code, message = CODES[bucket]
    said = rf"(?s){message.rstrip('.')}.*{code}"
    with pytest.raises(StorageRefused, match=said):
        ProductStore.open(s3.location(bucket)).check_writable()
    with pytest.raises(StorageRefused if bucket in ENTIRELY else RawMissing, match=said):
        first_sound_copy(
            _run(NAS=FILE), _settings(tmp_path, NAS=s3.location(bucket)), lambda _: None, lambda _: None
        )


@pytest.mark.parametrize("bucket", AWAY)
def test_a_service_that_cannot_just_now_is_away(s3: Answers, bucket: str) -> None:
    """Codes of a server in trouble are tried again, in its words."""
    _, code, message = CODES[bucket]
    with pytest.raises(StorageUnavailable, match=rf"{message.rstrip('.')}.*{code}"):
        ProductStore.open(s3.location(bucket)).check_writable()


def test_a_missing_bucket_is_absence(s3: Answers) -> None:
    """The words of the service say that it is the bucket; a raw file there is missing."""
    fs, root = open_location(s3.location("no-bucket"))
    with pytest.raises(StorageRefused, match="The specified bucket does not exist"), storage_errors("x"):
        fs.cat_file(f"{root}/x")
    with pytest.raises(RawMissing, match="NoSuchBucket"), storage_errors("x", missing=RawMissing):
        fs.cat_file(f"{root}/x")


def test_nobody_listens() -> None:
    """A web or FTP host that is down is no host without the file."""
    fs, root = open_location(Location("http://127.0.0.1:9/raw"))
    with pytest.raises(StorageUnavailable, match="does not answer"), storage_errors("x", missing=RawMissing):
        fs.info(f"{root}/{FILE}")
    with pytest.raises(StorageUnavailable, match="does not answer"):
        open_location(Location("ftp://127.0.0.1:9/raw"))


def test_answers_of_web_and_ftp_servers(s3: Answers) -> None:
    """A web server's 403 and an FTP server's 530 are refusals, a 550 is absence, a 421 passes."""
    fs, root = open_location(Location(f"{s3.url}/denied"))
    with pytest.raises(StorageRefused, match="HTTP 403"), storage_errors("x", missing=RawMissing):
        fs.info(f"{root}/{FILE}")
    senses = [
        getattr(answer_of(error), "sense", None)
        for error in (
            ftplib.error_perm("530 Login incorrect"),
            ftplib.error_perm("550 No such file"),
            ftplib.error_temp("421 Too many users"),
            ValueError("none of a store's"),
        )
    ]
    assert senses == [Sense.REFUSED, Sense.ABSENT, Sense.AWAY, None]


def test_a_refusal_keeps_its_meaning() -> None:
    """What a file system says is a refusal stays one, though a library that broke off is its cause."""
    error = PermissionError("the host key is not known")
    error.__cause__ = ConnectionResetError("closed")
    answer = answer_of(error)
    assert answer is not None
    assert answer.sense is Sense.REFUSED


def test_one_refused_object_is_one_copy(s3: Answers, archive: Path, tmp_path: Path) -> None:
    """A 403 for one key leads to the next host; without one the run is raw-missing, and says 403."""
    settings = _settings(tmp_path, WASABI=s3.location("covis-raw"), DISK=Location(str(archive.parent)))
    alone = _processed(_run(WASABI=FILE), settings)
    assert (alone.state, alone.kind) == ("failed", "raw-missing")
    assert "HTTP 403" in (alone.reason or "")
    outcome = _processed(_run(WASABI=FILE, DISK=archive.name), settings)
    assert (outcome.state, outcome.host) == ("done", "DISK"), outcome.reason


def test_an_object_refused_while_it_is_read(s3: Answers, archive: Path, tmp_path: Path) -> None:
    """An object that is listed and cannot be read (it is in the cold store) is that copy's fault, too."""
    s3.objects["/archived/" + FILE] = archive.read_bytes()
    settings = _settings(tmp_path, COLD=s3.location("archived"), DISK=Location(str(archive.parent)))
    log: list[str] = []

    def size(source: ArchiveSource) -> int:
        with open_sequential(source) as stream:
            return len(stream.read())

    run = _run(COLD=FILE, DISK=archive.name)
    used, entry = first_sound_copy(run, settings, log.append, size)
    assert entry.host == "DISK"
    assert used == archive.stat().st_size
    assert any("InvalidObjectState" in line and "raw-missing" in line for line in log), log


def test_a_refusing_product_store_stops_the_batch(s3: Answers, archive: Path, tmp_path: Path) -> None:
    """There the batch cannot go on: the outcome is not-run, in the service's words."""
    settings = _settings(tmp_path, DISK=Location(str(archive.parent)))
    outcome = _processed(_run(DISK=archive.name), replace(settings, products=s3.location("quota")))
    assert (outcome.state, outcome.kind) == ("not-run", "storage-refused")
    assert "Bucket quota exceeded" in (outcome.reason or "")


def test_doctor_reads_where_it_may_not_list(s3: Answers, tmp_path: Path) -> None:
    """A public bucket that may not be listed is sound if a file the catalogue names can be read, else RED."""
    settings = _settings(tmp_path, WASABI=s3.location("covis-raw"))
    settings = replace(settings, catalog=replace(settings.catalog, url=f"sqlite:///{tmp_path}/c"))

    def line() -> tuple[str, str]:
        (found,) = (one for one in examine(settings) if one.name == "host WASABI")
        return found.state, found.text

    assert line()[0] == "RED"
    assert "AccessDenied" in line()[1]
    with open_catalog(f"sqlite:///{tmp_path}/c") as catalog:
        catalog.add_raw([_run(WASABI=FILE)])
    assert line()[0] == "RED"
    s3.objects[f"/covis-raw/{FILE}"] = b"x"
    assert line()[0] == "ok"


def test_field_report_403_for_a_missing_key(s3: Answers, shared: Path, tmp_path: Path) -> None:
    """The report's own archive, missing on a host that answers 403 for it, comes from the disk."""
    base = shared / "field-reports" / "base" / "COVIS-20191024T003346-diffuse1.tar.gz"
    if not base.is_file():
        pytest.skip("the field reports are not beside this checkout")
    name = parse_basename("COVIS-20191024T003346-diffuse1")
    raw = (RawFile("WASABI", f"2019/10/24/{base.name}"), RawFile("DISK", base.name))
    settings = _settings(tmp_path, WASABI=s3.location("covis-raw"), DISK=Location(str(base.parent)))
    outcome = _processed(Run(name.basename, name.datetime, name.mode, name.site, raw), settings)
    assert (outcome.state, outcome.host) == ("done", "DISK"), outcome.reason


@pytest.mark.parametrize("bucket", sorted(CODES))
def test_a_walk_says_what_the_store_says(s3: Answers, bucket: str) -> None:
    """Whatever the answer is, its words come through, and nobody is told that there is nothing to walk."""
    _, code, message = CODES[bucket]
    with pytest.raises(ListingError, match=rf"the store .*{re.escape(message.rstrip('.'))}; {code}"):
        walk_store(*open_location(s3.location(bucket)), "NAS")


def test_a_walk_where_nobody_listens(s3: Answers) -> None:
    """A server that is down does not answer; that is not an empty store."""
    nobody = replace(s3.location("raw"), endpoint="http://127.0.0.1:9")
    for where in (nobody, Location("http://127.0.0.1:9/raw/")):
        with pytest.raises(ListingError, match="the store does not answer"):
            walk_store(*open_location(where), "NAS")


@pytest.mark.usefixtures("s3")  # its clients do not ask twice
def test_field_report_walk_hides_the_error(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report's own settings, a host where nobody listens: the command says so, and ends with 3."""
    report = shared / "field-reports" / "07-walk-hides-the-error" / "covis.yaml"
    if not report.is_file():
        pytest.skip("the field reports are not beside this checkout")
    monkeypatch.setenv("AK", "AKIAEXAMPLE")
    monkeypatch.setenv("SK", "secret")
    hosts = yaml.safe_load(report.read_text())["covis"]["hosts"]
    with dask.config.set({"covis.hosts": hosts, "covis.catalog.url": f"sqlite:///{tmp_path}/c.sqlite"}):
        assert main(["catalog", "import", "--walk", "--host", "X"]) == 3
    said = capsys.readouterr().err
    assert "the store does not answer" in said
    assert "there is no" not in said
