"""Twenty-five kinds of secrets are planted, and everything fails: what is said and kept shows none."""

import base64
import dataclasses
import datetime as dt
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.config
import psutil  # type: ignore[import-untyped]  # ships no type information
import pytest
from distributed.protocol.serialize import serialize
from rich.console import Console

from catalog.model import Batch, RawFile, Run
from catalog.names import parse_basename
from catalog.query import RunQuery
from catalog.settings import locate
from catalog.store import open_catalog
from covis_dask.batches.clusters import KINDS, open_client
from covis_dask.batches.plan import Plan, make_plan
from covis_dask.batches.processing import PostProcessing, ProductSpec
from covis_dask.batches.report import Report, final_table, write_report
from covis_dask.batches.request import BatchRequest, ClusterSpec
from covis_dask.batches.status import BatchStatus
from covis_dask.cli.config import settings_in_force
from covis_dask.cli.doctor import examine
from covis_dask.config import Settings, expand, expand_options, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import ConfigurationError, CovisError
from covis_dask.monitor.page.sections import section
from covis_dask.monitor.scheduler.metrics import metrics
from covis_dask.monitor.scheduler.state import SchedulerState
from covis_dask.monitor.terminal import panel
from covis_dask.products.manifest import Failure, InputFile
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.task import RunTask
from covis_dask.runs.worker import process_run
from covis_dask.storage import ProductStore, open_location

_NAME = parse_basename("APLUWCOVISMBSONAR001_20140101T000043.076Z-IMAGING")
_NOWHERE = "127.0.0.1:9"


def _core(number: int) -> str:
    """Return what no text may hold of secret `number`."""
    return f"kx{number:02d}qzv"


def _pem() -> str:
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA{_core(12)}BBBB\n-----END OPENSSH PRIVATE KEY-----"


VARIABLES = {
    "MONGODB_USER": f"reader-{_core(1)}",
    "MONGODB_PASSWORD": f"pa/ss@{_core(2)}:%41?x",
    "MONGODB_SESSION": f"FwoG+{_core(3)}/=",
    "MONGODB_KEY_PASSWORD": f"{_core(4)}-4",
    "NAS_ACCESS_KEY": f"AKIA{_core(5)}",
    "NAS_SECRET_KEY": f"wJal/{_core(6)}+/EXAMPLE",
    "NAS_SESSION": f"IQoJ//{_core(7)}==",
    "GATE_USER": f"gate-{_core(8)}",
    "GATE_PASSWORD": f"{_core(9)}@/gate",
    "SHIP_PASSWORD": f"ship {_core(10)}'\"\\",
    "SHIP_PASSPHRASE": f"ühr-{_core(11)}",
    "SHIP_KEY": _pem(),
    "DMAS_API_KEY": f"{_core(13)}-0123-4567",
    "SHORE_SIGNATURE": f"a%2Fb{_core(14)}%3D",
    "SHORE_BEARER": f"eyJ.{_core(15)}.sig",
    "SHORE_VAULT": f"s.{_core(16)}",
    "FTP_PASSWORD": f"ftp#{_core(17)}",
    "GATEWAY_PASSWORD": f"hub-{_core(21)}",
    "SSH_PASSWORD": f"node-{_core(22)}",
    "STEERING": f"steer-{_core(23)}",
    "https_proxy": f"http://proxy:{_core(24)}@127.0.0.1:9",
    "AWS_SECRET_ACCESS_KEY": f"unused-{_core(25)}",
}
"""Secrets in the environment, most of them referred to by the settings below."""

_AT_MONGO = (
    "mongodb://${MONGODB_USER}:${MONGODB_PASSWORD}@127.0.0.1:9/?serverSelectionTimeoutMS=200"
    "&authMechanismProperties=AWS_SESSION_TOKEN:${MONGODB_SESSION}"
    "&tlsCertificateKeyFilePassword=${MONGODB_KEY_PASSWORD}"
)
_HOSTS: dict[str, Any] = {
    "COVIS-NAS": {
        "url": "s3://raw",
        "endpoint": f"http://${{GATE_USER}}:${{GATE_PASSWORD}}@{_NOWHERE}",
        "key": "${NAS_ACCESS_KEY}",
        "secret": "${NAS_SECRET_KEY}",
        "options": {"token": "${NAS_SESSION}"},
    },
    "SHIP": {
        "url": f"sftp://ship@{_NOWHERE}/raw",
        "secret": "${SHIP_PASSWORD}",
        "options": {"passphrase": "${SHIP_PASSPHRASE}", "pkey": "${SHIP_KEY}"},
    },
    "DMAS": {"url": "onc://x", "endpoint": f"http://{_NOWHERE}", "key": "${DMAS_API_KEY}"},
    "SHORE": {
        "url": f"http://{_NOWHERE}/raw?sv=1&sig=${{SHORE_SIGNATURE}}",
        "options": {
            "client_kwargs": {
                "headers": {"Authorization": "Bearer ${SHORE_BEARER}", "X-Box": "${SHORE_VAULT}"}
            }
        },
    },
    "FERRY": {"url": f"ftp://me:${{FTP_PASSWORD}}@{_NOWHERE}/raw"},
}
_CLUSTERS: dict[str, Any] = {
    "slurm": {
        "job_script_prologue": [f"export ONC={_core(18)}", "module load ocean"],
        "job_extra_directives": [f"--comment={_core(19)}"],
    },
    "kubernetes": {"env": {"NAME": f"pod-{_core(20)}"}},
    "gateway": {"auth": {"password": "${GATEWAY_PASSWORD}"}},
    "ssh": {"hosts": ["a", "b"], "connect_options": {"password": "${SSH_PASSWORD}"}},
}


def _shown(text: object) -> list[str]:
    """List the secrets a text holds: as they are, or in base64 or hex at any place."""
    data = text if isinstance(text, bytes) else str(text).encode("utf-8", "replace")
    low = data.lower()
    found = []
    for number in range(1, 26):
        core = _core(number).encode()
        coded = {base64.b64encode(bytes(shift) + core)[shift + 1 : -4] for shift in range(3)}
        if core in low or core.hex().encode() in low or any(code in data for code in coded):
            found.append(_core(number))
    return found


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Plant a secret wherever one can be; nothing answers at any of the addresses."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DMAS_API_KEY")  # this one is mounted as a file
    (tmp_path / "dmas").write_text(VARIABLES["DMAS_API_KEY"] + "\n")
    monkeypatch.setenv("DMAS_API_KEY_FILE", str(tmp_path / "dmas"))
    monkeypatch.setenv("no_proxy", "*")
    quick = {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 1}}
    monkeypatch.setattr("covis_dask.storage.locations._TIMEOUTS", quick)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    sections = {
        "hosts": _HOSTS,
        "cluster": _CLUSTERS,
        "catalog": {"url": _AT_MONGO},
        "dashboard": {"token": "${STEERING}"},
        "products": {"url": str(tmp_path / "products")},
        "ancillary": {"url": str(tmp_path)},
    }
    with dask.config.set({f"covis.{name}": value for name, value in sections.items()}):
        settings = load_settings()
        ProductStore.open(settings.products).marked()
        yield settings


def _plan(settings: Settings, *hosts: str) -> Plan:
    raw = tuple(RawFile(host, "x.tar") for host in hosts)
    run = Run(_NAME.basename, _NAME.datetime, _NAME.mode, _NAME.site, raw)
    spec = ProductSpec(
        profile="matlab",
        prefix="p",
        store=settings.products.url,
        hosts=frozenset(settings.hosts),
        host_order=(),
    )
    return make_plan([run], PostProcessing(spec, engine_named("native"), "b", _NAME.datetime))


def _views(outcome: RunOutcome, settings: Settings) -> Iterator[object]:
    """Show an outcome in every way there is: catalogue, report, page, terminal, JSON, metrics, notebook."""
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    status = BatchStatus("b", 1, attributes={"store": settings.products.url})
    status.expect([outcome.basename])
    status.add(outcome)
    state = SchedulerState(batches={"b": status})
    yield from (outcome, outcome.to_plain(), json.dumps(state.to_document()), metrics(state))
    for part in ("headline", "failures", "modes", "kinds"):
        yield section(part, status, "covis/store") if part == "failures" else section(part, status)
    screen = io.StringIO()
    Console(file=screen, width=200).print(panel(status))
    yield screen.getvalue()
    batch = Batch(id="b", selection={}, settings={"prefix": "p"}, versions={}, counts={}, start=now)
    report = Report(batch, "p", (outcome,), now, 1.0)
    yield from (final_table(report), json.dumps(report.to_document()))
    write_report(report, ProductStore.open(settings.products))
    with open_catalog(f"sqlite:///{settings.products.url}/../c.sqlite") as catalog:
        catalog.put_batch(batch)
        yield repr(catalog)


def _left(settings: Settings) -> Iterator[bytes]:
    """Yield every file of the store, and the catalogue beside it."""
    root = Path(settings.products.url)
    for path in (*root.rglob("*"), *root.parent.glob("*.sqlite*")):
        if path.is_file():
            yield path.read_bytes()


def _run(settings: Settings, *hosts: str) -> Iterator[object]:
    """Process a run on its worker, and show what became of it."""
    plan = _plan(settings, *hosts)
    (task,) = plan.tasks
    assert isinstance(task, RunTask)
    yield from (pickle.dumps(task), repr(serialize((process_run, task))), repr(plan))
    outcome = process_run(task)
    assert outcome.reason
    yield from _views(outcome, settings)


def _one_host(host: str) -> Callable[[Settings], Iterator[object]]:
    return lambda settings: _run(settings, host)


def _all_hosts(settings: Settings) -> Iterator[object]:
    yield from _run(settings, *_HOSTS)


class _Leaky:
    """An engine with a bug: it quotes all it can find."""

    name, version = "native", "1"

    def process(self, *_: Any) -> None:
        try:
            raise KeyError(json.dumps(dict(os.environ)))  # noqa: TRY301
        except KeyError as error:
            raise RuntimeError(*VARIABLES.values(), repr(VARIABLES), expand(_AT_MONGO)) from error


def _bug(settings: Settings) -> Iterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("covis_dask.runs.execution.engine_named", lambda _: _Leaky())
        patch.setattr(
            "covis_dask.runs.execution.first_sound_copy",
            lambda run, settings, log, process: process(None),  # noqa: ARG005
        )
        yield from _run(settings, "DMAS")


def _unset(settings: Settings) -> Iterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHIP_PASSWORD")
        yield from _run(settings, "SHIP", "COVIS-NAS")


def _traced(work: Callable[[], object]) -> str:
    """Return the traceback of what work raises."""
    with pytest.raises(CovisError) as caught:
        work()
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def _wrong_option(settings: Settings) -> Iterator[object]:
    for name, further in (
        ("SHIP", {"hostnames": 5}),
        ("SHORE", {"client_kwargs": 5}),
        ("FERRY", {"ports": 1}),
    ):
        location = settings.hosts[name]
        odd = dataclasses.replace(location, options={**location.options, **further})
        try:
            open_location(odd)
        except CovisError as error:
            yield "".join(traceback.format_exception(error))
        yield repr(odd)


def _bad_address(settings: Settings) -> Iterator[object]:
    for url in ("sftp://u:${MONGODB_PASSWORD}@h:port/x", "odd://u:${SHORE_VAULT}@h/x"):
        yield _traced(lambda url=url: open_location(dataclasses.replace(settings.products, url=url)))  # type: ignore[misc]


def _catalogue(_: Settings) -> Iterator[object]:
    here = locate()
    yield from (repr(here), dataclasses.asdict(here), _traced(here.open))
    for url in (
        "mongodb://u:${MONGODB_PASSWORD}@h:x/",
        "postgres://u:${GATE_PASSWORD}@h/",
        "${SHORE_BEARER}",
    ):
        yield _traced(locate(url).open)


def _refused(settings: Settings) -> Iterator[object]:
    """Ask a store that quotes the whole signed request when it refuses."""
    store = ProductStore.open(settings.products)
    said = f"403 {expand(_HOSTS['SHORE']['url'])} {json.dumps(VARIABLES)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store.fs), "cat_file", _raiser(PermissionError(13, said, VARIABLES["SHIP_KEY"])))
        yield _traced(lambda: store.read_bytes("x"))
        yield from _run(settings, "DMAS")


def _raiser(error: Exception) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> None:
        raise error

    return raises


def _cluster(_: Settings) -> Iterator[object]:
    def start(arguments: dict[str, Any], _spec: ClusterSpec) -> None:
        raise RuntimeError(f"cannot start: {arguments}")

    for kind in KINDS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(KINDS, kind, start)
            yield _traced(lambda kind=kind: open_client(ClusterSpec(kind)).__enter__())  # type: ignore[misc]


def _doctor(settings: Settings) -> Iterator[object]:
    yield from examine(settings)


def _config(settings: Settings) -> Iterator[object]:
    yield from (repr(settings), *map(repr, settings_in_force()))
    with dask.config.set({"covis.hosts.NAS": {"url": 5, "secret": [_core(1)]}, "covis.tokn": _core(2)}):
        yield from settings_in_force()
        yield _traced(load_settings)


def _command(_: Settings) -> Iterator[object]:
    """Commands as somebody types them, one with an error that nobody catches."""
    code = (
        "import os, sys, logging, covis_dask.cli\n"
        "logging.basicConfig(level='DEBUG')\n"
        "from covis_dask.config import expand\n"
        "logging.getLogger('lib').error('%s', os.environ['GATE_PASSWORD'])\n"
        "raise ValueError(expand('x ${SHIP_PASSWORD}')) from OSError(5, os.environ['NAS_SECRET_KEY'])\n"
    )
    for words in (["-c", code], ["-m", "covis_dask.cli", "status"], ["-m", "catalog", "count"]):
        environ = {**os.environ, "DASK_COVIS__CATALOG__URL": _AT_MONGO}
        done = subprocess.run(
            [sys.executable, *words], env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode
        yield from (done.stdout, done.stderr)


WAYS: dict[str, Callable[[Settings], Iterator[object]]] = {
    "no host answers": _all_hosts,
    "a bug quotes everything": _bug,
    "a variable is not set": _unset,
    "an option is wrong": _wrong_option,
    "an address is wrong": _bad_address,
    "no catalogue": _catalogue,
    "the store refuses": _refused,
    "no cluster": _cluster,
    "the doctor finds nothing well": _doctor,
    "the configuration is wrong": _config,
    "a command fails": _command,
    "the ship alone": _one_host("SHIP"),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_comes_out(way: str, planted: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Log, failure, catalogue, report, page, JSON, metrics, errors, reprs, task graph: none is there."""
    caplog.set_level("DEBUG")
    logging.getLogger("botocore").setLevel("DEBUG")
    said = list(WAYS[way](planted))
    assert said
    said += [*_left(planted), *(record.getMessage() for record in caplog.records), caplog.text]
    shown = {(core, str(text)[:2000]) for text in said for core in _shown(text)}
    assert shown == set()


@pytest.mark.usefixtures("planted")
def test_no_secret_is_on_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither workers and their processes here, nor what SSH starts elsewhere, has a secret in its words."""
    with open_client(ClusterSpec(workers=1)) as client:
        client.submit(len, "abc").result()
        processes = psutil.Process().children(recursive=True)
        assert processes
        assert [_shown(" ".join(process.cmdline())) for process in processes] == [[]] * len(processes)
    sent: list[str] = []

    def start(*_: Any, **__: Any) -> None:
        sent.append(dask.config.serialize(dask.config.global_config))  # part of the command, as Dask does it
        raise OSError("no such host")

    monkeypatch.setattr("distributed.SSHCluster", start)
    with pytest.raises(ConfigurationError, match="no such host"), open_client(ClusterSpec("ssh")):
        pass
    assert _shown(base64.urlsafe_b64decode(sent[0])) == []


def test_what_is_planted_would_be_found() -> None:
    """The search is no blind one: each secret is found in its variable, its URL, base64 and hex."""
    planted = [*VARIABLES.values(), json.dumps(_CLUSTERS)]
    assert {core for text in planted for core in _shown(text)} == {_core(number) for number in range(1, 26)}
    for text in planted:
        for lead in ("", "a", "ab"):
            assert set(_shown(text)) <= set(_shown(base64.b64encode((lead + text).encode())))
        assert set(_shown(text)) <= set(_shown(text.encode().hex()))


def test_settings_that_hold_no_secret_are_shown(planted: Settings) -> None:  # noqa: ARG001
    """`config show` hides what is not known to be harmless, and nothing else."""
    shown = {setting.name: setting.value for setting in settings_in_force()}
    assert shown["covis.timeout"] == "4h"
    assert shown["covis.hosts.COVIS-NAS.secret"] == "${NAS_SECRET_KEY}"
    assert shown["covis.hosts.COVIS-NAS.options.token"] == "${NAS_SESSION}"
    assert shown["covis.hosts.SHIP.url"] == f"sftp://ship@{_NOWHERE}/raw"
    assert shown["covis.hosts.FERRY.url"] == f"ftp://me:${{FTP_PASSWORD}}@{_NOWHERE}/raw"
    assert shown["covis.cluster.slurm.job_script_prologue"] == "***, ***"
    assert shown["covis.cluster.kubernetes.env.NAME"] == "***"
    assert shown["covis.cluster.ssh.hosts"] == "a, b"
    assert shown["covis.matlab.knows.Ashes"] == "imaging, diffuse, bathy"


@pytest.mark.parametrize(
    "entry",
    [
        {"url": "sftp://ship:canary@host/raw"},
        {"url": "sftp://ship:can/ary@host/raw"},
        {"url": "https://host/raw?token=canary"},
        {"url": "https://host/raw?sv=1&sig=canary"},
        {"url": "s3://raw", "endpoint": "http://u:canary@nas:9000"},
        {"url": "sftp://host/raw", "options": {"password": "canary"}},
        {"url": "s3://raw", "options": {"client_kwargs": {"aws_session_token": "canary"}}},
        {"url": "http://x", "options": {"client_kwargs": {"headers": {"Authorization": "canary"}}}},
        {"url": "s3://raw", "options": {"key": "canary"}},
        {"url": "s3://raw", "key": "${KEY}", "secret": "canary"},
    ],
)
def test_a_secret_in_a_file_is_refused_unseen(entry: dict[str, Any]) -> None:
    """Wherever a secret stands in the configuration itself, it is refused, and not repeated."""
    with dask.config.set({"covis.hosts": {"X": entry}}):
        with pytest.raises(ConfigurationError) as caught:
            load_settings({})
        shown = [str(caught.value), *map(str, settings_in_force({}))]
    assert not [text for text in shown if "canary" in text or "can/ary" in text]


def test_a_signed_address_is_no_part_of_a_product() -> None:
    """The name of an archive that was fetched by a signed URL is kept without the signature; notes too."""
    file = InputFile("LOCAL", f"{_NAME.basename}.tar?sig=canary-8&year=2014", 5)
    assert file.filename == f"{_NAME.basename}.tar?sig=***&year=2014"
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    failure = Failure(
        basename="b", engine="e", version="1", fingerprint="f", preset="p", profile="p", parameters={},
        batch="b", attempt=1, started=now, finished=now, state="failed", kind="bug", reason="https://u:canary-9@h/x",
        notes=("no picture: GET /x?token=canary-7",),
    )  # fmt: skip
    assert "canary" not in failure.to_json()


def test_reasons_are_redacted_wherever_they_come_from() -> None:
    """An outcome that another program has written shows no secret either."""
    outcome = RunOutcome.from_plain(
        {"basename": "b", "state": "failed", "reason": "GET http://h/x?sig=canary-6"}
    )
    assert outcome.reason == "GET http://h/x?sig=***"


def test_a_secret_for_all_workers_is_a_reference() -> None:
    """What tasks carry may refer to a variable, and hold no password."""
    query = RunQuery(years=frozenset({2014}))
    assert BatchRequest(query=query, ancillary="s3://u:${PASSWORD}@h/x").ancillary
    with pytest.raises(ConfigurationError, match="--ancillary holds a secret") as caught:
        BatchRequest(query=query, ancillary="https://u:canary@h/x")
    assert "canary" not in str(caught.value)


def test_options_are_looked_up_where_they_are_used(planted: Settings) -> None:
    """References at any depth, in lists too, become values at the moment of use and not before."""
    held = repr(planted) + repr(dask.config.get("covis"))
    assert "${SHORE_BEARER}" in held
    used = expand_options({"a": ["x ${SHORE_VAULT}", {"b": "${STEERING}"}], "n": 1})
    assert used == {"a": [f"x {VARIABLES['SHORE_VAULT']}", {"b": VARIABLES["STEERING"]}], "n": 1}
