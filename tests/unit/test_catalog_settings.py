"""Where the catalogue is, when the command line does not say."""

from collections.abc import Iterator

import dask.config
import pytest

from catalog.errors import CatalogError
from catalog.settings import DEFAULT_URL, expand_references, locate
from catalog.store import open_catalog

OLD_WORKER = {"MONGODB_URL": "mongodb://old", "MONGODB_DB": "covis2", "MONGODB_RUNS_TABLE": "sweeps"}


@pytest.fixture(autouse=True)
def _no_configuration() -> Iterator[None]:
    with dask.config.set({"covis.catalog": {}}):
        yield


def test_default() -> None:
    """Without any word the catalogue is a file under ./covis-data."""
    here = locate(environ={})
    assert (here.url, here.database, here.collection) == (DEFAULT_URL, "covis", "runs")


def test_the_old_workers_variables_are_honoured() -> None:
    """MONGODB_URL, MONGODB_DB and MONGODB_RUNS_TABLE mean what they did."""
    here = locate(environ=OLD_WORKER)
    assert (here.url, here.database, here.collection) == ("${MONGODB_URL}", "covis2", "sweeps")


def test_precedence() -> None:
    """The caller comes before the configuration, that before the environment; a default is no choice."""
    with dask.config.set({"covis.catalog.url": "mongodb://configured", "covis.catalog.database": "covis"}):
        assert locate("sqlite:///said.sqlite", OLD_WORKER).url == "sqlite:///said.sqlite"
        assert locate(environ=OLD_WORKER).url == "mongodb://configured"
        assert locate(environ=OLD_WORKER).database == "covis2"
    with dask.config.set({"covis.catalog.url": DEFAULT_URL}):
        assert locate(environ=OLD_WORKER).url == "${MONGODB_URL}"


def test_references_to_the_environment() -> None:
    """A URL leaves its password to the environment until it is opened; one that is not set is named."""
    with dask.config.set({"covis.catalog.url": "mongodb://me:${PASSWORD}@host"}):
        url = locate(environ={"PASSWORD": "pw"}).url
        assert url == "mongodb://me:${PASSWORD}@host"
        assert expand_references(url, {"PASSWORD": "pw"}) == "mongodb://me:pw@host"
        with pytest.raises(CatalogError, match="PASSWORD"):
            locate(environ={})


def test_no_password_in_the_repr() -> None:
    """A location can be printed."""
    assert "secret" not in repr(locate("mongodb://me:secret@host"))


@pytest.mark.parametrize(
    "url", ["", "covis.sqlite", "sqlite://covis.sqlite", "sqlite:///", "postgres://me:secret@host/db"]
)
def test_other_urls_are_refused(url: str) -> None:
    """A URL of no known kind is refused, without its password."""
    with pytest.raises(CatalogError, match="no catalogue can be opened at") as refusal:
        open_catalog(url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://me:secret@127.0.0.1:1/?serverSelectionTimeoutMS=100",
        "mongodb://me:secret@127.0.0.1:notaport/",
        "mongodb://me:sec%ret@127.0.0.1/",
    ],
)
def test_a_server_that_cannot_be_reached(url: str) -> None:
    """An address that is refused, or answers not, is a sentence without the password."""
    with pytest.raises(CatalogError, match=r"mongodb://127\.0\.0\.1") as refusal:
        open_catalog(url)
    assert "sec" not in str(refusal.value)
    assert refusal.value.__suppress_context__
