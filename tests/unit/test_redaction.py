"""No text shows a secret, known or guessed; what is none stays readable."""

import base64
import html
import json
import logging
import traceback
import urllib.parse
from collections.abc import Callable

import pytest

from catalog.errors import CatalogError
from catalog.redaction import (
    is_secret_name,
    redact,
    redact_error,
    redact_values,
    register,
    register_options,
    register_url,
    watch_logs,
)

FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "upper case": str.upper,
    "in a URL": lambda text: urllib.parse.quote(text, safe=""),
    "in a path": urllib.parse.quote,
    "in a URL within a URL": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "in a form": urllib.parse.quote_plus,
    "in JSON": json.dumps,
    "in a repr": repr,
    "in JSON in a repr in JSON": lambda text: json.dumps(repr(json.dumps(text))),
    "as bytes": lambda text: repr(text.encode()),
    "in HTML": html.escape,
    "in hex": lambda text: text.encode().hex(),
    "in a header of an account": lambda text: base64.b64encode(f"ab:{text}".encode()).decode(),
    "in base64": lambda text: base64.urlsafe_b64encode(f"abcde{text}".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", ["Zq7/x+Lw@9%k:T", "übermut<&>'\"", "wire\\tap 77", "plain-Pw0rd"])
def test_a_known_secret_is_found_in_every_form(form: str, secret: str) -> None:
    """However a library writes a registered value, it is gone: URLs, JSON, Python, HTML, hex, base64."""
    register(secret)
    written = FORMS[form](secret)
    shown = redact(f"before {written} after")
    assert shown.startswith("before")
    assert shown.endswith("after")
    encoded = "base64" in form or "header" in form  # there the ends are shared with what stands beside
    assert not set(_pieces(written[8:-4] if encoded else written)) & set(_pieces(shown)), shown


def _pieces(text: str, size: int = 5) -> list[str]:
    return [text[first : first + size] for first in range(len(text) - size + 1)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "mongodb://me:pa/ss@w@host:1/?authSource=admin&x=y1",
            "mongodb://***@host:1/?authSource=admin&x=***",
        ),
        ("https://ghtoken@host/x", "https://***@host/x"),
        ("GET /api?filename=a.tar&token=abc HTTP/1.1", "GET /api?filename=a.tar&token=*** HTTP/1.1"),
        ("https://h/b?sv=2024&sig=a%2Fb", "https://h/b?sv=***&sig=***"),
        ("{'Authorization': 'Bearer abcdef'}", "{'Authorization': '***'}"),
        ("cookie: a=b; c=d", "cookie: ***"),
        ("{'key': 'k1', 'secret': 's1', 'anon': False}", "{'key': '***', 'secret': '***', 'anon': False}"),
        ("aws_secret_access_key=abc region=us", "aws_secret_access_key=*** region=us"),
        ("X-Amz-Security-Token: FwoG", "X-Amz-Security-Token: ***"),
        ("login --password hunter2 --token=x", "login --password *** --token=***"),
        ("AKIAIOSFODNN7EXAMPLE signed it", "*** signed it"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\nxyz\n-----END RSA PRIVATE KEY-----", "***"),
        (
            "Port could not be cast to integer value as 'pa'",
            "Port could not be cast to integer value as '***'",
        ),
        ("nonnumeric port: 'wd@h'", "nonnumeric port: '***'"),
        ("a eyJhbGciOiJI.eyJzdWIiOiIx.abc b", "a *** b"),
    ],
)
def test_an_unknown_secret_is_found_by_its_place(text: str, shown: str) -> None:
    """What nobody has registered is found where secrets stand, and nothing around it is lost."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "secret: ${NAS_SECRET_KEY}",
        "mongodb://${MONGODB_USER}:${MONGODB_PASSWORD}@db:27017",
        "mongodb://covis:${MONGODB_PASSWORD}@db:27017",
        "sftp://ship@host/raw",
        "s3://raw/2014/a@b.tar",
        "http://127.0.0.1:8787/covis?batch=20140105",
        "covis.hosts.NAS.secret: expected str | null, got int",
        "the archive service refuses the token (HTTP 403); see DMAS_API_KEY",
        "token=7, compass: 12.3, pass 2 of 5",
        "a run of 2014 needs the same password as before",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """References, accounts to log in with, counters and prose are left alone."""
    assert redact(text) == text


def test_words_of_our_own_are_never_taken_out() -> None:
    """A poor password such as `covis` does not make every sentence unreadable; in a URL it is hidden."""
    register("covis")
    register_url("http://covis:covis@nas:9000")
    assert redact("covis batch at http://covis:covis@nas:9000") == "covis batch at http://***@nas:9000"


def test_options_that_nobody_knows_are_secret() -> None:
    """Of a file system's or cluster's arguments only those are shown that are known to be harmless."""
    register_options({
        "region_name": "us-west-7",
        "client_kwargs": {"headers": {"X-Ship": "kelp-4417"}},
        "job_script_prologue": ["export ONC_PASS=eelgrass-5", "module load ocean"],
        "env": [{"name": "A", "value": "anemone-6"}],
        "pin_code": "urchin-9",
        "password": 86420135,
    })  # fmt: skip
    shown = redact("us-west-7 kelp-4417 eelgrass-5 anemone-6 urchin-9 86420135")
    assert shown == "us-west-7 *** *** *** *** ***"


def test_what_belongs_to_something_unknown_is_unknown() -> None:
    """A harmless name within one that nobody knows is not shown; names of variables and small words are."""
    register_options({
        "vault": {"name": "whelk-0815", "port": "conch-42"},
        "env": [{"name": "ONC_VARIABLE", "value": "abalone-3"}, {"name": "LOG", "value": "INFO"}],
        "config_kwargs": {"proxies": {"https": "http://me:oyster-64@proxy:3128"}},
    })  # fmt: skip
    texts = "whelk-0815 conch-42 ONC_VARIABLE abalone-3 INFO oyster-64 proxy"
    assert redact(texts) == "*** *** ONC_VARIABLE *** INFO *** proxy"


def test_names_of_files_are_no_keys() -> None:
    """The address of an archive takes no file name out of texts; a secret link loses its key."""
    register_url("https://me:lobster-77@host/raw/COVIS-20190820T120001-diffuse1.tar.gz")
    assert redact("no COVIS-20190820T120001-diffuse1.tar.gz") == "no COVIS-20190820T120001-diffuse1.tar.gz"
    register("https://hooks.example.org/T0123/AbCdEf0123456789AbCdEf")
    assert redact("POST AbCdEf0123456789AbCdEf") == "POST ***"


def test_an_at_sign_in_a_path_is_no_account() -> None:
    """Buckets and folders beside an @ stay readable."""
    register_url("s3://seagrass/2014/x@y.tar")
    assert redact("no bucket seagrass") == "no bucket seagrass"


def test_a_script_does_not_take_words_with_it() -> None:
    """Of a prologue the values are secret, not the words of the shell."""
    register_options({"job_script_prologue": ["export SHORE_KEY=barnacle-77"]})
    assert redact("export it: barnacle-77") == "export it: ***"


@pytest.mark.parametrize(
    ("name", "secret"),
    [("NAS_SECRET_KEY", True), ("aws_session_token", True), ("accountKey", True), ("sig", True),
     ("compass", False), ("host_key_file", False), ("monkey", False), ("timeout", False)],
)  # fmt: skip
def test_names_of_secrets(name: str, secret: bool) -> None:
    """Names tell secrets from what only sounds like them."""
    assert is_secret_name(name) is secret


def test_variables_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in the environment is hidden although nothing refers to it; so is the account of a proxy."""
    monkeypatch.setenv("SHORE_STATION_TOKEN", "limpet-3141")
    monkeypatch.setenv("HTTPS_PROXY", "http://crab:whelk-2718@proxy:3128")
    assert redact("limpet-3141 and whelk-2718") == "*** and ***"


def test_errors_and_their_causes() -> None:
    """A traceback shows no secret in the error, its cause, its context, its notes or a group."""
    secret = "-".join(["periwinkle", "88"])  # a traceback quotes the lines of this file
    register(secret)

    class Stubborn(Exception):
        def __str__(self) -> str:
            return f"password {secret} refused"

    second = OSError(5, secret, f"/{secret}")
    second.__cause__ = Stubborn()
    second.add_note(f"try {secret}")
    group = ExceptionGroup("both", [second, ValueError({"a": secret})])
    group.__context__ = Stubborn()
    shown = "".join(traceback.format_exception(redact_error(group)))
    assert secret not in shown
    assert "***" in shown


def test_our_own_errors_hold_none() -> None:
    """A sentence of ours is redacted when it is made, so whatever shows it shows no secret."""
    register("cuttlefish-12")
    error = CatalogError("the server says: cuttlefish-12")
    assert str(error) == "the server says: ***"
    assert "cuttlefish" not in repr(error)


def test_log_records_of_any_library(caplog: pytest.LogCaptureFixture) -> None:
    """Messages, arguments and tracebacks of every logger are redacted before any handler sees them."""
    watch_logs()
    register("nautilus-55")
    bad = ValueError("bad nautilus-55")
    logging.getLogger("another.package").error("signed %s for %s", "nautilus-55", "me", exc_info=bad)
    assert "signed *** for me" in caplog.text
    assert "nautilus-55" not in caplog.text


def test_documents() -> None:
    """Plain values are redacted at any depth, keys included."""
    register("seahorse-21")
    document = {"a": [{"seahorse-21": 1}, ("x seahorse-21",)], "n": 2}
    assert redact_values(document) == {"a": [{"***": 1}, ["x ***"]], "n": 2}
