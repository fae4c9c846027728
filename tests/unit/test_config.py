"""Settings: defaults, precedence, refusals, and no secret in sight."""

from pathlib import Path
from typing import Any

import dask.config
import pytest

from covis_dask.config import Location, expand, load_settings
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
        ({"covis.timeout": "soon"}, "covis.timeout: 'soon' is no length of time"),
        ({"covis.retries": -1}, "covis.retries: -1 must be a whole number"),
        ({"covis.limits.total-bytes": "many"}, "covis.limits.total-bytes: 'many' is no size"),
        ({"covis.products": {"bucket": "x"}}, "covis.products: give a url"),
        ({"covis.products": {"url": "x", "user": "y"}}, "unknown key 'user'"),
        ({"covis.products": {"url": "x", "secret": "hunter2"}}, "secrets do not belong in files"),
    ],
)
def test_impossible_settings_are_sentences(change: dict[str, Any], sentence: str) -> None:
    """A setting that cannot be names its key and what it may be; a secret in a file is refused unseen."""
    with dask.config.set(change), pytest.raises(ConfigurationError, match=sentence) as caught:
        load_settings({})
    assert "hunter2" not in str(caught.value)


def test_references_are_expanded_where_used(tmp_path: Path) -> None:
    """${NAME} becomes the environment's value, or that of a mounted file; what is not set is named."""
    assert expand("a ${X} c", {"X": "b"}) == "a b c"
    (tmp_path / "x").write_text("mounted\n")
    assert expand("${X}", {"X_FILE": str(tmp_path / "x")}) == "mounted"
    with pytest.raises(ConfigurationError, match="X"):
        expand("${X}", {"X_FILE": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigurationError, match="NAS_SECRET_KEY"):
        expand("${NAS_SECRET_KEY}", {})
