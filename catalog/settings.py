"""Where the catalogue is, when nobody says so on the command line.

From strong to weak: what the caller says; section ``covis.catalog`` of `dask.config` (``url``, ``database``,
``collection``: YAML files, or ``DASK_COVIS__CATALOG__URL`` and so on); the environment variables of the old
worker (``MONGODB_URL``, ``MONGODB_DB``, ``MONGODB_RUNS_TABLE``); a SQLite file under ``./covis-data``.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.config

from catalog.errors import CatalogError
from catalog.redaction import register, watch_logs
from catalog.store import Catalog, open_catalog

__all__ = ["DEFAULT_URL", "CatalogLocation", "expand_references", "locate"]

_REFERENCE = re.compile(r"\$\{(\w+)\}")

DEFAULT_URL = "sqlite:///covis-data/catalog.sqlite"


@dataclass(frozen=True, slots=True)
class CatalogLocation:
    """What it takes to open the catalogue.

    Parameters
    ----------
    url : str
        As `open_catalog` takes it, but with references (``${MONGODB_PASSWORD}``) in the place of secrets; not
        in the `repr`, for who said it may have written a password.
    database, collection : str
        Where the runs lie on a MongoDB server.
    """

    url: str = field(repr=False)
    database: str
    collection: str

    def open(self) -> Catalog:
        """Open it; see `open_catalog`. References in the URL are read from this process's environment."""
        url = _expanded(self.url, os.environ)
        return open_catalog(url, database=self.database, collection=self.collection)

    def sqlite_file(self) -> Path | None:
        """Return the file of a SQLite catalogue; None when it is on a server."""
        scheme, _, rest = _expanded(self.url, os.environ).partition("://")
        return Path(rest.removeprefix("/")) if scheme == "sqlite" else None


def expand_references(text: str, environ: Mapping[str, str]) -> str:
    """Replace each ``${NAME}`` by the environment's value, or by what the file named by ``NAME_FILE`` holds.

    The latter is how Docker and Kubernetes mount secrets. From here on no message of this process shows a
    value that has been looked up.

    Raises
    ------
    KeyError
        With the name of a variable that is not set, or whose file cannot be read.
    """
    return _REFERENCE.sub(lambda match: _value(match[1], environ), text)


def _value(name: str, environ: Mapping[str, str]) -> str:
    try:
        value = environ.get(name) or Path(environ[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
    except (KeyError, OSError):
        if name not in environ:
            raise KeyError(name) from None
        value = ""
    watch_logs()
    register(value)
    return value


def locate(url: str | None = None, environ: Mapping[str, str] | None = None) -> CatalogLocation:
    """Return where the catalogue is.

    Parameters
    ----------
    url : str, optional
        Said by the caller.
    environ : mapping, optional
        Environment variables that count; those of this process by default.

    Raises
    ------
    CatalogError
        When the URL refers to a variable (``${MONGODB_PASSWORD}``) that is not set.
    """
    variables = os.environ if environ is None else environ

    def setting(name: str, variable: str, default: str) -> str:
        # Elsewhere in the program the defaults may have been put into dask.config: those are nobody's choice.
        configured: Any = dask.config.get(f"covis.catalog.{name}", default=None)
        chosen = None if configured in (default, DEFAULT_URL) else configured
        return str(chosen or variables.get(variable) or default)

    old = "${MONGODB_URL}" if variables.get("MONGODB_URL") else ""
    chosen = url or setting("url", "", "") or old or DEFAULT_URL
    _expanded(chosen, variables)  # to know at once that everything it refers to is there
    return CatalogLocation(
        chosen,
        setting("database", "MONGODB_DB", "covis"),
        setting("collection", "MONGODB_RUNS_TABLE", "runs"),
    )


def _expanded(url: str, variables: Mapping[str, str]) -> str:
    try:
        return expand_references(url, variables)
    except KeyError as error:
        raise CatalogError(
            f"the catalogue's URL refers to the environment variable {error.args[0]}, which is not set"
        ) from None
