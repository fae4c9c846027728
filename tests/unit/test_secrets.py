"""Planted secrets are found nowhere but in the environment."""

import dataclasses
import os
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.config
import pytest
from distributed.protocol.serialize import serialize

from catalog.model import RawFile, Run
from catalog.names import parse_basename
from catalog.settings import locate
from catalog.store import open_catalog
from covis_dask.batches.plan import make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.cli.config import settings_in_force
from covis_dask.cli.doctor import examine
from covis_dask.config import load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import ConfigurationError
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import process_run
from covis_dask.storage import open_location

CANARIES = {
    "NAS_ACCESS_KEY": "canary-access-11",
    "NAS_SECRET_KEY": "canary-secret-22",
    "DMAS_API_KEY": "canary-token-33",
    "SHIP_PASSWORD": "canary-password-44",
    "MONGODB_URL": "mongodb://canary-user-55:canary-password-66@127.0.0.1:9/?serverSelectionTimeoutMS=200",
}
_NAME = parse_basename("APLUWCOVISMBSONAR001_20140101T000043.076Z-IMAGING")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plant a canary wherever a secret can be; nothing answers at any of the addresses."""
    for name, value in {**CANARIES, "NAS_URL": "127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    quick = {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 1}}
    monkeypatch.setattr("covis_dask.storage.locations._TIMEOUTS", quick)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    hosts = {
        "SHIP": {"url": "sftp://ship@127.0.0.1:9/raw", "secret": "${SHIP_PASSWORD}"},
        "DMAS": {"url": "onc://x", "endpoint": "http://127.0.0.1:9", "key": "${DMAS_API_KEY}"},
    }
    products = str(tmp_path / "products")
    settings = {"hosts": hosts, "products": {"url": products}, "ancillary": {"url": str(tmp_path)}}
    with dask.config.set({f"covis.{name}": value for name, value in settings.items()}):
        yield


def _no_canary(text: Any) -> None:
    shown = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    assert "canary" not in shown


@pytest.mark.usefixtures("planted")
def test_secrets_stay_in_the_environment(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Task graph, repr, outcome, run log, failure, library logs, errors, config show, doctor: no canary."""
    caplog.set_level("DEBUG")
    settings = load_settings()
    _no_canary(repr(settings))
    _no_canary(repr(locate()))
    for setting in settings_in_force():
        _no_canary(setting)
    _no_canary(dask.config.config["covis"])

    raw = tuple(RawFile(host, "x.tar") for host in ("COVIS-NAS", "SHIP", "DMAS"))
    run = Run(_NAME.basename, _NAME.datetime, _NAME.mode, _NAME.site, raw)
    spec = ProductSpec(
        profile="matlab",
        prefix="p",
        store=settings.products.url,
        hosts=frozenset(settings.hosts),
        host_order=(),
    )
    plan = make_plan([run], PostProcessing(spec, engine_named("native"), "b", _NAME.datetime))
    (task,) = plan.tasks
    assert isinstance(task, RunTask)
    _no_canary(pickle.dumps(task))
    _no_canary(repr(serialize((process_run, task))))
    _no_canary(repr(plan))

    outcome = process_run(task)
    assert outcome.kind == "storage-unavailable"
    _no_canary(outcome)
    assert isinstance(outcome, RunOutcome)
    left = [path for path in (tmp_path / "products").rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"failure.json", "output.txt"}
    for path in left:
        _no_canary(path.read_bytes())

    for finding in examine(settings):
        _no_canary(finding)
    with pytest.raises(Exception, match="does not answer") as caught, locate().open():
        pass
    _no_canary("".join(traceback.format_exception(caught.value)))
    # The loggers of botocore, s3fs, paramiko, pymongo and aiohttp at their chattiest, but for what they say
    # of signing: nobody sets that in production.
    ours = [record for record in caplog.records if not record.name.startswith(("botocore", "aiobotocore"))]
    for record in ours:
        _no_canary(record.getMessage())


@pytest.mark.usefixtures("planted")
def test_open_stores_do_not_show_them(tmp_path: Path) -> None:
    """The repr of an open file system, and of a location, holds references only."""
    settings = load_settings()
    for name in ("COVIS-NAS", "DMAS"):
        location = settings.hosts[name]
        fs, _ = open_location(location)
        _no_canary(repr(fs))
        _no_canary(repr(dataclasses.asdict(location)))
    with open_catalog(f"sqlite:///{tmp_path}/c.sqlite") as catalog:
        _no_canary(repr(catalog))
    assert os.environ["NAS_SECRET_KEY"] == CANARIES["NAS_SECRET_KEY"]


@pytest.mark.parametrize(
    "entry",
    [
        {"url": "sftp://ship:canary@host/raw"},
        {"url": "s3://raw", "endpoint": "http://u:canary@nas:9000"},
        {"url": "sftp://host/raw", "options": {"password": "canary"}},
        {"url": "s3://raw", "options": {"client_kwargs": {"aws_session_token": "canary"}}},
        {"url": "s3://raw", "secret": "canary"},
    ],
)
def test_a_secret_in_a_file_is_refused_unseen(entry: dict[str, Any]) -> None:
    """Wherever a secret stands in the configuration itself, it is refused, and not repeated."""
    with (
        dask.config.set({"covis.hosts": {"X": entry}}),
        pytest.raises(ConfigurationError) as caught,
    ):
        load_settings({})
    _no_canary(caught.value)
    with dask.config.set({"covis.hosts": {"X": entry}}):
        for setting in settings_in_force({}):
            _no_canary(setting)
