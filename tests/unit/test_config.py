"""Settings: defaults, precedence, refusals, and no secret in sight."""

import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import dask.config
import jsonschema
import pytest
import yaml

from covis_dask.config import Location, expand, load_settings
from covis_dask.config.schema import schema_text
from covis_dask.errors import ConfigurationError


def test_defaults_need_no_server() -> None:
    """With no configuration everything lies under covis-data and the catalogue is a file."""
    settings = load_settings({})
    assert settings.catalog.url == "sqlite:///covis-data/catalog.sqlite"
    assert settings.hosts["COVIS-NAS"].url == "covis-data/raw"
    assert settings.products.url == "covis-data/products"
    assert settings.timeout == 4 * 3600
    assert settings.limits.max_member_bytes == 64 * 2**20


def test_old_variables_describe_hosts_below_our_own_settings() -> None:
    """The old worker's variables count, and a host of our own configuration beats them."""
    environ = {
        "NAS_URL": "nas:9000",
        "OLD_NAS5_URL": "https://five",
        "MONGODB_URL": "mongodb://db",
        "MONGODB_DB": "x",
    }
    settings = load_settings(environ)
    assert settings.hosts["COVIS-NAS"] == Location(
        "s3://raw", endpoint="http://nas:9000", key="${NAS_ACCESS_KEY}", secret="${NAS_SECRET_KEY}"
    )
    assert settings.hosts["OLD-COVIS-NAS5"].endpoint == "https://five"
    assert (settings.catalog.url, settings.catalog.database) == ("${MONGODB_URL}", "x")
    with dask.config.set({"covis.hosts.covis_nas": {"url": "/mine"}, "covis.catalog.url": "sqlite:///mine"}):
        settings = load_settings(environ)
    assert settings.hosts["COVIS-NAS"].url == "/mine"
    assert settings.catalog.url == "sqlite:///mine"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"covis.timeout": "soon"}, "covis.timeout: no length of time; write 30s, 10m, 4h, not 'soon'"),
        ({"covis.retries": -1}, "covis.retries: must be a whole number >= 0, not -1"),
        (
            {"covis.limits.total-bytes": "many"},
            "covis.limits.total-bytes: no size; write 64 MiB, 16 GiB",
        ),
        ({"covis.time-out": "4h"}, "covis: unknown key 'time-out'; did you mean timeout?"),
        ({"covis.limits.membres": 3}, "covis.limits: unknown key 'membres'; did you mean members?"),
        ({"covis.host-order": "WASABI"}, "covis.host-order: must be a list, not 'WASABI' (write [WASABI])"),
        ({"covis.prefix": 5}, "covis.prefix: must be text or null, not 5"),
        ({"covis.scratch": 7}, "covis.scratch: must be text or null, not 7"),
        ({"covis.batch": "fast"}, "covis.batch must be keys and values"),
        (
            {"covis.hosts.wasabi": {"url": "s3://x", "secret": 12345}},
            "WASABI.secret: must be text or null",
        ),
        ({"covis.products": {"bucket": "x"}}, "covis.products: give a url"),
        ({"covis.products": {"url": "x", "user": "y"}}, "unknown key 'user'"),
        ({"covis.products": {"url": "x", "secret": "hunter2"}}, "secrets do not belong in files"),
    ],
)
def test_impossible_settings_are_sentences(change: dict[str, Any], sentence: str) -> None:
    """A setting that cannot be names its key and what it may be; a secret in a file is refused unseen."""
    with dask.config.set(change), pytest.raises(ConfigurationError) as caught:
        load_settings({})
    assert sentence in str(caught.value)
    assert not {"hunter2", "12345"} & set(re.findall(r"\w+", str(caught.value)))


def test_former_names_and_spellings_are_read() -> None:
    """``covis.patience`` of old files counts, ``covis.batch.claim`` does no harm, underscores will do."""
    with dask.config.set({"covis.patience": "90s"}):
        assert load_settings({}).max_outage == 90
    with dask.config.set({"covis.batch.claim": "10 minutes"}):
        assert load_settings({}).heartbeat == 10
    limits = {"members": 5, "member_bytes": "1 MiB", "total_bytes": 10, "spool_bytes": 10}
    with dask.config.set({"covis.limits": limits}):
        assert load_settings({}).limits.max_member_bytes == 2**20


def test_schema_is_that_of_the_types() -> None:
    """Editors check covis.yaml by the same types; `python -m covis_dask.config` writes the schema anew."""
    assert (files("covis_dask") / "covis-schema.yaml").read_text("utf-8") == schema_text()


def test_shipped_defaults_follow_the_schema() -> None:
    """covis.yaml as shipped is valid, and names its schema."""
    shipped = (files("covis_dask") / "covis.yaml").read_text("utf-8")
    jsonschema.validate(yaml.safe_load(shipped), yaml.safe_load(schema_text()))
    assert shipped.startswith("# yaml-language-server: $schema=covis-schema.yaml\n")


def test_references_are_expanded_where_used(tmp_path: Path) -> None:
    """${NAME} becomes the environment's value, or that of a mounted file; what is not set is named."""
    assert expand("a ${X} c", {"X": "b"}) == "a b c"
    (tmp_path / "x").write_text("mounted\n")
    assert expand("${X}", {"X_FILE": str(tmp_path / "x")}) == "mounted"
    with pytest.raises(ConfigurationError, match="X"):
        expand("${X}", {"X_FILE": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigurationError, match="NAS_SECRET_KEY"):
        expand("${NAS_SECRET_KEY}", {})


def _load_in(folder: Path, text: str, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with one file of settings, in a process of its own: Dask reads it when imported."""
    (folder / "covis.yaml").write_text(text)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
    return subprocess.run(
        [sys.executable, "-m", "covis_dask.cli", *(words or ("config", "show"))],
        cwd=folder,
        env={**clean, "DASK_CONFIG": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


BAD_FILES = {
    "covis: hello": "covis must be keys and values, not 'hello'",
    "covis:\n  limits: 5": "covis.limits must be keys and values, not 5",
    "covis:\n  hosts: [A, B]": "covis.hosts must be keys and values, not a list",
    "covis:\n  batch: fast\n  retries: -1": "covis.batch must be keys and values, not 'fast'",
    "covis:\n\thosts: {}": "line 2, column 1: found character '\\t'",
    "covis: {hosts: [}": "line 1, column 17",
    "- covis": "the whole must be keys and values",
    "covsi:\n  timeout: 1h": "unknown section 'covsi'; did you mean covis?",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_files_that_dask_would_lose_or_refuse(text: str, tmp_path: Path) -> None:
    """Exit code 2 and the file's name, with no traceback; Dask alone says little or nothing."""
    done = _load_in(tmp_path, text)
    assert done.returncode == 2, done.stderr
    assert BAD_FILES[text] in done.stderr
    assert str(tmp_path / "covis.yaml") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [("doctor",), ("batch", "--dry-run", "--year", "2019"), ("catalog", "years")]
)
def test_every_command_checks_all_settings(words: tuple[str, ...], tmp_path: Path) -> None:
    """All faults are told at once, by every command, before it does anything."""
    done = _load_in(tmp_path, "covis:\n  host: {}\n  time-out: 2h\n  prefix: 2024", *words)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    for sentence in ("did you mean hosts?", "did you mean timeout?", "must be text or null, not 2024"):
        assert sentence in said
    assert said.count(str(tmp_path / "covis.yaml")) == 3


FIELD_REPORT = {
    "bad-option": "covis.hosts.NAS5.options.endpont: s3 has no such option; did you mean endpoint_url?",
    "host-order-text": "covis.host-order: must be a list, not 'WASABI' (write [WASABI])",
    "misspelt": "covis: unknown key 'host'; did you mean hosts?",
    "no-credentials": None,  # the account may come from the machine: said where it is used
    "no-scheme": None,  # taken as http
    "prefix-number": "covis.prefix: must be text or null, not 2024 (write it in quotes)",
    "scratch-number": "covis.scratch: must be text or null, not 5 (write it in quotes)",
    "tab": "line 2, column 1",
    "text": "covis must be keys and values, not 'hello'",
}


@pytest.mark.parametrize("name", FIELD_REPORT)
def test_field_report_settings_found_late(name: str, shared: Path, tmp_path: Path) -> None:
    """Each file of the report ends with exit code 2, file and key, or is read as was meant."""
    file = shared / "field-reports" / "08-settings-found-late" / f"{name}.yaml"
    if not file.is_file():
        pytest.skip("the field reports are not beside this checkout")
    done = _load_in(tmp_path, file.read_text())
    sentence = FIELD_REPORT[name]
    assert done.returncode == (0 if sentence is None else 2), done.stderr
    assert (sentence or "") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_variable_that_misses_its_name(tmp_path: Path) -> None:
    """One underscore where two are meant, or a value for a whole section, is told with the variable."""
    done = _load_in(tmp_path, "", DASK_COVIS_TIMEOUT="2h", DASK_COVIS__LIMITS="5", DASK_COVIS__TIMEOUT="soon")
    assert done.returncode == 2
    assert "DASK_COVIS_TIMEOUT sets nothing; did you mean DASK_COVIS__TIMEOUT?" in done.stderr
    assert "variable DASK_COVIS__LIMITS: covis.limits must be keys and values, not 5" in done.stderr
    assert "variable DASK_COVIS__TIMEOUT: covis.timeout: no length of time" in done.stderr


VARIABLES = {
    "MAX_OUTAGE": "7s",
    "HOST_ORDER": "['WASABI']",
    "LIMITS__MEMBER_BYTES": "3 MiB",
    "MATLAB__START_TIMEOUT": "9s",
    "HOSTS__OLD_COVIS_NAS3__URL": "/mnt/three",
    "HOSTS__MY_DISK__URL": "/mnt/mine",
    "RETRIES": "5",
}


def test_dashed_keys_by_variable(tmp_path: Path) -> None:
    """Keys with dashes are set by variables with underscores, and each is shown with its variable."""
    done = _load_in(tmp_path, "", **{f"DASK_COVIS__{name}": value for name, value in VARIABLES.items()})
    assert done.returncode == 0, done.stderr
    for name, value in VARIABLES.items():
        assert any(
            f"variable DASK_COVIS__{name}" in line and value.strip("[']") in line
            for line in done.stdout.splitlines()
        ), f"{name}\n{done.stdout}"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"url": "s4://raw"}, "url: unknown kind of store s4://; did you mean s3://?"),
        ({"url": "s3://"}, "url: name the bucket"),
        ({"url": "s3://raw", "key": "${A}"}, "the secret is missing"),
        ({"url": "s3://raw", "endpoint": "nas:port"}, "endpoint: write http://HOST:PORT"),
        ({"url": "s3://raw", "endpoint": "ftp://nas"}, "endpoint: write http://HOST:PORT"),
        ({"url": "s3://raw", "endpoint": "http://"}, "endpoint: write http://HOST:PORT"),
        ({"url": "/mnt/raw", "endpoint": "http://nas"}, "endpoint: a folder has no use for it"),
        ({"url": "http://x/raw", "secret": "${A}"}, "secret: http:// has no use for it"),
        (
            {"url": "s3://raw", "options": {"annon": True}},
            "options.annon: s3 has no such option; did you mean anon?",
        ),
        ({"url": "http://x", "options": {"client_kwarg": {}}}, "did you mean client_kwargs?"),
        ({"url": "onc://x", "key": "${A}", "options": {"time": 5}}, "did you mean timeout?"),
        ({"url": "s3://raw", "options": ["anon"]}, "options: must be keys and values"),
        ({"url": 5}, "url: must be text"),
        ({}, "give a url"),
        (5, "must be keys and values, not 5"),
    ],
)
def test_addresses_that_nothing_can_open(entry: Any, sentence: str) -> None:
    """What a worker would stumble over is found when the settings are loaded, with the host and the key."""
    with dask.config.set({"covis.hosts.NAS5": entry}), pytest.raises(ConfigurationError) as caught:
        load_settings({})
    assert sentence in str(caught.value)
    assert "covis.hosts.NAS5" in str(caught.value)


def test_an_endpoint_without_scheme_is_http() -> None:
    """As of old: ``nas:9000`` is spoken to by plain HTTP."""
    with dask.config.set({"covis.hosts.NAS5": {"url": "s3://raw", "endpoint": "nas:9000"}}):
        assert load_settings({}).hosts["NAS5"].endpoint == "http://nas:9000"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"covis.timeout": True}, "covis.timeout: no length of time"),
        ({"covis.timeout": -5}, "covis.timeout: no length of time"),
        ({"covis.backoff": float("nan")}, "covis.backoff: no length of time"),
        ({"covis.limits.spool-bytes": 0}, "covis.limits.spool-bytes: no size"),
        ({"covis.retries": None}, "covis.retries: must be a whole number, not null"),
        ({"covis.host-order": ["A", 5]}, "covis.host-order[1]: must be text"),
        ({"covis.cluster.slurm": 5}, "covis.cluster.slurm: must be keys and values or null"),
        ({"covis.matlab.knows": {"Ashes": "imaging"}}, "covis.matlab.knows.Ashes: must be a list"),
        ({"covis.prefix": "../up"}, "covis.prefix: give a folder below the products"),
        ({"covis.prefix": "/top"}, "covis.prefix: give a folder below the products"),
    ],
)
def test_values_out_of_range(change: dict[str, Any], sentence: str) -> None:
    """A value of the right kind that cannot be meant is refused, with its key."""
    with dask.config.set(change), pytest.raises(ConfigurationError) as caught:
        load_settings({})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"covis.hosts": ["s3://me:hunter2@host"]},
        {"covis.hosts.NAS5": ["hunter2"]},
        {"covis.hosts.NAS5": {"url": "s4://me:hunter2@host"}},
        {"covis.hosts.NAS5": {"url": "s3://raw", "endpoint": "ftp://me:hunter2@host"}},
        {"covis.limits": "mongodb://me:hunter2@host"},
        {"covis.timeout": "mongodb://me:hunter2@host"},
    ],
)
def test_no_fault_quotes_a_secret(change: dict[str, Any]) -> None:
    """What stands in the wrong place is not repeated where it may hold a password."""
    with dask.config.set(change), pytest.raises(ConfigurationError) as caught:
        load_settings({})
    assert "hunter2" not in str(caught.value)
