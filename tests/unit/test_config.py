"""Settings: defaults, precedence, refusals, and no secret in sight."""

import re
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
    assert (settings.catalog.url, settings.catalog.database) == ("mongodb://db", "x")
    with dask.config.set({"covis.hosts.covis_nas": {"url": "/mine"}, "covis.catalog.url": "sqlite:///mine"}):
        settings = load_settings(environ)
    assert settings.hosts["COVIS-NAS"].url == "/mine"
    assert settings.catalog.url == "sqlite:///mine"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"covis.timeout": "soon"}, "covis.timeout: no length of time; write 30s, 10m, 4h, not 'soon'"),
        ({"covis.retries": -1}, "covis.retries: expected int >= 0, not -1"),
        (
            {"covis.limits.total-bytes": "many"},
            "covis.limits.total-bytes: no size; write 64 MiB, 16 GiB",
        ),
        ({"covis.time-out": "4h"}, "covis: unknown key 'time-out'; did you mean timeout?"),
        ({"covis.limits.membres": 3}, "covis.limits: unknown key 'membres'; did you mean members?"),
        ({"covis.host-order": "WASABI"}, "covis.host-order: expected array, got str, not 'WASABI'"),
        ({"covis.prefix": 5}, "covis.prefix: expected str | null, got int, not 5"),
        ({"covis.scratch": 7}, "covis.scratch: expected str | null, got int"),
        ({"covis.batch": "fast"}, "covis.batch must be keys and values"),
        (
            {"covis.hosts.wasabi": {"url": "s3://x", "secret": 12345}},
            "WASABI.secret: expected str",
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
