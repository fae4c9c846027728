"""Every answer there is: what it means, what becomes of the run, and what of the batch."""

import ftplib
import http
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.answers import Answer, Sense, answer_of
from catalog.errors import ListingError
from catalog.ingest import walk_store
from catalog.model import RawFile, Run
from catalog.names import parse_basename
from covis_dask.ancillary import open_ancillary
from covis_dask.cli.doctor import examine
from covis_dask.config import Location, Settings, load_settings
from covis_dask.errors import CovisError, RawMissing, StorageRefused, StorageUnavailable
from covis_dask.raw._store import open_sequential
from covis_dask.raw.archive import iter_members
from covis_dask.raw.source import ArchiveSource
from covis_dask.runs.copies import first_sound_copy
from covis_dask.storage import ProductStore, open_location
from tests._answers import QUICK, Answers, answering, saying
from tests._place import Place, diffuse

NAME = parse_basename(diffuse(1).basename)
FILE = f"{NAME.basename}.tar"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Give the server, and clients that do not ask twice."""
    monkeypatch.setattr("covis_dask.storage.locations._TIMEOUTS", QUICK)
    monkeypatch.setattr("covis_dask.cli._hosts._QUICK", QUICK)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    with answering() as answers:
        yield answers


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small sound run as a plain .tar."""
    return Place(tmp_path_factory.mktemp("archive")).store(diffuse(1), extension=".tar")


def _settings(**hosts: Location) -> Settings:
    return replace(load_settings({}), hosts=hosts, host_order=tuple(hosts), max_outage=0.0)


def _run(**files: str) -> Run:
    return Run(
        NAME.basename, NAME.datetime, NAME.mode, NAME.site, tuple(RawFile(*pair) for pair in files.items())
    )


def _size(source: ArchiveSource) -> int:
    return sum(len(member.read()) for member in iter_members(source))


def _fault(run: Run, settings: Settings, batch: str = "") -> CovisError:
    with pytest.raises(CovisError) as caught:
        first_sound_copy(run, settings, lambda _: None, _size, batch)
    return caught.value


ENTIRELY, ONE, ABSENT, NO_BUCKET, AWAY = "the host", "one file", "absent", "no bucket", "away"
OUTCOMES = {
    ENTIRELY: (StorageRefused, "not-run"), ONE: (RawMissing, "failed"), ABSENT: (RawMissing, "failed"),
    NO_BUCKET: (RawMissing, "failed"), AWAY: (StorageUnavailable, "failed"),
}  # fmt: skip

S3 = {
    (400, "ExpiredToken"): ENTIRELY, (400, "InvalidToken"): ENTIRELY, (403, "InvalidAccessKeyId"): ENTIRELY,
    (403, "SignatureDoesNotMatch"): ENTIRELY, (403, "RequestTimeTooSkewed"): ENTIRELY,
    (400, "AuthorizationHeaderMalformed"): ENTIRELY, (301, "PermanentRedirect"): ENTIRELY,
    (403, "AccountProblem"): ENTIRELY, (403, "AllAccessDisabled"): ENTIRELY, (403, "NotSignedUp"): ENTIRELY,
    (403, "RequestExpired"): ENTIRELY, (401, "Unauthorized"): ENTIRELY,
    (403, "AccessDenied"): ONE, (403, "InvalidObjectState"): ONE, (405, "MethodNotAllowed"): ONE,
    (400, "KeyTooLongError"): ONE, (400, "InvalidRequest"): ONE, (403, "QuotaExceeded"): ONE,
    (507, "XMinioStorageFull"): ONE, (501, "NotImplemented"): ONE, (451, "Blocked"): ONE,
    (404, "NoSuchKey"): ABSENT, (404, "NoSuchVersion"): ABSENT,
    (404, "NoSuchBucket"): NO_BUCKET,
    (503, "SlowDown"): AWAY, (500, "InternalError"): AWAY, (503, "ServiceUnavailable"): AWAY,
    (400, "RequestTimeout"): AWAY, (400, "IncompleteBody"): AWAY, (409, "OperationAborted"): AWAY,
    (429, "TooManyRequests"): AWAY, (502, "BadGateway"): AWAY, (504, "GatewayTimeout"): AWAY,
    (400, "ThrottlingException"): AWAY, (509, "BandwidthLimitExceeded"): AWAY, (511, "SignIn"): AWAY,
}  # fmt: skip


@pytest.mark.parametrize(("status", "code"), S3)
def test_s3_codes(server: Answers, archive: Path, status: int, code: str) -> None:
    """The code decides, its words come through, and a copy elsewhere is used whatever it is."""
    kind, state = OUTCOMES[S3[status, code]]
    host = server.location(saying(status, code))
    fault = _fault(_run(NAS=FILE), _settings(NAS=host))
    assert (type(fault), fault.state) == (kind, state), fault
    assert all(word in str(fault) for word in (f"the words of {status}", code, f"HTTP {status}"))
    both = _settings(NAS=host, DISK=Location(str(archive.parent)))
    _, used = first_sound_copy(_run(NAS=FILE, DISK=archive.name), both, lambda _: None, _size)
    assert used.host == "DISK"


def test_a_redirect_to_nowhere(server: Answers) -> None:
    """A redirect that names no region ends in a sentence, not in the client's endless search."""
    fault = _fault(_run(NAS=FILE), _settings(NAS=server.location(saying(301, "Moved"))))
    assert (type(fault), fault.state) == OUTCOMES[ENTIRELY]
    assert "redirects without end" in str(fault)


STATUSES = {
    int(status): AWAY if status >= 500 or status in (408, 409, 412, 416, 425, 429)
    else ABSENT if status in (404, 410) else ENTIRELY if status in (401, 407) else ONE
    for status in http.HTTPStatus if status >= 400
} | {501: ONE, 507: ONE, 204: AWAY, 205: AWAY, 300: AWAY, 302: AWAY, 304: AWAY, 307: AWAY}  # fmt: skip
"""Also what is neither a file nor an error: an empty answer, a redirect that leads nowhere."""


@pytest.mark.parametrize("status", STATUSES)
def test_web_statuses(server: Answers, status: int) -> None:
    """A web server's status decides; what carries none that fits is no archive, and not the run's fault."""
    kind, state = OUTCOMES[STATUSES[status]]
    fault = _fault(_run(WEB=FILE), _settings(WEB=Location(f"{server.url}/{saying(status)}")))
    assert (type(fault), fault.state) == (kind, state), fault
    assert status < 400 or f"HTTP {status}" in str(fault)


FTP = {
    "530 Login incorrect": (Sense.REFUSED, True), "332 Need account": (Sense.REFUSED, True),
    "430 Invalid username": (Sense.REFUSED, True), "534 TLS required": (Sense.REFUSED, True),
    "550 No such file": (Sense.ABSENT, False), "550 Permission denied": (Sense.REFUSED, False),
    "550 Access is denied.": (Sense.REFUSED, False), "552 Quota exceeded": (Sense.REFUSED, False),
    "553 Name not allowed": (Sense.REFUSED, False), "502 Not implemented": (Sense.REFUSED, False),
}  # fmt: skip


@pytest.mark.parametrize("text", FTP)
def test_ftp_replies(text: str) -> None:
    """A reply that is permanent is a refusal, of the account or of one file, or absence; 4xx pass."""
    answer = answer_of(ftplib.error_perm(text))
    assert answer is not None
    assert (answer.sense, answer.whole) == FTP[text]
    assert text.split()[0] in answer.text
    assert answer_of(ftplib.error_temp("421 Too many users")) == Answer(Sense.AWAY, "421 Too many users")


def test_a_page_in_place_of_everything(server: Answers, tmp_path: Path) -> None:
    """A login page with HTTP 200 is vouched for by nobody: no quarantine, no sound host, no product store."""
    s3, web = server.location("page"), Location(f"{server.url}/page")
    for host in (s3, web):
        fault = _fault(_run(HOST=FILE), _settings(HOST=host))
        assert type(fault) is StorageUnavailable, fault
        assert "text/html" in str(fault)
        settings = replace(_settings(HOST=host), products=s3)
        settings = replace(settings, catalog=replace(settings.catalog, url=f"sqlite:///{tmp_path}/c"))
        with settings.catalog.open() as catalog:
            catalog.add_raw([_run(HOST=FILE)])
        found = {one.name: one for one in examine(settings)}
        assert found["host HOST"].state == "RED", found["host HOST"]
        assert found["products"].state == "RED", found["products"]
    with pytest.raises(StorageUnavailable):
        ProductStore.open(s3).check_writable()
    with pytest.raises(ListingError, match=r"no S3 service|cannot just now"):
        walk_store(*open_location(s3), "HOST")


def test_a_damaged_archive_is_still_the_runs_fault(server: Answers, archive: Path) -> None:
    """What is no page, and is the same when it is looked at again, is quarantined as ever."""
    server.objects[f"/raw/{FILE}"] = archive.read_bytes()[:2000]
    server.objects[f"/raw/x{FILE}"] = bytes(range(256)) * 8
    for host in (server.location("raw"), Location(f"{server.url}/raw")):
        for name in (FILE, f"x{FILE}"):
            assert _fault(_run(HOST=name), _settings(HOST=host)).state == "quarantined"
    page = archive.parent / f"page-{FILE}"  # on a disk it is the file's own fault
    page.write_text("<html>saved by mistake</html>")
    assert _fault(_run(DISK=page.name), _settings(DISK=Location(str(page.parent)))).state == "quarantined"


def test_a_page_in_mid_file(server: Answers, archive: Path) -> None:
    """A page that comes in place of a range is not taken for a piece of the archive."""
    data = archive.read_bytes()
    server.objects[f"/raw/{FILE}"] = data
    fs, root = open_location(server.location("raw"))
    with open_sequential(ArchiveSource(fs, f"{root}/{FILE}")) as stream:
        assert stream.read(10) == data[:10]

    fs.cat_file = lambda *_, **__: b"<html>sign in</html>"
    fs.anon = True  # so that ranges go through s3fs
    with pytest.raises(StorageUnavailable), open_sequential(ArchiveSource(fs, f"{root}/{FILE}")) as stream:
        stream.read()


def test_a_host_that_refuses_is_asked_once(server: Answers, archive: Path) -> None:
    """In one batch, not for every run; the next batch asks anew, and runs with another copy never notice."""
    host = server.location("bad-key")
    settings = _settings(NAS=host, DISK=Location(str(archive.parent)))
    for number in range(20):
        assert type(_fault(_run(NAS=f"{number}.tar"), settings, "first")) is StorageRefused
    asked = len(server.asked)
    assert asked <= 3, server.asked
    _, used = first_sound_copy(_run(NAS=FILE, DISK=archive.name), settings, lambda _: None, _size, "first")
    assert (used.host, len(server.asked)) == ("DISK", asked)
    _fault(_run(NAS="1.tar"), settings, "second")
    assert len(server.asked) > asked


def test_a_host_that_denies_file_after_file_is_asked_last(server: Answers, archive: Path) -> None:
    """It may lack just those: so it is never left out, and a file that it has is found there."""
    settings = _settings(WASABI=server.location("covis-raw"), DISK=Location(str(archive.parent)))
    for number in range(8):
        assert type(_fault(_run(WASABI=f"{number}.tar"), settings, "b")) is RawMissing
    asked = len(server.asked)
    _, used = first_sound_copy(_run(WASABI=FILE, DISK=archive.name), settings, lambda _: None, _size, "b")
    assert (used.host, len(server.asked)) == ("DISK", asked)
    server.objects[f"/covis-raw/{FILE}"] = archive.read_bytes()
    _, used = first_sound_copy(_run(WASABI=FILE, DISK="gone.tar"), settings, lambda _: None, _size, "b")
    assert used.host == "WASABI"


def test_a_variable_that_is_not_set_is_the_hosts_own_fault(archive: Path) -> None:
    """An account that cannot be looked up stops what needs that host, and nothing else."""
    host = Location("s3://raw", endpoint="http://127.0.0.1:9", key="${NOT_SET_KEY}", secret="${NOT_SET_KEY}")
    settings = _settings(NAS=host, DISK=Location(str(archive.parent)))
    fault = _fault(_run(NAS=FILE), settings)
    assert isinstance(fault, StorageRefused)
    assert fault.place == "NAS"
    assert all(word in str(fault) for word in ("host NAS", "NOT_SET_KEY"))
    assert first_sound_copy(_run(NAS=FILE, DISK=archive.name), settings, print, _size)[1].host == "DISK"


ODD_NAMES = (
    "2019/a b.tar", "2019/50%25.tar", "2019/50%.tar", "2019/a#1.tar", "2019/a?b=1.tar", "2019/\u00e5.tar",
    "2019/a+b&c.tar", "2019//double.tar", "2019/[x]*.tar",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_character_of_a_name_means_itself(
    server: Answers, archive: Path, tmp_path: Path, name: str
) -> None:
    """On disks, S3 and web servers, below roots with and without slashes at their ends."""
    data = archive.read_bytes()
    server.objects[f"/raw/deep/{name}"] = data
    file = tmp_path / "deep" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    disk = tmp_path / "deep"
    urls = [f"{server.url}/raw/deep/", f"{disk}", f"{disk}/", f"file://{disk}"]
    for root in (server.location("raw/deep"), server.location("raw/deep/"), *map(Location, urls)):
        found = first_sound_copy(_run(HOST=name), _settings(HOST=root), lambda _: None, _size)
        assert found[1].size == len(data), root


def test_a_doubled_slash_is_part_of_the_key(server: Answers, archive: Path) -> None:
    """``s3://raw//2019`` is the folder of keys that begin with a slash, and no other."""
    server.objects["/raw//2019/a.tar"] = archive.read_bytes()
    settings = _settings(NAS=server.location("raw//2019"))
    assert first_sound_copy(_run(NAS="a.tar"), settings, print, _size)[1].filename == "a.tar"
    settings = _settings(NAS=server.location("raw/2019"))
    assert type(_fault(_run(NAS="a.tar"), settings)) is RawMissing


def _errors(message: str, parameter: str = "") -> bytes:
    named = {"errorCode": 127, "errorMessage": message, **({"parameter": parameter} if parameter else {})}
    return json.dumps({"errors": [named]}).encode()


ONC = [
    (400, _errors("Invalid parameter value", "filename"), ABSENT),
    (400, _errors("Invalid parameter value: filename"), ABSENT),
    (404, _errors("The file does not exist", "filename"), ABSENT),
    (400, _errors("Invalid parameter value", "token"), ENTIRELY),
    (400, _errors("Invalid Token"), ENTIRELY),
    (401, _errors("Unauthorized"), ENTIRELY),
    (403, _errors("Access to these data is restricted"), ONE),
    (400, _errors("Invalid parameter name", "fielname"), ONE),
    (404, b"<html>Not Found</html>", AWAY),
    (400, b"<html>Bad Request</html>", AWAY),
    (200, b"<html>Sign in</html>", AWAY),
    (200, _errors("Something else"), AWAY),
    (429, _errors("Too many requests"), AWAY),
    (500, _errors("Internal error"), AWAY),
    (503, b"", AWAY),
]


@pytest.mark.parametrize(("status", "body", "meaning"), ONC)
def test_onc_parameter_errors(
    server: Answers, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, meaning: str
) -> None:
    """The service names the parameter it minds; only its own word means absence or a wrong token."""
    monkeypatch.setenv("DMAS_API_KEY", "t0ken-c0ffee")
    kind = "application/json" if body.startswith(b"{") else "text/html"
    server.scripted["/api/archivefile/download"] = (status, kind, body)
    host = Location("onc://data.oceannetworks.ca", endpoint=server.url, key="${DMAS_API_KEY}")
    fault = _fault(_run(DMAS=FILE), _settings(DMAS=host))
    assert (type(fault), fault.state) == OUTCOMES[meaning], fault
    assert "c0ffee" not in str(fault)
    if body.startswith(b"{") and status != 200:
        assert json.loads(body)["errors"][0]["errorMessage"] in str(fault)
    found = {one.name: one for one in examine(_settings(DMAS=host))}
    assert (found["host DMAS"].state == "ok") == (meaning == ABSENT), found["host DMAS"]


def test_a_disk_that_is_not_mounted_is_named(tmp_path: Path) -> None:
    """Where the whole folder is missing, that is said, and not only that one file is."""
    assert "is its disk mounted?" in str(_fault(_run(D=FILE), _settings(D=Location(f"{tmp_path}/gone"))))
    assert "mounted" not in str(_fault(_run(D=FILE), _settings(D=Location(str(tmp_path)))))


def test_an_ftp_host_that_is_down_is_away() -> None:
    """Nobody listens: that is an outage, which is waited for."""
    for url in ("ftp://127.0.0.1:9/raw", "http://127.0.0.1:9/raw", "sftp://covis@127.0.0.1:9/raw"):
        fault = _fault(_run(HOST=FILE), _settings(HOST=Location(url)))
        assert type(fault) is StorageUnavailable, fault
        assert fault.place == "HOST"


def test_grids_are_not_missing_because_a_store_hides_them(server: Answers) -> None:
    """Without grids a flat seafloor is assumed: so an outage or a login page is no empty folder."""
    for url in ("http://127.0.0.1:9/grids/", f"{server.url}/{saying(503)}/"):
        with pytest.raises(StorageUnavailable):
            open_ancillary(*open_location(Location(url))).bathymetry(NAME.datetime)
    with pytest.raises(StorageUnavailable):
        open_ancillary(*open_location(server.location("page"))).bathymetry(NAME.datetime)
